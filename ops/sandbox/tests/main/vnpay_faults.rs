//! VNPay's payments as scripts spoil them.

use std::time::Duration;

use provider_sandbox::signature::sign_sha512;
use serde_json::json;

use crate::journal::Scratch;
use crate::kit::Kit;
use crate::vnpay::{OK, SECRET, are, goal, open, payment, press, told, visit};
use crate::vnpay_api::{back, code, date, is, paid, question, script, send, sign, standing};

#[tokio::test]
async fn calls_that_fail_have_no_effect() {
    let kit = Kit::new().await;
    kit.post("/next", json!({ "provider": "vnpay", "script": { "http_500_times": 1, "html": 1 } })).await;
    let fields = payment(&kit, "K-1").await;
    assert_eq!(visit(&kit, &fields).await.status(), 500);
    let page = visit(&kit, &fields).await;
    assert!(page.status() == 200 && page.text().await.unwrap().contains("right back"));
    assert_eq!(visit(&kit, &fields).await.status(), 303);
    script(&kit, "K-1", json!({ "http_500_times": 1, "html": 1 })).await;
    let asked = sign(question(&kit, "k", "K-1", &date(&kit, "K-1").await).await);
    assert_eq!(send(&kit, &asked).await.unwrap().status(), 500);
    assert!(send(&kit, &asked).await.unwrap().text().await.unwrap().starts_with("<!doctype html>"));
    assert_eq!(code(&kit, asked.clone()).await, "00", "the id was not used up");
    script(&kit, "K-1", json!({ "silent": true })).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), send(&kit, &asked)).await.is_err());
}

#[tokio::test]
async fn ipns_go_wrong_as_scripted() {
    let kit = Kit::new().await;
    for (reference, mode) in [("L-1", "never"), ("L-2", "late"), ("L-3", "twice"), ("L-4", "bad_signature")] {
        script(&kit, reference, json!({ "webhook": mode })).await;
    }
    paid(&kit, "L-1").await;
    paid(&kit, "L-2").await;
    assert!(kit.receiver.settled_notes().await.is_empty());
    assert_eq!(standing(&kit, "L-2").await, is("01", "00", "10000000"));
    paid(&kit, "L-3").await;
    let notes = kit.receiver.wait_for_notes(2).await;
    assert_eq!(notes[0].query, notes[1].query);
    paid(&kit, "L-4").await;
    let note = kit.receiver.wait_for_notes(3).await.remove(2);
    let (text, hash) = note.query.split_once("&vnp_SecureHash=").unwrap();
    assert_ne!(hash, sign_sha512(SECRET, text));
    kit.post("/clock", json!({ "offset_s": 902 })).await;
    assert_eq!(told(&kit.receiver.wait_for_notes(4).await[3]), are("00", "00"));
}

#[tokio::test]
async fn money_goes_wrong_as_scripted() {
    let kit = Kit::new().await;
    script(&kit, "M-1", json!({ "wrong_amount": 7_000 })).await;
    paid(&kit, "M-1").await;
    assert!(kit.receiver.wait_for_notes(1).await[0].query.starts_with("vnp_Amount=700000&"));
    assert_eq!(standing(&kit, "M-1").await, is("01", "00", "700000"));
    script(&kit, "M-2", json!({ "capture": "pending", "capture_delay_ms": 60_000 })).await;
    let page = open(&kit, "M-2").await;
    let goal_of_pay = press(&kit, &page, "pay").await;
    assert!(goal_of_pay.contains("vnp_ResponseCode=00&") && goal_of_pay.contains("vnp_TransactionStatus=01&"));
    assert_eq!(standing(&kit, "M-2").await, is("01", "01", "10000000"));
    assert_eq!(kit.receiver.settled_notes().await.len(), 1);
    kit.post("/payments/vnpay/M-2/settle", json!({ "outcome": "failed" })).await;
    assert_eq!(told(&kit.receiver.wait_for_notes(2).await[1]), are("99", "02"));
    assert_eq!(standing(&kit, "M-2").await, is("01", "02", "10000000"));
    script(&kit, "M-3", json!({ "failure_after_success": true, "webhook": "out_of_order", "delay_ms": 50 })).await;
    paid(&kit, "M-3").await;
    let notes = kit.receiver.wait_for_notes(3).await;
    assert_eq!(told(&notes[2]), are("24", "02"), "the failure overtakes the success");
    open(&kit, "M-4").await;
    kit.post("/payments/vnpay/M-4/expire", json!({})).await;
    kit.post("/payments/vnpay/M-4/pay", json!({ "force": true })).await;
    assert_eq!(standing(&kit, "M-4").await, is("01", "00", "10000000"), "money comes after the end");
}

#[tokio::test]
async fn a_payment_may_be_paid_before_its_page_is_shown() {
    let kit = Kit::new().await;
    kit.script_default(json!({ "webhook_before_create_answer": true })).await;
    let fields = payment(&kit, "N-1").await;
    kit.receiver.answer_note(200, OK);
    let page = goal(&visit(&kit, &fields).await);
    assert_eq!(told(&kit.receiver.notes()[0]), are("00", "00"));
    assert!(page.starts_with("/checkout/vnpay/"), "{page}");
    kit.script_default(json!({ "auto_pay_ms": 20 })).await;
    open(&kit, "N-2").await;
    assert_eq!(told(&kit.receiver.wait_for_notes(2).await[1]), are("00", "00"));
    kit.script_default(json!({ "capture": "fail" })).await;
    let page = open(&kit, "N-3").await;
    assert!(press(&kit, &page, "pay").await.contains("vnp_ResponseCode=51"));
}

#[tokio::test]
async fn a_restart_keeps_a_payment_with_its_date_and_refund() {
    let scratch = Scratch::new("vnpay");
    let kit = Kit::with(scratch.settings()).await;
    paid(&kit, "O-1").await;
    assert_eq!(code(&kit, sign(back(&kit, "r", "O-1").await)).await, "00");
    kit.sandbox.stop().await;
    let kit = Kit::with(scratch.settings()).await;
    kit.post("/clock", json!({ "offset_s": 5 })).await;
    for _ in 0..500 {
        if kit.get("/summary").await["transfers"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(standing(&kit, "O-1").await, is("02", "00", "10000000"));
}
