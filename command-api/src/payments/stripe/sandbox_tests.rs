//! Against the sandbox, which plays Stripe by its protocol and shares no code with us.

use std::time::Duration;

use domain::ids::{PaymentId, RefundId};
use http::Method;
use provider_sandbox::stripe::signing;
use provider_sandbox::{Running, Settings, start};
use serde_json::{Value, json};
use service_kit::random;

use http::HeaderValue;

use super::*;
use crate::payments::Gateways;

const AMOUNT: i64 = 150_000;

/// A sandbox, our gateway to it, and one payment.
struct World {
    sandbox: Running,
    stripe: Stripe,
    payment: CreatePayment,
    secret: String,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    async fn with(change: impl FnOnce(&mut StripeSettings, &mut CallSettings)) -> Self {
        let sandbox = Settings::default();
        let secret = sandbox.stripe.stripe_webhook_secret.clone();
        let secrets = [sandbox.stripe.stripe_second_secret.clone(), secret.clone()];
        let keys = StripeKeys::new(&sandbox.stripe.stripe_secret_key, &secrets);
        let sandbox = start(sandbox).await.unwrap();
        let mut settings = StripeSettings::new(&sandbox.base_url(), keys);
        let (timeout, first_pause) = (Duration::from_millis(500), Duration::from_millis(10));
        let mut calls = CallSettings { timeout, first_pause, ..CallSettings::default() };
        change(&mut settings, &mut calls);
        let stripe = Stripe::new(settings, calls).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sandbox, stripe, payment: payment(), secret, http }
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/_control{path}", self.sandbox.base_url());
        let response = self.http.request(method, url).json(&body).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn script(&self, script: Value) {
        self.control(Method::PUT, &format!("/payments/stripe/{}/script", self.payment.payment), script).await;
    }

    async fn happens(&self, what: &str, body: Value) -> Value {
        self.control(Method::POST, &format!("/payments/stripe/{}/{what}", self.payment.payment), body).await
    }

    async fn sessions(&self) -> usize {
        self.control(Method::GET, "/payments", json!({})).await["payments"].as_array().unwrap().len()
    }

    async fn create(&self) -> Result<Intent, CreateError> {
        let urls = Gateways::new("https://tickets.test").urls(Provider::Stripe, self.payment.payment);
        self.stripe.create(&self.payment, &urls).await
    }

    async fn opened(&self) -> Attempt {
        let intent = self.create().await.unwrap();
        Attempt { reference: Some(intent.reference), ..Attempt::from(&self.payment) }
    }

    async fn notify(&self, signature: &str, body: &str) -> Result<Notified, Rejected> {
        let headers = [(webhook::SIGNATURE.parse().unwrap(), HeaderValue::from_str(signature).unwrap())];
        let (headers, body) = (headers.into_iter().collect(), body.as_bytes());
        self.stripe.notify(&Notification { method: &Method::POST, headers: &headers, query: "", body }).await
    }

    /// What the events so far say, each signed as the sandbox signs.
    async fn told(&self) -> Vec<Notified> {
        let path = format!("/payments/stripe/{}", self.payment.payment);
        let view = self.control(Method::GET, &path, json!({})).await;
        let mut told = Vec::new();
        for delivery in view["deliveries"].as_array().unwrap() {
            let body = delivery["body"].as_str().unwrap();
            let seconds = clock::now().0 / 1_000_000;
            let header = format!("t={seconds},v1={}", signing::sign(&self.secret, seconds, body));
            told.push(self.notify(&header, body).await.unwrap());
            assert_eq!(self.notify(&header, &body.replacen('{', "{ ", 1)).await, Err(Rejected::Signature));
        }
        told
    }
}

fn payment() -> CreatePayment {
    CreatePayment {
        payment: PaymentId(random::id()),
        provider: Provider::Stripe,
        serial: 1,
        amount: AMOUNT,
        currency: "VND".parse().unwrap(),
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
async fn a_session_is_opened_and_found_again() {
    let world = World::new().await;
    let first = world.create().await.unwrap();
    assert_eq!(world.create().await.unwrap(), first);
    assert_eq!(world.sessions().await, 1);
    let attempt = Attempt { reference: Some(first.reference.clone()), ..Attempt::from(&world.payment) };
    let report = world.stripe.status(&attempt).await.unwrap();
    assert_eq!((report.standing, report.amount, amounts(&report)), (Standing::Open, Some(AMOUNT), vec![]));
    assert_eq!((report.reference, report.url), (Some(first.reference), Some(first.url)));
}

#[tokio::test]
async fn every_currency_that_is_offered_is_taken() {
    let mut world = World::new().await;
    for currency in world.stripe.currencies().to_vec() {
        world.payment = CreatePayment { currency, amount: 5_000, ..payment() };
        let attempt = world.opened().await;
        world.happens("pay", json!({})).await;
        let report = world.stripe.status(&attempt).await.unwrap();
        assert_eq!((report.amount, amounts(&report)), (Some(5_000), vec![5_000]), "{currency}");
        assert_eq!(report.movements[0].currency, currency);
    }
}

#[tokio::test]
async fn a_day_ahead_is_taken() {
    let mut world = World::new().await;
    world.payment.pay_by = clock::now().plus_s(86_400);
    world.create().await.unwrap();
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
        assert_eq!(world.sessions().await, 1, "{script}");
    }
}

#[tokio::test]
async fn failing_longer_is_in_doubt() {
    for script in [json!({ "http_500_times": 3 }), json!({ "html": 3 })] {
        let world = World::new().await;
        world.script(script).await;
        assert!(matches!(world.create().await, Err(CreateError::Ambiguous(_))));
        assert_eq!(world.sessions().await, 0);
        world.create().await.unwrap();
    }
}

#[tokio::test]
async fn what_stripe_refuses_is_told() {
    let world = World::with(|settings, _| settings.keys = StripeKeys::new("sk_wrong", &["x"])).await;
    assert!(matches!(world.create().await, Err(CreateError::Refused { .. })));
    let mut world = World::new().await;
    world.payment.amount = 100_000_000;
    assert!(matches!(world.create().await, Err(CreateError::Refused { code }) if code == "amount_too_large"));
    world.payment.payment = PaymentId(random::id());
    (world.payment.amount, world.payment.pay_by) = (AMOUNT, clock::now().plus_s(-600));
    assert!(matches!(world.create().await, Err(CreateError::Refused { .. })));
}

#[tokio::test]
async fn events_and_queries_tell_of_the_same_money() {
    for script in [json!({}), json!({ "wrong_amount": 149_000 }), json!({ "currency": "USD" })] {
        let world = World::new().await;
        world.script(script.clone()).await;
        let attempt = world.opened().await;
        world.happens("pay", json!({})).await;
        let report = world.stripe.status(&attempt).await.unwrap();
        assert_eq!(report.standing, Standing::Paid);
        let [notified] = world.told().await.try_into().unwrap();
        assert_eq!(notified.about, About::Payment(world.payment.payment));
        assert_eq!((notified.report.standing, notified.report.reference), (Standing::Paid, attempt.reference));
        assert_eq!(notified.report.movements[0].reference, report.movements[0].reference, "{script}");
    }
}

#[tokio::test]
async fn money_on_its_way_is_neither_here_nor_lost() {
    for (script, standing, money) in [("pending", Standing::Paid, 1), ("pending_fail", Standing::Failed, 0)] {
        let world = World::new().await;
        world.script(json!({ "capture": script, "capture_delay_ms": 3_600_000 })).await;
        let attempt = world.opened().await;
        world.happens("pay", json!({})).await;
        assert_eq!(world.stripe.status(&attempt).await.unwrap().standing, Standing::Open);
        assert_eq!(world.stripe.close(&attempt, "over").await.unwrap().standing, Standing::Open);
        world.happens("settle", json!({})).await;
        let report = world.stripe.status(&attempt).await.unwrap();
        assert_eq!((report.standing, report.movements.len()), (standing, money));
        let told = world.told().await;
        assert_eq!((told[0].report.standing, told[0].report.movements.len()), (Standing::Open, 0));
        assert_eq!((told[1].report.standing, told[1].report.movements.len()), (standing, money));
    }
}

#[tokio::test]
async fn a_declined_card_may_be_followed_by_another() {
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens("fail", json!({})).await;
    assert_eq!(world.stripe.status(&attempt).await.unwrap().standing, Standing::Open);
    world.happens("pay", json!({})).await;
    assert_eq!(world.stripe.status(&attempt).await.unwrap().standing, Standing::Paid);
    let told = world.told().await;
    assert_eq!((told[0].report.standing, told[1].report.standing), (Standing::Open, Standing::Paid));
}

#[tokio::test]
async fn closing_says_how_it_stands() {
    let world = World::new().await;
    let attempt = world.opened().await;
    for _ in 0..2 {
        assert_eq!(world.stripe.close(&attempt, "over").await.unwrap().standing, Standing::Ended);
    }
    assert_eq!(world.told().await[0].report.standing, Standing::Ended);
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens("pay", json!({})).await;
    let report = world.stripe.close(&attempt, "over").await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Paid, vec![AMOUNT]));
    let unknown = Attempt { reference: Some("cs_test_none".to_owned()), ..attempt };
    assert!(matches!(world.stripe.status(&unknown).await, Err(GatewayError::NotFound)));
    assert_eq!(world.stripe.close(&unknown, "over").await.unwrap(), Report::never_opened());
}

#[tokio::test]
async fn a_silent_provider_leaves_doubt_and_no_conclusion() {
    let world = World::with(|_, calls| calls.attempts = 2).await;
    world.script(json!({ "silent": true })).await;
    let attempt = world.opened().await;
    assert!(matches!(world.stripe.status(&attempt).await, Err(GatewayError::Unavailable { .. })));
    assert!(matches!(world.stripe.close(&attempt, "over").await, Err(GatewayError::Ambiguous(_))));
}

#[tokio::test]
async fn money_goes_back_in_parts_each_once() {
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens("pay", json!({})).await;
    let part = refund_of(&attempt, 50_000);
    let done = world.stripe.refund(&part).await.unwrap();
    assert!(matches!(&done, Refunded::Done { .. }), "{done:?}");
    assert_eq!(world.stripe.refund(&part).await.unwrap(), done);
    let too_much = world.stripe.refund(&refund_of(&attempt, AMOUNT)).await.unwrap();
    assert!(matches!(too_much, Refunded::Failed { .. }), "{too_much:?}");
    assert!(matches!(world.stripe.refund(&refund_of(&attempt, 100_000)).await.unwrap(), Refunded::Done { .. }));
    let nothing_left = world.stripe.refund(&refund_of(&attempt, 1)).await.unwrap();
    assert_eq!(nothing_left, Refunded::Failed { code: "charge_already_refunded".to_owned() });
    let report = world.stripe.status(&attempt).await.unwrap();
    assert_eq!((report.standing, amounts(&report)), (Standing::Paid, vec![AMOUNT]), "what came, came");
    assert!(world.told().await.iter().skip(1).all(|it| it.report.movements.is_empty()));
}

#[tokio::test]
async fn a_refund_may_wait_fail_or_be_lost() {
    for (script, settled) in [("pending", true), ("pending_fail", false)] {
        let world = World::new().await;
        world.script(json!({ "refund": script, "refund_delay_ms": 3_600_000 })).await;
        let attempt = world.opened().await;
        world.happens("pay", json!({})).await;
        let refund = refund_of(&attempt, AMOUNT);
        assert_eq!(world.stripe.refund(&refund).await.unwrap(), Refunded::Pending);
        assert_eq!(world.stripe.refund(&refund).await.unwrap(), Refunded::Pending);
        world.happens("settle", json!({})).await;
        let told = world.stripe.refund(&refund).await.unwrap();
        assert!(
            matches!((&told, settled), (Refunded::Done { .. }, true) | (Refunded::Failed { .. }, false)),
            "{told:?}"
        );
    }
    let world = World::with(|_, calls| calls.attempts = 1).await;
    world.script(json!({ "refund_lost": "cut" })).await;
    let attempt = world.opened().await;
    world.happens("pay", json!({})).await;
    let refund = refund_of(&attempt, 1);
    assert!(matches!(world.stripe.refund(&refund).await, Err(GatewayError::Ambiguous(_))));
    assert!(matches!(world.stripe.refund(&refund).await, Ok(Refunded::Done { .. })));
    let whole = refund_of(&attempt, AMOUNT - 1);
    assert!(matches!(world.stripe.refund(&whole).await, Err(GatewayError::Ambiguous(_))), "nothing went back twice");
}
