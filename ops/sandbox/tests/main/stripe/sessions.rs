//! Sessions: what is refused, what is answered, how they end.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SESSION, act, call, get, kinds, open, post, read, session};
use crate::kit::Kit;

const PATH: &str = "/v1/checkout/sessions";

#[tokio::test]
async fn the_session_of_the_node_sdk() {
    let kit = Kit::new().await;
    let made = open(&kit, "a-1").await;
    assert!(made["id"].as_str().unwrap().starts_with("cs_test_"));
    assert_eq!((&made["status"], &made["payment_status"]), (&json!("open"), &json!("unpaid")));
    assert_eq!((&made["amount_total"], &made["currency"]), (&json!(150_000), &json!("vnd")));
    assert_eq!((&made["client_reference_id"], &made["payment_intent"]), (&json!("a-1"), &Value::Null));
    assert_eq!(made["metadata"], json!({ "order_id": "o-1" }));
    let encoded = format!("{SESSION}&client_reference_id=a-2").replace('[', "%5B").replace(']', "%5d");
    let (status, again) = post(&kit, PATH, &encoded).await;
    assert_eq!((status, &again["amount_total"]), (200, &json!(150_000)), "{again}");
    assert_eq!(session(&kit, &made).await, made);
    let seen = kit.get("/payments/stripe/a-1").await;
    assert_eq!(
        (&seen["currency"], &seen["amount"], &seen["status"]),
        (&json!("VND"), &json!(150_000), &json!("PENDING"))
    );
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let kit = Kit::new().await;
    let cases = [
        ("mode=payment", "mode=subscription", "mode", None),
        ("mode=payment&", "", "mode", Some("parameter_missing")),
        ("=vnd", "=VND", "line_items[0][price_data][currency]", None),
        ("=vnd", "=xyz", "line_items[0][price_data][currency]", None),
        ("=75000", "=75000.5", "line_items[0][price_data][unit_amount]", Some("parameter_invalid_integer")),
        ("=75000", "=-1", "line_items[0][price_data][unit_amount]", Some("parameter_invalid_integer")),
        ("=75000", "=100000000", "line_items[0][price_data][unit_amount]", Some("amount_too_large")),
        ("=75000", "=99999999", "line_items", Some("amount_too_large")),
        ("[quantity]=2", "[quantity]=0", "line_items[0][quantity]", None),
        ("line_items[0][quantity]=2&", "", "line_items[0][quantity]", Some("parameter_missing")),
        ("success_url=https", "success_url=ftp", "success_url", Some("url_invalid")),
        ("cancel_url=https://shop.test/back", "cancel_url=/back", "cancel_url", Some("url_invalid")),
        ("cancel_url=https://shop.test/back", "cancel_url=", "cancel_url", Some("parameter_invalid_empty")),
        ("metadata[order_id]=o-1&", "metadata[order_id]=o-1&colour=red&", "colour", Some("parameter_unknown")),
        (
            "[product_data][name]",
            "[product_data][nam]",
            "line_items[0][price_data][product_data][name]",
            Some("parameter_missing"),
        ),
        ("mode=payment", "mode=payment&mode=payment", "mode", None),
    ];
    for (from, to, param, code) in cases {
        assert!(SESSION.contains(from), "{from}");
        let (status, answer) = post(&kit, PATH, &SESSION.replacen(from, to, 1)).await;
        let error = &answer["error"];
        assert_eq!(
            (status, &error["type"], &error["param"]),
            (400, &json!("invalid_request_error"), &json!(param)),
            "{answer}"
        );
        assert_eq!(error["code"].as_str(), code, "{answer}");
    }
    for broken in ["mode", "mode=%zz", "a[b=1", "a]b=1", "[a]=1", "mode=payment&&", "a[b]c=1"] {
        assert_eq!(post(&kit, PATH, broken).await.0, 400, "{broken}");
    }
    assert_eq!(kit.get("/summary").await["payments"], 0);
}

#[tokio::test]
async fn small_amounts_and_expiry_have_bounds() {
    let kit = Kit::new().await;
    let dollars = SESSION.replace("=vnd", "=usd");
    for (unit, status) in [("24", 400), ("25", 200)] {
        let (answered, session) = post(&kit, PATH, &dollars.replace("=75000", &format!("={unit}"))).await;
        assert_eq!(answered, status, "{session}");
    }
    let now: jiff::Timestamp = kit.get("/clock").await["now"].as_str().unwrap().parse().unwrap();
    for (after_s, status) in [(1_700, 400), (1_810, 200), (86_390, 200), (86_500, 400)] {
        let body = format!("{SESSION}&expires_at={}", now.as_second() + after_s);
        let (answered, session) = post(&kit, PATH, &body).await;
        assert_eq!(answered, status, "{after_s}: {session}");
    }
}

#[tokio::test]
async fn key_version_and_form_are_required() {
    let kit = Kit::new().await;
    let url = format!("{}{PATH}", kit.base);
    let form = "application/x-www-form-urlencoded";
    let request = || kit.http.post(&url).body(SESSION);
    let versioned = || request().header("stripe-version", super::VERSION);
    assert_eq!(versioned().header("content-type", form).send().await.unwrap().status(), 401);
    assert_eq!(versioned().header("content-type", form).bearer_auth("sk_live_x").send().await.unwrap().status(), 401);
    let basic = versioned().header("content-type", form).basic_auth("sk_test_sandbox", Some(""));
    assert_eq!(basic.send().await.unwrap().status(), 200);
    let bare = request().header("content-type", form).bearer_auth("sk_test_sandbox");
    assert_eq!(bare.send().await.unwrap().status(), 400);
    let json = versioned().header("content-type", "application/json").bearer_auth("sk_test_sandbox");
    assert_eq!(json.send().await.unwrap().status(), 400);
    let (status, answer) = get(&kit, "/v1/checkout/sessions/cs_test_x").await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("resource_missing")));
}

#[tokio::test]
async fn paying_completes_it_and_expand_shows_the_intent() {
    let kit = Kit::new().await;
    let made = open(&kit, "b-1").await;
    act(&kit, "b-1", "pay").await;
    let paid = session(&kit, &made).await;
    assert_eq!(
        (&paid["status"], &paid["payment_status"], &paid["url"]),
        (&json!("complete"), &json!("paid"), &Value::Null)
    );
    let intent = paid["payment_intent"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    for expand in ["expand[0]=payment_intent", "expand%5B%5D=payment_intent"] {
        let (_, full) = get(&kit, &format!("{PATH}/{id}?{expand}")).await;
        assert_eq!(
            (&full["payment_intent"]["id"], &full["payment_intent"]["status"]),
            (&json!(intent), &json!("succeeded"))
        );
    }
    assert_eq!(get(&kit, &format!("{PATH}/{id}?expand[0]=moon")).await.0, 400);
    let (_, alone) = get(&kit, &format!("/v1/payment_intents/{intent}")).await;
    assert_eq!((&alone["amount_received"], &alone["metadata"]["order_id"]), (&json!(150_000), &json!("o-1")));
    let (status, problem) = post(&kit, &format!("{PATH}/{id}/expire"), "").await;
    assert_eq!((status, problem["error"]["type"].as_str()), (400, Some("invalid_request_error")));
}

#[tokio::test]
async fn expiring_by_call_and_by_the_clock() {
    let kit = Kit::new().await;
    let (first, second) = (open(&kit, "c-1").await, open(&kit, "c-2").await);
    let (status, expired) = post(&kit, &format!("{PATH}/{}/expire", first["id"].as_str().unwrap()), "").await;
    assert_eq!((status, &expired["status"], &expired["expires_at"]), (200, &json!("expired"), &first["expires_at"]));
    kit.post("/clock", json!({ "offset_s": 86_500 })).await;
    let notes = kit.receiver.wait_for_notes(2).await;
    assert_eq!(kinds(&notes), ["checkout.session.expired", "checkout.session.expired"]);
    assert_eq!(session(&kit, &second).await["status"], "expired");
    assert_eq!(kit.control(Method::POST, "/payments/stripe/c-2/pay", json!({})).await.0, 409);
    kit.post("/payments/stripe/c-2/pay", json!({ "force": true })).await;
    assert_eq!(session(&kit, &second).await["payment_status"], "paid");
}

#[tokio::test]
async fn a_declined_card_leaves_it_open() {
    let kit = Kit::new().await;
    let made = open(&kit, "d-1").await;
    act(&kit, "d-1", "fail").await;
    let declined = session(&kit, &made).await;
    assert_eq!(declined["status"], "open");
    let (_, intent) = get(&kit, &format!("/v1/payment_intents/{}", declined["payment_intent"].as_str().unwrap())).await;
    assert_eq!(
        (&intent["status"], &intent["last_payment_error"]["code"]),
        (&json!("requires_payment_method"), &json!("card_declined"))
    );
    act(&kit, "d-1", "pay").await;
    let notes = kit.receiver.wait_for_notes(2).await;
    let mut seen = kinds(&notes);
    seen.sort();
    assert_eq!(seen, ["checkout.session.completed", "payment_intent.payment_failed"]);
}

#[tokio::test]
async fn the_page_pays_declines_and_lets_go() {
    let kit = Kit::new().await;
    let made = open(&kit, "e-1").await;
    let url = made["url"].as_str().unwrap();
    let page = kit.http.get(url).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains("150.000 VND") && html.contains("Pay with Stripe") && html.contains("Vé VIP"), "{html}");
    assert!(!html.contains("src=") && html.contains("<html lang=\"en\">"));
    let press = |action: &'static str| {
        let request = kit.http.post(format!("{url}/{action}"));
        async move { request.send().await.unwrap() }
    };
    let goal = |response: &reqwest::Response| response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(goal(&press("leave").await), "https://shop.test/back");
    let declined = press("decline").await;
    assert_eq!((declined.status().as_u16(), goal(&declined)), (303, url.replace(&kit.base, "")));
    let paid = press("pay").await;
    assert_eq!(goal(&paid), format!("https://shop.test/done?s={}", made["id"].as_str().unwrap()));
    let again = press("pay").await;
    assert_eq!(again.status(), 409);
    assert!(!again.text().await.unwrap().contains("<button"));
    assert_eq!(press("steal").await.status(), 404);
    assert_eq!(kit.http.get(format!("{}/checkout/stripe/nothing", kit.base)).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_same_key_is_answered_once() {
    let kit = Kit::new().await;
    let create = |key: &'static str, body: &'static str| call(&kit, Method::POST, PATH, Some(body), Some(key));
    let refused = create("k1", "mode=nothing").await;
    assert_eq!(refused.status(), 400);
    let (status, first) = read(create("k1", SESSION).await).await;
    assert_eq!(status, 200, "what failed before its effect is not kept");
    let again = create("k1", SESSION).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(read(again).await, (200, first));
    let (status, other) = read(create("k1", "mode=payment").await).await;
    assert_eq!((status, &other["error"]["type"]), (400, &json!("idempotency_error")));
    let long = "k".repeat(256);
    assert_eq!(call(&kit, Method::POST, PATH, Some(SESSION), Some(&long)).await.status(), 400);
    assert_eq!(kit.get("/summary").await["payments"], 1);
    kit.post("/clock", json!({ "offset_s": 86_500 })).await;
    assert_eq!(read(create("k1", SESSION).await).await.0, 200);
    assert_eq!(kit.get("/summary").await["payments"], 2, "a key is forgotten after a day");
}

#[tokio::test]
async fn a_running_call_is_409_and_a_lost_answer_is_replayed() {
    let kit = Kit::new().await;
    kit.post("/next", json!({ "provider": "stripe", "script": { "slow_create_ms": 60_000 } })).await;
    let slow = call(&kit, Method::POST, PATH, Some(SESSION), Some("slow"));
    let during = async {
        for _ in 0..500 {
            if kit.get("/summary").await["payments"] == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        read(call(&kit, Method::POST, PATH, Some(SESSION), Some("slow")).await).await
    };
    let (status, answer) = tokio::select! { _ = slow => panic!("it is slow"), answer = during => answer };
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("idempotency_key_in_use")));
    kit.post("/next", json!({ "provider": "paypal", "script": { "http_500_times": 9 } })).await;
    kit.post("/next", json!({ "provider": "stripe", "script": { "lose_create_answer": "504" } })).await;
    let lost = call(&kit, Method::POST, PATH, Some(SESSION), Some("lost")).await;
    assert_eq!(lost.status(), 504);
    let (status, session) = read(call(&kit, Method::POST, PATH, Some(SESSION), Some("lost")).await).await;
    assert_eq!((status, &session["status"]), (200, &json!("open")));
    assert_eq!(kit.get("/summary").await["payments"], 2);
}
