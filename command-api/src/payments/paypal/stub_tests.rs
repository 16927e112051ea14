//! Against a server that answers what it is told: requests as PayPal wants them, and what the real protocol rarely does.

use domain::ids::{PaymentId, RefundId};
use domain::payment::{Movement, Standing};
use serde_json::{Value, json};
use uuid::Uuid;

use http::header::RETRY_AFTER;

use super::*;
use crate::payments::Gateways;
use crate::payments::stub::{Stub, answer, json_answer, quick, silence};

mod money_tests;
mod webhook_tests;

const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(7));
const ORDER: &str = "5O190127TN364715T";

fn fixture(name: &str) -> std::path::PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/payments/paypal/fixtures", name].iter().collect()
}

fn settings(stub: &Stub) -> PaypalSettings {
    let cert_ca = Some(fixture("ca.pem"));
    PaypalSettings { cert_ca, ..PaypalSettings::new(&stub.url, PaypalKeys::new("id", "hunter2"), "WH-ID") }
}

fn paypal(stub: &Stub) -> Paypal {
    Paypal::new(settings(stub), quick()).unwrap()
}

/// A stub that gives a token first.
async fn stub(answers: impl IntoIterator<Item = String>) -> Stub {
    Stub::new([token(1)].into_iter().chain(answers)).await
}

fn token(number: u32) -> String {
    json_answer(
        "200 OK",
        &json!({ "access_token": format!("A{number}"), "token_type": "Bearer", "expires_in": 32_400 }),
    )
}

fn payment() -> CreatePayment {
    CreatePayment {
        payment: PAYMENT,
        provider: Provider::Paypal,
        serial: 1,
        amount: 1999,
        currency: "USD".parse().unwrap(),
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by: clock::now().plus_s(900),
    }
}

fn attempt() -> Attempt {
    Attempt { reference: Some(ORDER.to_owned()), ..Attempt::from(&payment()) }
}

fn refund() -> Refund {
    let refund = RefundId(Uuid::from_u128(9));
    Refund { refund, attempt: attempt(), amount: 500, requested_at: clock::now(), capture: None, done: vec![] }
}

fn dollars(value: &str) -> Value {
    json!({ "currency_code": "USD", "value": value })
}

fn order(status: &str, payments: Value) -> Value {
    json!({
        "id": ORDER, "status": status,
        "purchase_units": [{ "reference_id": "default", "custom_id": PAYMENT, "amount": dollars("19.99"), "payments": payments }],
        "links": [{ "href": "https://www.paypal.test/checkoutnow?token=5O", "rel": "payer-action", "method": "GET" }],
    })
}

fn capture(status: &str) -> Value {
    json!({ "id": "3C67", "status": status, "amount": dollars("19.99"), "custom_id": PAYMENT, "invoice_id": PAYMENT })
}

fn captured(status: &str) -> String {
    json_answer("201 Created", &order("COMPLETED", json!({ "captures": [capture(status)] })))
}

fn ok(status: &str) -> String {
    json_answer("200 OK", &order(status, json!(null)))
}

fn refusal(status: &str, name: &str, issue: Option<&str>) -> String {
    let details: Vec<Value> = issue.iter().map(|issue| json!({ "issue": issue, "description": "no" })).collect();
    json_answer(status, &json!({ "name": name, "message": "no", "debug_id": "d", "details": details }))
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

async fn create(paypal: &Paypal) -> Result<Intent, CreateError> {
    paypal.create(&payment(), &Gateways::new("https://tickets.test").urls(Provider::Paypal, PAYMENT)).await
}

#[tokio::test]
async fn an_order_is_opened_as_paypal_wants_it() {
    let stub = stub([json_answer("201 Created", &order("PAYER_ACTION_REQUIRED", json!(null)))]).await;
    let intent = create(&paypal(&stub)).await.unwrap();
    assert_eq!((&*intent.reference, &*intent.url), (ORDER, "https://www.paypal.test/checkoutnow?token=5O"));
    let requests = stub.requests();
    assert!(requests[0].starts_with("POST /v1/oauth2/token HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("authorization: Basic aWQ6aHVudGVyMg==\r\n"), "{}", requests[0]);
    assert!(requests[0].ends_with("\r\n\r\ngrant_type=client_credentials"), "{}", requests[0]);
    assert!(requests[1].starts_with("POST /v2/checkout/orders HTTP/1.1\r\n"), "{}", requests[1]);
    for header in
        ["authorization: Bearer A1", &format!("paypal-request-id: {PAYMENT}"), "content-type: application/json"]
    {
        assert!(requests[1].contains(&format!("\r\n{header}\r\n")), "{header} in {}", requests[1]);
    }
    let back = format!("https://tickets.test/v1/payments/paypal/return?payment={PAYMENT}");
    let context = json!({
        "user_action": "PAY_NOW", "shipping_preference": "NO_SHIPPING",
        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
        "return_url": back, "cancel_url": format!("{back}&gave_up=true"),
    });
    let unit = json!({
        "custom_id": PAYMENT, "invoice_id": PAYMENT, "description": "K7M2P9Q4TX", "amount": dollars("19.99"),
    });
    let expected = json!({
        "intent": "CAPTURE", "purchase_units": [unit],
        "payment_source": { "paypal": { "experience_context": context } },
    });
    assert_eq!(body(&requests[1]), expected);
}

#[tokio::test]
async fn a_token_is_kept_and_replaced_once_when_it_is_not_taken() {
    let no = || refusal("401 No", "AUTHENTICATION_FAILURE", None);
    let stub = stub([ok("CREATED"), ok("CREATED"), no(), token(2), ok("CREATED"), no(), token(3), no()]).await;
    let paypal = paypal(&stub);
    for _ in 0..3 {
        paypal.status(&attempt()).await.unwrap();
    }
    let refused = paypal.status(&attempt()).await;
    assert!(matches!(&refused, Err(GatewayError::Refused { code }) if code == "AUTHENTICATION_FAILURE"), "{refused:?}");
    let used: Vec<String> = stub
        .requests()
        .iter()
        .filter(|it| it.starts_with("GET"))
        .map(|it| it.split_once("authorization: Bearer ").unwrap().1.chars().take(2).collect())
        .collect();
    assert_eq!(used, ["A1", "A1", "A1", "A2", "A2", "A3"]);
    assert_eq!(stub.calls().iter().filter(|it| it.contains("token")).count(), 3);
}

#[tokio::test]
async fn a_token_that_is_over_is_replaced() {
    let short = json_answer("200 OK", &json!({ "access_token": "A1", "token_type": "Bearer", "expires_in": 0 }));
    let stub = Stub::new([short, ok("CREATED"), token(2), ok("CREATED")]).await;
    let paypal = paypal(&stub);
    for _ in 0..2 {
        paypal.status(&attempt()).await.unwrap();
    }
    assert_eq!(stub.calls().len(), 4);
}

#[tokio::test]
async fn without_a_token_nothing_was_sent() {
    for failing in [silence(), answer("500 Oh", "", ""), answer("200 OK", "", "<html>"), answer("429 Slow", "", "")] {
        let stub = Stub::new([failing]).await;
        let made = create(&paypal(&stub)).await;
        assert!(matches!(made, Err(CreateError::Unavailable { .. })), "{made:?}");
    }
    let wrong = json_answer("401 No", &json!({ "error": "invalid_client", "error_description": "no" }));
    let made = create(&paypal(&Stub::new([wrong.clone(), wrong]).await)).await;
    assert!(matches!(&made, Err(CreateError::Refused { code }) if code == "invalid_client"), "{made:?}");
    let paypal = paypal(&Stub::nowhere());
    assert!(matches!(create(&paypal).await, Err(CreateError::Unavailable { .. })));
    assert!(matches!(paypal.status(&attempt()).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(paypal.close(&attempt(), "").await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(paypal.refund(&refund()).await, Err(GatewayError::Unavailable { .. })));
}

#[tokio::test]
async fn a_repeat_is_the_same_to_the_letter() {
    let stub = stub([silence(), answer("500 Oh", "", ""), ok("PAYER_ACTION_REQUIRED")]).await;
    let paypal = Paypal::new(settings(&stub), CallSettings { attempts: 2, ..quick() }).unwrap();
    assert!(matches!(create(&paypal).await, Err(CreateError::Ambiguous(_))));
    create(&paypal).await.unwrap();
    let requests = &stub.requests()[1..];
    assert!(requests.len() == 3 && requests.iter().all(|it| *it == requests[0]), "{requests:#?}");
}

#[tokio::test]
async fn a_creation_that_cannot_be_believed_is_in_doubt() {
    let changed = |change: fn(&mut Value)| {
        let mut order = order("CREATED", json!(null));
        change(&mut order);
        json_answer("201 Created", &order)
    };
    for wrong in [
        answer("200 OK", "", "<html>"),
        answer("409 Conflict", "", ""),
        answer("500 Oh", "", ""),
        silence(),
        refusal("422 No", "UNPROCESSABLE_ENTITY", Some("DUPLICATE_INVOICE_ID")),
        changed(|order| order["purchase_units"][0]["custom_id"] = json!(Uuid::from_u128(8))),
        changed(|order| order["purchase_units"][0]["amount"] = dollars("20.00")),
        changed(|order| order["purchase_units"][0]["amount"] = json!({ "currency_code": "EUR", "value": "19.99" })),
        changed(|order| order["purchase_units"][0]["amount"] = dollars("x")),
    ] {
        let made = create(&paypal(&stub([wrong.clone()]).await)).await;
        assert!(matches!(made, Err(CreateError::Ambiguous(_))), "{wrong}: {made:?}");
    }
    let minimal = json!({ "id": ORDER, "status": "CREATED", "links": order("", json!(null))["links"] });
    create(&paypal(&stub([json_answer("201 Created", &minimal)]).await)).await.unwrap();
}

#[tokio::test]
async fn refusals_are_told_with_their_code() {
    for (wrong, expected) in [
        (refusal("422 No", "UNPROCESSABLE_ENTITY", Some("CURRENCY_NOT_SUPPORTED")), "CURRENCY_NOT_SUPPORTED"),
        (refusal("400 Bad", "INVALID_REQUEST", None), "INVALID_REQUEST"),
        (answer("403 No", "", "<html>"), "403"),
    ] {
        let made = create(&paypal(&stub([wrong]).await)).await;
        assert!(matches!(&made, Err(CreateError::Refused { code }) if code == expected), "{made:?}");
    }
    let stub = Stub::new([]).await;
    let paypal = paypal(&stub);
    let urls = Gateways::new("https://tickets.test").urls(Provider::Paypal, PAYMENT);
    for (currency, amount, expected) in [("VND", 1000, "currency-not-taken"), ("HUF", 1234, "amount-not-sayable")] {
        let other = CreatePayment { currency: currency.parse().unwrap(), amount, ..payment() };
        let made = paypal.create(&other, &urls).await;
        assert!(matches!(&made, Err(CreateError::Refused { code }) if code == expected), "{made:?}");
    }
    assert_eq!(stub.calls(), [""; 0]);
}

#[tokio::test]
async fn a_page_that_cannot_be_used_is_lost() {
    let mut odd = order("CREATED", json!(null));
    odd["links"][0]["href"] = json!("javascript:alert(1)");
    for lost in [json_answer("201 Created", &odd), ok("COMPLETED"), ok("VOIDED")] {
        let made = create(&paypal(&stub([lost]).await)).await;
        assert!(matches!(&made, Err(CreateError::PageLost { reference }) if reference == ORDER), "{made:?}");
    }
}

#[tokio::test]
async fn keys_show_nowhere() {
    let stub = stub([]).await;
    let paypal = paypal(&stub);
    let failed = create(&paypal).await.unwrap_err();
    for shown in [format!("{paypal:?}"), format!("{failed:?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains("A1") && !shown.contains("aWQ6"), "{shown}");
    }
}

#[test]
fn answers_to_webhooks_are_told_by_their_status() {
    let paypal = paypal(&Stub::nowhere());
    for (outcome, status) in [
        (Outcome::Accepted, 200),
        (Outcome::Repeated, 200),
        (Outcome::WrongAmount, 200),
        (Outcome::Unknown, 200),
        (Outcome::RetryLater, 503),
        (Outcome::Rejected(Rejected::Unverifiable), 503),
        (Outcome::Rejected(Rejected::Signature), 400),
    ] {
        let answer = paypal.answer(outcome);
        assert_eq!((answer.status.as_u16(), answer.headers.contains_key(RETRY_AFTER)), (status, status == 503));
    }
}
