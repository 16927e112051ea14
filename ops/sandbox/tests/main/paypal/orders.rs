//! Orders: tokens, what is refused, approval and capture.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Shop, issue, order, read};
use crate::kit::Kit;

const PATH: &str = "/v2/checkout/orders";

#[tokio::test]
async fn tokens_are_given_to_the_client_and_expire() {
    let mut shop = Shop::new().await;
    let url = format!("{}/v1/oauth2/token", shop.kit.base);
    let ask = |secret: &'static str, form: &'static str| {
        let request = shop.kit.http.post(&url).basic_auth("sandbox-paypal-client", Some(secret)).body(form);
        async move { read(request.send().await.unwrap()).await }
    };
    let (status, answer) = ask("wrong", "grant_type=client_credentials").await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")));
    assert_eq!(ask("sandbox-paypal-secret", "grant_type=password").await.0, 400);
    let order = shop.open("t-1").await;
    shop.kit.post("/paypal/expire_tokens", json!({})).await;
    let (status, answer) = shop.get(&format!("{PATH}/{order}")).await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_token")));
    shop.refresh().await;
    shop.order(&order).await;
    shop.kit.post("/clock", json!({ "offset_s": 32_500 })).await;
    assert_eq!(shop.get(&format!("{PATH}/{order}")).await.0, 401);
}

#[tokio::test]
async fn an_order_from_creation_to_capture() {
    let shop = Shop::new().await;
    let (status, made) = shop.post(PATH, &order("a-1"), "r-1").await;
    assert_eq!((status, &made["status"]), (201, &json!("PAYER_ACTION_REQUIRED")), "{made}");
    let rels: Vec<_> = made["links"].as_array().unwrap().iter().map(|link| link["rel"].as_str().unwrap()).collect();
    assert_eq!(rels, ["self", "payer-action"]);
    let (status, again) = shop.post(PATH, &order("a-1"), "r-1").await;
    assert_eq!((status, &again), (200, &made), "a replay is a 200");
    let (status, other) = shop.post(PATH, &order("a-2"), "r-1").await;
    assert_eq!((status, issue(&other)), (422, "DUPLICATE_REQUEST_ID"));
    let (status, taken) = shop.post(PATH, &order("a-1"), "r-2").await;
    assert_eq!((status, issue(&taken)), (422, "DUPLICATE_INVOICE_ID"));
    let id = made["id"].as_str().unwrap();
    let (status, early) = shop.capture(id).await;
    assert_eq!((status, issue(&early)), (422, "ORDER_NOT_APPROVED"));
    shop.act("a-1", "pay").await;
    assert_eq!(shop.order(id).await["status"], "APPROVED");
    let (status, captured) = shop.capture(id).await;
    assert_eq!((status, &captured["status"]), (201, &json!("COMPLETED")), "a refusal is not kept: {captured}");
    let capture = &captured["purchase_units"][0]["payments"]["captures"][0];
    assert_eq!((&capture["status"], &capture["amount"]["value"]), (&json!("COMPLETED"), &json!("20.00")));
    assert_eq!((&capture["invoice_id"], &capture["custom_id"]), (&json!("a-1"), &json!("payment-7")));
    assert_eq!(capture["seller_receivable_breakdown"]["paypal_fee"]["value"], "1.19");
    assert_eq!(shop.capture(id).await, (200, captured.clone()));
    let path = format!("{PATH}/{id}/capture");
    let (status, twice) = shop.post(&path, &json!({}), "another").await;
    assert_eq!((status, issue(&twice)), (422, "ORDER_ALREADY_CAPTURED"));
    let (_, alone) = shop.get(&format!("/v2/payments/captures/{}", capture["id"].as_str().unwrap())).await;
    assert_eq!(&alone, capture);
    let whole = shop.order(id).await;
    assert_eq!(&whole["purchase_units"][0]["payments"]["captures"][0], capture);
    assert_eq!(whole["purchase_units"][0]["amount"], json!({ "currency_code": "USD", "value": "20.00" }));
    let line = &shop.kit.csv("csv&provider=paypal").await[1];
    assert!(line.starts_with("paypal,capture,") && line.contains(",a-1,2000,USD,119,"), "{line}");
}

#[tokio::test]
async fn wrong_orders_are_named() {
    let shop = Shop::new().await;
    let cases: [(&str, Value, u16, &str); 20] = [
        ("/intent", Value::Null, 400, "MISSING_REQUIRED_PARAMETER"),
        ("/intent", json!("SELL"), 400, "INVALID_PARAMETER_VALUE"),
        ("/purchase_units", json!([]), 400, "INVALID_PARAMETER_SYNTAX"),
        ("/purchase_units/0/amount", Value::Null, 400, "MISSING_REQUIRED_PARAMETER"),
        ("/purchase_units/0/amount/value", json!(20), 400, "INVALID_PARAMETER_SYNTAX"),
        ("/purchase_units/0/amount/value", json!("20,00"), 400, "INVALID_PARAMETER_SYNTAX"),
        ("/purchase_units/0/amount/value", json!("1e3"), 400, "INVALID_PARAMETER_SYNTAX"),
        ("/purchase_units/0/amount/value", json!("20.001"), 422, "DECIMAL_PRECISION"),
        ("/purchase_units/0/amount/value", json!("0.00"), 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ("/purchase_units/0/amount/value", json!("-1"), 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ("/purchase_units/0/amount/currency_code", json!("VND"), 422, "INVALID_CURRENCY_CODE"),
        ("/purchase_units/0/amount/currency_code", json!("JPY"), 422, "DECIMALS_NOT_SUPPORTED"),
        ("/purchase_units/0/amount/currency_code", json!("HUF"), 422, "DECIMALS_NOT_SUPPORTED"),
        ("/purchase_units/0/amount/currency_code", json!("TWD"), 422, "DECIMALS_NOT_SUPPORTED"),
        ("/purchase_units/0/invoice_id", json!("i".repeat(128)), 400, "INVALID_STRING_LENGTH"),
        ("/purchase_units/0/custom_id", json!(7), 400, "INVALID_PARAMETER_SYNTAX"),
        ("/payment_source/paypal/experience_context/return_url", Value::Null, 400, "MISSING_REQUIRED_PARAMETER"),
        ("/payment_source/paypal/experience_context/cancel_url", json!("/back"), 400, "INVALID_PARAMETER_SYNTAX"),
        ("/payment_source/paypal/experience_context/user_action", json!("RUN"), 400, "INVALID_PARAMETER_VALUE"),
        ("/payment_source/paypal", Value::Null, 400, "MISSING_REQUIRED_PARAMETER"),
    ];
    for (index, (field, value, status, wanted)) in cases.into_iter().enumerate() {
        let mut body = order("w-1");
        *body.pointer_mut(field).unwrap() = value;
        let (answered, answer) = shop.post(PATH, &body, &format!("w-{index}")).await;
        assert_eq!((answered, issue(&answer)), (status, wanted), "{field}: {answer}");
        assert!(answer["debug_id"].is_string() && answer["links"][0]["rel"] == "information_link");
    }
    let (status, answer) = read(shop.call(Method::POST, PATH, Some(&order("w-2")), None).await).await;
    assert_eq!((status, issue(&answer)), (422, "PAYPAL_REQUEST_ID_REQUIRED"));
    assert_eq!(shop.post(PATH, &order("w-2"), &"k".repeat(109)).await.0, 400);
    assert_eq!(shop.post(PATH, &json!([1]), "list").await.0, 400);
    let form = shop.kit.http.post(format!("{}{PATH}", shop.kit.base)).form(&[("a", "b")]).send().await.unwrap();
    assert_eq!(form.status(), 401, "the token comes first");
    assert_eq!(shop.kit.get("/summary").await["payments"], 0);
    let (status, answer) = shop.get(&format!("{PATH}/NOTHING")).await;
    assert_eq!((status, &answer["name"]), (404, &json!("RESOURCE_NOT_FOUND")));
}

#[tokio::test]
async fn decimals_per_currency_and_sums() {
    let shop = Shop::new().await;
    for (currency, value, minor, shown) in [
        ("USD", "20", 2_000, "20.00"),
        ("EUR", "20.5", 2_050, "20.50"),
        ("GBP", ".75", 75, "0.75"),
        ("JPY", "2000", 2_000, "2000"),
        ("HUF", "2000", 200_000, "2000"),
        ("TWD", "2000", 200_000, "2000"),
    ] {
        let mut body = order(currency);
        body["purchase_units"][0]["amount"] = json!({ "currency_code": currency, "value": value });
        let (status, made) = shop.post(PATH, &body, currency).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(shop.kit.get(&format!("/payments/paypal/{currency}")).await["amount"], minor);
        let now = shop.order(made["id"].as_str().unwrap()).await;
        assert_eq!(now["purchase_units"][0]["amount"]["value"], shown);
    }
    let mut body = order("sums");
    body["purchase_units"][0]["items"] =
        json!([{ "name": "Ticket", "quantity": "2", "unit_amount": { "currency_code": "USD", "value": "9.50" } }]);
    assert_eq!(issue(&shop.post(PATH, &body, "s-1").await.1), "ITEM_TOTAL_REQUIRED");
    let breakdown = |items: &str, fee: &str| {
        let usd = |value: &str| json!({ "currency_code": "USD", "value": value });
        json!({ "item_total": usd(items), "handling": usd(fee) })
    };
    for (items, fee, status, wanted) in [
        ("18.00", "2.00", 422, "ITEM_TOTAL_MISMATCH"),
        ("19.00", "0.99", 422, "AMOUNT_MISMATCH"),
        ("19.00", "1.00", 201, ""),
    ] {
        body["purchase_units"][0]["amount"]["breakdown"] = breakdown(items, fee);
        let (answered, answer) = shop.post(PATH, &body, &format!("{items}{fee}")).await;
        assert_eq!((answered, issue(&answer)), (status, wanted), "{answer}");
    }
}

#[tokio::test]
async fn without_a_source_it_is_the_older_form() {
    let shop = Shop::new().await;
    let mut body = order("old-1");
    let context = body["payment_source"]["paypal"]["experience_context"].take();
    body.as_object_mut().unwrap().remove("payment_source");
    body["application_context"] = context;
    let request = shop.call(Method::POST, PATH, Some(&body), None).await;
    let (status, made) = read(request).await;
    assert_eq!((status, &made["status"], &made["links"][1]["rel"]), (201, &json!("CREATED"), &json!("approve")));
}

#[tokio::test]
async fn the_payers_bank_refuses_at_the_capture() {
    let shop = Shop::new().await;
    let order = shop.open_with("d-1", json!({ "capture": "fail" })).await;
    shop.act("d-1", "pay").await;
    let (status, refused) = shop.capture(&order).await;
    assert_eq!((status, issue(&refused)), (422, "INSTRUMENT_DECLINED"));
    let rels: Vec<_> = refused["links"].as_array().unwrap().iter().map(|link| link["rel"].clone()).collect();
    assert_eq!(rels, [json!("information_link"), json!("payer-action")]);
    assert_eq!(shop.order(&order).await["status"], "PAYER_ACTION_REQUIRED");
    shop.script("d-1", json!({})).await;
    shop.act("d-1", "pay").await;
    assert_eq!(shop.capture(&order).await.0, 201);
}

#[tokio::test]
async fn faults_of_the_api() {
    let shop = Shop::new().await;
    shop.script("f-1", json!({ "http_500_times": 1, "html": 1, "lose_create_answer": "504" })).await;
    let create = || shop.call(Method::POST, PATH, None, None);
    assert_eq!(create().await.status(), 415);
    let body = order("f-1");
    let create = || shop.call(Method::POST, PATH, Some(&body), Some("f-1"));
    let (status, trouble) = read(create().await).await;
    assert_eq!((status, &trouble["name"]), (500, &json!("INTERNAL_SERVER_ERROR")));
    assert!(create().await.text().await.unwrap().starts_with("<!doctype html>"));
    assert_eq!(create().await.status(), 504);
    let (status, made) = read(create().await).await;
    assert_eq!(status, 200, "the lost answer is replayed: {made}");
    let id = made["id"].as_str().unwrap();
    shop.script("f-1", json!({ "capture_lost": "504" })).await;
    shop.act("f-1", "pay").await;
    assert_eq!(shop.capture(id).await.0, 504);
    assert_eq!(shop.capture(id).await.0, 200);
    assert_eq!(shop.kit.get("/summary").await["money"], json!({ "USD": 2_000 }));
}

#[tokio::test]
async fn the_page_approves_and_lets_go() {
    let shop = Shop::new().await;
    let id = shop.open("p-1").await;
    let url = format!("{}/checkout/paypal/{id}", shop.kit.base);
    let html = shop.kit.http.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("Pay with PayPal") && html.contains("20,00 USD") && html.contains("Two tickets"), "{html}");
    let press = |action: &'static str| {
        let request = shop.kit.http.post(format!("{url}/{action}"));
        async move { request.send().await.unwrap() }
    };
    let left = press("leave").await;
    assert_eq!(left.headers()["location"], format!("https://shop.test/back?token={id}"));
    let approved = press("pay").await;
    assert_eq!(approved.headers()["location"], format!("https://shop.test/done?o=1&token={id}&PayerID=SANDBOXPAYER1"));
    assert_eq!(shop.order(&id).await["status"], "APPROVED");
    let html = shop.kit.http.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("APPROVED") && !html.contains("<button"), "{html}");
    assert_eq!(press("pay").await.status(), 409);
}

#[tokio::test]
async fn other_providers_do_not_answer_to_its_names() {
    let kit = Kit::new().await;
    assert_eq!(kit.control(Method::GET, "/payments/paypal/nothing", json!({})).await.0, 404);
    assert_eq!(kit.control(Method::PUT, "/payments/nothing/script", json!({})).await.0, 404);
}
