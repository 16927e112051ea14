//! Against the sandbox, which plays PayOS by its protocol and shares no code with us.

use std::time::Duration;

use domain::ids::PaymentId;
use http::Method;
use provider_sandbox::{Running, Settings, start};
use serde_json::{Value, json};
use service_kit::{clock, random};

use http::HeaderMap;

use super::*;
use crate::payments::gateway::{About, attempt_of};

const AMOUNT: i64 = 150_000;
const SERIAL: i64 = 8_190;

/// A sandbox and our gateway to it.
struct World {
    sandbox: Running,
    payos: Payos,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With the page's address known, so that lost pages are found.
    async fn with_page() -> Self {
        Self::with(|settings, _| settings.page = Some(format!("{}/pay/{{id}}", settings.url))).await
    }

    async fn with(change: impl FnOnce(&mut PayosSettings, &mut CallSettings)) -> Self {
        Self::of(Settings::default(), change).await
    }

    async fn of(sandbox: Settings, change: impl FnOnce(&mut PayosSettings, &mut CallSettings)) -> Self {
        let keys = PayosKeys::new(&sandbox.client_id, &sandbox.api_key, &sandbox.checksum_key);
        let sandbox = start(sandbox).await.unwrap();
        let mut settings = PayosSettings::new(&sandbox.base_url(), keys);
        let (timeout, first_pause) = (Duration::from_millis(500), Duration::from_millis(10));
        let mut calls = CallSettings { timeout, first_pause, ..CallSettings::default() };
        change(&mut settings, &mut calls);
        let payos = Payos::new(settings, calls).unwrap();
        Self { sandbox, payos, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/_control{path}", self.sandbox.base_url());
        let response = self.http.request(method, url).json(&body).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn script(&self, script: Value) {
        self.control(Method::PUT, &format!("/payments/{SERIAL}/script"), script).await;
    }

    async fn happens(&self, what: &str, body: Value) -> Value {
        self.control(Method::POST, &format!("/payments/{SERIAL}/{what}"), body).await
    }

    async fn link(&self) -> Value {
        self.control(Method::GET, &format!("/payments/{SERIAL}"), json!({})).await
    }

    async fn links(&self) -> usize {
        self.control(Method::GET, "/payments", json!({})).await["payments"].as_array().unwrap().len()
    }

    async fn create(&self) -> Result<Intent, CreateError> {
        self.payos.create(&payment(), &urls()).await
    }

    async fn status(&self) -> Result<Report, GatewayError> {
        self.payos.status(&attempt_of(SERIAL)).await
    }

    async fn close(&self) -> Result<Report, GatewayError> {
        self.payos.close(&attempt_of(SERIAL), "order over").await
    }
}

fn urls() -> Urls {
    crate::payments::Gateways::new("https://tickets.test/").urls(Provider::Payos, PaymentId(uuid::Uuid::from_u128(7)))
}

fn payment() -> CreatePayment {
    CreatePayment {
        payment: PaymentId(random::id()),
        provider: Provider::Payos,
        serial: SERIAL,
        amount: AMOUNT,
        currency: *CURRENCY,
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by: clock::now().plus_s(900),
    }
}

fn amounts(report: &Report) -> Vec<i64> {
    report.movements.iter().map(|movement| movement.amount).collect()
}

fn code(result: Result<Intent, CreateError>) -> String {
    match result {
        Err(CreateError::Refused { code }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn creating_opens_a_link_with_our_data() {
    let world = World::new().await;
    let payment = payment();
    let intent = world.payos.create(&payment, &urls()).await.unwrap();
    let link = world.link().await;
    assert_eq!(
        (link["paymentLinkId"].as_str(), link["checkoutUrl"].as_str()),
        (Some(&*intent.reference), Some(&*intent.url))
    );
    assert_eq!((&link["amount"], &link["description"]), (&json!(AMOUNT), &json!("K7M2P9Q4TX")));
    assert_eq!(link["expiredAt"], json!(payment.pay_by.0 / 1_000_000));
    let (paid, cancelled) = (json!(urls().paid), json!(urls().cancelled));
    assert_eq!((&link["returnUrl"], &link["cancelUrl"]), (&paid, &cancelled));
}

#[tokio::test]
async fn a_bank_account_that_is_not_linked_takes_nine_characters() {
    let sandbox = || Settings { description_limit: 9, ..Settings::default() };
    let world = World::of(sandbox(), |settings, _| settings.description_limit = 9).await;
    world.create().await.unwrap();
    let world = World::of(sandbox(), |_, _| {}).await;
    assert_eq!(code(world.create().await), "20");
}

#[tokio::test]
async fn creating_again_finds_the_same_link() {
    let world = World::with_page().await;
    let first = world.create().await.unwrap();
    assert_eq!(world.create().await.unwrap(), first);
    assert_eq!(world.links().await, 1);
}

#[tokio::test]
async fn a_page_that_cannot_be_had_again_is_lost_and_its_link_can_be_closed() {
    let world = World::new().await;
    let first = world.create().await.unwrap();
    match world.create().await {
        Err(CreateError::PageLost { reference }) => assert_eq!(reference, first.reference),
        other => panic!("{other:?}"),
    }
    let report = world.close().await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Ended, vec![]));
    assert_eq!(code(world.create().await), "cancelled");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for() {
    for script in [
        json!({ "lose_create_answer": "cut" }),
        json!({ "lose_create_answer": "504" }),
        json!({ "slow_create_ms": 2000 }),
    ] {
        let world = World::with_page().await;
        world.script(script.clone()).await;
        let intent = world.create().await.unwrap();
        let link = world.link().await;
        assert_eq!(
            (json!(intent.reference), json!(intent.url)),
            (link["paymentLinkId"].clone(), link["checkoutUrl"].clone())
        );
        assert_eq!(world.links().await, 1, "{script}");
    }
}

#[tokio::test]
async fn a_lost_answer_without_a_second_attempt_is_asked_for_too() {
    let world = World::with(|settings, calls| {
        calls.attempts = 1;
        settings.page = Some(format!("{}/pay/{{id}}", settings.url));
    });
    let world = world.await;
    world.script(json!({ "lose_create_answer": "cut" })).await;
    assert_eq!(json!(world.create().await.unwrap().reference), world.link().await["paymentLinkId"]);
}

#[tokio::test]
async fn money_that_came_before_the_lost_answer_is_not_lost() {
    let world = World::new().await;
    world.script(json!({ "webhook_before_create_answer": true, "lose_create_answer": "cut" })).await;
    assert!(matches!(world.create().await, Err(CreateError::PageLost { .. })));
    let report = world.close().await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Paid, vec![AMOUNT]));
}

#[tokio::test]
async fn a_part_that_came_before_the_end_is_not_lost() {
    let world = World::with_page().await;
    world.create().await.unwrap();
    world.happens("pay", json!({ "amount": 1000 })).await;
    world.happens("expire", json!({})).await;
    assert!(matches!(world.create().await, Err(CreateError::PageLost { .. })));
    let report = world.close().await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Ended, vec![1000]));
}

#[tokio::test]
async fn failing_twice_is_forgiven_and_failing_longer_is_in_doubt() {
    let world = World::new().await;
    world.script(json!({ "http_500_times": 2 })).await;
    world.create().await.unwrap();
    let world = World::new().await;
    world.script(json!({ "http_500_times": 3 })).await;
    assert!(matches!(world.create().await, Err(CreateError::Ambiguous(_))));
    assert_eq!(world.links().await, 0);
    world.create().await.unwrap();
}

#[tokio::test]
async fn a_silent_provider_leaves_doubt_and_no_conclusion() {
    let world = World::with(|_, calls| calls.attempts = 2).await;
    world.script(json!({ "silent": true, "lose_create_answer": "cut" })).await;
    assert!(matches!(world.create().await, Err(CreateError::Ambiguous(_))));
    assert!(matches!(world.status().await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(world.close().await, Err(GatewayError::Ambiguous(_))));
    world.script(json!({})).await;
    assert_eq!(world.close().await.unwrap().standing, Standing::Ended);
}

#[tokio::test]
async fn another_amount_under_our_serial_is_not_ours() {
    let world = World::with_page().await;
    world.create().await.unwrap();
    let other = CreatePayment { amount: AMOUNT + 1, ..payment() };
    assert_eq!(code(world.payos.create(&other, &urls()).await), "serial-taken");
}

#[tokio::test]
async fn what_payos_cannot_take_is_refused_without_asking() {
    let world = World::new().await;
    world.sandbox.stop().await;
    for (change, expected) in [
        (CreatePayment { currency: "EUR".parse().unwrap(), ..payment() }, "currency-not-taken"),
        (CreatePayment { serial: 0, ..payment() }, "serial-out-of-range"),
        (CreatePayment { serial: 1 << 53, ..payment() }, "serial-out-of-range"),
    ] {
        assert_eq!(code(world.payos.create(&change, &urls()).await), expected);
    }
}

#[tokio::test]
async fn what_payos_refuses_is_final_once_it_is_sure_that_nothing_is_there() {
    let world = World::new().await;
    let late = CreatePayment { pay_by: clock::now().plus_s(-5), ..payment() };
    assert_eq!(code(world.payos.create(&late, &urls()).await), "20");
    world.create().await.unwrap();
    let again = world.payos.create(&late, &urls()).await;
    assert!(matches!(again, Err(CreateError::PageLost { .. })), "an earlier call opened it: {again:?}");
}

#[tokio::test]
async fn wrong_keys_are_refused() {
    let wrong = |id, api, checksum| {
        move |settings: &mut PayosSettings, _: &mut CallSettings| settings.keys = PayosKeys::new(id, api, checksum)
    };
    let world = World::with(wrong("sandbox-client", "x", "sandbox-checksum-key")).await;
    assert_eq!(code(world.create().await), "401");
    assert!(matches!(world.status().await, Err(GatewayError::Refused { code }) if code == "401"));
    let world = World::with(wrong("sandbox-client", "sandbox-api-key", "x")).await;
    assert_eq!(code(world.create().await), "201");
}

#[tokio::test]
async fn nobody_there_means_not_sent() {
    let world = World::with(|settings, _| settings.url = "http://127.0.0.1:1".to_owned()).await;
    assert!(matches!(world.create().await, Err(CreateError::Unavailable { .. })));
    assert!(matches!(world.status().await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(world.close().await, Err(GatewayError::Unavailable { .. })));
}

#[tokio::test]
async fn money_in_parts_is_reported_part_by_part() {
    let world = World::with_page().await;
    let intent = world.create().await.unwrap();
    let fresh = world.status().await.unwrap();
    assert_eq!((fresh.standing, amounts(&fresh), fresh.amount), (Standing::Open, vec![], Some(AMOUNT)));
    assert_eq!((fresh.reference, fresh.url), (Some(intent.reference), Some(intent.url)));
    world.happens("pay", json!({ "parts": [1000, 2000] })).await;
    let part = world.status().await.unwrap();
    assert_eq!((part.standing, amounts(&part)), (Standing::Open, vec![1000, 2000]));
    let last = world.happens("pay", json!({})).await;
    let whole = world.status().await.unwrap();
    assert_eq!((whole.standing, amounts(&whole)), (Standing::Paid, vec![1000, 2000, AMOUNT - 3000]));
    assert_eq!(json!(whole.movements[2].reference), last["references"][0]);
    assert!(whole.movements.iter().all(|movement| movement.currency == *CURRENCY));
}

#[tokio::test]
async fn too_much_is_reported_as_it_came() {
    let world = World::new().await;
    world.create().await.unwrap();
    world.happens("pay", json!({ "amount": AMOUNT + 5 })).await;
    let report = world.status().await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Paid, vec![AMOUNT + 5]));
}

#[tokio::test]
async fn every_end_is_told() {
    for (what, standing) in [
        ("expire", Standing::Ended),
        ("cancel", Standing::Ended),
        ("fail", Standing::Failed),
        ("processing", Standing::Open),
    ] {
        let world = World::new().await;
        world.create().await.unwrap();
        world.happens(what, json!({})).await;
        assert_eq!(world.status().await.unwrap().standing, standing, "{what}");
    }
}

#[tokio::test]
async fn closing_says_how_it_stands() {
    let world = World::new().await;
    assert_eq!(world.close().await.unwrap(), Report::never_opened());
    assert!(matches!(world.status().await, Err(GatewayError::NotFound)));
    world.create().await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.close().await.unwrap().standing, Standing::Ended);
    }
    let world = World::new().await;
    world.create().await.unwrap();
    world.happens("pay", json!({})).await;
    let report = world.close().await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Paid, vec![AMOUNT]));
}

#[tokio::test]
async fn webhooks_of_the_sandbox_are_read_and_equal_what_a_query_says() {
    let world = World::new().await;
    world.create().await.unwrap();
    world.happens("pay", json!({ "parts": [1000, 2000] })).await;
    let link = world.link().await;
    let headers = HeaderMap::new();
    let read = async |body: &str| {
        let raw = Notification { method: &Method::POST, headers: &headers, query: "", body: body.as_bytes() };
        world.payos.notify(&raw).await
    };
    let bodies: Vec<_> = link["deliveries"].as_array().unwrap().iter().map(|it| it["body"].as_str().unwrap()).collect();
    let mut told = Vec::new();
    for body in &bodies {
        let notified = read(body).await.unwrap();
        assert_eq!(
            (notified.about, notified.report.reference.as_deref()),
            (About::Serial(SERIAL), link["paymentLinkId"].as_str())
        );
        told.extend(notified.report.movements);
    }
    assert_eq!(told, world.status().await.unwrap().movements);
    assert_eq!(read(&bodies[0].replace("1000", "9000")).await, Err(Rejected::Signature));
}

#[tokio::test]
async fn a_webhook_signed_by_somebody_else_is_refused() {
    let world = World::new().await;
    world.script(json!({ "webhook": "bad_signature" })).await;
    world.create().await.unwrap();
    let link = world.happens("pay", json!({})).await;
    let (headers, body) = (HeaderMap::new(), link["deliveries"][0]["body"].as_str().unwrap());
    let raw = Notification { method: &Method::POST, headers: &headers, query: "", body: body.as_bytes() };
    assert_eq!(world.payos.notify(&raw).await, Err(Rejected::Signature));
}

#[tokio::test]
async fn the_way_back_of_the_sandbox_keeps_what_we_gave_it() {
    let world = World::new().await;
    let page = world.create().await.unwrap().url;
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = browser.post(format!("{page}/cancel")).send().await.unwrap();
    let back = response.headers()["location"].to_str().unwrap();
    let ours = urls().cancelled;
    assert!(ours.contains('?') && back.starts_with(&format!("{ours}&")), "{back}");
}
