//! Webhooks: their form, the ways in which they go wrong, retries, and the confirmation of a URL.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Kit, has_right_signature, request, sign, verified};

async fn paid(kit: &Kit, order_code: i64, script: Value) {
    let (status, answer) = kit.control(Method::PUT, &format!("/payments/{order_code}/script"), script).await;
    assert_eq!(status, 200, "{answer}");
    kit.open(order_code).await;
    kit.post(&format!("/payments/{order_code}/pay"), json!({})).await;
}

async fn deliveries(kit: &Kit, order_code: i64) -> Vec<Value> {
    kit.get(&format!("/payments/{order_code}")).await["deliveries"].as_array().unwrap().clone()
}

/// Waits until the first delivery of a payment stands there.
async fn wait_for_state(kit: &Kit, order_code: i64, state: &str) -> Value {
    for _ in 0..500 {
        let first = deliveries(kit, order_code).await.remove(0);
        if first["state"] == state {
            return first;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {state}: {:?}", deliveries(kit, order_code).await);
}

#[tokio::test]
async fn the_form_of_a_webhook() {
    let kit = Kit::new().await;
    let link = kit.open(60).await["paymentLinkId"].clone();
    kit.post("/payments/60/pay", json!({})).await;
    let webhook = kit.receiver.wait_for(1).await.remove(0);
    assert_eq!((webhook["code"].as_str(), webhook["success"].as_bool()), (Some("00"), Some(true)));
    let data = verified(webhook);
    assert_eq!((&data["paymentLinkId"], data["code"].as_str()), (&link, Some("00")));
    assert_eq!((data["orderCode"].as_i64(), data["currency"].as_str()), (Some(60), Some("VND")));
    let time: jiff::Timestamp = kit.get("/statement").await["transfers"][0]["time"].as_str().unwrap().parse().unwrap();
    let vietnam = time.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7)));
    assert_eq!(data["transactionDateTime"], vietnam.strftime("%Y-%m-%d %H:%M:%S").to_string());
    let delivery = wait_for_state(&kit, 60, "delivered").await;
    assert_eq!(delivery["attempts"][0]["status"], 200);
}

#[tokio::test]
async fn twice_is_the_same_body_twice() {
    let kit = Kit::new().await;
    paid(&kit, 61, json!({ "webhook": "twice" })).await;
    let bodies = kit.receiver.wait_for(2).await;
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(kit.receiver.settled().await.len(), 2);
    assert_eq!(kit.get("/statement").await["transfers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn never_stays_silent_but_the_query_knows() {
    let kit = Kit::new().await;
    paid(&kit, 62, json!({ "webhook": "never" })).await;
    assert!(kit.receiver.settled().await.is_empty());
    assert_eq!(kit.status(62).await, "PAID");
    assert_eq!(deliveries(&kit, 62).await[0]["state"], "suppressed");
}

#[tokio::test]
async fn late_comes_when_the_link_has_expired() {
    let kit = Kit::new().await;
    let now: jiff::Timestamp = kit.get("/clock").await["now"].as_str().unwrap().parse().unwrap();
    let mut body = request(63);
    body["expiredAt"] = (now.as_second() + 900).into();
    kit.post("/next", json!({ "script": { "webhook": "late" } })).await;
    verified(kit.create(&sign(body)).await);
    kit.post("/payments/63/pay", json!({})).await;
    assert!(kit.receiver.settled().await.is_empty());
    kit.post("/clock", json!({ "offset_s": 905 })).await;
    kit.receiver.wait_for(1).await;
}

#[tokio::test]
async fn slow_waits() {
    let kit = Kit::new().await;
    paid(&kit, 64, json!({ "webhook": "slow", "delay_ms": 600 })).await;
    assert!(kit.receiver.settled().await.is_empty());
    kit.receiver.wait_for(1).await;
}

#[tokio::test]
async fn a_bad_signature_does_not_verify() {
    let kit = Kit::new().await;
    paid(&kit, 65, json!({ "webhook": "bad_signature" })).await;
    let webhook = kit.receiver.wait_for(1).await.remove(0);
    assert!(!has_right_signature(&webhook));
    assert_eq!(webhook["signature"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn out_of_order_reverses_the_parts() {
    let kit = Kit::new().await;
    kit.post("/next", json!({ "script": { "webhook": "out_of_order" } })).await;
    kit.open(66).await;
    kit.post("/payments/66/pay", json!({ "parts": [1_000, 2_000, 7_000] })).await;
    let amounts: Vec<_> =
        kit.receiver.wait_for(3).await.iter().map(|webhook| webhook["data"]["amount"].clone()).collect();
    assert_eq!(Value::from(amounts), json!([7_000, 2_000, 1_000]));
}

#[tokio::test]
async fn what_is_not_2xx_is_tried_again_and_then_given_up() {
    let kit = Kit::new().await;
    kit.post("/webhook", json!({ "retry_ms": [20, 20] })).await;
    kit.receiver.answer(&[500, 302]);
    paid(&kit, 67, json!({})).await;
    let delivered = wait_for_state(&kit, 67, "delivered").await;
    let statuses: Vec<_> = delivered["attempts"].as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
    assert_eq!(Value::from(statuses), json!([500, 302, 200]));
    kit.receiver.answer(&[400, 401, 503]);
    paid(&kit, 68, json!({})).await;
    let given_up = wait_for_state(&kit, 68, "given_up").await;
    assert_eq!(given_up["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(kit.get("/summary").await["deliveries"], json!({ "delivered": 1, "given_up": 1 }));
    assert_eq!(kit.get("/deliveries?state=given_up").await["deliveries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn retries_follow_the_clock() {
    let kit = Kit::new().await;
    kit.post("/webhook", json!({ "retry_ms": [3_600_000] })).await;
    kit.receiver.answer(&[500]);
    paid(&kit, 69, json!({})).await;
    assert_eq!(kit.receiver.settled().await.len(), 1);
    kit.post("/clock", json!({ "offset_s": 3_601 })).await;
    assert_eq!(kit.receiver.wait_for(2).await.len(), 2);
}

#[tokio::test]
async fn a_shop_that_is_away_gets_it_later() {
    let kit = Kit::new().await;
    kit.post("/webhook", json!({ "url": "http://127.0.0.1:1/", "retry_ms": [300] })).await;
    paid(&kit, 70, json!({})).await;
    kit.post("/webhook", json!({ "url": kit.webhook_url })).await;
    let delivered = wait_for_state(&kit, 70, "delivered").await;
    assert!(delivered["attempts"][0]["error"].is_string(), "{delivered}");
}

#[tokio::test]
async fn confirm_sends_a_signed_sample_and_needs_2xx() {
    let kit = Kit::new().await;
    let confirm = |url: Value| {
        let body = json!({ "webhookUrl": url });
        let kit = &kit;
        async move { kit.call(Method::POST, "/confirm-webhook", Some(&body)).await.unwrap() }
    };
    for wrong in [json!("shop.test/webhook"), json!("ftp://shop.test/"), json!(5), Value::Null] {
        assert_eq!(confirm(wrong).await.status(), 400);
    }
    assert_eq!(confirm(json!("http://127.0.0.1:1/")).await.status(), 400);
    kit.receiver.answer(&[404]);
    let other = format!("{}?second", kit.webhook_url);
    assert_eq!(confirm(json!(other)).await.status(), 400);
    assert_eq!(kit.get("/webhook").await["url"], kit.webhook_url);
    let answer = confirm(json!(other)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(verified(answer.json().await.unwrap())["webhookUrl"], other);
    assert_eq!(kit.get("/webhook").await["url"], other);
    let samples = kit.receiver.bodies();
    assert_eq!(samples.len(), 2);
    assert_eq!(verified(samples[0].clone())["orderCode"], 123);
}
