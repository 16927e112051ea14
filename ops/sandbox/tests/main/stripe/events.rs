//! Events: their form, their signatures, the ways in which they go wrong, and the list of them.

use provider_sandbox::stripe::signing;
use serde_json::{Value, json};

use super::{act, get, kinds, open};
use crate::kit::{Kit, Note};

const FIRST: &str = "whsec_sandbox";
const SECOND: &str = "whsec_sandbox_second";

/// Which of the two secrets made each v1 of a notification; neither is a question mark.
fn signers(note: &Note) -> String {
    let parts: Vec<(&str, &str)> =
        note.header("stripe-signature").split(',').map(|part| part.split_once('=').unwrap()).collect();
    let seconds: i64 = parts[0].1.parse().unwrap();
    assert_eq!(parts[0].0, "t");
    let sign = |secret| signing::sign(secret, seconds, &note.body);
    let v1 = parts.iter().filter(|(scheme, _)| *scheme == "v1");
    v1.map(|(_, given)| match *given {
        given if given == sign(FIRST) => '1',
        given if given == sign(SECOND) => '2',
        _ => '?',
    })
    .collect()
}

#[test]
fn vectors() {
    let node = signing::sign("whsec_test_secret", 1_492_774_577, r#"{"id":"evt_test_webhook","object":"event"}"#);
    assert_eq!(node, "88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a");
    let body = r#"{"account":"acct_123","api_version":"2017-05-25","created":1533204620,"data":{"object":{"amount":1000,"currency":"usd","customer":"cus_123","date":1533204620,"description":"Test Invoice Item","discountable":false,"id":"ii_123","invoice":"in_123","livemode":false,"metadata":{},"object":"invoiceitem","period":{"end":1533204620,"start":1533204620},"proration":false,"quantity":3}},"id":"evt_123","livemode":false,"object":"event","pending_webhooks":1,"request":{"id":"req_123","idempotency_key":"idempotency-key-123"},"type":"invoiceitem.created"}"#;
    let rust = signing::sign("secret", 1_533_204_620, body);
    assert_eq!(rust, "5a81ebe328da1df19581cbc6c7377920947ffd30b56eebcc7ba9a6938a090965");
}

#[tokio::test]
async fn the_form_of_an_event() {
    let kit = Kit::new().await;
    let made = open(&kit, "k-1").await;
    act(&kit, "k-1", "pay").await;
    let note = kit.receiver.wait_for_notes(1).await.remove(0);
    assert_eq!((note.provider.as_str(), note.method.as_str(), note.query.as_str()), ("stripe", "POST", ""));
    assert_eq!(signers(&note), "1");
    let event = note.json();
    assert!(event["id"].as_str().unwrap().starts_with("evt_") && note.body.contains("\n  "));
    assert_eq!((&event["api_version"], &event["livemode"]), (&json!(super::VERSION), &json!(false)));
    assert_eq!(event["data"]["object"]["id"], made["id"]);
    assert_eq!(event["data"]["object"], super::session(&kit, &made).await);
}

#[tokio::test]
async fn a_secret_is_rolled() {
    let kit = Kit::new().await;
    for (reference, script, wanted) in [
        ("l-1", json!({ "rotated_key": "both" }), "21"),
        ("l-2", json!({ "rotated_key": "second" }), "2"),
        ("l-3", json!({ "webhook": "bad_signature" }), "?"),
        ("l-4", json!({ "rotated_key": "both", "webhook": "bad_signature" }), "??"),
    ] {
        let before = kit.receiver.notes().len();
        kit.post("/next", json!({ "script": script })).await;
        open(&kit, reference).await;
        act(&kit, reference, "pay").await;
        let note = kit.receiver.wait_for_notes(before + 1).await.remove(before);
        assert_eq!(signers(&note), wanted);
    }
}

#[tokio::test]
async fn a_retry_is_signed_anew() {
    let kit = Kit::new().await;
    kit.control(reqwest::Method::POST, "/webhook?provider=stripe", json!({ "retry_ms": [1_100] })).await;
    kit.receiver.answer_note(500, "");
    open(&kit, "m-1").await;
    act(&kit, "m-1", "pay").await;
    let notes = kit.receiver.wait_for_notes(2).await;
    assert_eq!(notes[0].body, notes[1].body);
    assert_ne!(notes[0].header("stripe-signature"), notes[1].header("stripe-signature"));
    assert_eq!(signers(&notes[1]), "1");
}

#[tokio::test]
async fn the_refund_overtakes_the_payment() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "webhook": "out_of_order", "delay_ms": 3_600_000 })).await;
    let made = open(&kit, "n-1").await;
    act(&kit, "n-1", "pay").await;
    let intent = super::session(&kit, &made).await["payment_intent"].as_str().unwrap().to_owned();
    super::post(&kit, "/v1/refunds", &format!("payment_intent={intent}")).await;
    assert_eq!(kinds(&kit.receiver.wait_for_notes(1).await), ["charge.refunded"]);
    kit.post("/clock", json!({ "offset_s": 3_601 })).await;
    assert_eq!(kinds(&kit.receiver.wait_for_notes(2).await), ["charge.refunded", "checkout.session.completed"]);
}

#[tokio::test]
async fn twice_never_and_a_failure_after_the_success() {
    let kit = Kit::new().await;
    for (reference, script) in [
        ("o-1", json!({ "webhook": "twice" })),
        ("o-2", json!({ "webhook": "never" })),
        ("o-3", json!({ "failure_after_success": true })),
    ] {
        kit.post("/next", json!({ "script": script })).await;
        open(&kit, reference).await;
        act(&kit, reference, "pay").await;
    }
    kit.receiver.wait_for_notes(4).await;
    let notes = kit.receiver.settled_notes().await;
    let of = |reference: &str| -> Vec<Value> {
        let deliveries = notes.iter().map(Note::json);
        deliveries.filter(|event| event["data"]["object"]["client_reference_id"] == reference).collect()
    };
    assert_eq!((of("o-1").len(), of("o-2").len(), of("o-3").len()), (2, 0, 1));
    assert_eq!(of("o-1")[0], of("o-1")[1]);
    assert!(kinds(&notes).contains(&"payment_intent.payment_failed".to_owned()));
    // The list has what was never sent, and each event once.
    let (_, list) = get(&kit, "/v1/events?types[0]=checkout.session.completed&limit=100").await;
    assert_eq!((list["data"].as_array().unwrap().len(), &list["has_more"]), (3, &json!(false)));
    let (_, all) = get(&kit, "/v1/events?limit=1").await;
    assert_eq!((&all["has_more"], &all["data"][0]["type"]), (&json!(true), &json!("payment_intent.payment_failed")));
    let next = format!("/v1/events?limit=100&starting_after={}", all["data"][0]["id"].as_str().unwrap());
    assert_eq!(get(&kit, &next).await.1["data"].as_array().unwrap().len(), 3);
    let later = list["data"][0]["created"].as_i64().unwrap();
    assert_eq!(get(&kit, &format!("/v1/events?created[gt]={later}")).await.1["data"], json!([]));
    let id = all["data"][0]["id"].as_str().unwrap();
    assert_eq!(get(&kit, &format!("/v1/events/{id}")).await.1, all["data"][0]);
    assert_eq!(get(&kit, "/v1/events?limit=0").await.0, 400);
}
