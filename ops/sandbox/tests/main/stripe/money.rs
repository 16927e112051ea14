//! Refunds, and money that takes its time.

use serde_json::{Value, json};

use super::{act, call, get, kinds, open, post, read, session};
use crate::kit::Kit;

async fn paid(kit: &Kit, reference: &str, script: Value) -> String {
    kit.control(reqwest::Method::PUT, &format!("/payments/stripe/{reference}/script"), script).await;
    let made = open(kit, reference).await;
    act(kit, reference, "pay").await;
    session(kit, &made).await["payment_intent"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn parts_of_it_until_nothing_is_left() {
    let kit = Kit::new().await;
    let intent = paid(&kit, "g-1", json!({})).await;
    let refund = |rest: &'static str| {
        let body = format!("payment_intent={intent}{rest}");
        let kit = &kit;
        async move { post(kit, "/v1/refunds", &body).await }
    };
    let (status, part) = refund("&amount=50000&reason=duplicate&metadata[refund]=r-1").await;
    assert_eq!((status, &part["status"], &part["amount"]), (200, &json!("succeeded"), &json!(50_000)));
    assert_eq!((&part["metadata"]["refund"], &part["payment_intent"]), (&json!("r-1"), &json!(intent)));
    let (status, problem) = refund("&amount=100001").await;
    assert_eq!((status, &problem["error"]["param"]), (400, &json!("amount")));
    let (_, rest) = refund("").await;
    assert_eq!(rest["amount"], 100_000);
    let (status, problem) = refund("").await;
    assert_eq!((status, &problem["error"]["code"]), (400, &json!("charge_already_refunded")));
    for wrong in ["&amount=0", "&amount=1.5", "&reason=bored", "&colour=red", "&charge=ch_1"] {
        assert_eq!(refund(wrong).await.0, 400, "{wrong}");
    }
    let (status, problem) = post(&kit, "/v1/refunds", "payment_intent=pi_nothing").await;
    assert_eq!((status, &problem["error"]["code"]), (400, &json!("resource_missing")));
    let (_, list) = get(&kit, &format!("/v1/refunds?payment_intent={intent}&limit=1")).await;
    assert_eq!((list["data"].as_array().unwrap().len(), &list["has_more"]), (1, &json!(true)));
    let (_, one) = get(&kit, &format!("/v1/refunds/{}", part["id"].as_str().unwrap())).await;
    assert_eq!(one, part);
    let notes = kit.receiver.wait_for_notes(3).await;
    let charges: Vec<_> =
        notes.iter().map(|note| note.json()).filter(|event| event["type"] == "charge.refunded").collect();
    assert!(charges.iter().any(|event| event["data"]["object"]["refunded"] == true), "{charges:?}");
    let statement = kit.csv("csv").await;
    assert!(
        statement[2].starts_with("stripe,refund,re_") && statement[2].contains(",g-1,-50000,VND,0,"),
        "{statement:?}"
    );
    assert_eq!(kit.get("/summary").await["money"], json!({ "VND": 0 }));
}

#[tokio::test]
async fn a_refund_may_wait_and_then_be_paid_out_or_fail() {
    let kit = Kit::new().await;
    for (reference, script, after, kind) in
        [("h-1", "pending", "succeeded", "refund.updated"), ("h-2", "pending_fail", "failed", "refund.failed")]
    {
        let before = kit.receiver.notes().len();
        let intent = paid(&kit, reference, json!({ "refund": script, "refund_delay_ms": 3_600_000 })).await;
        let (_, refund) = post(&kit, "/v1/refunds", &format!("payment_intent={intent}")).await;
        assert_eq!(refund["status"], "pending");
        act(&kit, reference, "settle").await;
        let (_, settled) = get(&kit, &format!("/v1/refunds/{}", refund["id"].as_str().unwrap())).await;
        assert_eq!(settled["status"], after);
        assert_eq!(settled["failure_reason"].is_string(), after == "failed");
        let notes = kit.receiver.wait_for_notes(before + if after == "failed" { 4 } else { 3 }).await;
        assert!(kinds(&notes[before..]).contains(&kind.to_owned()), "{:?}", kinds(&notes));
    }
    let amounts: Vec<_> =
        kit.get("/statement").await["movements"].as_array().unwrap().iter().map(|it| it["amount"].clone()).collect();
    assert_eq!(Value::from(amounts), json!([150_000, -150_000, 150_000]));
}

#[tokio::test]
async fn a_refused_refund_and_a_lost_answer() {
    let kit = Kit::new().await;
    let intent = paid(&kit, "i-1", json!({ "refund": "fail" })).await;
    let (status, refund) = post(&kit, "/v1/refunds", &format!("payment_intent={intent}")).await;
    assert_eq!((status, &refund["status"]), (200, &json!("failed")));
    let intent = paid(&kit, "i-2", json!({ "refund_lost": "504" })).await;
    let body = format!("payment_intent={intent}");
    let ask = || call(&kit, reqwest::Method::POST, "/v1/refunds", Some(&body), Some("refund-1"));
    assert_eq!(ask().await.status(), 504);
    let (status, replayed) = read(ask().await).await;
    assert_eq!((status, &replayed["status"]), (200, &json!("succeeded")));
    let (_, list) = get(&kit, &format!("/v1/refunds?payment_intent={intent}")).await;
    assert_eq!(list["data"], json!([replayed]));
}

#[tokio::test]
async fn money_that_takes_its_time() {
    let kit = Kit::new().await;
    for (reference, script, after, kind) in [
        ("j-1", "pending", "paid", "checkout.session.async_payment_succeeded"),
        ("j-2", "pending_fail", "unpaid", "checkout.session.async_payment_failed"),
    ] {
        let before = kit.receiver.notes().len();
        kit.post("/next", json!({ "script": { "capture": script, "capture_delay_ms": 3_600_000 } })).await;
        let made = open(&kit, reference).await;
        act(&kit, reference, "pay").await;
        let waiting = session(&kit, &made).await;
        assert_eq!((&waiting["status"], &waiting["payment_status"]), (&json!("complete"), &json!("unpaid")));
        act(&kit, reference, "settle").await;
        let settled = session(&kit, &made).await;
        assert_eq!((&settled["status"], &settled["payment_status"]), (&json!("complete"), &json!(after)));
        let notes = kit.receiver.wait_for_notes(before + if after == "paid" { 2 } else { 3 }).await;
        assert!(kinds(&notes[before..]).contains(&kind.to_owned()), "{:?}", kinds(&notes));
        let completed =
            notes[before..].iter().map(|note| note.json()).find(|it| it["type"] == "checkout.session.completed");
        assert_eq!(completed.unwrap()["data"]["object"]["payment_status"], "unpaid");
    }
    assert_eq!(kit.get("/summary").await["money"], json!({ "VND": 150_000 }));
}
