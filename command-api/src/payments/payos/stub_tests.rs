//! Against a server that answers what it is told: what the real protocol never does, and when we stop calling.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::PaymentId;
use serde_json::{Value, json};
use service_kit::{clock, random};

use http::header::CONTENT_TYPE;
use http::header::RETRY_AFTER;

use super::*;
use crate::payments::BreakerSettings;
use crate::payments::gateway::attempt_of;
use crate::payments::stub::{Stub, answer, quick};

const SERIAL: i64 = 4_711;
const KEYS: (&str, &str, &str) = ("client-hunter2", "api-hunter2", "checksum-hunter2");

fn gateway(stub: &Stub, change: impl FnOnce(&mut CallSettings)) -> Payos {
    let settings = PayosSettings::new(&stub.url, PayosKeys::new(KEYS.0, KEYS.1, KEYS.2));
    let mut calls = quick();
    change(&mut calls);
    Payos::new(settings, calls).unwrap()
}

fn attempt() -> Attempt {
    attempt_of(SERIAL)
}

fn link(changes: Value) -> Value {
    let mut data = json!({
        "id": "0b1d7e5c", "orderCode": SERIAL, "amount": 1000, "amountPaid": 0, "status": "PENDING", "transactions": [],
    });
    for (name, value) in changes.as_object().unwrap() {
        data[name] = value.clone();
    }
    data
}

fn signed(data: &Value) -> String {
    let key = signature::ChecksumKey::new(KEYS.2);
    envelope(data, &key.sign(&signature::data_text(data.as_object().unwrap())))
}

fn envelope(data: &Value, signature: &str) -> String {
    let body = json!({ "code": "00", "desc": "success", "data": data, "signature": signature }).to_string();
    answer("200 OK", "", &body)
}

fn payment() -> CreatePayment {
    CreatePayment {
        payment: PaymentId(random::id()),
        provider: Provider::Payos,
        serial: SERIAL,
        amount: 1000,
        currency: *CURRENCY,
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by: clock::now().plus_s(900),
    }
}

async fn create(payos: &Payos) -> Result<Intent, CreateError> {
    let urls = crate::payments::Gateways::new("https://tickets.test").urls(Provider::Payos, PaymentId(random::id()));
    payos.create(&payment(), &urls).await
}

#[tokio::test]
async fn an_answer_is_believed_only_with_its_signature() {
    let good = link(json!({}));
    let right = Stub::new([signed(&good)]).await;
    assert_eq!(gateway(&right, |_| {}).status(&attempt()).await.unwrap().standing, Standing::Open);
    let unsigned = answer("200 OK", "", &json!({ "code": "00", "desc": "", "data": good }).to_string());
    for wrong in [
        envelope(&good, "00"),
        unsigned,
        signed(&good).replace("PENDING", "EXPIRED"),
        signed(&good).replace("\"amount\":1000", "\"amount\":2000"),
        signed(&link(json!({ "orderCode": SERIAL + 1 }))),
        signed(&link(json!({ "amountPaid": "0" }))),
        answer("200 OK", "", "<html>"),
        answer("302 Found", "location: /elsewhere\r\n", ""),
        answer("200 OK", "", &" ".repeat(1024 * 1024 + 1)),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let stub = Stub::new([wrong.clone()]).await;
        let told = gateway(&stub, |_| {}).status(&attempt()).await;
        let shown: String = wrong.chars().take(200).collect();
        assert!(matches!(told, Err(GatewayError::Unavailable { .. })), "{shown}: {told:?}");
        assert_eq!(stub.calls().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_creation_whose_answer_cannot_be_believed_is_in_doubt() {
    let created =
        json!({ "orderCode": SERIAL, "amount": 1000, "paymentLinkId": "p", "checkoutUrl": "https://x.test/p" });
    let right = Stub::new([signed(&created)]).await;
    assert_eq!(create(&gateway(&right, |_| {})).await.unwrap().url, "https://x.test/p");
    let not_found =
        || answer("200 OK", "", &json!({ "code": "101", "desc": "none", "data": null, "signature": null }).to_string());
    for wrong in [envelope(&created, "00"), signed(&created).replace("1000", "2000"), answer("200 OK", "", "")] {
        let stub = Stub::new([wrong, not_found()]).await;
        let made = create(&gateway(&stub, |_| {})).await;
        assert!(matches!(made, Err(CreateError::Ambiguous(_))), "{made:?}");
        assert_eq!(stub.calls().len(), 2, "it asks whether the link is there");
    }
    for (field, value) in [("orderCode", json!(1)), ("amount", json!(1))] {
        let mut other = created.clone();
        other[field] = value;
        let stub = Stub::new([signed(&other)]).await;
        assert!(matches!(create(&gateway(&stub, |_| {})).await, Err(CreateError::Ambiguous(_))));
    }
}

#[tokio::test]
async fn a_page_that_is_no_web_address_is_lost() {
    let created =
        json!({ "orderCode": SERIAL, "amount": 1000, "paymentLinkId": "p", "checkoutUrl": "javascript:alert(1)" });
    let stub = Stub::new([signed(&created)]).await;
    assert!(matches!(create(&gateway(&stub, |_| {})).await, Err(CreateError::PageLost { .. })));
}

#[tokio::test]
async fn paid_needs_the_money_and_an_unknown_status_decides_nothing() {
    for (status, paid, standing) in [
        ("PAID", 1000, Standing::Paid),
        ("PAID", 1001, Standing::Paid),
        ("PAID", 999, Standing::Open),
        ("PENDING", 1000, Standing::Open),
        ("REFUNDED", 1000, Standing::Open),
    ] {
        let stub = Stub::new([signed(&link(json!({ "status": status, "amountPaid": paid })))]).await;
        assert_eq!(gateway(&stub, |_| {}).status(&attempt()).await.unwrap().standing, standing, "{status} {paid}");
    }
}

#[tokio::test]
async fn transfers_without_money_or_name_are_no_movements() {
    let transactions = json!([{ "reference": "", "amount": 5 }, { "reference": "R", "amount": -5 }, { "reference": "S", "amount": 5 }]);
    let stub = Stub::new([signed(&link(json!({ "transactions": transactions })))]).await;
    let movements = gateway(&stub, |_| {}).status(&attempt()).await.unwrap().movements;
    assert_eq!(movements, [Movement { reference: "S".to_owned(), amount: 5, currency: *CURRENCY, fee: 0 }]);
}

#[tokio::test]
async fn a_link_that_stays_open_is_not_closed() {
    let stub = Stub::new([signed(&link(json!({}))), signed(&link(json!({})))]).await;
    let closed = gateway(&stub, |_| {}).close(&attempt(), "over").await;
    assert!(matches!(&closed, Err(GatewayError::Refused { code }) if code == "still-open"), "{closed:?}");
    assert_eq!(stub.calls().len(), 2);
}

#[tokio::test]
async fn who_is_asked_to_wait_long_waits_outside() {
    let stub = Stub::new([answer("429 Slow", "retry-after: 60\r\n", "")]).await;
    let made = create(&gateway(&stub, |settings| settings.attempts = 3)).await;
    let wait = Some(Duration::from_secs(60));
    assert!(matches!(made, Err(CreateError::Unavailable { retry_after, .. }) if retry_after == wait), "{made:?}");
    assert_eq!(stub.calls().len(), 1);
}

#[tokio::test]
async fn who_is_asked_to_wait_shortly_waits() {
    let stub = Stub::new([answer("429 Slow", "retry-after: 1\r\n", ""), signed(&link(json!({})))]).await;
    let started = clock::monotonic();
    gateway(&stub, |settings| settings.attempts = 2).status(&attempt()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_first_attempt_in_doubt_stays_in_doubt_whatever_comes_next() {
    let slow_down = || answer("429 Slow", "retry-after: 60\r\n", "");
    let stub = Stub::new([answer("502 Bad", "", ""), slow_down(), slow_down()]).await;
    let made = create(&gateway(&stub, |settings| settings.attempts = 2)).await;
    assert!(matches!(made, Err(CreateError::Ambiguous(_))), "{made:?}");
}

#[tokio::test]
async fn a_cancel_is_never_repeated_by_itself() {
    let stub = Stub::new([answer("500 Oh", "", ""), signed(&link(json!({})))]).await;
    let closed = gateway(&stub, |settings| settings.attempts = 3).close(&attempt(), "over").await;
    assert!(matches!(closed, Err(GatewayError::Ambiguous(_))), "{closed:?}");
    assert_eq!(stub.calls().len(), 2, "one cancel, one question");
}

#[tokio::test]
async fn the_breaker_opens_and_closes() {
    let failing = || answer("500 Oh", "", "");
    let stub = Stub::new([failing(), failing(), failing(), failing()]).await;
    let pause = Duration::from_millis(300);
    let payos = gateway(&stub, |settings| settings.breaker = BreakerSettings { failures: 3, pause });
    for _ in 0..3 {
        assert!(payos.status(&attempt()).await.is_err());
    }
    let refused = create(&payos).await;
    assert!(
        matches!(refused, Err(CreateError::Unavailable { retry_after: Some(left), .. }) if left <= pause),
        "{refused:?}"
    );
    assert_eq!(stub.calls().len(), 3, "an open breaker calls nobody");
    tokio::time::sleep(pause).await;
    assert!(payos.status(&attempt()).await.is_err());
    assert!(payos.status(&attempt()).await.is_err());
    assert_eq!(stub.calls().len(), 4, "one tried, and failed");
    stub.then([signed(&link(json!({}))), failing(), signed(&link(json!({})))]);
    tokio::time::sleep(pause).await;
    payos.status(&attempt()).await.unwrap();
    assert!(payos.status(&attempt()).await.is_err());
    payos.status(&attempt()).await.unwrap();
    assert_eq!(stub.calls().len(), 7, "closed again");
}

#[tokio::test]
async fn refusals_and_slowing_down_are_signs_of_life() {
    let refusal =
        || answer("200 OK", "", &json!({ "code": "20", "desc": "no", "data": null, "signature": null }).to_string());
    let stub = Stub::new([
        refusal(),
        answer("429 Slow", "", ""),
        refusal(),
        answer("404 None", "", ""),
        signed(&link(json!({}))),
    ])
    .await;
    let payos =
        gateway(&stub, |settings| settings.breaker = BreakerSettings { failures: 1, pause: Duration::from_secs(60) });
    assert!(matches!(payos.status(&attempt()).await, Err(GatewayError::Refused { code }) if code == "20"));
    assert!(matches!(payos.status(&attempt()).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(payos.status(&attempt()).await, Err(GatewayError::Refused { .. })));
    assert!(matches!(payos.status(&attempt()).await, Err(GatewayError::NotFound)));
    payos.status(&attempt()).await.unwrap();
}

#[tokio::test]
async fn keys_travel_in_their_headers_and_show_nowhere() {
    let stub = Stub::new([]).await;
    let payos = gateway(&stub, |_| {});
    let failed = create(&payos).await.unwrap_err();
    let request = stub.requests()[0].clone();
    assert!(request.contains("x-client-id: client-hunter2") && request.contains("x-api-key: api-hunter2"), "{request}");
    assert!(!request.contains("checksum-hunter2"));
    for shown in [format!("{payos:?}"), format!("{failed:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn answers_to_webhooks_are_in_payos_words() {
    let payos =
        Payos::new(PayosSettings::new("https://x.test", PayosKeys::new("a", "b", "c")), CallSettings::default())
            .unwrap();
    for (outcome, status) in [
        (Outcome::Accepted, 200),
        (Outcome::Unknown, 200),
        (Outcome::RetryLater, 503),
        (Outcome::Rejected(Rejected::Signature), 400),
    ] {
        let answer = payos.answer(outcome);
        assert_eq!(
            (answer.status.as_u16(), answer.headers[CONTENT_TYPE].to_str().unwrap()),
            (status, "application/json")
        );
        assert_eq!(answer.headers.contains_key(RETRY_AFTER), status == 503);
        assert_eq!(answer.body, if status == 200 { &b"{\"success\":true}"[..] } else { b"{\"success\":false}" });
    }
}

#[test]
fn offered_is_what_is_set_up() {
    let none = crate::payments::Gateways::new("https://tickets.test");
    assert!(
        none.offered().next().is_none() && none.by_name("payos").is_none() && !none.takes(Provider::Payos, *CURRENCY)
    );
    let payos =
        Payos::new(PayosSettings::new("https://x.test", PayosKeys::new("a", "b", "c")), CallSettings::default())
            .unwrap();
    let one = none.with(Arc::new(payos));
    assert_eq!(one.offered().collect::<Vec<_>>(), [(Provider::Payos, &[*CURRENCY][..])]);
    assert!(one.takes(Provider::Payos, *CURRENCY) && !one.takes(Provider::Payos, "EUR".parse().unwrap()));
    assert!(one.by_name("payos").is_some() && one.by_name("PAYOS").is_none() && one.by_name("unknown").is_none());
}
