//! VNPay's API: questions and refunds.

use provider_sandbox::signature::sign_sha512;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::Kit;
use crate::vnpay::{OK, SECRET, now, open, press, stamp};

const QUERY: [&str; 9] =
    ["RequestId", "Version", "Command", "TmnCode", "TxnRef", "TransactionDate", "CreateDate", "IpAddr", "OrderInfo"];
const REFUND: [&str; 13] = [
    "RequestId",
    "Version",
    "Command",
    "TmnCode",
    "TransactionType",
    "TxnRef",
    "Amount",
    "TransactionNo",
    "TransactionDate",
    "CreateBy",
    "CreateDate",
    "IpAddr",
    "OrderInfo",
];
const ANSWER: [&str; 15] = [
    "ResponseId",
    "Command",
    "ResponseCode",
    "Message",
    "TmnCode",
    "TxnRef",
    "Amount",
    "BankCode",
    "PayDate",
    "TransactionNo",
    "TransactionType",
    "TransactionStatus",
    "OrderInfo",
    "PromotionCode",
    "PromotionAmount",
];

fn joined(fields: &Value, names: &[&str]) -> String {
    let text = |name: &&str| match &fields[format!("vnp_{name}")] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    names.iter().map(text).collect::<Vec<_>>().join("|")
}

/// The date under which a payment was opened.
pub async fn date(kit: &Kit, reference: &str) -> String {
    let seen = kit.get(&format!("/payments/vnpay/{reference}")).await;
    seen["extra"]["vnp_CreateDate"].as_str().unwrap().to_owned()
}

/// A question in order.
pub async fn question(kit: &Kit, request: &str, reference: &str, date: &str) -> Value {
    json!({
        "vnp_RequestId": request, "vnp_Version": "2.1.0", "vnp_Command": "querydr", "vnp_TmnCode": "SANDBOX1",
        "vnp_TxnRef": reference, "vnp_OrderInfo": "Hoi don hang", "vnp_TransactionDate": date,
        "vnp_CreateDate": stamp(now(kit).await), "vnp_IpAddr": "127.0.0.1",
    })
}

/// A refund in order, of all of it.
pub async fn back(kit: &Kit, request: &str, reference: &str) -> Value {
    let mut body = question(kit, request, reference, &date(kit, reference).await).await;
    let more = json!({
        "vnp_Command": "refund", "vnp_TransactionType": "02", "vnp_Amount": 10_000_000, "vnp_CreateBy": "Box office",
        "vnp_TransactionNo": "0",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

pub fn sign(mut body: Value) -> Value {
    let names = if body["vnp_Command"] == "refund" { &REFUND[..] } else { &QUERY[..] };
    body["vnp_SecureHash"] = sign_sha512(SECRET, &joined(&body, names)).into();
    body
}

pub async fn send(kit: &Kit, body: &Value) -> reqwest::Result<reqwest::Response> {
    kit.http.post(format!("{}/merchant_webapi/api/transaction", kit.base)).json(body).send().await
}

/// The answer to a body as it is; every answer is signed.
async fn answer(kit: &Kit, body: &Value) -> Value {
    let response = send(kit, body).await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    let names = if body["vnp_Command"] == "refund" { &ANSWER[..13] } else { &ANSWER[..] };
    assert_eq!(answer["vnp_SecureHash"], sign_sha512(SECRET, &joined(&answer, names)), "{answer}");
    answer
}

pub async fn code(kit: &Kit, body: Value) -> Value {
    answer(kit, &body).await["vnp_ResponseCode"].take()
}

/// Transaction type, status and amount.
pub async fn standing(kit: &Kit, reference: &str) -> (String, String, String) {
    let request = format!("Q{}", kit.get("/clock").await["now"].as_str().unwrap().replace([':', '.', 'Z'], ""));
    let answer = answer(kit, &sign(question(kit, &request, reference, &date(kit, reference).await).await)).await;
    assert_eq!((&answer["vnp_ResponseCode"], &answer["vnp_TxnRef"]), (&json!("00"), &json!(reference)), "{answer}");
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("vnp_TransactionType"), text("vnp_TransactionStatus"), text("vnp_Amount"))
}

pub fn is(kind: &str, status: &str, amount: &str) -> (String, String, String) {
    (kind.to_owned(), status.to_owned(), amount.to_owned())
}

pub async fn script(kit: &Kit, reference: &str, script: Value) {
    let (status, answer) = kit.control(Method::PUT, &format!("/payments/vnpay/{reference}/script"), script).await;
    assert_eq!(status, 200, "{answer}");
}

pub async fn paid(kit: &Kit, reference: &str) {
    kit.receiver.answer_note(200, OK);
    let page = open(kit, reference).await;
    press(kit, &page, "pay").await;
}

#[tokio::test]
async fn a_question_needs_the_reference_and_its_date() {
    let kit = Kit::new().await;
    let early = question(&kit, "q1", "F-1", &stamp(now(&kit).await)).await;
    assert_eq!(code(&kit, sign(early)).await, "91");
    let page = open(&kit, "F-1").await;
    assert_eq!(standing(&kit, "F-1").await, is("01", "01", "10000000"));
    press(&kit, &page, "pay").await;
    assert_eq!(standing(&kit, "F-1").await, is("01", "00", "10000000"));
    let asked = question(&kit, "q2", "F-1", "20240101000000").await;
    assert_eq!(code(&kit, sign(asked)).await, "91");
    let asked = question(&kit, "q3", "F-1", &date(&kit, "F-1").await).await;
    let mut other = asked.clone();
    (other["vnp_RequestId"], other["vnp_TransactionNo"]) = ("q4".into(), "123".into());
    assert_eq!(code(&kit, sign(other)).await, "91");
    let told = answer(&kit, &sign(asked.clone())).await;
    let movement = kit.get("/statement?provider=vnpay").await["movements"][0].clone();
    assert_eq!((&told["vnp_TransactionNo"], &told["vnp_BankCode"]), (&movement["reference"], &json!("NCB")));
    assert_eq!(code(&kit, sign(asked.clone())).await, "94");
    kit.post("/clock", json!({ "offset_s": 86_400 })).await;
    assert_eq!(code(&kit, sign(asked)).await, "00", "the id is free again the next day");
    for (reference, action, status) in [("F-2", "decline", "02"), ("F-3", "leave", "02")] {
        let page = open(&kit, reference).await;
        press(&kit, &page, action).await;
        assert_eq!(standing(&kit, reference).await, is("01", status, "10000000"));
    }
    open(&kit, "F-4").await;
    kit.post("/payments/vnpay/F-4/expire", json!({})).await;
    assert_eq!(standing(&kit, "F-4").await, is("01", "08", "10000000"));
}

#[tokio::test]
async fn what_is_wrong_with_a_request() {
    let kit = Kit::new().await;
    paid(&kit, "G-1").await;
    let (asked, refund) = (question(&kit, "q", "G-1", &date(&kit, "G-1").await).await, back(&kit, "r", "G-1").await);
    let wrong = [
        (&asked, "vnp_TmnCode", json!("OTHER123"), "02"),
        (&asked, "vnp_Command", json!("pay"), "03"),
        (&asked, "vnp_RequestId", json!("x".repeat(33)), "03"),
        (&asked, "vnp_RequestId", json!(""), "03"),
        (&asked, "vnp_TransactionDate", json!("2024"), "03"),
        (&asked, "vnp_TransactionDate", Value::Null, "03"),
        (&asked, "vnp_IpAddr", json!("here"), "03"),
        (&asked, "vnp_OrderInfo", json!("Hỏi"), "03"),
        (&asked, "vnp_OrderInfo", json!({}), "03"),
        (&asked, "vnp_Version", json!("2"), "03"),
        (&refund, "vnp_TransactionType", json!("01"), "03"),
        (&refund, "vnp_Amount", json!("150"), "03"),
        (&refund, "vnp_Amount", json!(0), "03"),
        (&refund, "vnp_Amount", json!(1.5), "03"),
        (&refund, "vnp_CreateBy", json!(""), "03"),
        (&refund, "vnp_TransactionNo", json!("14x"), "03"),
        (&refund, "vnp_TransactionNo", json!("123"), "91"),
        (&refund, "vnp_TransactionDate", json!("20240101000000"), "91"),
    ];
    for (count, (body, name, value, wanted)) in wrong.into_iter().enumerate() {
        let mut body = body.clone();
        if name != "vnp_RequestId" {
            body["vnp_RequestId"] = format!("w{count}").into();
        }
        body[name] = value;
        assert_eq!(code(&kit, sign(body.clone())).await, wanted, "{body}");
    }
    for body in [&asked, &refund] {
        let mut forged = sign(body.clone());
        forged["vnp_OrderInfo"] = "another".into();
        assert_eq!(code(&kit, forged).await, "97");
        assert_eq!(code(&kit, body.clone()).await, "97");
    }
    assert_eq!(code(&kit, json!([])).await, "03");
    assert_eq!(kit.get("/payments/vnpay/G-1").await["refunds"], json!([]));
}

#[tokio::test]
async fn all_of_it_goes_back_after_a_while() {
    let kit = Kit::new().await;
    script(&kit, "H-1", json!({ "refund_delay_ms": 60_000 })).await;
    paid(&kit, "H-1").await;
    let accepted = answer(&kit, &sign(back(&kit, "r1", "H-1").await)).await;
    assert_eq!((&accepted["vnp_ResponseCode"], &accepted["vnp_TransactionStatus"]), (&json!("00"), &json!("05")));
    assert_eq!(code(&kit, sign(back(&kit, "r1", "H-1").await)).await, "94");
    assert_eq!(code(&kit, sign(back(&kit, "r2", "H-1").await)).await, "94", "the first is under way");
    assert_eq!(standing(&kit, "H-1").await, is("02", "05", "10000000"));
    kit.post("/clock", json!({ "offset_s": 31 })).await;
    assert_eq!(standing(&kit, "H-1").await, is("02", "06", "10000000"));
    kit.post("/payments/vnpay/H-1/settle", json!({})).await;
    assert_eq!(standing(&kit, "H-1").await, is("02", "00", "10000000"));
    let movement = kit.get("/statement?provider=vnpay").await["movements"][1].clone();
    assert_eq!((&movement["amount"], &movement["reference"]), (&json!(-100_000), &accepted["vnp_TransactionNo"]));
    assert_eq!(code(&kit, sign(back(&kit, "r3", "H-1").await)).await, "94");
    assert_eq!(kit.receiver.settled_notes().await.len(), 1, "no IPN tells of a refund");
}

#[tokio::test]
async fn parts_go_back_and_never_more_than_there_is() {
    let kit = Kit::new().await;
    script(&kit, "I-1", json!({ "refund_delay_ms": 60_000 })).await;
    let page = open(&kit, "I-1").await;
    assert_eq!(code(&kit, sign(back(&kit, "r0", "I-1").await)).await, "95");
    press(&kit, &page, "pay").await;
    let steps = [
        ("02", 4_000_000, "93"),
        ("03", 10_000_000, "93"),
        ("03", 20_000_000, "93"),
        ("03", 4_000_000, "00"),
        ("03", 6_000_100, "93"),
        ("02", 10_000_000, "93"),
        ("03", 6_000_000, "00"),
        ("03", 100, "94"),
    ];
    for (count, (kind, amount, wanted)) in steps.into_iter().enumerate() {
        let mut body = back(&kit, &format!("p{count}"), "I-1").await;
        (body["vnp_TransactionType"], body["vnp_Amount"]) = (kind.into(), amount.into());
        assert_eq!(code(&kit, sign(body)).await, wanted, "{kind} {amount}");
        if wanted == "00" {
            kit.post("/payments/vnpay/I-1/settle", json!({})).await;
            assert_eq!(standing(&kit, "I-1").await, is("03", "00", &amount.to_string()));
        }
    }
    assert_eq!(kit.get("/payments/vnpay/I-1").await["amountRefunded"], 100_000);
}

#[tokio::test]
async fn refunds_that_go_wrong() {
    let kit = Kit::new().await;
    script(&kit, "J-1", json!({ "refund": "fail" })).await;
    paid(&kit, "J-1").await;
    assert_eq!(code(&kit, sign(back(&kit, "a1", "J-1").await)).await, "16");
    assert_eq!(standing(&kit, "J-1").await, is("01", "00", "10000000"));
    script(&kit, "J-2", json!({ "refund": "pending_fail", "refund_delay_ms": 60_000 })).await;
    paid(&kit, "J-2").await;
    assert_eq!(code(&kit, sign(back(&kit, "a2", "J-2").await)).await, "00");
    kit.post("/payments/vnpay/J-2/settle", json!({})).await;
    assert_eq!(standing(&kit, "J-2").await, is("02", "09", "10000000"));
    script(&kit, "J-3", json!({ "refund_lost": "cut", "refund_delay_ms": 60_000 })).await;
    paid(&kit, "J-3").await;
    assert!(send(&kit, &sign(back(&kit, "a3", "J-3").await)).await.is_err());
    assert_eq!(code(&kit, sign(back(&kit, "a3", "J-3").await)).await, "94");
    kit.post("/payments/vnpay/J-3/settle", json!({})).await;
    assert_eq!(standing(&kit, "J-3").await, is("02", "00", "10000000"));
}
