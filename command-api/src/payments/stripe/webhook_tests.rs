//! Which events are believed, and what they say.

use domain::ids::PaymentId;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp(1_780_000_000_000_000);
const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(7));

fn secrets() -> WebhookSecrets {
    WebhookSecrets::new(&["whsec_test"])
}

fn session(changes: Value) -> Value {
    let mut session = json!({
        "id": "cs_test_1", "object": "checkout.session", "status": "complete", "payment_status": "paid", "mode": "payment",
        "amount_total": 150_000, "currency": "vnd", "client_reference_id": PAYMENT, "metadata": { "payment": PAYMENT },
        "payment_intent": "pi_1", "url": null, "customer_details": { "email": "a@b.test" },
    });
    for (name, value) in changes.as_object().unwrap() {
        session[name] = value.clone();
    }
    session
}

fn event(kind: &str, object: Value) -> Vec<u8> {
    json!({ "id": "evt_1", "object": "event", "type": kind, "created": 1, "livemode": false, "data": { "object": object } })
        .to_string()
        .into_bytes()
}

fn read_signed(body: &[u8]) -> Result<Notified, Rejected> {
    let header = format!("t=1780000000,v1={}", secrets().sign("1780000000", body));
    read_with(&[&header], body)
}

fn read_with(signatures: &[&str], body: &[u8]) -> Result<Notified, Rejected> {
    let mut headers = HeaderMap::new();
    for signature in signatures {
        headers.append(SIGNATURE, HeaderValue::from_str(signature).unwrap());
    }
    read(&secrets(), &Notification { method: &Method::POST, headers: &headers, query: "", body }, NOW)
}

fn told(kind: &str, changes: Value) -> (Vec<(String, i64, String)>, Standing) {
    let notified = read_signed(&event(kind, session(changes))).unwrap();
    assert_eq!(notified.about, About::Payment(PAYMENT));
    assert_eq!(notified.report.reference.as_deref(), Some("cs_test_1"));
    assert!(!notified.ask);
    let movements = notified.report.movements.into_iter().map(|it| (it.reference, it.amount, it.currency.to_string()));
    (movements.collect(), notified.report.standing)
}

#[test]
fn only_paid_is_paid() {
    let money = || vec![("pi_1".to_owned(), 150_000, "VND".to_owned())];
    for kind in ["checkout.session.completed", "checkout.session.async_payment_succeeded"] {
        assert_eq!(told(kind, json!({})), (money(), Standing::Paid));
        assert_eq!(told(kind, json!({ "payment_status": "unpaid" })), (vec![], Standing::Open));
        assert_eq!(told(kind, json!({ "payment_status": "no_payment_required" })), (vec![], Standing::Open));
        assert_eq!(told(kind, json!({ "payment_status": "new word" })), (vec![], Standing::Open));
    }
}

#[test]
fn ends_are_told_unless_money_came() {
    let unpaid = || json!({ "payment_status": "unpaid" });
    assert_eq!(told("checkout.session.async_payment_failed", unpaid()), (vec![], Standing::Failed));
    let expired = json!({ "payment_status": "unpaid", "status": "expired", "payment_intent": null });
    assert_eq!(told("checkout.session.expired", expired), (vec![], Standing::Ended));
    assert_eq!(told("checkout.session.expired", json!({})).1, Standing::Paid);
}

#[test]
fn amounts_and_currencies_are_told_as_they_are() {
    let usd = told("checkout.session.completed", json!({ "currency": "usd", "amount_total": 1999 }));
    assert_eq!(usd.0, [("pi_1".to_owned(), 1999, "USD".to_owned())]);
    let isk = told("checkout.session.completed", json!({ "currency": "isk", "amount_total": 1200 }));
    assert_eq!(isk.0[0].1, 12);
    let whole = json!({ "id": "pi_2", "status": "succeeded", "amount_received": 149_000, "currency": "vnd" });
    let part = told("checkout.session.completed", json!({ "payment_intent": whole }));
    assert_eq!(part.0, [("pi_2".to_owned(), 149_000, "VND".to_owned())]);
}

#[test]
fn a_session_that_is_not_ours_is_foreign_with_its_money() {
    for (changes, name) in [
        (json!({ "client_reference_id": "order-7", "metadata": {} }), "order-7"),
        (json!({ "client_reference_id": null, "metadata": null }), "cs_test_1"),
        (json!({ "client_reference_id": Uuid::from_u128(8) }), "cs_test_1"),
    ] {
        let notified = read_signed(&event("checkout.session.completed", session(changes))).unwrap();
        assert_eq!((notified.about, notified.report.movements.len()), (About::Foreign(name.to_owned()), 1));
    }
    for changes in [json!({ "client_reference_id": null }), json!({ "metadata": {} })] {
        told("checkout.session.completed", changes);
    }
}

#[test]
fn everything_else_is_accepted_without_effect() {
    for kind in [
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
        "charge.refunded",
        "charge.dispute.created",
        "refund.failed",
        "invoiceitem.created",
    ] {
        let notified = read_signed(&event(kind, json!({ "id": "x" }))).unwrap();
        assert_eq!(notified.about, About::Foreign("evt_1".to_owned()));
        assert_eq!((notified.report.movements.len(), notified.report.standing), (0, Standing::Open));
    }
}

#[test]
fn what_makes_no_sense_is_refused_although_signed() {
    for changes in [
        json!({ "id": null }),
        json!({ "payment_status": null }),
        json!({ "amount_total": "150000" }),
        json!({ "amount_total": 150_000.5 }),
        json!({ "amount_total": null }),
        json!({ "currency": "dong" }),
        json!({ "currency": null }),
        json!({ "currency": "isk", "amount_total": 1201 }),
        json!({ "payment_intent": null }),
        json!({ "payment_intent": "" }),
        json!({ "payment_intent": "p".repeat(129) }),
        json!({ "payment_intent": { "id": "pi_1" } }),
    ] {
        let refused = read_signed(&event("checkout.session.completed", session(changes.clone())));
        assert!(matches!(refused, Err(Rejected::Malformed(_))), "{changes}: {refused:?}");
    }
    for body in
        [&b""[..], b"[]", b"{", b"\xff", br#"{"id":"e","type":"checkout.session.completed"}"#, &[b' '; LONGEST + 1]]
    {
        assert!(matches!(read_signed(body), Err(Rejected::Malformed(_))));
    }
}

#[test]
fn what_is_not_signed_once_is_refused() {
    let body = event("checkout.session.completed", session(json!({})));
    let header = format!("t=1780000000,v1={}", secrets().sign("1780000000", &body));
    assert!(read_with(&[&header], &body).is_ok());
    for headers in [&[][..], &["t=1,v1=00"], &[&header, &header]] {
        assert_eq!(read_with(headers, &body), Err(Rejected::Signature));
    }
    let headers = HeaderMap::from_iter([(SIGNATURE.parse().unwrap(), HeaderValue::from_str(&header).unwrap())]);
    let raw = Notification { method: &Method::GET, headers: &headers, query: "", body: &body };
    assert_eq!(read(&secrets(), &raw, NOW), Err(Rejected::Method));
}

proptest! {
    #[test]
    fn any_flipped_byte_of_the_body_is_refused(at in any::<proptest::sample::Index>(), flip in 1..=255_u8) {
        let mut body = event("checkout.session.completed", session(json!({})));
        let header = format!("t=1780000000,v1={}", secrets().sign("1780000000", &body));
        let at = at.index(body.len());
        body[at] ^= flip;
        prop_assert_eq!(read_with(&[&header], &body), Err(Rejected::Signature));
    }

    #[test]
    fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_signed(&body).is_err());
    }
}
