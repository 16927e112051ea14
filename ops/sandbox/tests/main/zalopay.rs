//! ZaloPay: the vectors of PAYMENTS.md section 2, orders and questions.

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use provider_sandbox::signature::sign;
use provider_sandbox::zalopay::signing;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::kit::{Kit, Note};

pub const KEY1: &str = "sandbox-key1";
pub const KEY2: &str = "sandbox-key2";
const OF_2553: &str = "PcY4iZIKFCIdgZvA6ueMcMHHUbRLYjPL";
const CALLBACK_OF_2553: &str = "kLtgPl8HHhfvMuDHPwKfgfsY4Ydm9eIz";
const CALLBACK: &str = r#"{"app_id":2553,"app_trans_id":"200904_2553_1598435687208","app_time":1599189392817,"app_user":"demo","amount":10000,"embed_data":"{\"merchantinfo\":\"embeddata123\",\"promotioninfo\":\"\"}","item":"[{\"itemid\":\"knb\",\"itemname\":\"kim nguyen bao\",\"itemprice\":198400,\"itemquantity\":1}]","zp_trans_id":200904000000389,"server_time":1599189413498,"channel":38,"merchant_user_id":"7ZMSl3nEg5sOUJzOLSoUFT8xKNQVaLOLXHB--8Eytqc","user_fee_amount":0,"discount_amount":0}"#;

/// Key, signed text, mac: two creates, a refund without and with a fee, a question after a refund, the documented
/// callback and three real redirects.
const VECTORS: [(&str, &str, &str); 9] = [
    (
        "9phuAOYhan4urywHTh0ndEXiV3pKHr5Q",
        "553|200904_000234|user123|10000|1599202366026|{}|[]",
        "7e95836a9feace32458f23416feea423172ef0a098f27a668a1e10788b5a6838",
    ),
    (
        OF_2553,
        r#"2553|200904_000234|user123|10000|1599202366026|{"redirecturl":"https://shop.test/r"}|[]"#,
        "020cc9d42096b7e94065d78360ac1a16f59d923e599672adbc0f9aec9da4bf6d",
    ),
    (
        OF_2553,
        "2553|200904000000389|10000|ZaloPay Refund Demo|1599189500000",
        "5b5f0c4580fd894b78c2a13919db43f71e624a1781757aa0b6dac8e8e287bf01",
    ),
    (
        OF_2553,
        "2553|200904000000389|10000|1000|ZaloPay Refund Demo|1599189500000",
        "d46b82eb909437fbbedf699580be45ee890e873536fa7bd5d1ac2d36b1ceb339",
    ),
    (
        OF_2553,
        "2553|200904_2553_0000000001|1599189600000",
        "d6e46dda20b82543f246f40c8d8659d5c525bc2dd2a9213eaa17843e4983486e",
    ),
    (CALLBACK_OF_2553, CALLBACK, "d8d33baf449b31d7f9b94fa50d7c942c08cd4d83f28fa185557da21acb104f67"),
    (
        "trMrHtvjo6myautxDUiAcYsVtaeQ8nhf",
        "2554|241129_5719004757|38||71000|0|1",
        "ccaba75bed7ec9fcd84994dd6b637f806b75a3820383ba23e9032eae02bd099b",
    ),
    (
        CALLBACK_OF_2553,
        "2553|240621_11|0||13980000|0|-49",
        "63f4b8f943d4f8aebcc60da77295a8887d2ccb56e549662c61bd444c8dff3293",
    ),
    (
        CALLBACK_OF_2553,
        "2553|080724_152303|39|SBIS|119000|0|1",
        "1af1a1ded63af3ef9ed1a26f2aa5ba034e2fde65642b237ce081b4aae508d044",
    ),
];

pub async fn now(kit: &Kit) -> Timestamp {
    kit.get("/clock").await["now"].as_str().unwrap().parse().unwrap()
}

/// Today's reference with this name.
pub async fn reference(kit: &Kit, name: &str) -> String {
    let day = now(kit).await.to_zoned(TimeZone::fixed(offset(7))).strftime("%y%m%d").to_string();
    format!("{day}_{name}")
}

/// An order of 10 000 dong, without its mac.
pub async fn order(kit: &Kit, name: &str) -> Value {
    json!({
        "app_id": 2553, "app_user": "buyer 1", "app_trans_id": reference(kit, name).await,
        "app_time": now(kit).await.as_millisecond(), "amount": 10_000, "description": "Vé số 1", "item": "[]",
        "embed_data": r#"{"redirecturl":"https://shop.test/back?order=7"}"#,
    })
}

/// The fields of a body as they are sent, joined.
pub fn text(body: &Value, names: &[&str]) -> String {
    let values: Vec<_> = names
        .iter()
        .map(|name| match &body[*name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        })
        .collect();
    signing::joined(values.iter().map(String::as_str))
}

pub fn signed(mut body: Value) -> Value {
    body["mac"] = sign(KEY1, &text(&body, &signing::CREATE)).into();
    body
}

pub async fn send(kit: &Kit, path: &str, body: &Value) -> reqwest::Result<Response> {
    kit.http.post(format!("{}/v2/{path}", kit.base)).json(body).send().await
}

pub async fn call(kit: &Kit, path: &str, body: &Value) -> Value {
    let response = send(kit, path, body).await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// `return_code` and `sub_return_code`.
pub fn codes(answer: &Value) -> (i64, i64) {
    (answer["return_code"].as_i64().unwrap(), answer["sub_return_code"].as_i64().unwrap())
}

/// Makes an order and returns the address of its page.
pub async fn open(kit: &Kit, name: &str) -> String {
    let answer = call(kit, "create", &signed(order(kit, name).await)).await;
    assert_eq!(codes(&answer), (1, 1), "{answer}");
    answer["order_url"].as_str().unwrap().to_owned()
}

pub async fn press(kit: &Kit, page: &str, action: &str) -> String {
    let response = kit.http.post(format!("{page}/{action}")).send().await.unwrap();
    response.headers()["location"].to_str().unwrap().to_owned()
}

pub async fn script(kit: &Kit, name: &str, script: Value) {
    let path = format!("/payments/zalopay/{}/script", reference(kit, name).await);
    let (status, answer) = kit.control(Method::PUT, &path, script).await;
    assert_eq!(status, 200, "{answer}");
}

/// An order that is paid.
pub async fn paid(kit: &Kit, name: &str) {
    kit.receiver.answer_note(200, r#"{"return_code":1,"return_message":"ok"}"#);
    press(kit, &open(kit, name).await, "pay").await;
}

fn question(reference: &str) -> Value {
    let mac = sign(KEY1, &signing::query("2553", reference, KEY1));
    json!({ "app_id": 2553, "app_trans_id": reference, "mac": mac })
}

pub async fn standing(kit: &Kit, name: &str) -> Value {
    call(kit, "query", &question(&reference(kit, name).await)).await
}

/// The data of a callback whose mac verifies.
pub fn verified(note: &Note) -> Value {
    assert_eq!((note.provider.as_str(), &note.method), ("zalopay", &Method::POST));
    assert_eq!((note.header("content-type"), &note.json()["type"]), ("application/json", &json!(1)));
    let data = note.json()["data"].as_str().unwrap().to_owned();
    assert_eq!(note.json()["mac"], sign(KEY2, &data));
    serde_json::from_str(&data).unwrap()
}

/// What the browser brings back, once its checksum verifies: `status`, `pmcid` and `amount`.
pub fn back(goal: &str) -> (String, String, String) {
    let query = goal.strip_prefix("https://shop.test/back?order=7&").unwrap();
    let of =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned();
    let names = ["appid", "apptransid", "pmcid", "bankcode", "amount", "discountamount", "status"];
    let signed = names.map(of).join("|");
    assert_eq!(of("checksum"), sign(KEY2, &signed), "{query}");
    (of("status"), of("pmcid"), of("amount"))
}

#[test]
fn the_vectors() {
    for (key, text, mac) in VECTORS {
        assert_eq!(sign(key, &signing::joined(text.split('|'))), mac, "{text}");
    }
    let query = signing::query("2553", "200904_2553_1598435687208", OF_2553);
    assert_eq!(sign(OF_2553, &query), "1cd28b0ed7ea05b58395b59b74f040ae1bc11b60eed71199bde75d5ed1e439e7");
    let create = json!({
        "app_id": 2553, "app_trans_id": "200904_000234", "app_user": "user123", "amount": 10_000,
        "app_time": 1_599_202_366_026_i64, "embed_data": r#"{"redirecturl":"https://shop.test/r"}"#, "item": "[]",
        "description": "Vé",
    });
    assert_eq!(text(&create, &signing::CREATE), VECTORS[1].1);
    let refund = json!({
        "app_id": 2553, "zp_trans_id": 200_904_000_000_389_i64, "amount": 10_000, "refund_fee_amount": 1_000,
        "description": "ZaloPay Refund Demo", "timestamp": 1_599_189_500_000_i64,
    });
    assert_eq!(text(&refund, &signing::REFUND), VECTORS[2].1);
    assert_eq!(text(&refund, &signing::REFUND_WITH_FEE), VECTORS[3].1);
}

#[tokio::test]
async fn an_order_is_made_paid_and_told() {
    let kit = Kit::new().await;
    kit.receiver.answer_note(200, r#"{"return_code":1}"#);
    let made = call(&kit, "create", &signed(order(&kit, "1").await)).await;
    assert_eq!(codes(&made), (1, 1));
    assert!(["zp_trans_token", "order_token", "qr_code"].iter().all(|name| made[name].is_string()), "{made}");
    let page = made["order_url"].as_str().unwrap();
    assert_eq!(codes(&standing(&kit, "1").await), (3, 3));
    assert_eq!(codes(&call(&kit, "create", &signed(order(&kit, "1").await)).await), (2, -68));
    let goal = press(&kit, page, "pay").await;
    assert_eq!(back(&goal), ("1".to_owned(), "38".to_owned(), "10000".to_owned()));
    let data = verified(&kit.receiver.wait_for_notes(1).await[0]);
    let sent = order(&kit, "1").await;
    for name in ["app_id", "app_trans_id", "app_user", "amount", "embed_data", "item"] {
        assert_eq!(data[name], sent[name], "{name}");
    }
    let told = standing(&kit, "1").await;
    assert_eq!((codes(&told), &told["amount"]), ((1, 1), &json!(10_000)));
    assert_eq!(told["zp_trans_id"], data["zp_trans_id"]);
    let movement = kit.get("/statement?provider=zalopay").await["movements"][0].clone();
    assert_eq!(movement["reference"].as_str().unwrap(), data["zp_trans_id"].to_string());
    assert_eq!(movement["reference"].as_str().unwrap().len(), 15);
}

#[tokio::test]
async fn no_failure_is_told_but_the_query_knows() {
    let kit = Kit::new().await;
    for (name, action, status, sub) in [("1", "decline", "-217", -217), ("2", "leave", "-49", -329)] {
        let goal = press(&kit, &open(&kit, name).await, action).await;
        assert_eq!(back(&goal), (status.to_owned(), "0".to_owned(), "10000".to_owned()));
        assert_eq!(codes(&standing(&kit, name).await), (2, sub));
    }
    let mut body = order(&kit, "3").await;
    body["expire_duration_seconds"] = 300.into();
    call(&kit, "create", &signed(body)).await;
    open(&kit, "4").await;
    let (third, fourth) = (question(&reference(&kit, "3").await), question(&reference(&kit, "4").await));
    for (offset_s, of_third, of_fourth) in [(301, (2, -54), (3, 3)), (901, (2, -54), (2, -54))] {
        kit.post("/clock", json!({ "offset_s": offset_s })).await;
        let told = (call(&kit, "query", &third).await, call(&kit, "query", &fourth).await);
        assert_eq!((codes(&told.0), codes(&told.1)), (of_third, of_fourth));
    }
    assert!(kit.receiver.settled_notes().await.is_empty());
    kit.post("/clock", json!({ "offset_s": 48 * 3_600 + 60 })).await;
    assert_eq!(codes(&call(&kit, "query", &third).await), (2, -101), "only the portal knows");
}

#[tokio::test]
async fn what_is_wrong_with_an_order() {
    let kit = Kit::new().await;
    let right = order(&kit, "9").await;
    let long = |count: usize| json!("x".repeat(count));
    let time = |off_s: i64| json!(right["app_time"].as_i64().unwrap() + off_s * 1_000);
    let wrong = [
        ("app_id", json!(2554), -402),
        ("app_id", json!("2553"), -401),
        ("app_user", json!(""), -401),
        ("app_user", long(51), -401),
        ("app_trans_id", json!(""), -401),
        ("app_trans_id", json!("200904_1"), -92),
        ("app_trans_id", json!(right["app_trans_id"].as_str().unwrap().replace('_', "")), -92),
        ("app_trans_id", json!(format!("{}{}", right["app_trans_id"].as_str().unwrap(), "x".repeat(33))), -401),
        ("app_time", time(-1_000), -401),
        ("app_time", time(1_000), -401),
        ("app_time", json!("soon"), -401),
        ("amount", json!("10000"), -401),
        ("amount", json!(10_000.0), -401),
        ("amount", json!(0), -401),
        ("amount", Value::Null, -401),
        ("description", long(257), -401),
        ("description", Value::Null, -401),
        ("item", json!([]), -401),
        ("item", json!("{}"), -401),
        ("item", json!("["), -401),
        ("item", json!(""), -401),
        ("embed_data", json!({}), -401),
        ("embed_data", json!("[]"), -401),
        ("embed_data", Value::Null, -401),
        ("embed_data", json!(format!("{{\"a\":\"{}\"}}", "x".repeat(2_048))), -401),
        ("embed_data", json!(r#"{"redirecturl":"javascript:1"}"#), -401),
        ("expire_duration_seconds", json!(299), -401),
        ("expire_duration_seconds", json!(2_592_001), -401),
        ("callback_url", json!("shop.test"), -401),
        ("bank_code", long(21), -401),
    ];
    for (name, value, sub) in wrong {
        let mut body = right.clone();
        body[name] = value;
        assert_eq!(codes(&call(&kit, "create", &signed(body.clone())).await), (2, sub), "{body}");
    }
    let mut forged = signed(right.clone());
    forged["amount"] = 9_999.into();
    assert_eq!(codes(&call(&kit, "create", &forged).await), (2, -402));
    let mut loud = signed(right.clone());
    loud["mac"] = loud["mac"].as_str().unwrap().to_uppercase().into();
    for body in [loud, right.clone()] {
        assert_eq!(codes(&call(&kit, "create", &body).await), (2, -402));
    }
    assert_eq!(kit.get("/summary").await["payments"], 0);
    let mut question = question(&reference(&kit, "9").await);
    assert_eq!(codes(&call(&kit, "query", &question).await), (2, -101));
    question["app_trans_id"] = "200904_1".into();
    assert_eq!(codes(&call(&kit, "query", &question).await), (2, -402));
    let odd = json!({ "app_id": 2553, "app_trans_id": "odd", "mac": sign(KEY1, &signing::query("2553", "odd", KEY1)) });
    assert_eq!(codes(&call(&kit, "query", &odd).await), (2, -92));
}

#[tokio::test]
async fn days_are_vietnamese_also_in_the_evening_of_london() {
    let kit = Kit::new().await;
    kit.until_evening().await;
    let mut london = order(&kit, "1").await;
    london["app_trans_id"] = now(&kit).await.strftime("%y%m%d_1").to_string().into();
    assert_eq!(codes(&call(&kit, "create", &signed(london)).await), (2, -92));
    paid(&kit, "1").await;
    let data = verified(&kit.receiver.wait_for_notes(1).await[0]);
    let day = reference(&kit, "1").await[..6].to_owned();
    assert!(data["zp_trans_id"].to_string().starts_with(&day), "{data}");
}

#[tokio::test]
async fn a_form_does_as_well() {
    let kit = Kit::new().await;
    let body = signed(order(&kit, "1").await);
    let form: Vec<_> = body.as_object().unwrap().keys().map(|name| (name.clone(), text(&body, &[name]))).collect();
    let post = |path: &str| kit.http.post(format!("{}/v2/{path}", kit.base));
    let made: Value = post("create").form(&form).send().await.unwrap().json().await.unwrap();
    assert_eq!(codes(&made), (1, 1), "{made}");
    assert_eq!(kit.get("/payments?provider=zalopay").await["payments"][0]["description"], "Vé số 1");
    let plain: Value = post("create").body(body.to_string()).send().await.unwrap().json().await.unwrap();
    assert_eq!(codes(&plain), (2, -401), "it says neither JSON nor form");
}
