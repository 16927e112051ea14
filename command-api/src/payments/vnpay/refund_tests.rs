//! Money that goes back, against a server that answers what it is told.

use serde_json::{Value, json};

use super::super::stub::{REFERENCE, body, refund, told, vnpay};
use super::*;
use crate::payments::gateway::PaymentGateway;
use crate::payments::scripted::{Answering, Scripted, cut};

/// What becomes of a refund, after a payment that was taken, by the answer to it; and the request that was sent.
async fn refunded(refund: &Refund, answers: Vec<Answering>) -> (Result<Refunded, GatewayError>, Vec<Value>) {
    let server = Scripted::new([told(json!({}))].into_iter().chain(answers)).await;
    let result = vnpay(&server).refund(refund).await;
    (result, server.asked().iter().map(body).collect())
}

#[tokio::test]
async fn all_or_a_part_goes_back_under_the_refunds_own_name() {
    for (amount, kind, written) in [(150_000, "02", "15000000"), (1, "03", "100")] {
        let done = told(json!({ "vnp_TransactionType": kind, "vnp_Amount": written, "vnp_TransactionNo": "777" }));
        let (result, asked) = refunded(&refund(amount, clock::now()), vec![done]).await;
        assert_eq!(result.unwrap(), Refunded::Done { reference: "777".to_owned() });
        for (name, value) in [
            ("vnp_Command", "refund"),
            ("vnp_RequestId", "00000000000000000000000000000009"),
            ("vnp_TransactionType", kind),
            ("vnp_Amount", written),
            ("vnp_TransactionNo", "14422574"),
            ("vnp_TransactionDate", "20261011003000"),
            ("vnp_TxnRef", REFERENCE),
        ] {
            assert_eq!(asked[1][name], value, "{name}");
        }
    }
}

#[tokio::test]
async fn what_vnpay_says_to_a_refund_is_what_became_of_it() {
    for (code, status, expected) in [
        ("00", "05", Refunded::Pending),
        ("00", "06", Refunded::Pending),
        ("00", "", Refunded::Pending),
        ("00", "09", failed("09")),
        ("91", "", failed("91")),
        ("93", "", failed("93")),
        ("95", "", failed("95")),
    ] {
        let answer = told(json!({ "vnp_ResponseCode": code, "vnp_TransactionStatus": status }));
        let (result, _) = refunded(&refund(150_000, clock::now()), vec![answer]).await;
        assert_eq!(result.unwrap(), expected, "{code} {status}");
    }
    let later = told(json!({ "vnp_ResponseCode": "16" }));
    let (result, _) = refunded(&refund(150_000, clock::now()), vec![later]).await;
    assert!(matches!(result, Err(GatewayError::Unavailable { .. })), "{result:?}");
    for doubtful in [told(json!({ "vnp_ResponseCode": "99" })), Box::new(|_: &str| cut()) as Answering] {
        let (result, asked) = refunded(&refund(150_000, clock::now()), vec![doubtful]).await;
        assert!(matches!(result, Err(GatewayError::Ambiguous(_))), "{result:?}");
        assert_eq!(asked.len(), 2, "a refund is not repeated by itself");
    }
}

#[tokio::test]
async fn a_refund_that_was_asked_for_before_is_looked_up() {
    let again = || told(json!({ "vnp_ResponseCode": "94" }));
    let in_progress = told(json!({ "vnp_TransactionType": "02", "vnp_TransactionStatus": "05" }));
    let done = told(json!({ "vnp_TransactionType": "02", "vnp_TransactionNo": "777" }));
    let nothing_yet = told(json!({}));
    for (found, expected) in [
        (in_progress, Refunded::Pending),
        (nothing_yet, Refunded::Pending),
        (Box::new(|_: &str| cut()) as Answering, Refunded::Pending),
        (done, Refunded::Done { reference: "777".to_owned() }),
    ] {
        let (result, _) = refunded(&refund(150_000, clock::now()), vec![again(), found]).await;
        assert_eq!(result.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_refund_that_vnpay_shows_is_not_made_again() {
    for (kind, status, amount, expected) in [
        ("02", "00", "15000000", Refunded::Done { reference: "14422574".to_owned() }),
        ("02", "05", "15000000", Refunded::Pending),
        ("01", "06", "15000000", Refunded::Pending),
        ("01", "09", "15000000", failed("09")),
        ("02", "09", "15000000", failed("09")),
        ("02", "02", "15000000", failed("refund-refused")),
        ("03", "00", "100", failed("another-refund")),
    ] {
        let found = json!({ "vnp_TransactionType": kind, "vnp_TransactionStatus": status, "vnp_Amount": amount });
        let server = Scripted::new([told(found)]).await;
        let result = vnpay(&server).refund(&refund(150_000, clock::now())).await;
        assert_eq!((result.unwrap(), server.calls()), (expected, 1), "{kind} {status}");
    }
}

#[tokio::test]
async fn what_was_not_paid_or_is_too_much_does_not_go_back() {
    for (found, amount, code) in [
        (json!({ "vnp_TransactionStatus": "01" }), 150_000, "not-paid"),
        (json!({ "vnp_TransactionStatus": "07" }), 150_000, "not-paid"),
        (json!({}), 150_001, "amount-out-of-range"),
        (json!({}), 0, "amount-out-of-range"),
        (json!({}), -1, "amount-out-of-range"),
    ] {
        let server = Scripted::new([told(found)]).await;
        let result = vnpay(&server).refund(&refund(amount, clock::now())).await;
        assert_eq!((result.unwrap(), server.calls()), (failed(code), 1));
    }
    let server = Scripted::new([told(json!({ "vnp_ResponseCode": "91" }))]).await;
    assert!(matches!(vnpay(&server).refund(&refund(1, clock::now())).await, Err(GatewayError::NotFound)));
    let server = Scripted::fixed([cut()]).await;
    let lost = vnpay(&server).refund(&refund(1, clock::now())).await;
    assert!(matches!(lost, Err(GatewayError::Unavailable { .. })), "nothing was asked for: {lost:?}");
}

#[tokio::test]
async fn on_another_day_all_may_be_asked_for_again_and_a_part_may_not() {
    let yesterday = clock::now().plus_s(-86_400);
    let done = told(json!({ "vnp_TransactionType": "02", "vnp_TransactionNo": "777" }));
    let (result, _) = refunded(&refund(150_000, yesterday), vec![done]).await;
    assert_eq!(result.unwrap(), Refunded::Done { reference: "777".to_owned() });
    let (result, asked) = refunded(&refund(1, yesterday), vec![]).await;
    assert_eq!((result.unwrap(), asked.len()), (failed("too-late-to-repeat"), 1));
}
