//! Against the sandbox, which plays PayPal by its protocol and shares no code with us.

use std::time::Duration;

use domain::ids::{PaymentId, RefundId};
use domain::payment::Standing;
use http::HeaderName;
use provider_sandbox::{Running, Settings, start};
use serde_json::{Value, json};
use service_kit::random;

use http::HeaderMap;
use http::HeaderValue;

use super::*;
use crate::payments::Gateways;
use crate::payments::gateway::About;
use crate::payments::stub::{Stub, answer};

/// A sandbox, our gateway to it, one payment, and where its webhooks go.
struct World {
    sandbox: Running,
    paypal: Paypal,
    payment: CreatePayment,
    receiver: Stub,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    async fn with(change: impl FnOnce(&mut PaypalSettings, &mut CallSettings)) -> Self {
        let receiver = Stub::new(std::iter::repeat_n(answer("200 OK", "", ""), 20)).await;
        let sandbox = Settings { webhook_base_url: Some(receiver.url.clone()), ..Settings::default() };
        let keys = sandbox.paypal.clone();
        let sandbox = start(sandbox).await.unwrap();
        let ours = PaypalKeys::new(&keys.paypal_client_id, &keys.paypal_secret);
        let mut settings = PaypalSettings::new(&sandbox.base_url(), ours, &keys.paypal_webhook_id);
        settings.cert_ca = Some([env!("CARGO_MANIFEST_DIR"), "../ops/sandbox/fixtures/paypal/ca.pem"].iter().collect());
        let (timeout, first_pause) = (Duration::from_millis(500), Duration::from_millis(10));
        let mut calls = CallSettings { timeout, first_pause, ..CallSettings::default() };
        change(&mut settings, &mut calls);
        let paypal = Paypal::new(settings, calls).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sandbox, paypal, payment: payment(), receiver, http }
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/_control{path}", self.sandbox.base_url());
        let response = self.http.request(method, url).json(&body).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn script(&self, script: Value) {
        self.control(Method::PUT, &format!("/payments/paypal/{}/script", self.payment.payment), script).await;
    }

    async fn happens(&self, what: &str, body: Value) -> Value {
        self.control(Method::POST, &format!("/payments/paypal/{}/{what}", self.payment.payment), body).await
    }

    async fn orders(&self) -> usize {
        self.control(Method::GET, "/payments", json!({})).await["payments"].as_array().unwrap().len()
    }

    async fn create(&self) -> Result<Intent, CreateError> {
        let urls = Gateways::new("https://tickets.test").urls(Provider::Paypal, self.payment.payment);
        self.paypal.create(&self.payment, &urls).await
    }

    async fn opened(&self) -> Attempt {
        let intent = self.create().await.unwrap();
        Attempt { reference: Some(intent.reference), ..Attempt::from(&self.payment) }
    }

    /// Opened, agreed to by the payer, and taken.
    async fn paid(&self) -> Attempt {
        let attempt = self.opened().await;
        self.happens("pay", json!({})).await;
        assert_eq!(self.paypal.status(&attempt).await.unwrap().standing, Standing::Paid);
        attempt
    }

    async fn notify(&self, headers: &HeaderMap, body: &str) -> Result<Notified, Rejected> {
        self.paypal.notify(&Notification { method: &Method::POST, headers, query: "", body: body.as_bytes() }).await
    }

    /// The first so many webhooks as they came.
    async fn sent(&self, count: usize) -> Vec<(HeaderMap, String)> {
        while self.receiver.calls().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.receiver.requests().iter().map(|request| taken_apart(request)).collect()
    }

    async fn told(&self, count: usize) -> Vec<Notified> {
        let mut told = Vec::new();
        for (headers, body) in self.sent(count).await {
            told.push(self.notify(&headers, &body).await.unwrap());
            assert_eq!(self.notify(&headers, &body.replacen('{', "{ ", 1)).await, Err(Rejected::Signature));
        }
        told
    }
}

fn taken_apart(request: &str) -> (HeaderMap, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    (head.lines().skip(1).map(header).collect(), body.to_owned())
}

fn payment() -> CreatePayment {
    CreatePayment {
        payment: PaymentId(random::id()),
        provider: Provider::Paypal,
        serial: 1,
        amount: 2_000,
        currency: "USD".parse().unwrap(),
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by: clock::now().plus_s(900),
    }
}

fn amounts(report: &Report) -> Vec<i64> {
    report.movements.iter().map(|movement| movement.amount).collect()
}

fn refund_of(attempt: &Attempt, amount: i64) -> Refund {
    Refund {
        refund: RefundId(random::id()),
        attempt: attempt.clone(),
        amount,
        requested_at: clock::now(),
        capture: None,
        done: vec![],
    }
}

#[tokio::test]
async fn an_order_is_opened_and_found_again() {
    let world = World::new().await;
    let first = world.create().await.unwrap();
    assert_eq!(world.create().await.unwrap(), first);
    assert_eq!(world.orders().await, 1);
    let attempt = Attempt { reference: Some(first.reference.clone()), ..Attempt::from(&world.payment) };
    let report = world.paypal.status(&attempt).await.unwrap();
    assert_eq!((report.standing, report.amount, amounts(&report)), (Standing::Open, Some(2_000), vec![]));
    assert_eq!((report.reference, report.url), (Some(first.reference), Some(first.url)));
}

#[tokio::test]
async fn every_currency_that_is_offered_is_taken() {
    let mut world = World::new().await;
    for currency in world.paypal.currencies().to_vec() {
        world.payment = CreatePayment { currency, amount: 5_000, ..payment() };
        let attempt = world.paid().await;
        let report = world.paypal.status(&attempt).await.unwrap();
        assert_eq!((report.amount, amounts(&report)), (Some(5_000), vec![5_000]), "{currency}");
        assert_eq!(report.movements[0].currency, currency);
    }
}

#[tokio::test]
async fn money_moves_when_we_ask_for_it_and_once() {
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens("pay", json!({})).await;
    let statement = async || world.control(Method::GET, "/statement", json!({})).await["movements"].clone();
    assert_eq!(statement().await, json!([]));
    let first = world.paypal.status(&attempt).await.unwrap();
    assert_eq!((first.standing, amounts(&first), first.amount), (Standing::Paid, vec![2_000], Some(2_000)));
    assert_eq!(world.paypal.status(&attempt).await.unwrap().movements, first.movements);
    assert_eq!(statement().await.as_array().unwrap().len(), 1);
    let [agreed, taken] = world.told(2).await.try_into().unwrap();
    assert_eq!((agreed.about, agreed.ask), (About::Payment(world.payment.payment), true));
    assert_eq!((taken.about, taken.ask), (About::Payment(world.payment.payment), false));
    assert_eq!((taken.report.movements, taken.report.standing), (first.movements, Standing::Paid));
    assert_eq!(taken.report.reference, attempt.reference);
}

#[tokio::test]
async fn a_token_that_is_over_is_replaced() {
    let world = World::new().await;
    let attempt = world.opened().await;
    world.control(Method::POST, "/paypal/expire_tokens", json!({})).await;
    assert_eq!(world.paypal.status(&attempt).await.unwrap().standing, Standing::Open);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_by_asking_again() {
    for script in [
        json!({ "lose_create_answer": "cut" }),
        json!({ "lose_create_answer": "504" }),
        json!({ "slow_create_ms": 2000 }),
        json!({ "http_500_times": 2 }),
    ] {
        let world = World::new().await;
        world.script(script.clone()).await;
        world.opened().await;
        assert_eq!(world.orders().await, 1, "{script}");
    }
}

#[tokio::test]
async fn failing_longer_is_in_doubt() {
    for script in [json!({ "http_500_times": 3 }), json!({ "html": 3 })] {
        let world = World::new().await;
        world.script(script).await;
        assert!(matches!(world.create().await, Err(CreateError::Ambiguous(_))));
        assert_eq!(world.orders().await, 0);
        world.create().await.unwrap();
    }
}

#[tokio::test]
async fn what_paypal_refuses_is_told() {
    let world = World::with(|settings, _| settings.keys = PaypalKeys::new("id", "wrong")).await;
    assert!(matches!(world.create().await, Err(CreateError::Refused { code }) if code == "invalid_client"));
    let unknown = Attempt { reference: Some("NONE".to_owned()), ..Attempt::from(&world.payment) };
    assert!(matches!(world.paypal.status(&unknown).await, Err(GatewayError::Refused { .. })));
    let world = World::new().await;
    assert!(matches!(world.paypal.status(&unknown).await, Err(GatewayError::NotFound)));
    assert_eq!(world.paypal.close(&unknown, "over").await.unwrap(), Report::never_opened());
}

#[tokio::test]
async fn closing_takes_nothing_and_finds_what_was_taken() {
    let world = World::new().await;
    let attempt = world.opened().await;
    assert_eq!(world.paypal.close(&attempt, "over").await.unwrap().standing, Standing::Ended);
    world.happens("pay", json!({})).await;
    let report = world.paypal.close(&attempt, "over").await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Ended, vec![]));
    let world = World::new().await;
    let attempt = world.paid().await;
    let report = world.paypal.close(&attempt, "over").await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Paid, vec![2_000]));
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens("expire", json!({})).await;
    assert_eq!(world.paypal.status(&attempt).await.unwrap().standing, Standing::Ended);
}

#[tokio::test]
async fn money_on_its_way_is_neither_here_nor_lost() {
    for (script, standing, money) in [("pending", Standing::Paid, 1), ("pending_fail", Standing::Failed, 0)] {
        let world = World::new().await;
        world.script(json!({ "capture": script, "capture_delay_ms": 3_600_000 })).await;
        let attempt = world.opened().await;
        world.happens("pay", json!({})).await;
        assert_eq!(world.paypal.status(&attempt).await.unwrap().standing, Standing::Open);
        assert_eq!(world.paypal.close(&attempt, "over").await.unwrap().standing, Standing::Open);
        world.happens("settle", json!({})).await;
        let report = world.paypal.status(&attempt).await.unwrap();
        assert_eq!((report.standing, report.movements.len()), (standing, money));
        let told = world.told(3).await;
        assert_eq!((told[1].report.standing, told[1].report.movements.len()), (Standing::Open, 0));
        assert_eq!((told[2].report.standing, told[2].report.movements.len()), (standing, money));
    }
}

#[tokio::test]
async fn a_payer_whose_bank_declines_needs_a_new_attempt() {
    let world = World::new().await;
    world.script(json!({ "capture": "fail" })).await;
    let attempt = world.opened().await;
    world.happens("pay", json!({})).await;
    let report = world.paypal.status(&attempt).await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Failed, vec![]));
}

#[tokio::test]
async fn a_silent_provider_leaves_no_conclusion() {
    let world = World::with(|_, calls| calls.attempts = 2).await;
    world.script(json!({ "silent": true })).await;
    let attempt = world.opened().await;
    assert!(matches!(world.paypal.status(&attempt).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(world.paypal.close(&attempt, "over").await, Err(GatewayError::Unavailable { .. })));
}

#[tokio::test]
async fn a_webhook_signed_by_somebody_else_is_refused_and_by_the_next_key_is_not() {
    let world = World::new().await;
    world.script(json!({ "webhook": "bad_signature" })).await;
    world.opened().await;
    world.happens("pay", json!({})).await;
    let (headers, body) = world.sent(1).await.remove(0);
    assert_eq!(world.notify(&headers, &body).await, Err(Rejected::Signature));
    let world = World::new().await;
    world.script(json!({ "rotated_key": "second" })).await;
    world.paid().await;
    assert_eq!(world.told(2).await[1].report.movements.len(), 1);
    let stranger = World::with(|settings, _| settings.cert_ca = None).await;
    stranger.paid().await;
    let (headers, body) = stranger.sent(2).await.remove(1);
    assert_eq!(stranger.notify(&headers, &body).await, Err(Rejected::Signature), "no browser trusts the sandbox");
}

#[tokio::test]
async fn money_goes_back_in_parts_each_once() {
    let world = World::new().await;
    let attempt = world.paid().await;
    let part = refund_of(&attempt, 500);
    let done = world.paypal.refund(&part).await.unwrap();
    assert!(matches!(&done, Refunded::Done { .. }), "{done:?}");
    assert_eq!(world.paypal.refund(&part).await.unwrap(), done);
    let too_much = world.paypal.refund(&refund_of(&attempt, 1_501)).await.unwrap();
    assert_eq!(too_much, Refunded::Failed { code: "REFUND_AMOUNT_EXCEEDED".to_owned() });
    assert!(matches!(world.paypal.refund(&refund_of(&attempt, 1_500)).await.unwrap(), Refunded::Done { .. }));
    let nothing_left = world.paypal.refund(&refund_of(&attempt, 1)).await.unwrap();
    assert_eq!(nothing_left, Refunded::Failed { code: "CAPTURE_FULLY_REFUNDED".to_owned() });
    let report = world.paypal.status(&attempt).await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Paid, vec![2_000]), "what came, came");
    assert!(world.told(4).await.iter().skip(2).all(|it| it.report.movements.is_empty()));
}

#[tokio::test]
async fn a_refund_may_wait_fail_or_be_lost() {
    for (script, settled) in [("pending", true), ("pending_fail", false)] {
        let world = World::new().await;
        world.script(json!({ "refund": script, "refund_delay_ms": 3_600_000 })).await;
        let attempt = world.paid().await;
        let refund = refund_of(&attempt, 2_000);
        assert_eq!(world.paypal.refund(&refund).await.unwrap(), Refunded::Pending);
        assert_eq!(world.paypal.refund(&refund).await.unwrap(), Refunded::Pending);
        world.happens("settle", json!({})).await;
        let told = world.paypal.refund(&refund).await.unwrap();
        assert!(
            matches!((&told, settled), (Refunded::Done { .. }, true) | (Refunded::Failed { .. }, false)),
            "{told:?}"
        );
    }
    let world = World::with(|_, calls| calls.attempts = 1).await;
    world.script(json!({ "refund_lost": "cut" })).await;
    let attempt = world.paid().await;
    let refund = refund_of(&attempt, 1);
    assert!(matches!(world.paypal.refund(&refund).await, Err(GatewayError::Ambiguous(_))));
    assert!(matches!(world.paypal.refund(&refund).await, Ok(Refunded::Done { .. })));
}
