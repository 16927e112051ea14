//! Against a server that answers what it is told: what becomes of every answer, and of none.

use domain::payment::{Movement, Standing};
use serde_json::{Value, json};
use service_kit::clock;

use super::stub::{REFERENCE, attempt, body, over, refund, running, signed, told, vnpay, vnpay_at};
use super::vectors::TEST_SECRET;
use http::header::CONTENT_TYPE;

use super::*;
use crate::payments::scripted::{Answering, SILENCE, Scripted, answer, cut};

async fn standing(changes: Value, attempt: &Attempt) -> Standing {
    let server = Scripted::new([told(changes)]).await;
    vnpay(&server).status(attempt).await.unwrap().standing
}

#[tokio::test]
async fn money_is_reported_by_the_name_that_notifications_give_it() {
    let server = Scripted::new([told(json!({}))]).await;
    let report = vnpay(&server).status(&running()).await.unwrap();
    let movement = Movement { reference: "14422574".to_owned(), amount: 150_000, currency: *DONG, fee: 0 };
    assert_eq!(
        (report.movements, report.standing, report.reference.as_deref()),
        (vec![movement], Standing::Paid, Some(REFERENCE))
    );
    let asked = body(&server.asked()[0]);
    assert_eq!((&asked["vnp_TransactionDate"], &asked["vnp_TxnRef"]), (&json!("20261011003000"), &json!(REFERENCE)));
    assert_eq!((&asked["vnp_Command"], asked["vnp_RequestId"].as_str().unwrap().len()), (&json!("querydr"), 32));
}

#[tokio::test]
async fn another_amount_is_reported_as_it_came() {
    let server = Scripted::new([told(json!({ "vnp_Amount": "100" }))]).await;
    let report = vnpay(&server).status(&running()).await.unwrap();
    assert_eq!((report.movements[0].amount, report.standing), (1, Standing::Paid));
}

#[tokio::test]
async fn no_two_questions_have_one_name() {
    let server = Scripted::new([told(json!({})), told(json!({}))]).await;
    let vnpay = vnpay(&server);
    vnpay.status(&running()).await.unwrap();
    vnpay.status(&running()).await.unwrap();
    let asked = server.asked();
    assert_ne!(body(&asked[0])["vnp_RequestId"], body(&asked[1])["vnp_RequestId"]);
}

#[tokio::test]
async fn every_status_has_its_standing_before_and_after_the_time() {
    for (code, before, after) in [
        ("01", Standing::Open, Standing::Ended),
        ("02", Standing::Failed, Standing::Failed),
        ("04", Standing::Open, Standing::Failed),
        ("05", Standing::Paid, Standing::Paid),
        ("07", Standing::Open, Standing::Open),
        ("08", Standing::Ended, Standing::Ended),
        ("09", Standing::Paid, Standing::Paid),
        ("42", Standing::Open, Standing::Open),
    ] {
        let status = json!({ "vnp_TransactionStatus": code });
        assert_eq!(standing(status.clone(), &running()).await, before, "{code}");
        assert_eq!(standing(status, &over()).await, after, "{code}");
    }
}

#[tokio::test]
async fn a_page_that_nobody_opened_yet_is_open_until_its_time_is_over() {
    let none = || json!({ "vnp_ResponseCode": "91", "vnp_Amount": null, "vnp_TransactionNo": null });
    assert_eq!(standing(none(), &running()).await, Standing::Open);
    let now = clock::now();
    assert_eq!(standing(none(), &attempt(now.plus_s(-GRACE_S + 30))).await, Standing::Open);
    assert_eq!(standing(none(), &over()).await, Standing::Ended);
    let unsigned = || answer("200 OK", r#"{"vnp_ResponseCode":"91","vnp_Message":"none"}"#);
    let server = Scripted::fixed([unsigned(), unsigned()]).await;
    assert_eq!(vnpay(&server).close(&running(), "").await.unwrap().standing, Standing::Open);
    assert_eq!(vnpay(&server).close(&over(), "").await.unwrap().standing, Standing::Ended);
}

#[tokio::test]
async fn without_a_reference_nobody_was_sent_to_a_page() {
    let server = Scripted::fixed([]).await;
    let nameless = Attempt { reference: None, ..running() };
    assert!(matches!(vnpay(&server).status(&nameless).await, Err(GatewayError::NotFound)));
    assert_eq!(vnpay(&server).close(&nameless, "").await.unwrap(), Report::never_opened());
    let strange =
        Attempt { reference: Some("20261011003000-00000000000000000000000000000008".to_owned()), ..running() };
    assert!(matches!(vnpay(&server).status(&strange).await, Err(GatewayError::Refused { .. })));
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn an_answer_is_believed_only_with_its_signature() {
    let forged = |changes: Value, from: &'static str, to: &'static str| -> Answering {
        Box::new(move |body| answer("200 OK", &Value::from(signed(body, &changes)).to_string().replacen(from, to, 1)))
    };
    let fixed = |text: &str| -> Answering {
        let text = text.to_owned();
        Box::new(move |_| text)
    };
    let hash = "\"vnp_SecureHash\"";
    for (wrong, calls) in [
        (forged(json!({ "vnp_TransactionStatus": "01" }), "\"01\"", "\"00\""), 1),
        (forged(json!({}), "15000000", "25000000"), 1),
        (forged(json!({}), hash, "\"vnp_NoHash\""), 1),
        (forged(json!({ "vnp_ResponseCode": "91" }), "Success", "Nothing"), 1),
        (told(json!({ "vnp_TxnRef": "20261011003000-00000000000000000000000000000008" })), 1),
        (told(json!({ "vnp_TmnCode": "OTHER" })), 1),
        (told(json!({ "vnp_TransactionNo": "0" })), 1),
        (told(json!({ "vnp_Amount": "15000050" })), 1),
        (told(json!({ "vnp_TransactionType": "04" })), 1),
        (told(json!({ "vnp_ResponseCode": "94" })), 1),
        (told(json!({ "vnp_ResponseCode": "99" })), 1),
        (told(json!({ "vnp_ResponseCode": "" })), 1),
        (fixed(&answer("200 OK", "<html>")), 1),
        (fixed(&answer("200 OK", "[]")), 1),
        (fixed(&answer("429 Slow", "")), 1),
        (fixed(&answer("503 Oh", "{}")), 1),
        (fixed(&answer("302 Found", "")), 1),
        (fixed(&cut()), 1),
    ] {
        let server = Scripted::new([wrong]).await;
        let told = vnpay(&server).status(&running()).await;
        assert!(matches!(told, Err(GatewayError::Unavailable { .. })), "{told:?}");
        assert_eq!(server.calls(), calls);
    }
    let server = Scripted::fixed([cut(), answer("500 Oh", "")]).await;
    assert!(
        matches!(vnpay(&server).close(&over(), "").await, Err(GatewayError::Unavailable { .. })),
        "a lost answer ends nothing"
    );
}

#[tokio::test]
async fn a_silent_provider_leaves_doubt_and_nobody_there_means_not_sent() {
    let brief = |calls: &mut CallSettings| calls.timeout = std::time::Duration::from_millis(200);
    let silence = || -> Answering { Box::new(|_| SILENCE.to_owned()) };
    let server = Scripted::new([silence(), silence()]).await;
    let silent = vnpay_at(&server.url, brief);
    assert!(matches!(silent.status(&running()).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(silent.close(&over(), "").await, Err(GatewayError::Unavailable { .. })));
    let nobody = vnpay_at("http://127.0.0.1:1", |_| {});
    assert!(matches!(nobody.status(&running()).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(nobody.refund(&refund(1, clock::now())).await, Err(GatewayError::Unavailable { .. })));
}

#[tokio::test]
async fn wrong_keys_are_refusals() {
    for code in ["02", "03", "97"] {
        let text = json!({ "vnp_ResponseCode": code, "vnp_SecureHash": "00" }).to_string();
        let server = Scripted::fixed([answer("200 OK", &text), answer("200 OK", &text)]).await;
        let told = vnpay(&server).status(&running()).await;
        assert!(matches!(&told, Err(GatewayError::Refused { code: it }) if it == code), "{told:?}");
        let told = vnpay(&server).refund(&refund(150_000, clock::now())).await;
        assert!(matches!(told, Err(GatewayError::Refused { .. })), "{told:?}");
    }
    let server = Scripted::fixed([answer("403 No", "<html>")]).await;
    assert!(matches!(vnpay(&server).status(&running()).await, Err(GatewayError::Refused { code }) if code == "403"));
}

#[tokio::test]
async fn answers_to_notifications_are_in_vnpays_words() {
    let server = Scripted::fixed([]).await;
    let vnpay = vnpay(&server);
    for (outcome, words) in [
        (Outcome::Accepted, r#"{"RspCode":"00","Message":"Confirm Success"}"#),
        (Outcome::Repeated, r#"{"RspCode":"02","Message":"Order already confirmed"}"#),
        (Outcome::WrongAmount, r#"{"RspCode":"04","Message":"Invalid amount"}"#),
        (Outcome::Unknown, r#"{"RspCode":"01","Message":"Order not found"}"#),
        (Outcome::RetryLater, r#"{"RspCode":"99","Message":"Unknown error"}"#),
        (Outcome::Rejected(Rejected::Signature), r#"{"RspCode":"97","Message":"Invalid signature"}"#),
        (Outcome::Rejected(Rejected::Malformed("")), r#"{"RspCode":"99","Message":"Unknown error"}"#),
        (Outcome::Rejected(Rejected::Method), r#"{"RspCode":"99","Message":"Unknown error"}"#),
    ] {
        let answer = vnpay.answer(outcome);
        assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, words.as_bytes()));
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    }
}

#[tokio::test]
async fn a_payer_who_gave_up_comes_back_with_code_24() {
    let server = Scripted::fixed([]).await;
    let vnpay = vnpay(&server);
    assert!(vnpay.gave_up("payment=x&vnp_Amount=1&vnp_ResponseCode=24&vnp_TxnRef=y"));
    for other in ["", "vnp_ResponseCode=00", "vnp_ResponseCode=240", "xvnp_ResponseCode=24", "vnp_TransactionStatus=24"]
    {
        assert!(!vnpay.gave_up(other), "{other}");
    }
}

#[tokio::test]
async fn the_secret_shows_nowhere() {
    let server = Scripted::new([told(json!({}))]).await;
    let vnpay = vnpay(&server);
    vnpay.status(&running()).await.unwrap();
    let asked = &server.asked()[0];
    for shown in [format!("{vnpay:?}"), asked.head.clone(), asked.body.clone()] {
        assert!(!shown.contains(TEST_SECRET), "{shown}");
    }
}
