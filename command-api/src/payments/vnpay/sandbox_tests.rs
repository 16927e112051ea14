//! Against the sandbox, which plays VNPay by its protocol and shares no code with us.

use domain::ids::{PaymentId, RefundId};
use domain::payment::{Movement, Standing};
use domain::saga::CreatePayment;
use provider_sandbox::Settings;
use serde_json::json;
use service_kit::{clock, random};

use super::*;
use crate::payments::gateway::About;
use crate::payments::sandboxed::Sandboxed;
use crate::payments::scripted::calls;

const AMOUNT: i64 = 150_000;

struct World {
    sandbox: Sandboxed,
    vnpay: Vnpay,
    payment: CreatePayment,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut VnpaySettings)) -> Self {
        let sandbox = Sandboxed::new().await;
        let (base, keys) = (sandbox.running.base_url(), Settings::default().vnpay);
        let url = format!("{base}/merchant_webapi/api/transaction");
        let page = format!("{base}/paymentv2/vpcpay.html");
        let keys = VnpayKeys::new(&keys.vnpay_tmn_code, &keys.vnpay_hash_secret);
        let mut settings = VnpaySettings::new(&url, &page, keys);
        change(&mut settings);
        let payment = CreatePayment {
            payment: PaymentId(random::id()),
            provider: Provider::Vnpay,
            serial: 1,
            amount: AMOUNT,
            currency: *DONG,
            code: "K7M2P9Q4TX".to_owned(),
            return_url: "https://shop.test/r".to_owned(),
            cancel_url: None,
            pay_by: clock::now().plus_s(900),
        };
        Self { sandbox, vnpay: Vnpay::new(settings, calls()).unwrap(), payment }
    }

    /// Opens the page as a payer does.
    async fn opened(&self) -> Attempt {
        let attempt = self.created().await;
        let intent = self.vnpay.create(&self.payment, &self.urls()).await.unwrap();
        let (status, _) = self.sandbox.browse(&intent.url).await;
        assert!(status < 400, "{status}: {}", intent.url);
        Attempt { reference: Some(intent.reference), ..attempt }
    }

    async fn created(&self) -> Attempt {
        let intent = self.vnpay.create(&self.payment, &self.urls()).await.unwrap();
        Attempt { reference: Some(intent.reference), ..Attempt::from(&self.payment) }
    }

    fn urls(&self) -> Urls {
        crate::payments::Gateways::new("https://tickets.test").urls(Provider::Vnpay, self.payment.payment)
    }

    async fn happens(&self, attempt: &Attempt, what: &str, body: serde_json::Value) -> serde_json::Value {
        self.sandbox.happens(attempt.reference.as_deref().unwrap(), what, body).await
    }

    fn refund(&self, attempt: &Attempt, amount: i64) -> Refund {
        let refund = RefundId(random::id());
        Refund { refund, attempt: attempt.clone(), amount, requested_at: clock::now(), capture: None, done: vec![] }
    }
}

#[tokio::test]
async fn a_page_opens_the_payment_that_it_names() {
    let world = World::new().await;
    let attempt = world.created().await;
    assert_eq!(world.sandbox.payments().await, 0, "nobody was called");
    assert_eq!(world.vnpay.status(&attempt).await.unwrap().standing, Standing::Open);
    let attempt = world.opened().await;
    let there = world.sandbox.payment(attempt.reference.as_deref().unwrap()).await;
    assert_eq!((&there["amount"], &there["currency"]), (&json!(AMOUNT), &json!("VND")));
    let report = world.vnpay.status(&attempt).await.unwrap();
    assert_eq!((report.standing, report.movements, report.reference), (Standing::Open, vec![], attempt.reference));
}

#[tokio::test]
async fn a_page_with_a_wrong_key_is_refused() {
    let world = World::with(|settings| settings.keys = VnpayKeys::new("SANDBOX1", "wrong")).await;
    let intent = world.vnpay.create(&world.payment, &world.urls()).await.unwrap();
    let _ = world.sandbox.browse(&intent.url).await;
    assert_eq!(world.sandbox.payments().await, 0);
    let attempt = Attempt { reference: Some(intent.reference), ..Attempt::from(&world.payment) };
    assert!(world.vnpay.status(&attempt).await.is_err());
}

#[tokio::test]
async fn money_is_told_alike_by_notification_and_question() {
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    let report = world.vnpay.status(&attempt).await.unwrap();
    assert_eq!((report.standing, report.movements.len()), (Standing::Paid, 1));
    let Movement { amount, currency, .. } = report.movements[0];
    assert_eq!((amount, currency), (AMOUNT, *DONG));
    let told = world.sandbox.notified(&world.vnpay, attempt.reference.as_deref().unwrap()).await;
    let [Ok(notified)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&notified.about, notified.ask), (&About::Payment(attempt.payment), false));
    assert_eq!((&notified.report.movements, notified.report.amount), (&report.movements, Some(AMOUNT)));
    assert_eq!(notified.report.reference, attempt.reference);
}

#[tokio::test]
async fn giving_up_and_being_declined_are_told() {
    for (what, standing) in [("cancel", Standing::Ended), ("fail", Standing::Failed)] {
        let world = World::new().await;
        let attempt = world.opened().await;
        world.happens(&attempt, what, json!({})).await;
        let told = world.sandbox.notified(&world.vnpay, attempt.reference.as_deref().unwrap()).await;
        let [Ok(notified)] = told.as_slice() else { panic!("{what}: {told:?}") };
        assert_eq!((notified.report.standing, &notified.report.movements), (standing, &vec![]), "{what}");
        let report = world.vnpay.status(&attempt).await.unwrap();
        assert_ne!(report.standing, Standing::Open, "{what}");
        assert_eq!(report.movements, [], "{what}");
    }
}

#[tokio::test]
async fn a_notification_signed_by_somebody_else_is_refused() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "webhook": "bad_signature" })).await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    let told = world.sandbox.notified(&world.vnpay, attempt.reference.as_deref().unwrap()).await;
    assert_eq!(told, [Err(Rejected::Signature)]);
}

#[tokio::test]
async fn a_wrong_amount_is_told_as_it_came() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "wrong_amount": 5 })).await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    assert_eq!(world.vnpay.status(&attempt).await.unwrap().movements[0].amount, 5);
    let told = world.sandbox.notified(&world.vnpay, attempt.reference.as_deref().unwrap()).await;
    assert_eq!(told[0].as_ref().unwrap().report.amount, Some(5));
}

#[tokio::test]
async fn a_page_whose_time_is_over_has_ended() {
    let world = World::new().await;
    let attempt = world.opened().await;
    assert_eq!(world.vnpay.close(&attempt, "over").await.unwrap().standing, Standing::Open);
    let late = Attempt { pay_by: clock::now().plus_s(-GRACE_S - 1), ..attempt };
    assert_eq!(world.vnpay.close(&late, "over").await.unwrap().standing, Standing::Ended);
    world.happens(&late, "pay", json!({})).await;
    let report = world.vnpay.close(&late, "over").await.unwrap();
    assert_eq!((report.standing, report.movements.len()), (Standing::Paid, 1));
}

#[tokio::test]
async fn money_goes_back_once() {
    for amount in [AMOUNT, 1] {
        let world = World::new().await;
        let attempt = world.opened().await;
        let refund = world.refund(&attempt, amount);
        assert_eq!(world.vnpay.refund(&refund).await.unwrap(), Refunded::Failed { code: "not-paid".to_owned() });
        world.happens(&attempt, "pay", json!({})).await;
        let mut last = world.vnpay.refund(&refund).await.unwrap();
        for _ in 0..3 {
            last = world.vnpay.refund(&refund).await.unwrap();
        }
        assert!(matches!(last, Refunded::Done { .. } | Refunded::Pending), "{last:?}");
        let there = world.sandbox.payment(attempt.reference.as_deref().unwrap()).await;
        assert_eq!((there["refunds"].as_array().unwrap().len(), &there["amountRefunded"]), (1, &json!(amount)));
    }
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_found() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "refund_lost": "cut" })).await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    let refund = world.refund(&attempt, AMOUNT);
    let lost = world.vnpay.refund(&refund).await;
    assert!(matches!(lost, Err(GatewayError::Ambiguous(_))), "{lost:?}");
    let found = world.vnpay.refund(&refund).await.unwrap();
    assert!(matches!(found, Refunded::Done { .. } | Refunded::Pending), "{found:?}");
    let there = world.sandbox.payment(attempt.reference.as_deref().unwrap()).await;
    assert_eq!(there["refunds"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refund_that_takes_its_time_is_pending_until_it_is_done() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "refund": "pending", "refund_delay_ms": 3_600_000 })).await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    let refund = world.refund(&attempt, AMOUNT);
    for _ in 0..2 {
        assert_eq!(world.vnpay.refund(&refund).await.unwrap(), Refunded::Pending);
    }
    world.happens(&attempt, "settle", json!({ "outcome": "done" })).await;
    assert!(matches!(world.vnpay.refund(&refund).await.unwrap(), Refunded::Done { .. }));
}

#[tokio::test]
async fn a_browser_comes_back_with_our_payment_and_says_whether_the_payer_gave_up() {
    for (action, gave_up) in [("leave", true), ("pay", false)] {
        let world = World::new().await;
        let attempt = world.opened().await;
        let (address, query) = world.sandbox.back(attempt.reference.as_deref().unwrap(), action).await;
        assert_eq!(address, "https://tickets.test/v1/payments/vnpay/return");
        assert!(query.starts_with(&format!("payment={}&", attempt.payment)), "{query}");
        assert_eq!(world.vnpay.gave_up(&query), gave_up, "{query}");
    }
}
