//! Pending captures, and refunds.

use serde_json::{Value, json};

use super::{Shop, issue, kinds};

#[tokio::test]
async fn a_capture_may_wait_and_then_complete_or_be_denied() {
    let shop = Shop::new().await;
    for (invoice, script, after, kind) in [
        ("c-1", "pending", "COMPLETED", "PAYMENT.CAPTURE.COMPLETED"),
        ("c-2", "pending_fail", "DECLINED", "PAYMENT.CAPTURE.DENIED"),
    ] {
        let before = shop.kit.receiver.notes().len();
        let capture = shop.paid(invoice, json!({ "capture": script, "capture_delay_ms": 3_600_000 })).await;
        assert_eq!(
            (&capture["status"], &capture["status_details"]["reason"]),
            (&json!("PENDING"), &json!("PENDING_REVIEW"))
        );
        let id = capture["id"].as_str().unwrap();
        let refund = format!("/v2/payments/captures/{id}/refund");
        assert_eq!(issue(&shop.post(&refund, &json!({}), &format!("early-{id}")).await.1), "PENDING_CAPTURE");
        shop.act(invoice, "settle").await;
        assert_eq!(shop.get(&format!("/v2/payments/captures/{id}")).await.1["status"], after);
        let mut seen = kinds(&shop.kit.receiver.wait_for_notes(before + 3).await[before..]);
        seen.sort();
        let mut wanted = ["CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.PENDING", kind];
        wanted.sort();
        assert_eq!(seen, wanted);
    }
    assert_eq!(shop.kit.get("/summary").await["money"], json!({ "USD": 2_000 }));
}

#[tokio::test]
async fn parts_of_it_until_nothing_is_left() {
    let shop = Shop::new().await;
    let capture = shop.paid("r-1", json!({})).await;
    let id = capture["id"].as_str().unwrap();
    let path = format!("/v2/payments/captures/{id}/refund");
    let amount = |value: &str, currency: &str| json!({ "amount": { "currency_code": currency, "value": value } });
    let mut part = amount("5.00", "USD");
    part["invoice_id"] = "refund-1".into();
    part["note_to_payer"] = "Sorry".into();
    let (status, made) = shop.post(&path, &part, "p-1").await;
    assert_eq!((status, &made["status"]), (201, &json!("COMPLETED")));
    assert_eq!(shop.post(&path, &part, "p-1").await, (200, made.clone()));
    assert_eq!(issue(&shop.post(&path, &part, "p-2").await.1), "DUPLICATE_INVOICE_ID");
    assert_eq!(shop.get(&format!("/v2/payments/captures/{id}")).await.1["status"], "PARTIALLY_REFUNDED");
    assert_eq!(issue(&shop.post(&path, &amount("15.01", "USD"), "p-3").await.1), "REFUND_AMOUNT_EXCEEDED");
    assert_eq!(issue(&shop.post(&path, &amount("1.00", "EUR"), "p-4").await.1), "REFUND_CAPTURE_CURRENCY_MISMATCH");
    assert_eq!(issue(&shop.post(&path, &amount("0.001", "USD"), "p-5").await.1), "DECIMAL_PRECISION");
    let long = json!({ "note_to_payer": "n".repeat(256) });
    assert_eq!(issue(&shop.post(&path, &long, "p-6").await.1), "INVALID_STRING_LENGTH");
    assert_eq!(shop.post(&path, &json!({}), "p-7").await.0, 201);
    assert_eq!(issue(&shop.post(&path, &json!({}), "p-8").await.1), "CAPTURE_FULLY_REFUNDED");
    let (_, whole) = shop.get(&format!("/v2/payments/refunds/{}", made["id"].as_str().unwrap())).await;
    assert_eq!((&whole["amount"]["value"], &whole["note_to_payer"]), (&json!("5.00"), &json!("Sorry")));
    let amounts: Vec<Value> = shop.kit.get("/statement?provider=paypal").await["movements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|movement| json!([movement["kind"], movement["amount"], movement["fee"]]))
        .collect();
    assert_eq!(Value::from(amounts), json!([["capture", 2_000, 119], ["refund", -500, 0], ["refund", -1_500, 0]]));
    let notes = shop.kit.receiver.wait_for_notes(4).await;
    assert_eq!(kinds(&notes).iter().filter(|kind| *kind == "PAYMENT.CAPTURE.REFUNDED").count(), 2);
}

#[tokio::test]
async fn a_refund_may_wait_fail_or_lose_its_answer() {
    let shop = Shop::new().await;
    for (invoice, script, now, after, kind) in [
        (
            "s-1",
            json!({ "refund": "pending", "refund_delay_ms": 3_600_000 }),
            "PENDING",
            "COMPLETED",
            "PAYMENT.CAPTURE.REFUNDED",
        ),
        (
            "s-2",
            json!({ "refund": "pending_fail", "refund_delay_ms": 3_600_000 }),
            "PENDING",
            "FAILED",
            "PAYMENT.REFUND.FAILED",
        ),
        ("s-3", json!({ "refund": "fail" }), "FAILED", "FAILED", "PAYMENT.REFUND.FAILED"),
    ] {
        let capture = shop.paid(invoice, script).await;
        let path = format!("/v2/payments/captures/{}/refund", capture["id"].as_str().unwrap());
        let (status, made) = shop.post(&path, &json!({}), invoice).await;
        assert_eq!((status, &made["status"]), (201, &json!(now)));
        if now == "PENDING" {
            shop.act(invoice, "settle").await;
        }
        let (_, settled) = shop.get(&format!("/v2/payments/refunds/{}", made["id"].as_str().unwrap())).await;
        assert_eq!(settled["status"], after);
        let mut seen = Vec::new();
        for _ in 0..500 {
            seen = kinds(&shop.kit.receiver.notes());
            if seen.contains(&kind.to_owned()) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(seen.contains(&kind.to_owned()), "{seen:?}");
    }
    let capture = shop.paid("s-4", json!({ "refund_lost": "504" })).await;
    let path = format!("/v2/payments/captures/{}/refund", capture["id"].as_str().unwrap());
    assert_eq!(shop.post(&path, &json!({}), "lost").await.0, 504);
    let (status, made) = shop.post(&path, &json!({}), "lost").await;
    assert_eq!((status, &made["status"]), (200, &json!("COMPLETED")));
}

#[tokio::test]
async fn another_amount_and_currency_than_asked_for() {
    let shop = Shop::new().await;
    let capture = shop.paid("x-1", json!({ "wrong_amount": 1_999, "currency": "EUR" })).await;
    assert_eq!(capture["amount"], json!({ "currency_code": "EUR", "value": "19.99" }));
    let notes = shop.kit.receiver.wait_for_notes(2).await;
    let told =
        notes.iter().map(|note| note.json()).find(|event| event["event_type"] == "PAYMENT.CAPTURE.COMPLETED").unwrap();
    assert_eq!(told["resource"], capture);
    let line = &shop.kit.csv("csv").await[1];
    assert!(line.contains(",x-1,1999,EUR,"), "{line}");
}
