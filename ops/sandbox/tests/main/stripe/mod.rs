//! Stripe Checkout from outside.

mod answers;
mod events;
mod money;
mod sessions;

use reqwest::{Method, Response};
use serde_json::Value;

use crate::kit::{Kit, Note};

pub const VERSION: &str = "2026-10-28.endive";

/// A session of 150 000 VND, without its reference.
pub const SESSION: &str = "mode=payment&line_items[0][quantity]=2&line_items[0][price_data][currency]=vnd\
    &line_items[0][price_data][unit_amount]=75000&line_items[0][price_data][product_data][name]=V%C3%A9%20VIP\
    &success_url=https%3A%2F%2Fshop.test%2Fdone%3Fs%3D%7BCHECKOUT_SESSION_ID%7D&cancel_url=https://shop.test/back\
    &metadata[order_id]=o-1&payment_intent_data[metadata][order_id]=o-1";

/// A call with the right key and version.
pub async fn call(kit: &Kit, method: Method, path: &str, body: Option<&str>, key: Option<&str>) -> Response {
    let mut request = kit.http.request(method, format!("{}{path}", kit.base));
    request = request.bearer_auth("sk_test_sandbox").header("stripe-version", VERSION);
    if let Some(body) = body {
        request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
    }
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.send().await.unwrap()
}

/// The status and the JSON body of a POST without an idempotency key.
pub async fn post(kit: &Kit, path: &str, body: &str) -> (u16, Value) {
    read(call(kit, Method::POST, path, Some(body), None).await).await
}

/// The status and the JSON body of a GET.
pub async fn get(kit: &Kit, path: &str) -> (u16, Value) {
    read(call(kit, Method::GET, path, None, None).await).await
}

pub async fn read(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Opens a session with this reference.
pub async fn open(kit: &Kit, reference: &str) -> Value {
    let (status, session) =
        post(kit, "/v1/checkout/sessions", &format!("{SESSION}&client_reference_id={reference}")).await;
    assert_eq!(status, 200, "{session}");
    session
}

/// What a session is now.
pub async fn session(kit: &Kit, session: &Value) -> Value {
    let (status, now) = get(kit, &format!("/v1/checkout/sessions/{}", session["id"].as_str().unwrap())).await;
    assert_eq!(status, 200, "{now}");
    now
}

/// Lets something happen to the payment with this reference.
pub async fn act(kit: &Kit, reference: &str, action: &str) -> Value {
    kit.post(&format!("/payments/stripe/{reference}/{action}"), serde_json::json!({})).await
}

/// The kinds of the events that came.
pub fn kinds(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| note.json()["type"].as_str().unwrap().to_owned()).collect()
}
