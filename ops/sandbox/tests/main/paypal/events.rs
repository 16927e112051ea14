//! Events: their signatures, the ways in which they go wrong, the lapse of an order.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Shop, issue, kinds};
use crate::kit::Note;

/// What the sandbox itself says of a notification's signature, its body taken as it came.
async fn verified(shop: &Shop, note: &Note, webhook_id: &str) -> String {
    let header = |name: &str| Value::from(note.header(name)).to_string();
    let body = format!(
        r#"{{"auth_algo":{},"cert_url":{},"transmission_id":{},"transmission_sig":{},"transmission_time":{},"webhook_id":"{webhook_id}","webhook_event":{}}}"#,
        header("paypal-auth-algo"),
        header("paypal-cert-url"),
        header("paypal-transmission-id"),
        header("paypal-transmission-sig"),
        header("paypal-transmission-time"),
        note.body,
    );
    let url = format!("{}/v1/notifications/verify-webhook-signature", shop.kit.base);
    let request = shop.kit.http.post(url).bearer_auth(&shop.token).header("content-type", "application/json");
    let answer: Value = request.body(body).send().await.unwrap().json().await.unwrap();
    answer["verification_status"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn genuine_forged_and_rotated() {
    let shop = Shop::new().await;
    let mut urls = Vec::new();
    for (invoice, script, wanted) in [
        ("e-1", json!({}), "SUCCESS"),
        ("e-2", json!({ "rotated_key": "second" }), "SUCCESS"),
        ("e-3", json!({ "webhook": "bad_signature" }), "FAILURE"),
    ] {
        let before = shop.kit.receiver.notes().len();
        shop.open_with(invoice, script).await;
        shop.act(invoice, "pay").await;
        let note = shop.kit.receiver.wait_for_notes(before + 1).await.remove(before);
        assert_eq!((note.provider.as_str(), note.header("paypal-auth-algo")), ("paypal", "SHA256withRSA"));
        assert_eq!(note.json()["resource"]["purchase_units"][0]["invoice_id"], invoice);
        assert_eq!(verified(&shop, &note, "WH-SANDBOX").await, wanted);
        assert_eq!(verified(&shop, &note, "WH-OTHER").await, "FAILURE");
        let spaced = Note { body: note.body.replacen(':', ": ", 1), ..note.clone() };
        assert_eq!(verified(&shop, &spaced, "WH-SANDBOX").await, "FAILURE", "the body counts as it was written");
        urls.push(note.header("paypal-cert-url").to_owned());
    }
    assert_eq!(urls[0], urls[2]);
    assert_ne!(urls[0], urls[1], "a new key has a new URL");
    let certificates = |url: String| {
        let request = shop.kit.http.get(url);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let (first, second) = (certificates(urls[0].clone()).await, certificates(urls[1].clone()).await);
    assert_eq!(first.matches("BEGIN CERTIFICATE").count(), 2);
    assert_ne!(first, second);
    let authority = certificates(format!("{}/_control/paypal/ca.pem", shop.kit.base)).await;
    assert!(first.ends_with(&authority) && second.ends_with(&authority));
    assert_eq!(shop.kit.http.get(format!("{}x", urls[0])).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn an_order_lapses_after_three_hours() {
    let shop = Shop::new().await;
    let (waiting, approved) = (shop.open("l-1").await, shop.open("l-2").await);
    shop.act("l-2", "pay").await;
    shop.kit.receiver.wait_for_notes(1).await;
    shop.kit.post("/clock", json!({ "offset_s": 10_900 })).await;
    let notes = shop.kit.receiver.wait_for_notes(2).await;
    assert_eq!(kinds(&notes), ["CHECKOUT.ORDER.APPROVED", "CHECKOUT.PAYMENT-APPROVAL.REVERSED"]);
    for order in [&waiting, &approved] {
        let (status, answer) = shop.capture(order).await;
        assert_eq!((status, issue(&answer)), (422, "ORDER_EXPIRED"));
        assert_eq!(shop.order(order).await["status"], "VOIDED");
    }
    assert_eq!(shop.kit.receiver.settled_notes().await.len(), 2);
}

#[tokio::test]
async fn lost_events_are_listed_and_sent_again() {
    let shop = Shop::new().await;
    let capture = shop.paid("n-1", json!({ "webhook": "never" })).await;
    assert!(shop.kit.receiver.settled_notes().await.is_empty());
    let path = "/v1/notifications/webhooks-events";
    let (_, list) = shop.get(&format!("{path}?event_type=PAYMENT.CAPTURE.COMPLETED")).await;
    assert_eq!((&list["count"], &list["events"][0]["resource"]["id"]), (&json!(1), &capture["id"]));
    assert_eq!(shop.get(path).await.1["count"], 2);
    let id = list["events"][0]["id"].as_str().unwrap();
    let again = shop.call(Method::POST, &format!("{path}/{id}/resend"), None, None).await;
    assert_eq!(again.status(), 202);
    let note = shop.kit.receiver.wait_for_notes(1).await.remove(0);
    assert_eq!(
        (note.json()["id"].as_str(), verified(&shop, &note, "WH-SANDBOX").await.as_str()),
        (Some(id), "SUCCESS")
    );
    assert_eq!(shop.get(path).await.1["count"], 2);
}

#[tokio::test]
async fn the_approval_may_come_before_the_answer_and_a_denial_after_the_success() {
    let shop = Shop::new().await;
    let script = json!({ "webhook_before_create_answer": true, "failure_after_success": true });
    let order = shop.open_with("o-1", script).await;
    assert_eq!(kinds(&shop.kit.receiver.notes()), ["CHECKOUT.ORDER.APPROVED"]);
    assert_eq!(shop.capture(&order).await.0, 201);
    let mut seen = kinds(&shop.kit.receiver.wait_for_notes(3).await);
    seen.sort();
    assert_eq!(seen, ["CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.DENIED"]);
    assert_eq!(shop.order(&order).await["purchase_units"][0]["payments"]["captures"][0]["status"], "COMPLETED");
}
