//! Money that goes back, against a server that answers what it is told.

use serde_json::{Value, json};

use super::super::stub::{no, not_yet, paid, refund, told, zalopay, zalopay_at};
use super::super::vectors::{KEY1_OF_2553, REFUND};
use super::*;
use crate::payments::gateway::PaymentGateway;
use crate::payments::scripted::{Scripted, answer, cut};

const NAME: &str = "261011_2553_00000000000000000000000000000009";

fn yes() -> String {
    told(json!({ "return_code": 1, "sub_return_code": 1, "refund_id": 5 }))
}

fn running() -> String {
    told(json!({ "return_code": 3, "sub_return_code": 2, "refund_id": 5 }))
}

async fn refunded(amount: i64, answers: Vec<String>) -> (Result<Refunded, GatewayError>, Vec<String>, Value) {
    let server = Scripted::fixed(answers).await;
    let result = zalopay(&server).refund(&refund(amount)).await;
    let asked = server.asked();
    let paths = asked.iter().map(|it| it.head.split(' ').nth(1).unwrap().to_owned()).collect();
    let sent = asked.iter().find(|it| it.head.starts_with("POST /v2/refund "));
    (result, paths, sent.map_or(Value::Null, |it| serde_json::from_str(&it.body).unwrap()))
}

fn done() -> Refunded {
    Refunded::Done { reference: NAME.to_owned() }
}

#[test]
fn a_refund_is_signed_as_the_sdk_signs_it() {
    let key1 = MacKey::new(KEY1_OF_2553);
    let signed = mac(&key1, 2553, "200904000000389", 10_000, "ZaloPay Refund Demo", 1_599_189_500_000);
    assert_eq!(signed, REFUND.1);
}

#[tokio::test]
async fn a_refund_is_asked_after_before_and_afterwards() {
    for (amount, answered, expected) in
        [(150_000, yes(), done()), (1, yes(), done()), (150_000, running(), Refunded::Pending)]
    {
        let (result, paths, sent) = refunded(amount, vec![no(-101), paid(), running(), answered]).await;
        assert_eq!(result.unwrap(), expected);
        assert_eq!(paths, ["/v2/query_refund", "/v2/query", "/v2/refund", "/v2/query_refund"]);
        for (name, value) in [
            ("m_refund_id", json!(NAME)),
            ("zp_trans_id", json!("261011000000389")),
            ("amount", json!(amount)),
            ("app_id", json!(2553)),
        ] {
            assert_eq!(sent[name], value, "{name}");
        }
        let names = ["app_id", "zp_trans_id", "amount", "description", "timestamp"];
        let texts = names.map(|name| sent[name].as_str().map_or_else(|| sent[name].to_string(), ToOwned::to_owned));
        assert_eq!(sent["mac"], json!(MacKey::new(KEY1_OF_2553).sign(&texts.join("|"))));
        assert!(sent["description"].as_str().unwrap().len() <= 100);
    }
}

#[tokio::test]
async fn a_refund_that_is_there_is_not_made_again() {
    for (found, expected) in [(yes(), done()), (running(), Refunded::Pending)] {
        let (result, paths, _) = refunded(150_000, vec![found]).await;
        assert_eq!((result.unwrap(), paths.len()), (expected, 1));
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_asked_after() {
    for (found, expected) in [
        (yes(), done()),
        (running(), Refunded::Pending),
        (no(-101), Refunded::Pending),
        (cut(), Refunded::Pending),
        (no(-13), failed("-13")),
    ] {
        let (result, paths, _) = refunded(150_000, vec![no(-13), paid(), no(-23), found]).await;
        assert_eq!((result.unwrap(), paths.len()), (expected, 4));
    }
}

#[tokio::test]
async fn what_zalopay_refuses_a_person_has_to_do() {
    for code in ["-13", "-14", "-32", "-101"] {
        let (result, ..) = refunded(150_000, vec![no(-101), paid(), no(code.parse().unwrap())]).await;
        assert_eq!(result.unwrap(), failed(code));
    }
    for (found, code) in [(no(-101), "no-such-order"), (not_yet(false), "not-paid"), (no(-54), "not-paid")] {
        let (result, paths, _) = refunded(150_000, vec![no(-101), found]).await;
        assert_eq!((result.unwrap(), paths.len()), (failed(code), 2));
    }
    for amount in [0, -1, 150_001] {
        let (result, paths, _) = refunded(amount, vec![no(-101), paid()]).await;
        assert_eq!((result.unwrap(), paths.len()), (failed("amount-out-of-range"), 2));
    }
}

#[tokio::test]
async fn what_was_not_answered_is_in_doubt_only_once_it_was_asked_for() {
    for early in [vec![cut()], vec![no(-101), cut()], vec![no(-500)], vec![no(-101), paid(), no(-429)]] {
        let (result, ..) = refunded(150_000, early).await;
        assert!(matches!(result, Err(GatewayError::Unavailable { .. })), "{result:?}");
    }
    for lost in [cut(), answer("500 Oh", ""), answer("200 OK", "<html>"), no(-500), told(json!({ "return_code": 7 }))] {
        let (result, ..) = refunded(150_000, vec![no(-101), paid(), lost]).await;
        assert!(matches!(result, Err(GatewayError::Ambiguous(_))), "{result:?}");
    }
    for refused in [vec![no(-402)], vec![no(-101), paid(), no(-402)]] {
        let (result, ..) = refunded(150_000, refused).await;
        assert!(matches!(result, Err(GatewayError::Refused { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_name() {
    let server = Scripted::fixed([no(-101), paid(), cut(), no(-23), yes()]).await;
    let result = zalopay_at(&server.url, |calls| calls.attempts = 2).refund(&refund(150_000)).await;
    assert_eq!(result.unwrap(), done());
    let asked = server.asked();
    assert_eq!(asked[2].body, asked[3].body);
}

#[tokio::test]
async fn who_was_never_sent_to_a_page_has_nothing_to_get_back() {
    let server = Scripted::fixed([]).await;
    let mut nameless = refund(1);
    nameless.attempt.reference = None;
    assert!(matches!(zalopay(&server).refund(&nameless).await, Err(GatewayError::NotFound)));
    assert_eq!(server.calls(), 0);
}
