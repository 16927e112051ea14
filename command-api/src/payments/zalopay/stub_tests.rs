//! Against a server that answers what it is told: what becomes of every answer, and of none.

use domain::payment::{Movement, Standing};
use serde_json::{Value, json};

use super::stub::{
    REFERENCE, attempt, no, not_yet, over, paid, payment, refund, running, told, urls, zalopay, zalopay_at,
};
use super::vectors::{KEY1_OF_2553, KEY2_OF_2553, QUERY, QUERY_REFUND};
use http::header::CONTENT_TYPE;

use super::*;
use crate::payments::scripted::{SILENCE, Scripted, answer, cut};

fn created(url: &str) -> String {
    told(json!({ "return_code": 1, "sub_return_code": 1, "order_url": url, "zp_trans_token": "t" }))
}

async fn create(answers: impl IntoIterator<Item = String>) -> (Result<Intent, CreateError>, usize) {
    let server = Scripted::fixed(answers).await;
    let made = zalopay(&server).create(&payment(), &urls()).await;
    (made, server.calls())
}

async fn standing(answer: String, attempt: &Attempt) -> Standing {
    let server = Scripted::fixed([answer]).await;
    zalopay(&server).status(attempt).await.unwrap().standing
}

#[tokio::test]
async fn an_order_is_opened_under_our_name() {
    let server = Scripted::fixed([created("https://qcgateway.zalopay.vn/openinapp?order=x")]).await;
    let intent = zalopay(&server).create(&payment(), &urls()).await.unwrap();
    let sent: Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    assert_eq!(json!(intent.reference), sent["app_trans_id"]);
    assert_eq!((intent.reference.len(), intent.url.as_str()), (39, "https://qcgateway.zalopay.vn/openinapp?order=x"));
    assert!(server.asked()[0].head.starts_with("POST /v2/create "), "{}", server.asked()[0].head);
}

#[tokio::test]
async fn a_page_that_cannot_be_had_is_lost() {
    for answers in
        [vec![no(-68)], vec![created("")], vec![created("javascript:alert(1)")], vec![no(-1), not_yet(false)]]
    {
        let (made, _) = create(answers).await;
        assert!(matches!(&made, Err(CreateError::PageLost { reference }) if reference.len() == 39), "{made:?}");
    }
    let server = Scripted::fixed([cut(), no(-68)]).await;
    let made = zalopay_at(&server.url, |calls| calls.attempts = 2).create(&payment(), &urls()).await;
    assert!(matches!(made, Err(CreateError::PageLost { .. })), "the lost attempt opened it: {made:?}");
}

#[tokio::test]
async fn a_creation_whose_answer_cannot_be_believed_is_in_doubt() {
    for (wrong, calls) in [
        (answer("200 OK", "<html>"), 1),
        (answer("200 OK", "{}"), 1),
        (told(json!({ "return_code": 3 })), 1),
        (no(-500), 1),
        (answer("504 Late", ""), 1),
        (cut(), 1),
        (no(-1), 2),
    ] {
        let (made, made_calls) = create([wrong.clone()]).await;
        assert!(matches!(made, Err(CreateError::Ambiguous(_))), "{wrong}: {made:?}");
        assert_eq!(made_calls, calls, "{wrong}");
    }
    let (made, _) = create([no(-1), no(-402)]).await;
    assert!(matches!(made, Err(CreateError::Ambiguous(_))), "{made:?}");
}

#[tokio::test]
async fn a_silent_provider_leaves_doubt_and_nobody_there_means_not_sent() {
    let server = Scripted::fixed([SILENCE.to_owned(), SILENCE.to_owned(), no(-101), paid(), SILENCE.to_owned()]).await;
    let silent = zalopay_at(&server.url, |calls| calls.timeout = std::time::Duration::from_secs(1));
    assert!(matches!(silent.create(&payment(), &urls()).await, Err(CreateError::Ambiguous(_))));
    assert!(matches!(silent.close(&over(), "").await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(silent.refund(&refund(1)).await, Err(GatewayError::Ambiguous(_))));
    let nobody = zalopay_at("http://127.0.0.1:1", |_| {});
    assert!(matches!(nobody.create(&payment(), &urls()).await, Err(CreateError::Unavailable { .. })));
    assert!(matches!(nobody.status(&running()).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(nobody.refund(&refund(1)).await, Err(GatewayError::Unavailable { .. })));
}

#[tokio::test]
async fn what_zalopay_refuses_is_final_once_it_is_sure_that_nothing_is_there() {
    let (made, calls) = create([no(-217), no(-101)]).await;
    assert!(matches!(&made, Err(CreateError::Refused { code }) if code == "-217"), "{made:?}");
    assert_eq!(calls, 2);
    let (made, _) = create([no(-401), no(-101)]).await;
    assert!(matches!(&made, Err(CreateError::Refused { code }) if code == "-401"), "{made:?}");
    for (code, answer) in [("-402", no(-402)), ("-403", no(-403)), ("401", answer("401 No", "<html>"))] {
        let (made, calls) = create([answer]).await;
        assert!(matches!(&made, Err(CreateError::Refused { code: it }) if it == code), "{made:?}");
        assert_eq!(calls, 1);
    }
}

#[tokio::test]
async fn who_is_told_to_slow_down_comes_later() {
    for busy in [no(-429), no(-999), no(-92), answer("429 Slow", "")] {
        let (made, _) = create([busy.clone()]).await;
        assert!(matches!(made, Err(CreateError::Unavailable { .. })), "{busy}: {made:?}");
        if busy == no(-92) {
            continue; // Under the same name it is of no use.
        }
        let server = Scripted::fixed([busy, created("https://x.test/p")]).await;
        zalopay_at(&server.url, |calls| calls.attempts = 2).create(&payment(), &urls()).await.unwrap();
    }
    let server = Scripted::fixed([answer("500 Oh", ""), paid()]).await;
    let report = zalopay_at(&server.url, |calls| calls.attempts = 2).status(&running()).await.unwrap();
    assert_eq!(report.standing, Standing::Paid);
}

#[tokio::test]
async fn money_is_reported_by_the_name_that_callbacks_give_it() {
    for name in [json!(261_011_000_000_389_i64), json!("261011000000389")] {
        let answer = told(json!({ "return_code": 1, "amount": 150_000, "zp_trans_id": name }));
        let server = Scripted::fixed([answer]).await;
        let report = zalopay(&server).status(&running()).await.unwrap();
        let movement = Movement { reference: "261011000000389".to_owned(), amount: 150_000, currency: *DONG, fee: 0 };
        assert_eq!((report.movements, report.standing), (vec![movement], Standing::Paid));
        assert_eq!(report.reference.as_deref(), Some(REFERENCE));
        let asked = &server.asked()[0];
        let sent: Value = serde_json::from_str(&asked.body).unwrap();
        assert!(asked.head.starts_with("POST /v2/query "), "{}", asked.head);
        assert_eq!((&sent["app_trans_id"], &sent["app_id"]), (&json!(REFERENCE), &json!(2553)));
    }
}

#[tokio::test]
async fn another_amount_is_reported_as_it_came() {
    let server = Scripted::fixed([told(json!({ "return_code": 1, "amount": 1, "zp_trans_id": 5 }))]).await;
    let report = zalopay(&server).status(&running()).await.unwrap();
    assert_eq!((report.movements[0].amount, report.standing), (1, Standing::Paid));
}

#[tokio::test]
async fn every_answer_has_its_standing_before_and_after_the_time() {
    for (answer, before, after) in [
        (not_yet(false), Standing::Open, Standing::Ended),
        (not_yet(true), Standing::Open, Standing::Open),
        (no(-63), Standing::Open, Standing::Ended),
        (no(-54), Standing::Ended, Standing::Ended),
        (no(-329), Standing::Ended, Standing::Ended),
        (no(-49), Standing::Ended, Standing::Ended),
        (no(-217), Standing::Failed, Standing::Failed),
        (no(-1330), Standing::Failed, Standing::Failed),
        (no(0), Standing::Failed, Standing::Failed),
    ] {
        assert_eq!(standing(answer.clone(), &running()).await, before, "{answer}");
        assert_eq!(standing(answer.clone(), &over()).await, after, "{answer}");
    }
}

#[tokio::test]
async fn an_order_that_was_opened_late_is_open_as_long_as_it_can_be_paid() {
    let late = attempt(clock::now().plus_s(-SHORTEST_S - GRACE_S + 30));
    let server = Scripted::fixed([not_yet(false), not_yet(false)]).await;
    assert_eq!(zalopay(&server).close(&late, "").await.unwrap().standing, Standing::Open);
    assert_eq!(zalopay(&server).close(&over(), "").await.unwrap().standing, Standing::Ended);
}

#[tokio::test]
async fn without_a_reference_nobody_was_sent_to_a_page() {
    let server = Scripted::fixed([no(-101), no(-101)]).await;
    let nameless = Attempt { reference: None, ..running() };
    assert!(matches!(zalopay(&server).status(&nameless).await, Err(GatewayError::NotFound)));
    assert_eq!(zalopay(&server).close(&nameless, "").await.unwrap(), Report::never_opened());
    let strange = Attempt { reference: Some("261011_00000000000000000000000000000008".to_owned()), ..running() };
    assert!(matches!(zalopay(&server).status(&strange).await, Err(GatewayError::Refused { .. })));
    assert_eq!(server.calls(), 0);
    assert!(matches!(zalopay(&server).status(&running()).await, Err(GatewayError::NotFound)));
    assert!(matches!(zalopay(&server).close(&running(), "").await, Err(GatewayError::NotFound)));
}

#[tokio::test]
async fn what_cannot_be_read_decides_nothing() {
    for wrong in [
        answer("200 OK", "<html>"),
        answer("200 OK", "[]"),
        answer("302 Found", ""),
        answer("500 Oh", "{}"),
        cut(),
        no(-500),
        told(json!({ "return_code": "1" })),
        told(json!({ "return_code": 4 })),
        told(json!({ "return_code": 1, "zp_trans_id": 5 })),
        told(json!({ "return_code": 1, "zp_trans_id": 5, "amount": 0 })),
        told(json!({ "return_code": 1, "zp_trans_id": 5, "amount": "150000" })),
        told(json!({ "return_code": 1, "zp_trans_id": 0, "amount": 150_000 })),
        told(json!({ "return_code": 1, "amount": 150_000 })),
    ] {
        let server = Scripted::fixed([wrong.clone()]).await;
        let told = zalopay(&server).close(&over(), "").await;
        assert!(matches!(told, Err(GatewayError::Unavailable { .. })), "{wrong}: {told:?}");
    }
    let server = Scripted::fixed([no(-403)]).await;
    assert!(matches!(zalopay(&server).status(&running()).await, Err(GatewayError::Refused { code }) if code == "-403"));
}

#[test]
fn questions_are_signed_as_the_sdk_signs_them() {
    let key1 = mac::MacKey::new(KEY1_OF_2553);
    assert_eq!(client::query(2553, QUERY.0, &key1)["mac"], QUERY.1);
    let asked = client::query_refund(2553, "200904_2553_0000000001", 1_599_189_600_000, &key1);
    assert_eq!(asked["mac"], QUERY_REFUND.1);
    assert_eq!(asked["timestamp"], 1_599_189_600_000_i64);
}

#[tokio::test]
async fn answers_to_callbacks_are_in_zalopays_words() {
    let server = Scripted::fixed([]).await;
    let zalopay = zalopay(&server);
    for (outcome, code) in [
        (Outcome::Accepted, 1),
        (Outcome::Repeated, 2),
        (Outcome::WrongAmount, 2),
        (Outcome::Unknown, 2),
        (Outcome::RetryLater, 0),
        (Outcome::Rejected(Rejected::Signature), -1),
        (Outcome::Rejected(Rejected::Malformed("")), 2),
        (Outcome::Rejected(Rejected::Method), 2),
    ] {
        let answer = zalopay.answer(outcome);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &body["return_code"]), (StatusCode::OK, &json!(code)), "{outcome:?}");
        assert!(body["return_message"].as_str().is_some_and(|message| !message.is_empty()));
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    }
}

#[tokio::test]
async fn a_payer_who_gave_up_comes_back_with_a_negative_status() {
    let server = Scripted::fixed([]).await;
    let zalopay = zalopay(&server);
    assert!(zalopay.gave_up("payment=x&amount=1&appid=2553&status=-49&checksum=y"));
    for other in ["", "status=1", "status=", "status=-", "status=x", "xstatus=-49", "amount=-49"] {
        assert!(!zalopay.gave_up(other), "{other}");
    }
}

#[tokio::test]
async fn the_keys_show_nowhere() {
    let server = Scripted::fixed([paid()]).await;
    let zalopay = zalopay(&server);
    zalopay.status(&running()).await.unwrap();
    let asked = &server.asked()[0];
    for shown in [format!("{zalopay:?}"), asked.head.clone(), asked.body.clone()] {
        assert!(!shown.contains(KEY1_OF_2553) && !shown.contains(KEY2_OF_2553), "{shown}");
    }
}
