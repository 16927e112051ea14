//! ZaloPay's callbacks, and orders as scripts spoil them.

use std::time::Duration;

use provider_sandbox::signature::sign;
use serde_json::json;

use crate::kit::Kit;
use crate::zalopay::{
    KEY2, back, call, codes, open, order, paid, press, reference, script, send, signed, standing, verified,
};

#[tokio::test]
async fn a_callback_is_called_again_only_while_the_answer_is_0() {
    let kit = Kit::new().await;
    assert_eq!(kit.get("/webhook?provider=zalopay").await["retry_ms"].as_array().unwrap().len(), 2);
    kit.post("/webhook?provider=zalopay", json!({ "retry_ms": [10, 10] })).await;
    let mut before = 0;
    let cases: [(&[&str], &str); 6] = [
        (&["0", "0", "0"], "given_up"),
        (&["0", "1"], "delivered"),
        (&["2"], "given_up"),
        (&["-1"], "given_up"),
        (&["x"], "given_up"),
        (&["1"], "delivered"),
    ];
    for (name, (answers, state)) in cases.into_iter().enumerate() {
        for code in answers {
            kit.receiver.answer_note(200, &format!(r#"{{"return_code":{code}}}"#));
        }
        press(&kit, &open(&kit, &name.to_string()).await, "pay").await;
        before += answers.len();
        let notes = kit.receiver.wait_for_notes(before).await;
        assert!(notes[before - answers.len()..].iter().all(|note| note.body == notes[before - 1].body));
        assert_eq!(kit.receiver.settled_notes().await.len(), before);
        let seen = kit.get(&format!("/payments/zalopay/{}", reference(&kit, &name.to_string()).await)).await;
        assert_eq!(seen["deliveries"][0]["state"], state);
    }
}

#[tokio::test]
async fn an_order_may_name_its_callback_and_no_redirect() {
    let kit = Kit::new().await;
    kit.post("/webhook?provider=zalopay", json!({ "url": "http://127.0.0.1:1/" })).await;
    let mut body = order(&kit, "1").await;
    body["embed_data"] = "{}".into();
    body["callback_url"] = kit.webhook_url.replace("/webhook", "/v1/payments/zalopay/notify").into();
    let page = call(&kit, "create", &signed(body)).await["order_url"].take();
    assert_eq!(press(&kit, page.as_str().unwrap(), "pay").await, page);
    verified(&kit.receiver.wait_for_notes(1).await[0]);
}

#[tokio::test]
async fn scripts_spoil_orders() {
    let kit = Kit::new().await;
    script(&kit, "1", json!({ "lose_create_answer": true, "webhook": "twice", "wrong_amount": 7 })).await;
    let body = signed(order(&kit, "1").await);
    assert!(send(&kit, "create", &body).await.is_err());
    assert_eq!(codes(&call(&kit, "create", &body).await), (2, -68));
    kit.post(&format!("/payments/zalopay/{}/pay", reference(&kit, "1").await), json!({})).await;
    let notes = kit.receiver.wait_for_notes(2).await;
    assert_eq!((&notes[0].body, &verified(&notes[1])["amount"]), (&notes[1].body, &json!(7)));
    assert_eq!(standing(&kit, "1").await["amount"], 7);
    script(&kit, "2", json!({ "http_500_times": 1, "html": 1, "webhook": "bad_signature" })).await;
    let body = signed(order(&kit, "2").await);
    let failed = send(&kit, "create", &body).await.unwrap();
    assert_eq!((failed.status().as_u16(), codes(&failed.json().await.unwrap())), (500, (2, -500)));
    assert!(send(&kit, "create", &body).await.unwrap().text().await.unwrap().starts_with("<!doctype html>"));
    paid(&kit, "2").await;
    let note = kit.receiver.wait_for_notes(3).await.remove(2).json();
    assert_ne!(note["mac"], sign(KEY2, note["data"].as_str().unwrap()));
    script(&kit, "3", json!({ "capture": "pending", "capture_delay_ms": 60_000, "failure_after_success": true })).await;
    let goal = press(&kit, &open(&kit, "3").await, "pay").await;
    let told = standing(&kit, "3").await;
    assert_eq!((back(&goal).0.as_str(), codes(&told), &told["is_processing"]), ("3", (3, 3), &json!(true)));
    kit.post(&format!("/payments/zalopay/{}/settle", reference(&kit, "3").await), json!({})).await;
    verified(&kit.receiver.wait_for_notes(4).await[3]);
    script(&kit, "4", json!({ "webhook_before_create_answer": true })).await;
    open(&kit, "4").await;
    verified(&kit.receiver.notes()[4]);
    script(&kit, "4", json!({ "silent": true })).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), standing(&kit, "4")).await.is_err());
    script(&kit, "5", json!({ "webhook": "never" })).await;
    paid(&kit, "5").await;
    assert_eq!((kit.receiver.settled_notes().await.len(), codes(&standing(&kit, "5").await)), (5, (1, 1)));
}
