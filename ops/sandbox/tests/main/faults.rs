//! An API that misbehaves: lost, slow, silent and failing answers.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Kit, signed, verified};

#[tokio::test]
async fn a_lost_answer_leaves_a_link_that_the_query_finds() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "lose_create_answer": true })).await;
    assert!(kit.call(Method::POST, "/v2/payment-requests", Some(&signed(80))).await.is_err());
    assert_eq!(kit.status(80).await, "PENDING");
    assert_eq!(kit.create(&signed(80)).await["code"], "231");
}

#[tokio::test]
async fn a_cut_sends_no_byte() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "lose_create_answer": "cut" })).await;
    let body = signed(81).to_string();
    let mut stream = TcpStream::connect(kit.sandbox.addr).await.unwrap();
    let request = format!(
        "POST /v2/payment-requests HTTP/1.1\r\nhost: x\r\nx-client-id: sandbox-client\r\nx-api-key: sandbox-api-key\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "");
    assert_eq!(kit.status(81).await, "PENDING");
}

#[tokio::test]
async fn a_lost_answer_may_be_a_504() {
    let kit = Kit::new().await;
    kit.post("/next", json!({ "script": { "lose_create_answer": "504" } })).await;
    let response = kit.call(Method::POST, "/v2/payment-requests", Some(&signed(82))).await.unwrap();
    assert_eq!(response.status(), 504);
    assert_eq!(kit.status(82).await, "PENDING");
    kit.open(83).await;
}

#[tokio::test]
async fn a_slow_create_has_made_the_link_already() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "slow_create_ms": 60_000 })).await;
    let create = signed(84);
    let impatient = kit.call(Method::POST, "/v2/payment-requests", Some(&create));
    assert!(tokio::time::timeout(Duration::from_millis(300), impatient).await.is_err());
    assert_eq!(kit.status(84).await, "PENDING");
}

#[tokio::test]
async fn a_silent_one_holds_query_and_cancel_without_effect() {
    let kit = Kit::new().await;
    kit.open(85).await;
    kit.control(Method::PUT, "/payments/85/script", json!({ "silent": true })).await;
    for (method, path) in [(Method::GET, ""), (Method::POST, "/cancel")] {
        let path = format!("/v2/payment-requests/85{path}");
        let held = kit.call(method, &path, None);
        assert!(tokio::time::timeout(Duration::from_millis(300), held).await.is_err());
    }
    kit.control(Method::PUT, "/payments/85/script", json!({})).await;
    assert_eq!(kit.status(85).await, "PENDING");
    kit.sandbox.stop().await;
}

#[tokio::test]
async fn http_500_so_many_times() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "http_500_times": 2 })).await;
    for _ in 0..2 {
        let response = kit.call(Method::POST, "/v2/payment-requests", Some(&signed(86))).await.unwrap();
        assert_eq!(response.status(), 500);
    }
    kit.open(86).await;
    kit.control(Method::PUT, "/payments/86/script", json!({ "http_500_times": 1 })).await;
    let response = kit.call(Method::POST, "/v2/payment-requests/86/cancel", None).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(kit.status(86).await, "PENDING");
}

#[tokio::test]
async fn html_so_many_times() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "html": 1 })).await;
    let response = kit.call(Method::POST, "/v2/payment-requests", Some(&signed(89))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().starts_with("<!doctype html>"));
    kit.open(89).await;
    kit.control(Method::PUT, "/payments/payos/89/script", json!({ "html": 1 })).await;
    let response = kit.call(Method::GET, "/v2/payment-requests/89", None).await.unwrap();
    assert!(response.text().await.unwrap().starts_with("<!doctype html>"));
    assert_eq!(kit.status(89).await, "PENDING");
}

#[tokio::test]
async fn the_webhook_comes_before_the_create_answer() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "webhook_before_create_answer": true, "lose_create_answer": "504" })).await;
    kit.call(Method::POST, "/v2/payment-requests", Some(&signed(87))).await.unwrap();
    assert_eq!(verified(kit.receiver.bodies().remove(0))["orderCode"], 87);
    assert_eq!(kit.status(87).await, "PAID");
}

#[tokio::test]
async fn a_payment_may_pay_itself() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "auto_pay_ms": 50 })).await;
    kit.open(88).await;
    kit.receiver.wait_for(1).await;
    assert_eq!(kit.status(88).await, "PAID");
}

#[tokio::test]
async fn a_script_with_a_mistake_is_refused() {
    let kit = Kit::new().await;
    let mistakes: [Value; 4] = [
        json!({ "webhok": "late" }),
        json!({ "webhook": "x" }),
        json!({ "wrong_amount": 0 }),
        json!({ "currency": "usd" }),
    ];
    for script in mistakes {
        let (status, answer) = kit.control(Method::PUT, "/default", script).await;
        assert_eq!((status, answer["error"].is_string()), (422, true), "{answer}");
    }
}

#[tokio::test]
async fn a_thousand_payments_take_seconds() {
    let kit = Kit::new().await;
    let batches: Vec<i64> = (0..10).collect();
    let work = batches.into_iter().map(|batch| {
        let kit = &kit;
        async move {
            for order_code in (1_000 + batch * 100)..(1_100 + batch * 100) {
                kit.open(order_code).await;
                kit.post(&format!("/payments/{order_code}/pay"), json!({})).await;
            }
        }
    });
    tokio::time::timeout(Duration::from_secs(30), futures::future::join_all(work)).await.unwrap();
    assert_eq!(kit.receiver.wait_for(1_000).await.len(), 1_000);
    assert_eq!(kit.get("/summary").await["by_status"], json!({ "PAID": 1_000 }));
}
