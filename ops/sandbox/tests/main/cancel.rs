//! Cancel, decline, processing, and what is not there.

use reqwest::Method;
use serde_json::json;

use crate::kit::{Kit, verified};

async fn cancel(kit: &Kit, order_code: i64, reason: Option<&str>) -> serde_json::Value {
    let body = reason.map(|reason| json!({ "cancellationReason": reason }));
    let path = format!("/v2/payment-requests/{order_code}/cancel");
    kit.call(Method::POST, &path, body.as_ref()).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_cancel_ends_it_and_may_be_repeated() {
    let kit = Kit::new().await;
    kit.open(50).await;
    let data = verified(cancel(&kit, 50, Some("too late")).await);
    assert_eq!(data["status"], "CANCELLED");
    assert_eq!(data["cancellationReason"], "too late");
    assert!(data["canceledAt"].as_str().unwrap().ends_with("+07:00"));
    assert_eq!(verified(cancel(&kit, 50, None).await), data);
    assert_eq!(kit.query(50).await, data);
    assert!(kit.receiver.settled().await.is_empty());
}

#[tokio::test]
async fn a_cancel_keeps_partial_money_in_sight() {
    let kit = Kit::new().await;
    kit.open(51).await;
    kit.post("/payments/51/pay", json!({ "amount": 3_000 })).await;
    let data = verified(cancel(&kit, 51, None).await);
    assert_eq!((data["status"].as_str(), data["amountPaid"].as_i64()), (Some("CANCELLED"), Some(3_000)));
}

#[tokio::test]
async fn a_paid_one_cannot_be_cancelled() {
    let kit = Kit::new().await;
    kit.open(52).await;
    kit.post("/payments/52/pay", json!({})).await;
    assert_eq!(cancel(&kit, 52, None).await["code"], "20");
    assert_eq!(kit.status(52).await, "PAID");
}

#[tokio::test]
async fn declined_is_failed_without_a_webhook() {
    let kit = Kit::new().await;
    kit.open(53).await;
    kit.post("/payments/53/fail", json!({})).await;
    assert_eq!(kit.status(53).await, "FAILED");
    assert_eq!(kit.control(Method::POST, "/payments/53/fail", json!({})).await.0, 409);
    assert!(kit.receiver.settled().await.is_empty());
}

#[tokio::test]
async fn processing_until_the_money_comes() {
    let kit = Kit::new().await;
    kit.open(54).await;
    kit.post("/payments/54/processing", json!({})).await;
    assert_eq!(kit.status(54).await, "PROCESSING");
    kit.post("/payments/54/pay", json!({})).await;
    assert_eq!(kit.status(54).await, "PAID");
}

#[tokio::test]
async fn an_unknown_one_is_101() {
    let kit = Kit::new().await;
    for (method, path) in [(Method::GET, "/v2/payment-requests/99"), (Method::POST, "/v2/payment-requests/zz/cancel")] {
        let response = kit.call(method, path, None).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<serde_json::Value>().await.unwrap()["code"], "101");
    }
    assert_eq!(kit.control(Method::GET, "/payments/99", json!({})).await.0, 404);
}
