//! Against a server that answers what it is told: requests as Stripe wants them, and what the real protocol rarely does.

use domain::ids::{PaymentId, RefundId};
use domain::payment::Movement;
use domain::value::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use http::header::RETRY_AFTER;

use super::*;
use crate::payments::Gateways;
use crate::payments::stub::{Stub, answer, json_answer, quick, silence};

mod refund_tests;

const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(7));
const REFUND: RefundId = RefundId(Uuid::from_u128(9));

fn stripe(stub: &Stub, change: impl FnOnce(&mut CallSettings)) -> Stripe {
    let mut calls = quick();
    change(&mut calls);
    Stripe::new(StripeSettings::new(&stub.url, StripeKeys::new("sk_hunter2", &["whsec_hunter2"])), calls).unwrap()
}

fn payment() -> CreatePayment {
    CreatePayment {
        payment: PAYMENT,
        provider: Provider::Stripe,
        serial: 1,
        amount: 150_000,
        currency: "VND".parse().unwrap(),
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by: Timestamp(clock::now().0 / 1_000_000 * 1_000_000).plus_s(900),
    }
}

fn attempt() -> Attempt {
    Attempt { reference: Some("cs_test_1".to_owned()), ..Attempt::from(&payment()) }
}

fn refund() -> Refund {
    Refund {
        refund: REFUND,
        attempt: attempt(),
        amount: 50_000,
        requested_at: clock::now(),
        capture: None,
        done: vec![],
    }
}

fn session(changes: Value) -> Value {
    let mut session = json!({
        "id": "cs_test_1", "object": "checkout.session", "status": "open", "payment_status": "unpaid", "amount_total": 150_000,
        "currency": "vnd", "client_reference_id": PAYMENT, "metadata": { "payment": PAYMENT }, "payment_intent": null,
        "url": "https://checkout.stripe.test/c/pay/cs_test_1",
    });
    for (name, value) in changes.as_object().unwrap() {
        session[name] = value.clone();
    }
    session
}

fn ok(changes: Value) -> String {
    json_answer("200 OK", &session(changes))
}

fn paid() -> Value {
    json!({ "status": "complete", "payment_status": "paid", "url": null, "payment_intent": intent("succeeded", 150_000) })
}

fn intent(status: &str, received: i64) -> Value {
    json!({ "id": "pi_1", "status": status, "amount_received": received, "currency": "vnd" })
}

fn refusal(status: &str, kind: &str, code: Option<&str>) -> String {
    json_answer(status, &json!({ "error": { "type": kind, "code": code, "message": "no" } }))
}

async fn create(stripe: &Stripe, payment: &CreatePayment) -> Result<Intent, CreateError> {
    stripe.create(payment, &Gateways::new("https://tickets.test").urls(Provider::Stripe, PAYMENT)).await
}

fn form(request: &str) -> Vec<(String, String)> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn a_session_is_opened_as_stripe_wants_it() {
    let stub = Stub::new([ok(json!({}))]).await;
    let payment = payment();
    let intent = create(&stripe(&stub, |_| {}), &payment).await.unwrap();
    assert_eq!((&*intent.reference, &*intent.url), ("cs_test_1", "https://checkout.stripe.test/c/pay/cs_test_1"));
    let request = stub.requests().remove(0);
    assert!(request.starts_with("POST /v1/checkout/sessions HTTP/1.1\r\n"), "{request}");
    for header in [
        "authorization: Bearer sk_hunter2",
        "stripe-version: 2026-10-28.endive",
        &format!("idempotency-key: {PAYMENT}"),
        "content-type: application/x-www-form-urlencoded",
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }
    let back = format!("https://tickets.test/v1/payments/stripe/return?payment={PAYMENT}");
    let (id, end) = (PAYMENT.to_string(), (payment.pay_by.0 / 1_000_000 + 31 * 60).to_string());
    let expected = [
        ("mode", "payment"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "vnd"),
        ("line_items[0][price_data][unit_amount]", "150000"),
        ("line_items[0][price_data][product_data][name]", "K7M2P9Q4TX"),
        ("success_url", &back),
        ("cancel_url", &format!("{back}&gave_up=true")),
        ("client_reference_id", &id),
        ("metadata[payment]", &id),
        ("payment_intent_data[metadata][payment]", &id),
        ("expires_at", &end),
    ];
    assert_eq!(form(&request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_repeat_is_the_same_to_the_letter() {
    let stub = Stub::new([silence(), answer("500 Oh", "", ""), ok(json!({}))]).await;
    let stripe = stripe(&stub, |calls| calls.attempts = 2);
    let payment = payment();
    assert!(matches!(create(&stripe, &payment).await, Err(CreateError::Ambiguous(_))));
    create(&stripe, &payment).await.unwrap();
    let requests = stub.requests();
    assert!(requests.len() == 3 && requests.iter().all(|it| *it == requests[0]), "{requests:#?}");
}

#[tokio::test]
async fn a_day_is_the_longest_and_a_choice_made_before_is_found_again() {
    let reused = || refusal("400 Bad", "idempotency_error", None);
    let stub = Stub::new([ok(json!({})), reused(), ok(json!({})), reused(), reused()]).await;
    let stripe = stripe(&stub, |_| {});
    let long = CreatePayment { pay_by: clock::now().plus_s(86_400), ..payment() };
    create(&stripe, &long).await.unwrap();
    create(&stripe, &long).await.unwrap();
    assert!(matches!(create(&stripe, &payment()).await, Err(CreateError::Ambiguous(_))));
    let has_end: Vec<bool> = stub.requests().iter().map(|it| it.contains("expires_at")).collect();
    assert_eq!(has_end, [false, false, true, true, false]);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_without_asking() {
    let stub = Stub::new([]).await;
    let other = CreatePayment { currency: "CHF".parse().unwrap(), ..payment() };
    let refused = create(&stripe(&stub, |_| {}), &other).await;
    assert!(matches!(&refused, Err(CreateError::Refused { code }) if code == "currency-not-taken"), "{refused:?}");
    assert_eq!(stub.calls(), [""; 0]);
}

#[tokio::test]
async fn a_creation_that_cannot_be_believed_is_in_doubt() {
    for wrong in [
        answer("200 OK", "", "<html>"),
        answer("409 Conflict", "", ""),
        answer("500 Oh", "", ""),
        answer("302 Found", "location: /elsewhere\r\n", ""),
        silence(),
        ok(json!({ "amount_total": 1 })),
        ok(json!({ "currency": "usd" })),
        ok(json!({ "client_reference_id": Uuid::from_u128(8) })),
        ok(json!({ "client_reference_id": null, "metadata": null })),
    ] {
        let stub = Stub::new([wrong.clone()]).await;
        let made = create(&stripe(&stub, |_| {}), &payment()).await;
        assert!(matches!(made, Err(CreateError::Ambiguous(_))), "{wrong}: {made:?}");
    }
}

#[tokio::test]
async fn refusals_are_told_with_their_code() {
    for (wrong, expected) in [
        (refusal("400 Bad", "invalid_request_error", Some("amount_too_small")), "amount_too_small"),
        (refusal("400 Bad", "invalid_request_error", None), "invalid_request_error"),
        (refusal("401 No", "invalid_request_error", None), "invalid_request_error"),
        (answer("403 No", "", "<html>"), "403"),
    ] {
        let stub = Stub::new([wrong]).await;
        let made = create(&stripe(&stub, |calls| calls.attempts = 3), &payment()).await;
        assert!(matches!(&made, Err(CreateError::Refused { code }) if code == expected), "{made:?}");
        assert_eq!(stub.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_page_that_is_no_web_address_is_lost() {
    for url in [json!(null), json!("javascript:alert(1)")] {
        let stub = Stub::new([ok(json!({ "url": url }))]).await;
        let made = create(&stripe(&stub, |_| {}), &payment()).await;
        assert!(matches!(&made, Err(CreateError::PageLost { reference }) if reference == "cs_test_1"), "{made:?}");
    }
}

#[tokio::test]
async fn slowing_down_and_nobody_there_mean_not_opened() {
    let stub = Stub::new([answer("429 Slow", "retry-after: 60\r\n", "")]).await;
    let made = create(&stripe(&stub, |calls| calls.attempts = 3), &payment()).await;
    assert!(matches!(made, Err(CreateError::Unavailable { retry_after: Some(_), .. })), "{made:?}");
    assert_eq!(stub.calls().len(), 1);
    let stripe = stripe(&Stub::nowhere(), |_| {});
    assert!(matches!(create(&stripe, &payment()).await, Err(CreateError::Unavailable { .. })));
    assert!(matches!(stripe.status(&attempt()).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(stripe.close(&attempt(), "").await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(stripe.refund(&refund()).await, Err(GatewayError::Unavailable { .. })));
}

#[tokio::test]
async fn every_standing_is_told() {
    let unpaid = |status: &str, intent: Value| json!({ "status": status, "payment_intent": intent });
    for (changes, standing) in [
        (json!({}), Standing::Open),
        (paid(), Standing::Paid),
        (unpaid("expired", json!(null)), Standing::Ended),
        (unpaid("complete", intent("processing", 0)), Standing::Open),
        (unpaid("complete", intent("requires_payment_method", 0)), Standing::Failed),
        (unpaid("complete", intent("canceled", 0)), Standing::Failed),
        (unpaid("complete", json!("pi_1")), Standing::Open),
        (unpaid("asleep", json!(null)), Standing::Open),
        (json!({ "payment_status": "no_payment_required" }), Standing::Open),
    ] {
        let stub = Stub::new([ok(changes.clone())]).await;
        let report = stripe(&stub, |_| {}).status(&attempt()).await.unwrap();
        assert_eq!((report.standing, report.amount), (standing, Some(150_000)), "{changes}");
        assert_eq!(report.movements.len(), usize::from(standing == Standing::Paid));
        assert_eq!(stub.calls(), ["GET /v1/checkout/sessions/cs_test_1?expand%5B0%5D=payment_intent"]);
    }
}

#[tokio::test]
async fn money_is_told_as_it_came() {
    let movement = |amount: i64, currency: &str| {
        vec![Movement { reference: "pi_1".to_owned(), amount, currency: currency.parse().unwrap(), fee: 0 }]
    };
    for (changed, expected) in [
        (intent("succeeded", 150_000), movement(150_000, "VND")),
        (intent("succeeded", 149_999), movement(149_999, "VND")),
        (json!({ "id": "pi_1", "status": "succeeded", "amount_received": 9, "currency": "usd" }), movement(9, "USD")),
        (json!("pi_1"), movement(150_000, "VND")),
        (intent("succeeded", 0), vec![]),
    ] {
        let mut changes = paid();
        changes["payment_intent"] = changed;
        let stub = Stub::new([ok(changes)]).await;
        assert_eq!(stripe(&stub, |_| {}).status(&attempt()).await.unwrap().movements, expected);
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_says_nothing() {
    for wrong in [
        answer("200 OK", "", "<html>"),
        answer("200 OK", "", "{}"),
        answer("502 Bad", "", ""),
        silence(),
        ok(json!({ "id": "cs_test_2" })),
        ok(json!({ "client_reference_id": null, "metadata": { "payment": Uuid::from_u128(8) } })),
        ok(json!({ "currency": "dong" })),
        ok(json!({ "payment_status": "paid" })),
    ] {
        let stub = Stub::new([wrong.clone()]).await;
        let told = stripe(&stub, |_| {}).status(&attempt()).await;
        assert!(matches!(told, Err(GatewayError::Unavailable { .. })), "{wrong}: {told:?}");
    }
    let stub = Stub::new([refusal("404 None", "invalid_request_error", Some("resource_missing"))]).await;
    let stripe = stripe(&stub, |_| {});
    assert!(matches!(stripe.status(&attempt()).await, Err(GatewayError::NotFound)));
    stub.then([answer("404 None", "", "<html>")]);
    assert!(matches!(stripe.status(&attempt()).await, Err(GatewayError::Refused { .. })), "a wrong address, perhaps");
    for reference in [None, Some("../refunds".to_owned())] {
        let told = stripe.status(&Attempt { reference, ..attempt() }).await;
        assert!(matches!(told, Err(GatewayError::NotFound)), "{told:?}");
    }
    assert_eq!(stub.calls().len(), 2);
}

#[tokio::test]
async fn closing_expires_and_then_looks() {
    let gone = || refusal("400 Bad", "invalid_request_error", Some("resource_not_open"));
    let expired = || ok(json!({ "status": "expired", "url": null }));
    let processing = json!({ "status": "complete", "url": null, "payment_intent": intent("processing", 0) });
    for (answers, standing, movements) in [
        ([expired(), expired()], Standing::Ended, 0),
        ([gone(), expired()], Standing::Ended, 0),
        ([gone(), ok(paid())], Standing::Paid, 1),
        ([silence(), expired()], Standing::Ended, 0),
        ([gone(), ok(processing)], Standing::Open, 0),
    ] {
        let stub = Stub::new(answers).await;
        let report = stripe(&stub, |_| {}).close(&attempt(), "over").await.unwrap();
        assert_eq!((report.standing, report.movements.len()), (standing, movements));
        assert_eq!(stub.calls()[0], "POST /v1/checkout/sessions/cs_test_1/expire");
        assert_eq!(stub.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_session_that_stays_open_is_not_closed() {
    let locked = || refusal("400 Bad", "invalid_request_error", Some("lock_timeout"));
    for (first, expected) in [(ok(json!({})), "still-open"), (locked(), "lock_timeout")] {
        let stub = Stub::new([first, ok(json!({}))]).await;
        let closed = stripe(&stub, |_| {}).close(&attempt(), "over").await;
        assert!(matches!(&closed, Err(GatewayError::Refused { code }) if code == expected), "{closed:?}");
    }
    for second in [ok(json!({})), answer("500 Oh", "", "")] {
        let stub = Stub::new([silence(), second]).await;
        let closed = stripe(&stub, |_| {}).close(&attempt(), "over").await;
        assert!(matches!(closed, Err(GatewayError::Ambiguous(_))), "{closed:?}");
    }
}

#[tokio::test]
async fn what_was_never_opened_is_over() {
    let stub = Stub::new([]).await;
    let stripe = stripe(&stub, |_| {});
    let nameless = Attempt { reference: None, ..attempt() };
    assert_eq!(stripe.close(&nameless, "over").await.unwrap(), Report::never_opened());
    let missing = || refusal("404 None", "invalid_request_error", Some("resource_missing"));
    stub.then([missing(), missing()]);
    assert_eq!(stripe.close(&attempt(), "over").await.unwrap(), Report::never_opened());
}

#[tokio::test]
async fn keys_show_nowhere() {
    let stub = Stub::new([]).await;
    let stripe = stripe(&stub, |_| {});
    let failed = create(&stripe, &payment()).await.unwrap_err();
    for shown in [format!("{stripe:?}"), format!("{failed:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn answers_to_webhooks_are_told_by_their_status() {
    let settings = StripeSettings::new("https://x.test", StripeKeys::new("a", &["b"]));
    let stripe = Stripe::new(settings, CallSettings::default()).unwrap();
    for (outcome, status) in [
        (Outcome::Accepted, 200),
        (Outcome::Repeated, 200),
        (Outcome::WrongAmount, 200),
        (Outcome::Unknown, 200),
        (Outcome::RetryLater, 503),
        (Outcome::Rejected(Rejected::Signature), 400),
    ] {
        let answer = stripe.answer(outcome);
        assert_eq!((answer.status.as_u16(), answer.headers.contains_key(RETRY_AFTER)), (status, status == 503));
    }
}
