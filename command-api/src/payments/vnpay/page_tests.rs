//! What stands in the address of a page.

use std::collections::BTreeMap;

use domain::ids::PaymentId;
use domain::value::Provider;
use uuid::Uuid;

use super::super::settings::VnpayKeys;
use super::super::vectors::{CREATE, SANDBOX_SECRET};
use super::*;

/// 2026-10-10 17:30:00 UTC; in Vietnam it is already the 11th.
const NOW: Timestamp = Timestamp(1_791_653_400_000_000);

fn settings() -> VnpaySettings {
    VnpaySettings::new("https://api.test", "https://pay.test/vpcpay.html", VnpayKeys::new("CGXZLS0Z", SANDBOX_SECRET))
}

fn payment() -> CreatePayment {
    CreatePayment {
        payment: PaymentId(Uuid::from_u128(7)),
        provider: Provider::Vnpay,
        serial: 1,
        amount: 150_000,
        currency: *DONG,
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by: NOW.plus_s(900),
    }
}

fn urls() -> Urls {
    crate::payments::Gateways::new("https://tickets.test").urls(Provider::Vnpay, PaymentId(Uuid::from_u128(7)))
}

fn fields(url: &str) -> BTreeMap<String, String> {
    let (_, query) = url.split_once('?').unwrap();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), signature::decode(value).unwrap())).collect()
}

#[test]
fn a_page_has_everything_in_its_address() {
    let intent = intent(&settings(), &payment(), &urls(), NOW).unwrap();
    assert_eq!(intent.reference, "20261011003000-00000000000000000000000000000007");
    assert!(
        intent.url.starts_with("https://pay.test/vpcpay.html?vnp_Amount=15000000&vnp_Command=pay&"),
        "{}",
        intent.url
    );
    let fields = fields(&intent.url);
    for (name, value) in [
        ("vnp_CreateDate", "20261011003000"),
        ("vnp_ExpireDate", "20261011004500"),
        ("vnp_TxnRef", &intent.reference),
        ("vnp_TmnCode", "CGXZLS0Z"),
        ("vnp_IpAddr", "127.0.0.1"),
        ("vnp_OrderInfo", "Order K7M2P9Q4TX"),
        ("vnp_ReturnUrl", &urls().paid),
        ("vnp_CurrCode", "VND"),
        ("vnp_Version", "2.1.0"),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
}

#[test]
fn the_signature_is_over_the_address_and_comes_last() {
    let intent = intent(&settings(), &payment(), &urls(), NOW).unwrap();
    let (text, signature) = intent.url.split_once('?').unwrap().1.split_once("&vnp_SecureHash=").unwrap();
    assert!(settings().keys.secret.verify(text, signature));
    let names: Vec<&str> = text.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
    assert!(names.is_sorted(), "{names:?}");
    let published: Vec<&str> = CREATE.0.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
    let ours: Vec<&str> = names.into_iter().filter(|name| *name != "vnp_ExpireDate").collect();
    assert_eq!(ours, published, "the published request is older than vnp_ExpireDate");
}

#[test]
fn a_second_address_has_its_own_reference_and_date() {
    let first = intent(&settings(), &payment(), &urls(), NOW).unwrap();
    let second = intent(&settings(), &payment(), &urls(), NOW.plus_s(1)).unwrap();
    assert_eq!(second.reference, "20261011003001-00000000000000000000000000000007");
    assert_ne!(first.url, second.url);
}

#[test]
fn only_characters_that_all_encode_alike_reach_the_description() {
    let odd = CreatePayment { code: "Vé số*1~!'()|&=".to_owned(), ..payment() };
    let intent = intent(&settings(), &odd, &urls(), NOW).unwrap();
    assert_eq!(fields(&intent.url)["vnp_OrderInfo"], "Order V s1");
}

#[test]
fn what_vnpay_cannot_take_is_refused() {
    let long = Urls { paid: format!("https://x.test/{}", "x".repeat(255)), cancelled: String::new() };
    for (change, back, expected) in [
        (CreatePayment { currency: "EUR".parse().unwrap(), ..payment() }, urls(), "currency-not-taken"),
        (CreatePayment { amount: 0, ..payment() }, urls(), "amount-out-of-range"),
        (CreatePayment { amount: 10_000_000_000, ..payment() }, urls(), "amount-out-of-range"),
        (CreatePayment { amount: i64::MAX, ..payment() }, urls(), "amount-out-of-range"),
        (payment(), long, "return-url-too-long"),
    ] {
        let refused = intent(&settings(), &change, &back, NOW);
        assert!(matches!(&refused, Err(CreateError::Refused { code }) if code == expected), "{refused:?}");
    }
}
