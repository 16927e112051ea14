//! What stands in a creation.

use domain::ids::PaymentId;
use domain::value::Provider;
use uuid::Uuid;

use super::super::settings::{ZalopayKeys, ZalopaySettings};
use super::super::vectors::{KEY1_OF_2553, KEY2_OF_2553};
use super::*;
use crate::payments::CallSettings;

/// 2026-10-10 17:30:00 UTC; in Vietnam it is already the 11th.
const NOW: Timestamp = Timestamp(1_791_653_400_000_000);

fn zalopay() -> Zalopay {
    let keys = ZalopayKeys::new(2553, KEY1_OF_2553, KEY2_OF_2553);
    Zalopay::new(ZalopaySettings::new("https://api.test", keys), CallSettings::default()).unwrap()
}

fn payment(pay_by: Timestamp) -> CreatePayment {
    CreatePayment {
        payment: PaymentId(Uuid::from_u128(7)),
        provider: Provider::Zalopay,
        serial: 1,
        amount: 150_000,
        currency: *DONG,
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by,
    }
}

fn urls() -> Urls {
    crate::payments::Gateways::new("https://tickets.test/return").urls(Provider::Zalopay, PaymentId(Uuid::from_u128(7)))
}

fn body(pay_by: Timestamp, back: &Urls) -> Map<String, Value> {
    let name = AppTransId::new(PaymentId(Uuid::from_u128(7)), NOW).to_string();
    zalopay().creation(&payment(pay_by), back, &name, NOW)
}

#[test]
fn a_creation_says_what_is_to_be_paid_and_where_to_go_and_call() {
    let body = body(NOW.plus_s(900), &urls());
    for (name, value) in [
        ("app_id", json!(2553)),
        ("app_user", json!("boxoffice")),
        ("app_trans_id", json!("261011_00000000000000000000000000000007")),
        ("app_time", json!(1_791_653_400_000_i64)),
        ("expire_duration_seconds", json!(900)),
        ("amount", json!(150_000)),
        ("description", json!("Order K7M2P9Q4TX")),
        ("item", json!("[]")),
        ("callback_url", json!("https://tickets.test/return/v1/payments/zalopay/notify")),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
    let embedded: Value = serde_json::from_str(body["embed_data"].as_str().unwrap()).unwrap();
    assert_eq!(embedded, json!({ "redirecturl": urls().paid }));
}

#[test]
fn its_signature_is_over_what_is_sent() {
    let body = body(NOW.plus_s(900), &urls());
    let names = ["app_id", "app_trans_id", "app_user", "amount", "app_time", "embed_data", "item"];
    let texts = names.map(|name| body[name].as_str().map_or_else(|| body[name].to_string(), ToOwned::to_owned));
    let signed = zalopay().settings.keys.key1.sign(&texts.join("|"));
    assert_eq!(body["mac"], json!(signed));
}

#[test]
fn an_order_lives_as_long_as_zalopay_allows() {
    for (left_s, lives_s) in [(-5, 300), (299, 300), (301, 301), (2_592_001, 2_592_000)] {
        assert_eq!(body(NOW.plus_s(left_s), &urls())["expire_duration_seconds"], json!(lives_s), "{left_s}");
    }
    assert_eq!(body(Timestamp(i64::MAX), &urls())["expire_duration_seconds"], json!(2_592_000));
}

#[test]
fn without_our_own_way_back_the_registered_address_is_called() {
    let elsewhere = Urls { paid: "https://x.test/back".to_owned(), cancelled: String::new() };
    assert!(!body(NOW.plus_s(900), &elsewhere).contains_key("callback_url"));
}

#[tokio::test]
async fn what_zalopay_cannot_take_is_refused_without_asking() {
    for (change, expected) in [
        (CreatePayment { currency: "EUR".parse().unwrap(), ..payment(NOW) }, "currency-not-taken"),
        (CreatePayment { amount: 0, ..payment(NOW) }, "amount-out-of-range"),
        (CreatePayment { amount: -1, ..payment(NOW) }, "amount-out-of-range"),
    ] {
        let refused = zalopay().open(&change, &urls(), NOW).await;
        assert!(matches!(&refused, Err(CreateError::Refused { code }) if code == expected), "{refused:?}");
    }
}
