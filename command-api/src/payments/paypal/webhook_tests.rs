//! What verified events say.

use domain::ids::PaymentId;
use proptest::prelude::{any, prop_assert, proptest};
use serde_json::json;
use uuid::Uuid;

use super::*;

const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(7));

fn event(kind: &str, resource: Value) -> Vec<u8> {
    json!({ "id": "WH-1", "event_type": kind, "resource_type": "x", "resource": resource }).to_string().into_bytes()
}

fn capture(changes: Value) -> Value {
    let mut capture = json!({
        "id": "3C679366HH908993F", "status": "COMPLETED", "amount": { "currency_code": "USD", "value": "19.99" },
        "custom_id": PAYMENT, "invoice_id": PAYMENT, "final_capture": true, "payee": { "email_address": "a@b.test" },
        "supplementary_data": { "related_ids": { "order_id": "5O190127TN364715T" } },
    });
    for (name, value) in changes.as_object().unwrap() {
        capture[name] = value.clone();
    }
    capture
}

fn told(kind: &str, changes: Value) -> Notified {
    read(&event(kind, capture(changes))).unwrap()
}

#[test]
fn a_capture_that_is_complete_is_money() {
    let notified = told("PAYMENT.CAPTURE.COMPLETED", json!({}));
    assert_eq!((notified.about, notified.ask), (About::Payment(PAYMENT), false));
    assert_eq!(notified.report.reference.as_deref(), Some("5O190127TN364715T"));
    assert_eq!(notified.report.standing, Standing::Paid);
    let [movement] = notified.report.movements.as_slice() else { panic!() };
    assert_eq!((&*movement.reference, movement.amount, movement.currency.as_str()), ("3C679366HH908993F", 1999, "USD"));
}

#[test]
fn the_captures_own_status_decides() {
    for (status, standing, money) in [
        ("PENDING", Standing::Open, 0),
        ("DECLINED", Standing::Failed, 0),
        ("FAILED", Standing::Failed, 0),
        ("REFUNDED", Standing::Paid, 1),
        ("PARTIALLY_REFUNDED", Standing::Paid, 1),
        ("NEW_WORD", Standing::Open, 0),
    ] {
        for kind in ["PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED"] {
            let report = told(kind, json!({ "status": status })).report;
            assert_eq!((report.standing, report.movements.len()), (standing, money), "{kind} {status}");
        }
    }
}

#[test]
fn an_approved_order_is_asked_for() {
    let order = |custom_id: Value| json!({ "id": "5O190127TN364715T", "status": "APPROVED", "purchase_units": [{ "custom_id": custom_id }] });
    let notified = read(&event("CHECKOUT.ORDER.APPROVED", order(json!(PAYMENT)))).unwrap();
    assert_eq!((notified.about, notified.ask), (About::Payment(PAYMENT), true));
    assert_eq!((notified.report.movements.len(), notified.report.standing), (0, Standing::Open));
    let notified = read(&event("CHECKOUT.ORDER.APPROVED", order(json!(null)))).unwrap();
    assert_eq!(notified.about, About::Foreign("5O190127TN364715T".to_owned()));
}

#[test]
fn money_that_is_not_ours_is_foreign() {
    for (changes, name) in [
        (json!({ "custom_id": "order-7" }), "order-7"),
        (json!({ "custom_id": null, "invoice_id": null }), "5O190127TN364715T"),
        (json!({ "custom_id": null, "invoice_id": null, "supplementary_data": null }), "3C679366HH908993F"),
    ] {
        let notified = told("PAYMENT.CAPTURE.COMPLETED", changes);
        assert_eq!((notified.about, notified.report.movements.len()), (About::Foreign(name.to_owned()), 1));
    }
    let notified = told("PAYMENT.CAPTURE.COMPLETED", json!({ "custom_id": null }));
    assert_eq!(notified.about, About::Payment(PAYMENT), "the invoice bears the same name");
}

#[test]
fn everything_else_is_accepted_without_effect() {
    for kind in [
        "PAYMENT.CAPTURE.PENDING",
        "PAYMENT.CAPTURE.REFUNDED",
        "PAYMENT.CAPTURE.REVERSED",
        "CHECKOUT.PAYMENT-APPROVAL.REVERSED",
        "CUSTOMER.DISPUTE.CREATED",
    ] {
        let notified = told(kind, json!({}));
        assert_eq!((notified.about, notified.ask), (About::Foreign("WH-1".to_owned()), false));
        assert_eq!((notified.report.movements.len(), notified.report.standing), (0, Standing::Open));
    }
    let published = crate::payments::paypal::signature::tests::BODY;
    assert_eq!(read(published.as_bytes()).unwrap().report.movements, [], "a sale of the old API");
}

#[test]
fn what_makes_no_sense_is_refused_although_signed() {
    let money = |code: Value, value: Value| json!({ "amount": { "currency_code": code, "value": value } });
    for changes in [
        json!({ "id": null }),
        json!({ "id": "" }),
        json!({ "id": "c".repeat(129) }),
        json!({ "status": null }),
        json!({ "amount": null }),
        money(json!("USD"), json!(19.99)),
        money(json!("USD"), json!("0.00")),
        money(json!("USD"), json!("-1.00")),
        money(json!("USD"), json!("1.001")),
        money(json!("JPY"), json!("1.50")),
        money(json!("dollars"), json!("1.00")),
        money(json!(null), json!("1.00")),
    ] {
        let refused = read(&event("PAYMENT.CAPTURE.COMPLETED", capture(changes.clone())));
        assert!(matches!(refused, Err(Rejected::Malformed(_))), "{changes}: {refused:?}");
    }
    let empty = event("CHECKOUT.ORDER.APPROVED", json!({}));
    for body in [&b""[..], b"[]", b"{", b"\xff", b"{}", &empty] {
        assert!(matches!(read(body), Err(Rejected::Malformed(_))));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&body).is_err());
    }
}
