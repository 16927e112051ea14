//! Creating links: the answer, and each refusal.

use provider_sandbox::Settings;
use provider_sandbox::payos::qr;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Kit, request, sign, signed};

#[tokio::test]
async fn answers_a_signed_link() {
    let kit = Kit::new().await;
    let data = kit.open(5).await;
    assert_eq!(data["status"], "PENDING");
    assert_eq!(data["currency"], "VND");
    assert_eq!(data["orderCode"], 5);
    assert_eq!(data["bin"], "970422");
    let link = data["paymentLinkId"].as_str().unwrap();
    assert_eq!(link.len(), 32);
    assert_eq!(data["checkoutUrl"], format!("{}/pay/{link}", kit.base));
    let text = data["qrCode"].as_str().unwrap();
    let (open, crc) = text.split_at(text.len() - 4);
    assert_eq!(format!("{:04X}", qr::crc16(open.as_bytes())), crc);
    assert_eq!(kit.query(5).await, kit.query(link).await);
    assert_eq!(kit.query(5).await["amountRemaining"], 10_000);
}

#[tokio::test]
async fn a_taken_order_code_is_231() {
    let kit = Kit::new().await;
    kit.open(6).await;
    let answer = kit.create(&signed(6)).await;
    assert_eq!(answer, json!({ "code": "231", "desc": "Đơn thanh toán đã tồn tại", "data": null, "signature": null }));
    assert_eq!(kit.get("/summary").await["payments"], 1);
}

#[tokio::test]
async fn a_wrong_signature_is_201() {
    let kit = Kit::new().await;
    let right = signed(7);
    let mut other_amount = right.clone();
    other_amount["amount"] = 9_999.into();
    let mut upper = right.clone();
    upper["signature"] = right["signature"].as_str().unwrap().to_uppercase().into();
    let mut encoded = request(7);
    encoded["returnUrl"] = "https%3A%2F%2Fshop.test%2Freturn%3Forder%3D7".into();
    let mut url_encoded = request(7);
    encoded["description"] = "V%C3%A9%20s%E1%BB%91%201".into();
    url_encoded["signature"] = sign(encoded)["signature"].clone();
    let mut zeros = right.clone();
    zeros["signature"] = "0".repeat(64).into();
    for wrong in [other_amount, upper, url_encoded, zeros] {
        let answer = kit.create(&wrong).await;
        assert_eq!((answer["code"].as_str(), &answer["data"]), (Some("201"), &Value::Null), "{wrong}");
    }
    assert_eq!(kit.get("/summary").await["payments"], 0);
}

#[tokio::test]
async fn wrong_fields_are_20() {
    let kit = Kit::new().await;
    let now_s = sandbox_now_s(&kit).await;
    let cases = [
        ("orderCode", json!("5")),
        ("orderCode", json!(5.0)),
        ("orderCode", json!(0)),
        ("orderCode", json!(-1)),
        ("orderCode", json!(9_007_199_254_740_992_i64)),
        ("orderCode", Value::Null),
        ("amount", json!("10000")),
        ("amount", json!(100.5)),
        ("amount", json!(0)),
        ("amount", json!(-5)),
        ("amount", Value::Null),
        ("description", json!("x".repeat(26))),
        ("description", json!("")),
        ("description", json!(7)),
        ("description", Value::Null),
        ("returnUrl", Value::Null),
        ("returnUrl", json!("javascript:alert(1)")),
        ("cancelUrl", Value::Null),
        ("cancelUrl", json!("/relative")),
        ("expiredAt", json!(2_147_483_648_i64)),
        ("expiredAt", json!("soon")),
        ("expiredAt", json!((now_s + 900) * 1000)),
        ("expiredAt", json!(now_s - 1)),
        ("buyerName", json!(1)),
        ("items", json!({})),
        ("items", json!([{ "name": "A", "quantity": "1", "price": 1 }])),
        ("items", json!([{ "name": "A", "quantity": 1, "price": 1, "taxPercentage": 7 }])),
        ("invoice", json!("x")),
    ];
    for (name, value) in cases {
        let mut body = request(8);
        body[name] = value;
        let answer = kit.create(&sign(body.clone())).await;
        assert_eq!(answer["code"], "20", "{body}: {answer}");
        assert!(answer["desc"].as_str().unwrap().contains(name) || name == "items", "{answer}");
    }
    let mut unsigned = request(8);
    unsigned["signature"] = Value::Null;
    assert_eq!(kit.create(&unsigned).await["code"], "20");
}

async fn sandbox_now_s(kit: &Kit) -> i64 {
    let now: jiff::Timestamp = kit.get("/clock").await["now"].as_str().unwrap().parse().unwrap();
    now.as_second()
}

#[tokio::test]
async fn the_bounds_themselves_are_fine() {
    let kit = Kit::new().await;
    let mut body = request(9_007_199_254_740_991);
    body["amount"] = 1.into();
    body["description"] = "ả".repeat(25).into();
    body["expiredAt"] = i64::from(i32::MAX).into();
    body["buyerName"] = Value::Null;
    body["items"] = json!([{ "name": "A", "quantity": 1, "price": 1, "unit": "vé", "taxPercentage": -2 }]);
    let answer = kit.create(&sign(body)).await;
    assert_eq!(answer["code"], "00", "{answer}");
    assert_eq!(answer["data"]["expiredAt"], i64::from(i32::MAX));
}

#[tokio::test]
async fn an_unlinked_account_takes_nine_characters_and_prefixes_the_memo() {
    let kit = Kit::with(Settings { description_limit: 9, ..Settings::default() }).await;
    let mut body = request(10);
    body["description"] = "1234567890".into();
    assert_eq!(kit.create(&sign(body.clone())).await["code"], "20");
    body["description"] = "123456789".into();
    let answer = kit.create(&sign(body)).await;
    let memo = answer["data"]["description"].as_str().unwrap();
    assert!(memo.starts_with("CS") && memo.ends_with(" 123456789"), "{memo}");
}

#[tokio::test]
async fn wrong_keys_are_401_everywhere() {
    let kit = Kit::new().await;
    kit.open(11).await;
    let paths = [
        (Method::POST, "/v2/payment-requests"),
        (Method::GET, "/v2/payment-requests/11"),
        (Method::POST, "/v2/payment-requests/11/cancel"),
        (Method::POST, "/confirm-webhook"),
    ];
    for (method, path) in paths {
        for keys in [vec![], vec![("x-client-id", "sandbox-client")], wrong_keys()] {
            let mut call = kit.http.request(method.clone(), format!("{}{path}", kit.base)).json(&signed(12));
            for (name, value) in keys {
                call = call.header(name, value);
            }
            assert_eq!(call.send().await.unwrap().status(), 401, "{path}");
        }
    }
    assert_eq!(kit.get("/summary").await["by_status"], json!({ "PENDING": 1 }));
}

fn wrong_keys() -> Vec<(&'static str, &'static str)> {
    vec![("x-client-id", "sandbox-client"), ("x-api-key", "sandbox-api-kez")]
}

#[tokio::test]
async fn only_json_is_read() {
    let kit = Kit::new().await;
    let bodies =
        [("application/json", "{"), ("application/json", "[]"), ("text/plain", "{}"), ("application/json", "")];
    for (media, body) in bodies {
        let call = kit.http.post(format!("{}/v2/payment-requests", kit.base));
        let call = call.header("x-client-id", "sandbox-client").header("x-api-key", "sandbox-api-key");
        let response = call.header("content-type", media).body(body).send().await.unwrap();
        assert_eq!(response.status(), 400, "{media} {body}");
    }
}
