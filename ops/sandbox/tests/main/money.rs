//! Money: parts, late money, wrong money, money for nothing, and the statement.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Kit, has_right_signature, request, sign, verified};

#[tokio::test]
async fn parts_make_it_underpaid_then_paid() {
    let kit = Kit::new().await;
    let link = kit.open(20).await["paymentLinkId"].clone();
    kit.post("/payments/20/pay", json!({ "amount": 4_000 })).await;
    let part = kit.query(20).await;
    assert_eq!((part["status"].as_str(), part["amountRemaining"].as_i64()), (Some("UNDERPAID"), Some(6_000)));
    let answer =
        kit.post(&format!("/payments/{}/pay", link.as_str().unwrap()), json!({ "parts": [1_000, 5_000] })).await;
    assert_eq!(answer["references"].as_array().unwrap().len(), 2);
    let all = kit.query(20).await;
    assert_eq!((all["status"].as_str(), all["amountPaid"].as_i64()), (Some("PAID"), Some(10_000)));
    let webhooks = kit.receiver.wait_for(3).await;
    let mut amounts: Vec<_> = webhooks.iter().map(|webhook| verified(webhook.clone())["amount"].as_i64()).collect();
    amounts.sort();
    assert_eq!(amounts, [Some(1_000), Some(4_000), Some(5_000)]);
    let mut references: Vec<_> = webhooks.iter().map(|webhook| webhook["data"]["reference"].to_string()).collect();
    references.sort();
    references.dedup();
    assert_eq!(references.len(), 3);
    let mut queried: Vec<_> = all["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|transaction| transaction["reference"].to_string())
        .collect();
    queried.sort();
    assert_eq!(queried, references);
}

#[tokio::test]
async fn without_an_amount_the_rest_is_paid_once() {
    let kit = Kit::new().await;
    kit.open(21).await;
    kit.post("/payments/21/pay", json!({})).await;
    assert_eq!(kit.status(21).await, "PAID");
    let (status, _) = kit.control(Method::POST, "/payments/21/pay", json!({})).await;
    assert_eq!(status, 409);
    kit.post("/payments/21/pay", json!({ "force": true })).await;
    assert_eq!(kit.query(21).await["amountPaid"], 20_000);
}

#[tokio::test]
async fn money_after_the_cancel() {
    let kit = Kit::new().await;
    for (order_code, keep_status, after) in [(22, false, "PAID"), (23, true, "CANCELLED")] {
        kit.open(order_code).await;
        kit.post(&format!("/payments/{order_code}/cancel"), json!({})).await;
        let pay = format!("/payments/{order_code}/pay");
        let (status, problem) = kit.control(Method::POST, &pay, json!({})).await;
        assert_eq!(status, 409, "{problem}");
        kit.post(&pay, json!({ "force": true, "keep_status": keep_status })).await;
        let late = kit.query(order_code).await;
        assert_eq!((late["status"].as_str(), late["amountPaid"].as_i64()), (Some(after), Some(10_000)));
    }
    assert_eq!(kit.receiver.wait_for(2).await.len(), 2);
}

#[tokio::test]
async fn money_after_the_expiry() {
    let kit = Kit::new().await;
    let now: jiff::Timestamp = kit.get("/clock").await["now"].as_str().unwrap().parse().unwrap();
    let mut body = request(24);
    body["expiredAt"] = (now.as_second() + 900).into();
    verified(kit.create(&sign(body)).await);
    kit.post("/payments/24/pay", json!({ "amount": 1_000 })).await;
    kit.post("/clock", json!({ "offset_s": 890 })).await;
    assert_eq!(kit.status(24).await, "UNDERPAID");
    kit.post("/clock", json!({ "offset_s": 901 })).await;
    assert_eq!(kit.status(24).await, "EXPIRED");
    assert_eq!(kit.control(Method::POST, "/payments/24/pay", json!({})).await.0, 409);
    kit.post("/payments/24/pay", json!({ "force": true, "amount": 2_000 })).await;
    assert_eq!(kit.status(24).await, "EXPIRED");
    kit.post("/payments/24/pay", json!({ "force": true })).await;
    assert_eq!(kit.status(24).await, "PAID");
    kit.receiver.wait_for(3).await;
}

#[tokio::test]
async fn one_payment_expires_without_the_clock() {
    let kit = Kit::new().await;
    kit.open(25).await;
    kit.post("/payments/25/expire", json!({})).await;
    assert_eq!(kit.status(25).await, "EXPIRED");
}

#[tokio::test]
async fn a_wrong_amount_and_a_wrong_currency() {
    let kit = Kit::new().await;
    kit.post("/next", json!({ "script": { "wrong_amount": 9_999 } })).await;
    kit.post("/next", json!({ "script": { "currency": "USD" } })).await;
    kit.open(26).await;
    kit.open(27).await;
    kit.open(28).await;
    for order_code in [26, 27, 28] {
        kit.post(&format!("/payments/{order_code}/pay"), json!({})).await;
    }
    assert_eq!(kit.query(26).await["amountPaid"], 9_999);
    assert_eq!(kit.status(26).await, "UNDERPAID");
    assert_eq!(kit.query(27).await["amountPaid"], 0);
    assert_eq!(kit.status(28).await, "PAID");
    let webhooks = kit.receiver.wait_for(3).await;
    assert!(webhooks.iter().all(has_right_signature));
    let of = |order_code: i64| webhooks.iter().find(|webhook| webhook["data"]["orderCode"] == order_code).unwrap();
    assert_eq!(of(26)["data"]["amount"], 9_999);
    assert_eq!(of(27)["data"]["currency"], "USD");
    assert_eq!(kit.get("/summary").await["money"], json!({ "USD": 10_000, "VND": 19_999 }));
}

#[tokio::test]
async fn money_for_an_unknown_reference() {
    let kit = Kit::new().await;
    kit.open(29).await;
    assert_eq!(kit.control(Method::POST, "/transfer", json!({ "orderCode": 29, "amount": 5 })).await.0, 409);
    assert_eq!(kit.control(Method::POST, "/transfer", json!({ "orderCode": 1, "amount": 0 })).await.0, 422);
    kit.post("/transfer", json!({ "orderCode": 777, "amount": 5_000, "reference": "FTX" })).await;
    let webhook = kit.receiver.wait_for(1).await.remove(0);
    let data = verified(webhook);
    assert_eq!((data["orderCode"].as_i64(), data["reference"].as_str()), (Some(777), Some("FTX")));
    assert_eq!(kit.get("/summary").await["unmatched_transfers"], 1);
}

#[tokio::test]
async fn the_statement_has_every_transfer() {
    let kit = Kit::new().await;
    kit.open(30).await;
    kit.post("/payments/30/pay", json!({ "parts": [1_000, 2_000] })).await;
    kit.post("/transfer", json!({ "orderCode": 31, "amount": 7, "currency": "EUR" })).await;
    let transfers = kit.get("/statement").await["transfers"].clone();
    let amounts: Vec<_> = transfers.as_array().unwrap().iter().map(|transfer| transfer["amount"].clone()).collect();
    assert_eq!(Value::from(amounts), json!([1_000, 2_000, 7]));
    let transfers = kit.csv("transfers").await;
    assert_eq!(transfers[0], "reference,orderCode,paymentLinkId,amount,currency,time,matched");
    assert_eq!(transfers.len(), 4);
    let last = &transfers[3];
    assert!(last.contains(",31,") && last.contains(",7,EUR,") && last.ends_with(",false"), "{last}");
    let movements = kit.csv("csv").await;
    assert_eq!(movements[0], "provider,kind,reference,payment,amount,currency,fee,time,matched");
    assert_eq!(movements.len(), 4);
    let last = &movements[3];
    assert!(last.starts_with("payos,capture,") && last.contains(",31,7,EUR,0,") && last.ends_with(",false"), "{last}");
    assert_eq!(kit.csv("csv&provider=payos").await, movements);
    assert_eq!(kit.csv("csv&provider=stripe").await.len(), 1);
}

#[tokio::test]
async fn the_list_is_paged_and_filtered() {
    let kit = Kit::new().await;
    for order_code in 40..45 {
        kit.open(order_code).await;
    }
    for order_code in [40, 42, 44] {
        kit.post(&format!("/payments/{order_code}/pay"), json!({})).await;
    }
    let first = kit.get("/payments?status=PAID&limit=2").await;
    assert_eq!(codes(&first), [40, 42]);
    let second = kit.get(&format!("/payments?status=PAID&limit=2&cursor={}", first["next_cursor"])).await;
    assert_eq!((codes(&second), &second["next_cursor"]), (vec![44], &Value::Null));
    assert_eq!(codes(&kit.get("/payments").await), [40, 41, 42, 43, 44]);
}

fn codes(page: &Value) -> Vec<i64> {
    page["payments"].as_array().unwrap().iter().map(|payment| payment["orderCode"].as_i64().unwrap()).collect()
}
