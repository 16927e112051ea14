//! ZaloPay's refunds: taken first, made later.

use provider_sandbox::signature::sign;
use provider_sandbox::zalopay::signing;
use serde_json::{Value, json};

use crate::journal::Scratch;
use crate::kit::Kit;
use crate::zalopay::{KEY1, call, codes, now, paid, reference, script, send, standing, text};

/// A refund's name of today.
async fn name(kit: &Kit, last: &str) -> String {
    reference(kit, &format!("2553_{last}")).await
}

/// A refund in order, without its mac.
async fn refund(kit: &Kit, order: &str, last: &str, amount: i64) -> Value {
    json!({
        "app_id": 2553, "m_refund_id": name(kit, last).await, "description": "Trả vé", "amount": amount,
        "zp_trans_id": standing(kit, order).await["zp_trans_id"].to_string(),
        "timestamp": now(kit).await.as_millisecond(),
    })
}

fn signed(mut body: Value) -> Value {
    let fee = body.get("refund_fee_amount").is_some();
    let names = if fee { &signing::REFUND_WITH_FEE[..] } else { &signing::REFUND[..] };
    body["mac"] = sign(KEY1, &text(&body, names)).into();
    body
}

async fn ask(kit: &Kit, order: &str, last: &str, amount: i64) -> (i64, i64) {
    codes(&call(kit, "refund", &signed(refund(kit, order, last, amount).await)).await)
}

async fn stands(kit: &Kit, last: &str) -> (i64, i64) {
    let mut body = json!({
        "app_id": 2553, "m_refund_id": name(kit, last).await, "timestamp": now(kit).await.as_millisecond(),
    });
    body["mac"] = sign(KEY1, &text(&body, &signing::QUERY_REFUND)).into();
    codes(&call(kit, "query_refund", &body).await)
}

async fn settle(kit: &Kit, order: &str) {
    kit.post(&format!("/payments/zalopay/{}/settle", reference(kit, order).await), json!({})).await;
}

#[tokio::test]
async fn parts_are_taken_and_made_later() {
    let kit = Kit::new().await;
    script(&kit, "1", json!({ "refund_delay_ms": 60_000 })).await;
    paid(&kit, "1").await;
    assert_eq!(stands(&kit, "a").await, (2, -101));
    let taken = call(&kit, "refund", &signed(refund(&kit, "1", "a", 4_000).await)).await;
    assert_eq!((codes(&taken), stands(&kit, "a").await), ((3, 2), (3, 2)));
    assert_eq!(ask(&kit, "1", "a", 4_000).await, (2, -23));
    assert_eq!(ask(&kit, "1", "b", 6_001).await, (2, -14));
    assert_eq!(ask(&kit, "1", "b", 0).await, (2, -14));
    kit.post("/clock", json!({ "offset_s": 61 })).await;
    for _ in 0..500 {
        if stands(&kit, "a").await == (1, 1) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(stands(&kit, "a").await, (1, 1));
    assert_eq!(ask(&kit, "1", "b", 6_000).await, (3, 2));
    settle(&kit, "1").await;
    assert_eq!(ask(&kit, "1", "c", 1).await, (2, -32));
    let movements = kit.get("/statement?provider=zalopay").await["movements"].clone();
    let amounts: Vec<_> = movements.as_array().unwrap().iter().map(|it| it["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [10_000, -4_000, -6_000]);
    assert_eq!(movements[1]["reference"], name(&kit, "a").await, "the name that both sides know");
    assert_eq!(kit.receiver.settled_notes().await.len(), 1, "no callback tells of a refund");
}

#[tokio::test]
async fn what_is_wrong_with_a_refund() {
    let kit = Kit::new().await;
    paid(&kit, "1").await;
    let right = refund(&kit, "1", "a", 1_000).await;
    let wrong = [
        ("app_id", json!(1), -402),
        ("m_refund_id", json!("x"), -401),
        ("m_refund_id", json!("200904_1_x"), -401),
        ("m_refund_id", json!(format!("{}{}", name(&kit, "a").await, "x".repeat(40))), -401),
        ("zp_trans_id", json!("200904000000389"), -101),
        ("zp_trans_id", json!("1234567890123456"), -401),
        ("zp_trans_id", Value::Null, -401),
        ("amount", json!("1000"), -401),
        ("amount", json!(0.5), -401),
        ("amount", json!(-1), -14),
        ("amount", json!(10_001), -14),
        ("description", json!("x".repeat(101)), -401),
        ("timestamp", json!(right["timestamp"].as_i64().unwrap() - 1_000_000), -13),
        ("refund_fee_amount", json!(1_000), -14),
        ("refund_fee_amount", json!("1"), -401),
    ];
    for (name, value, sub) in wrong {
        let mut body = right.clone();
        body[name] = value;
        assert_eq!(codes(&call(&kit, "refund", &signed(body.clone())).await), (2, sub), "{body}");
    }
    let mut forged = signed(right.clone());
    forged["amount"] = 2_000.into();
    assert_eq!(codes(&call(&kit, "refund", &forged).await), (2, -402));
    let mut unsigned = json!({ "app_id": 2553, "m_refund_id": "200904_2553_x", "timestamp": 1 });
    assert_eq!(codes(&call(&kit, "query_refund", &unsigned).await), (2, -402));
    unsigned["timestamp"] = "1".into();
    assert_eq!(codes(&call(&kit, "query_refund", &unsigned).await), (2, -401));
    let mut fee = right;
    fee["refund_fee_amount"] = 100.into();
    assert_eq!(codes(&call(&kit, "refund", &signed(fee)).await), (3, 2));
}

#[tokio::test]
async fn scripts_spoil_refunds() {
    let kit = Kit::new().await;
    script(&kit, "1", json!({ "refund": "fail", "refund_delay_ms": 60_000 })).await;
    paid(&kit, "1").await;
    assert_eq!(ask(&kit, "1", "a", 10_000).await, (3, 2));
    settle(&kit, "1").await;
    assert_eq!(stands(&kit, "a").await, (2, -217));
    assert_eq!(ask(&kit, "1", "a", 10_000).await, (2, -23), "its name is used up");
    script(&kit, "2", json!({ "refund_lost": "504", "refund_delay_ms": 60_000 })).await;
    paid(&kit, "2").await;
    let body = signed(refund(&kit, "2", "b", 10_000).await);
    assert_eq!(send(&kit, "refund", &body).await.unwrap().status(), 504);
    assert_eq!(codes(&call(&kit, "refund", &body).await), (2, -23));
    assert_eq!(stands(&kit, "b").await, (3, 2));
    paid(&kit, "3").await;
    let body = signed(refund(&kit, "3", "c", 10_000).await);
    script(&kit, "3", json!({ "http_500_times": 1, "html": 1 })).await;
    assert_eq!(send(&kit, "refund", &body).await.unwrap().status(), 500);
    assert!(send(&kit, "refund", &body).await.unwrap().text().await.unwrap().starts_with("<!doctype html>"));
    assert_eq!(codes(&call(&kit, "refund", &body).await), (3, 2), "neither failure had an effect");
}

#[tokio::test]
async fn a_restart_keeps_order_and_refund() {
    let scratch = Scratch::new("zalopay");
    let kit = Kit::with(scratch.settings()).await;
    script(&kit, "1", json!({ "refund_delay_ms": 60_000 })).await;
    paid(&kit, "1").await;
    assert_eq!(ask(&kit, "1", "a", 10_000).await, (3, 2));
    kit.sandbox.stop().await;
    let kit = Kit::with(scratch.settings()).await;
    assert_eq!((codes(&standing(&kit, "1").await), stands(&kit, "a").await), ((1, 1), (3, 2)));
    settle(&kit, "1").await;
    assert_eq!(stands(&kit, "a").await, (1, 1));
}
