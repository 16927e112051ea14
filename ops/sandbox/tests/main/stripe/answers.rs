//! Faults of the API.

use reqwest::Method;
use serde_json::json;

use super::{SESSION, call, open, post, read, session};
use crate::kit::Kit;

const PATH: &str = "/v1/checkout/sessions";

#[tokio::test]
async fn so_many_500s_then_so_many_pages_of_html_then_success() {
    let kit = Kit::new().await;
    let script = json!({ "http_500_times": 1, "html": 1 });
    kit.control(Method::PUT, "/payments/stripe/f-1/script", script.clone()).await;
    let body = format!("{SESSION}&client_reference_id=f-1");
    let (status, trouble) = post(&kit, PATH, &body).await;
    assert_eq!((status, &trouble["error"]["type"]), (500, &json!("api_error")));
    let html = call(&kit, Method::POST, PATH, Some(&body), Some("one")).await;
    assert_eq!(html.status(), 200);
    assert!(html.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let (status, made) = read(call(&kit, Method::POST, PATH, Some(&body), Some("one")).await).await;
    assert_eq!(status, 200, "what had no effect is not kept: {made}");
    kit.control(Method::PUT, "/payments/f-1/script?provider=stripe", script).await;
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&kit, Method::GET, &path, None, None).await.status(), 500);
    assert!(call(&kit, Method::GET, &path, None, None).await.text().await.unwrap().contains("<html"));
    assert_eq!(session(&kit, &made).await["status"], "open");
}

#[tokio::test]
async fn a_silent_one_holds_its_calls() {
    let kit = Kit::new().await;
    let made = open(&kit, "f-2").await;
    kit.control(Method::PUT, "/payments/stripe/f-2/script", json!({ "silent": true })).await;
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let held = call(&kit, Method::GET, &path, None, None);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), held).await.is_err());
}

#[tokio::test]
async fn the_event_may_come_before_the_answer() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "webhook_before_create_answer": true })).await;
    let made = open(&kit, "f-3").await;
    assert_eq!(made["status"], "open", "the answer is as old as the session");
    assert_eq!(kit.receiver.notes().len(), 1);
    assert_eq!(session(&kit, &made).await["payment_status"], "paid");
}

#[tokio::test]
async fn another_amount_and_currency_are_the_same_in_event_and_query() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "wrong_amount": 149_999, "currency": "USD" })).await;
    let made = open(&kit, "f-4").await;
    assert_eq!(made["amount_total"], 150_000);
    super::act(&kit, "f-4", "pay").await;
    let told = kit.receiver.wait_for_notes(1).await[0].json()["data"]["object"].clone();
    assert_eq!((&told["amount_total"], &told["currency"]), (&json!(149_999), &json!("usd")));
    assert_eq!(session(&kit, &made).await, told);
    let line = &kit.csv("csv&provider=stripe").await[1];
    assert!(line.starts_with("stripe,capture,pi_") && line.contains(",f-4,149999,USD,0,"), "{line}");
}

#[tokio::test]
async fn sessions_keys_and_money_outlive_the_process() {
    let path = std::env::temp_dir().join(format!("provider-sandbox-{}-stripe.jsonl", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let settings = || provider_sandbox::Settings { state: Some(path.clone()), ..Default::default() };
    let first = Kit::with(settings()).await;
    first.script_default(json!({ "refund": "pending", "refund_delay_ms": 3_600_000 })).await;
    let made = read(call(&first, Method::POST, PATH, Some(SESSION), Some("once")).await).await.1;
    let id = made["id"].as_str().unwrap();
    first.post(&format!("/payments/{id}/pay"), json!({})).await;
    let intent = session(&first, &made).await["payment_intent"].as_str().unwrap().to_owned();
    assert_eq!(post(&first, "/v1/refunds", &format!("payment_intent={intent}&amount=50000")).await.0, 200);
    let statement = first.get("/statement").await;
    first.sandbox.stop().await;

    let second = Kit::with(settings()).await;
    assert_eq!(second.get("/statement").await, statement);
    assert_eq!(read(call(&second, Method::POST, PATH, Some(SESSION), Some("once")).await).await.1, made);
    assert_eq!(session(&second, &made).await["payment_status"], "paid");
    second.post("/clock", json!({ "offset_s": 3_700 })).await;
    let mut seen = Vec::new();
    for _ in 0..500 {
        seen = second.get("/statement").await["movements"].as_array().unwrap().clone();
        if seen.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(seen[1]["amount"], -50_000, "a pending refund is paid out after the restart");
    second.sandbox.stop().await;
    let _ = std::fs::remove_file(&path);
}
