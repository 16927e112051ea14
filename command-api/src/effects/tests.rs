use std::sync::Mutex;

use domain::ids::{OrderId, ShowId};
use domain::payment::{Movement, Standing};
use domain::queue::{Seed, Terms, WaitingRoom, WaitingRoomOpened};
use domain::value::{Currency, Timestamp};
use event_log::memory::MemoryLog;
use futures::future::{BoxFuture, FutureExt};
use schemas::Codec;
use service_kit::keys::Secret32;

use super::*;
use crate::config::OwnerSettings;
use crate::outbox;
use crate::owners::Setup;
use crate::payments::gateway::{Answer, Notification, Notified, Outcome as Heard, Refund, Refunded, Rejected, Urls};
use crate::person_keys::tests::Kept;

const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(7));
const CORRELATION: Uuid = Uuid::from_u128(8);
const EFFECT: CommandId = CommandId(Uuid::from_u128(9));

/// A provider that never has the page of a payment again, and reports what a test says.
#[derive(Debug, Default)]
struct Forgetful {
    closed: Mutex<Vec<Option<String>>>,
    report: Mutex<Option<Report>>,
}

impl PaymentGateway for Forgetful {
    fn provider(&self) -> Provider {
        Provider::Payos
    }

    fn currencies(&self) -> &[Currency] {
        &[]
    }

    fn create<'a>(&'a self, _: &'a CreatePayment, _: &'a Urls) -> BoxFuture<'a, Result<Intent, CreateError>> {
        async { Err(CreateError::PageLost { reference: "link".to_owned() }) }.boxed()
    }

    fn status<'a>(&'a self, _: &'a Attempt) -> BoxFuture<'a, Result<Report, GatewayError>> {
        let report = self.report.lock().unwrap().clone();
        async { report.ok_or(GatewayError::NotFound) }.boxed()
    }

    fn close<'a>(&'a self, attempt: &'a Attempt, _: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.closed.lock().unwrap().push(attempt.reference.clone());
        self.status(attempt)
    }

    fn notify<'a>(&'a self, _: &'a Notification<'a>) -> BoxFuture<'a, Result<Notified, Rejected>> {
        async { Err(Rejected::Signature) }.boxed()
    }

    fn answer(&self, _: Heard) -> Answer {
        unreachable!("nobody sends a webhook")
    }

    fn refund<'a>(&'a self, _: &'a Refund) -> BoxFuture<'a, Result<Refunded, GatewayError>> {
        async { Ok(Refunded::ByHand) }.boxed()
    }
}

struct World {
    effects: Effects,
    gateway: Arc<Forgetful>,
}

impl World {
    /// One payment was asked for.
    async fn new() -> Self {
        let settings = OwnerSettings {
            partitions: 1,
            instance: "test".to_owned(),
            url: "http://127.0.0.1".to_owned(),
            ack_deadline: Duration::from_secs(5),
            barrier_after: Duration::ZERO,
            takeover_grace: Duration::ZERO,
            mailbox: 100,
        };
        let log = Arc::new(MemoryLog::auto(Arc::new(clock::now)).unwrap());
        let (outbox, _) = outbox::collect();
        let owners = Owners::of_everything(Setup::alone(log, Codec::in_memory(), settings, outbox));
        let gateway = Arc::new(Forgetful::default());
        let gateways = Gateways::new("https://tickets.test").with(Arc::clone(&gateway) as Arc<dyn PaymentGateway>);
        let effects = Effects::new(owners, Arc::new(gateways), Arc::new(Kept), Duration::from_secs(60), keys());
        let world = Self { effects, gateway };
        let order = OrderId(Uuid::from_u128(5));
        let request = payment::Command::Request {
            payment: PAYMENT,
            order,
            show: ShowId(Uuid::from_u128(6)),
            provider: Provider::Payos,
            amount: 1000,
            currency: vnd(),
            code: "CODE".to_owned(),
            return_url: "https://shop.test/back".to_owned(),
            cancel_url: None,
            pay_by: clock::now().plus_s(900),
        };
        world.tell(request).await;
        world
    }

    async fn tell(&self, command: payment::Command) {
        let telling = Telling { command, id: CommandId(random::id()) };
        self.effects.tell(PAYMENT, telling, CORRELATION).await;
    }

    async fn has_a_page(&self) {
        self.tell(payment::Command::RecordIntent {
            reference: "link".to_owned(),
            url: "https://p.test/link".to_owned(),
        })
        .await;
    }

    async fn known(&self) -> payment::Known {
        self.effects.known(PAYMENT).await.unwrap()
    }

    async fn carry_out_create(&self) {
        let known = self.known().await;
        let create = CreatePayment {
            payment: PAYMENT,
            provider: known.provider,
            serial: known.serial,
            amount: known.amount,
            currency: known.currency,
            code: "CODE".to_owned(),
            return_url: known.return_url.to_string(),
            cancel_url: None,
            pay_by: known.pay_by,
        };
        self.effects.carry_out(&Effect::CreatePayment(create), CORRELATION, EFFECT).await;
    }

    async fn carry_out_close(&self) {
        let serial = self.known().await.serial;
        let effect = Effect::ClosePayment { payment: PAYMENT, provider: Provider::Payos, serial };
        self.effects.carry_out(&effect, CORRELATION, EFFECT).await;
    }

    fn reports(&self, amount: i64, movements: &[(&str, i64)], standing: Standing) {
        self.reports_of("link", amount, movements, standing);
    }

    fn reports_of(&self, reference: &str, amount: i64, movements: &[(&str, i64)], standing: Standing) {
        let movement = |(reference, amount): &(&str, i64)| Movement {
            reference: (*reference).to_owned(),
            amount: *amount,
            currency: vnd(),
            fee: 0,
        };
        let movements = movements.iter().map(movement).collect();
        let reference = Some(reference.to_owned());
        let report = Report { movements, standing, reference, url: None, amount: Some(amount) };
        *self.gateway.report.lock().unwrap() = Some(report);
    }
}

fn keys() -> Keys {
    Keys::new(&Secret32::new([1; 32]))
}

fn vnd() -> Currency {
    "VND".parse().unwrap()
}

impl Drop for World {
    fn drop(&mut self) {
        self.effects.owners.shut_down();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_has_is_cancelled() {
    let world = World::new().await;
    world.reports(1000, &[], Standing::Ended);
    world.carry_out_create().await;
    assert_eq!(*world.gateway.closed.lock().unwrap(), [Some("link".to_owned())]);
    assert_eq!(world.known().await.status, Status::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_somebody_may_be_paying_at_is_left_alone_when_the_call_is_made_again() {
    let world = World::new().await;
    world.has_a_page().await;
    world.reports(1000, &[], Standing::Ended);
    world.carry_out_create().await;
    assert_eq!(*world.gateway.closed.lock().unwrap(), []);
    assert_eq!(world.known().await.status, Status::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_again_reports_what_came_since() {
    let world = World::new().await;
    world.has_a_page().await;
    world.tell(payment::Command::Close).await;
    world.reports(1000, &[("one", 400)], Standing::Paid);
    world.carry_out_close().await;
    assert_eq!((world.known().await.status, world.known().await.received), (Status::Closing, 400));
    // The same effect once more, as after a restart.
    world.reports(1000, &[("one", 400), ("two", 600)], Standing::Paid);
    world.carry_out_close().await;
    assert_eq!((world.known().await.status, world.known().await.received), (Status::Completed, 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_another_payment_under_our_number_is_not_counted() {
    let world = World::new().await;
    world.has_a_page().await;
    world.reports_of("other link", 5000, &[("theirs", 1000)], Standing::Paid);
    world.effects.ask(PAYMENT).await;
    assert_eq!((world.known().await.status, world.known().await.received), (Status::Ready, 0));
    world.tell(payment::Command::Close).await;
    world.carry_out_close().await;
    assert_eq!((world.known().await.status, world.known().await.received), (Status::Expired, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_without_a_name_yet_is_told_from_another_by_its_amount() {
    let world = World::new().await;
    world.tell(payment::Command::Close).await;
    world.reports_of("other link", 5000, &[("theirs", 1000)], Standing::Paid);
    world.carry_out_close().await;
    assert_eq!((world.known().await.status, world.known().await.received), (Status::Expired, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_money_than_we_asked_for_is_put_aside_also_when_no_webhook_told_of_it() {
    let world = World::new().await;
    world.has_a_page().await;
    world.reports(1500, &[("too much", 1500)], Standing::Paid);
    world.effects.ask(PAYMENT).await;
    let known = world.known().await;
    assert_eq!((known.status, known.received, known.quarantined), (Status::Expired, 0, true));
}

const SHOW: ShowId = ShowId(Uuid::from_u128(6));

impl World {
    async fn room(&self, ask: queue::Command) -> WaitingRoom {
        let by = match ask {
            queue::Command::Join { proof_bits: 0 } => Actor::Guest { principal: format!("guest:{CORRELATION}") },
            _ => Actor::System,
        };
        let id = CommandId(random::id());
        let hash = Fingerprint::default();
        let request = Request { ask, by, id, hash, correlation_id: id.0, causation_id: id.0, within: None };
        match self.effects.owners.ask::<WaitingRoom>(Target::Id(SHOW.0), request).await {
            Outcome::Done(answer) => answer.state,
            other => panic!("{other:?}"),
        }
    }

    /// A waiting room that promised this seed, with one visitor, at the moment of its draw.
    async fn about_to_draw(&self, promised: Seed) {
        let terms = Terms {
            opens_at: Some(Timestamp(clock::now().0 + 300_000)),
            slots: 1,
            admission_batch: 1,
            tick_ms: 100,
            token_ttl_s: 60,
            away_grace_s: 60,
            ..Terms::default()
        };
        let draw_hash = Some(promised.hash());
        let organizer = "account:o".to_owned();
        let opening = WaitingRoomOpened { show: SHOW, organizer, terms, checkout_url: None, draw_hash };
        self.room(queue::Command::Open(opening)).await;
        self.room(queue::Command::Join { proof_bits: 0 }).await;
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(self.room(queue::Command::Look).await.place(1), None);
    }

    async fn reveal(&self) {
        self.effects.carry_out(&Effect::RevealSeed { show: SHOW }, CORRELATION, EFFECT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_that_was_promised_is_revealed_once_however_often_it_is_asked_for() {
    let world = World::new().await;
    world.about_to_draw(keys().draw_seed(SHOW)).await;
    world.reveal().await;
    let drawn = world.room(queue::Command::Look).await;
    assert_eq!(drawn.place(1), Some(1));
    world.reveal().await;
    assert_eq!(world.room(queue::Command::Look).await.place(1), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_seed_draws() {
    let world = World::new().await;
    world.about_to_draw(Seed([9; 32])).await;
    world.reveal().await;
    assert_eq!(world.room(queue::Command::Look).await.place(1), None);
}
