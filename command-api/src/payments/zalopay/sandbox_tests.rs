//! Against the sandbox, which plays ZaloPay by its protocol and shares no code with us.

use domain::ids::{PaymentId, RefundId};
use domain::payment::Standing;
use provider_sandbox::Settings;
use serde_json::{Value, json};
use service_kit::random;

use super::*;
use crate::payments::gateway::About;
use crate::payments::sandboxed::Sandboxed;
use crate::payments::scripted::calls;

const AMOUNT: i64 = 150_000;

struct World {
    sandbox: Sandboxed,
    zalopay: Zalopay,
    payment: CreatePayment,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ZalopayKeys)) -> Self {
        let sandbox = Sandboxed::new().await;
        let theirs = Settings::default().zalopay;
        let app_id = theirs.zalopay_app_id.try_into().unwrap();
        let mut keys = ZalopayKeys::new(app_id, &theirs.zalopay_key1, &theirs.zalopay_key2);
        change(&mut keys);
        let settings = ZalopaySettings::new(&sandbox.running.base_url(), keys);
        let mut payment = stub::payment();
        payment.payment = PaymentId(random::id());
        Self { sandbox, zalopay: Zalopay::new(settings, calls()).unwrap(), payment }
    }

    async fn create(&self) -> Result<Intent, CreateError> {
        let urls = crate::payments::Gateways::new("https://tickets.test").urls(Provider::Zalopay, self.payment.payment);
        self.zalopay.create(&self.payment, &urls).await
    }

    async fn opened(&self) -> Attempt {
        let reference = Some(self.create().await.unwrap().reference);
        Attempt { reference, ..Attempt::from(&self.payment) }
    }

    async fn happens(&self, attempt: &Attempt, what: &str, body: Value) -> Value {
        self.sandbox.happens(attempt.reference.as_deref().unwrap(), what, body).await
    }

    async fn there(&self, attempt: &Attempt) -> Value {
        self.sandbox.payment(attempt.reference.as_deref().unwrap()).await
    }

    fn refund(&self, attempt: &Attempt, amount: i64) -> Refund {
        let refund = RefundId(random::id());
        Refund { refund, attempt: attempt.clone(), amount, requested_at: clock::now(), capture: None, done: vec![] }
    }
}

#[tokio::test]
async fn creating_opens_an_order_with_our_data() {
    let world = World::new().await;
    let attempt = world.opened().await;
    let there = world.there(&attempt).await;
    assert_eq!((&there["amount"], &there["currency"]), (&json!(AMOUNT), &json!("VND")));
    assert_eq!(there["notifyUrl"], json!("https://tickets.test/v1/payments/zalopay/notify"));
    let report = world.zalopay.status(&attempt).await.unwrap();
    assert_eq!((report.standing, report.movements, report.reference), (Standing::Open, vec![], attempt.reference));
}

#[tokio::test]
async fn a_second_creation_finds_the_order_but_not_its_page() {
    let world = World::new().await;
    let first = world.opened().await;
    let again = world.create().await;
    assert!(
        matches!(&again, Err(CreateError::PageLost { reference }) if Some(reference) == first.reference.as_ref()),
        "{again:?}"
    );
    assert_eq!(world.sandbox.payments().await, 1);
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_in_doubt_and_then_without_a_page() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "lose_create_answer": "cut" })).await;
    assert!(matches!(world.create().await, Err(CreateError::Ambiguous(_))));
    assert!(matches!(world.create().await, Err(CreateError::PageLost { .. })));
}

#[tokio::test]
async fn wrong_keys_are_refused() {
    let world = World::with(|keys| keys.key1 = mac::MacKey::new("wrong")).await;
    assert!(matches!(world.create().await, Err(CreateError::Refused { .. })));
    assert_eq!(world.sandbox.payments().await, 0);
}

#[tokio::test]
async fn money_is_told_alike_by_callback_and_question() {
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    let report = world.zalopay.status(&attempt).await.unwrap();
    assert_eq!((report.standing, report.movements.len(), report.movements[0].amount), (Standing::Paid, 1, AMOUNT));
    let told = world.sandbox.notified(&world.zalopay, attempt.reference.as_deref().unwrap()).await;
    let [Ok(notified)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&notified.about, notified.ask), (&About::Payment(attempt.payment), false));
    assert_eq!((&notified.report.movements, notified.report.amount), (&report.movements, Some(AMOUNT)));
}

#[tokio::test]
async fn a_callback_signed_by_somebody_else_is_refused() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "webhook": "bad_signature" })).await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    let told = world.sandbox.notified(&world.zalopay, attempt.reference.as_deref().unwrap()).await;
    assert_eq!(told, [Err(Rejected::Signature)]);
}

#[tokio::test]
async fn a_wrong_amount_is_told_as_it_came() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "wrong_amount": 5 })).await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    assert_eq!(world.zalopay.status(&attempt).await.unwrap().movements[0].amount, 5);
    let told = world.sandbox.notified(&world.zalopay, attempt.reference.as_deref().unwrap()).await;
    assert_eq!(told[0].as_ref().unwrap().report.amount, Some(5));
}

#[tokio::test]
async fn every_end_is_told_by_the_question_alone() {
    for what in ["expire", "processing"] {
        let world = World::new().await;
        let attempt = world.opened().await;
        world.happens(&attempt, what, json!({})).await;
        let standing = world.zalopay.status(&attempt).await.unwrap().standing;
        let expected = if what == "expire" { Standing::Ended } else { Standing::Open };
        assert_eq!(standing, expected, "{what}");
        let told = world.sandbox.notified(&world.zalopay, attempt.reference.as_deref().unwrap()).await;
        assert_eq!(told, [], "no callback tells of a failure");
    }
}

#[tokio::test]
async fn an_order_is_open_until_its_time_is_over() {
    let world = World::new().await;
    let attempt = world.opened().await;
    assert_eq!(world.zalopay.close(&attempt, "over").await.unwrap().standing, Standing::Open);
    let late = Attempt { pay_by: clock::now().plus_s(-SHORTEST_S - GRACE_S - 1), ..attempt };
    assert_eq!(world.zalopay.close(&late, "over").await.unwrap().standing, Standing::Ended);
}

#[tokio::test]
async fn money_goes_back_once() {
    for amount in [AMOUNT, 1] {
        let world = World::new().await;
        let attempt = world.opened().await;
        let refund = world.refund(&attempt, amount);
        assert_eq!(world.zalopay.refund(&refund).await.unwrap(), Refunded::Failed { code: "not-paid".to_owned() });
        world.happens(&attempt, "pay", json!({})).await;
        for _ in 0..3 {
            let stands = world.zalopay.refund(&refund).await.unwrap();
            assert!(matches!(stands, Refunded::Done { .. } | Refunded::Pending), "{stands:?}");
        }
        let there = world.there(&attempt).await;
        assert_eq!((there["refunds"].as_array().unwrap().len(), &there["amountRefunded"]), (1, &json!(amount)));
    }
}

#[tokio::test]
async fn two_parts_go_back_under_two_names() {
    let world = World::new().await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    for part in [1, 2] {
        let stands = world.zalopay.refund(&world.refund(&attempt, part)).await.unwrap();
        assert!(matches!(stands, Refunded::Done { .. } | Refunded::Pending), "{stands:?}");
    }
    assert_eq!(world.there(&attempt).await["amountRefunded"], json!(3));
    let too_much = world.zalopay.refund(&world.refund(&attempt, AMOUNT)).await.unwrap();
    assert!(matches!(too_much, Refunded::Failed { .. }), "{too_much:?}");
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_found() {
    let world = World::new().await;
    world.sandbox.default_script(json!({ "refund_lost": "cut" })).await;
    let attempt = world.opened().await;
    world.happens(&attempt, "pay", json!({})).await;
    let refund = world.refund(&attempt, AMOUNT);
    let lost = world.zalopay.refund(&refund).await;
    assert!(matches!(lost, Err(GatewayError::Ambiguous(_))), "{lost:?}");
    let found = world.zalopay.refund(&refund).await.unwrap();
    assert!(matches!(found, Refunded::Done { .. } | Refunded::Pending), "{found:?}");
    assert_eq!(world.there(&attempt).await["refunds"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refund_that_takes_its_time_is_pending_until_it_is_settled() {
    for (outcome, done) in [("done", true), ("failed", false)] {
        let world = World::new().await;
        world.sandbox.default_script(json!({ "refund": "pending", "refund_delay_ms": 3_600_000 })).await;
        let attempt = world.opened().await;
        world.happens(&attempt, "pay", json!({})).await;
        let refund = world.refund(&attempt, AMOUNT);
        for _ in 0..2 {
            assert_eq!(world.zalopay.refund(&refund).await.unwrap(), Refunded::Pending);
        }
        world.happens(&attempt, "settle", json!({ "outcome": outcome })).await;
        let stands = world.zalopay.refund(&refund).await.unwrap();
        assert_eq!(matches!(stands, Refunded::Done { .. }), done, "{stands:?}");
        assert_eq!(matches!(stands, Refunded::Failed { .. }), !done, "{stands:?}");
    }
}

#[tokio::test]
async fn a_browser_comes_back_with_our_payment_and_says_whether_the_payer_gave_up() {
    for (action, gave_up) in [("leave", true), ("pay", false)] {
        let world = World::new().await;
        let attempt = world.opened().await;
        let (address, query) = world.sandbox.back(attempt.reference.as_deref().unwrap(), action).await;
        assert_eq!(address, "https://tickets.test/v1/payments/zalopay/return");
        assert!(query.starts_with(&format!("payment={}&", attempt.payment)), "{query}");
        assert_eq!(world.zalopay.gave_up(&query), gave_up, "{query}");
    }
}
