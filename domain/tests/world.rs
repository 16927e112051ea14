//! A small world in memory: every aggregate, the saga's outbox, a payment provider, and a clock.
//!
//! Commands of the saga wait in one heap and are delivered in any order, each of them twice in a row,
//! and any of them again at any later time. Reports of the provider may be old when they arrive.

use std::collections::BTreeMap;
use std::fmt::Debug;

use domain::event::{Command, Event, Refusal};
use domain::ids::{CommandId, PaymentId, RefundId, ShowId, derived};
use domain::inventory::{self, Admission, Inventory};
use domain::order::Order;
use domain::payment::{self, Movement, Payment, Standing};
use domain::queue::{self, WaitingRoom};
use domain::root::{Issued, Meta, Root};
use domain::saga::{Action, CreatePayment, Effect, Outgoing, is_early, on_refusal, react};
use domain::ticket::TicketBatch;
use domain::value::{Actor, Currency, Timestamp};
use uuid::Uuid;

use crate::common::{SEED, at, carried, decide, fingerprint, vnd};

/// Aggregates of one kind.
pub type Kept<A> = BTreeMap<Uuid, A>;

/// A payment at the provider.
#[derive(Debug, Clone)]
pub struct Page {
    pub payment: PaymentId,
    pub amount: i64,
    pub pay_by: Timestamp,
    pub movements: Vec<Movement>,
    pub standing: Standing,
}

/// Everything there is.
#[derive(Debug, Default)]
pub struct World {
    pub inventories: Kept<Inventory>,
    pub orders: Kept<Order>,
    pub payments: Kept<Payment>,
    pub batches: Kept<TicketBatch>,
    pub rooms: Kept<WaitingRoom>,
    /// Every checkout token that was ever given out.
    pub tokens: Vec<(ShowId, Admission)>,
    /// Why orders were refused.
    pub refused: Vec<inventory::Refusal>,
    /// Every event in the order it was decided.
    pub log: Vec<Event>,
    pub pages: BTreeMap<i64, Page>,
    /// What the provider gave back.
    pub paid_out: BTreeMap<RefundId, i64>,
    /// The provider answers nothing for now.
    pub silent: bool,
    pub now: i64,
    waiting: Vec<Outgoing>,
    sent: Vec<Outgoing>,
    serial: u64,
    references: u64,
    dice: u64,
}

/// Sends a command to an aggregate of one kind and keeps what comes of it.
fn ask<A>(kept: &mut Kept<A>, id: Uuid, command: Issued<A::Ask>) -> Result<Vec<A::Event>, A::Error>
where
    A: Root + PartialEq + Debug,
{
    decide(kept.entry(id).or_default(), command)
}

impl World {
    /// A world whose accidents follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self { dice: seed | 1, ..Self::default() }
    }

    pub fn time(&self) -> Timestamp {
        at(self.now)
    }

    /// One of so many, by the world's own accidents (xorshift).
    pub fn roll(&mut self, sides: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice % u64::try_from(sides).unwrap()).unwrap()
    }

    /// Decides a command; its events are logged and put what they cause into the outbox.
    pub fn command(&mut self, command: Command, by: Actor) -> Result<usize, Refusal> {
        self.serial += 1;
        let command = carried(command);
        let (at, fingerprint, serial) = (self.time(), fingerprint(7), self.serial);
        macro_rules! send {
            ($kept:ident, $id:expr, $command:expr, $wrap:path) => {{
                let issued = Issued { command: $command, by, at, fingerprint, serial };
                let decided = ask(&mut self.$kept, $id, issued).map_err(|refusal| carried($wrap(refusal)))?;
                decided.into_iter().map(Event::from).collect::<Vec<_>>()
            }};
        }
        let events = match command {
            Command::Show(..) | Command::Account(..) => panic!("shows and persons are no part of this world"),
            Command::Inventory(id, command) => send!(inventories, id.0, command, Refusal::Inventory),
            Command::Order(id, command) => send!(orders, id.0, command, Refusal::Order),
            Command::Payment(id, command) => send!(payments, id.0, command, Refusal::Payment),
            Command::Ticket(id, command) => send!(batches, id.0, command, Refusal::Ticket),
            Command::Queue(id, command) => send!(rooms, id.0, command, Refusal::Queue),
        };
        let count = events.len();
        events.into_iter().for_each(|event| self.happened(event));
        Ok(count)
    }

    fn happened(&mut self, event: Event) {
        let meta = Meta {
            event_id: derived(Uuid::nil(), "event", u64::try_from(self.log.len()).unwrap()),
            occurred_at: self.time(),
            version: 1,
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: "system".to_owned(),
        };
        self.waiting.extend(react(&event, &meta).into_iter().map(carried));
        self.log.push(carried(event));
    }

    /// Delivers one of the waiting commands; false if none waits.
    pub fn deliver(&mut self) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let n = self.roll(self.waiting.len());
        let outgoing = self.waiting.swap_remove(n);
        match &outgoing.action {
            Action::Command(command) => self.deliver_twice(&outgoing, command.clone()),
            Action::Effect(effect) if self.silent => self.retry(effect.clone()),
            Action::Effect(Effect::CreatePayment(create)) => self.open_page(create),
            Action::Effect(Effect::ClosePayment { payment, serial, .. }) => self.close_page(*payment, *serial),
            Action::Effect(Effect::RefundPayment { payment, refund, .. }) => self.give_back(*payment, *refund),
            Action::Effect(Effect::ForgetKeys { .. }) => {}
            Action::Effect(Effect::RevealSeed { show }) => {
                self.enqueue(Command::Queue(*show, queue::Command::Draw { seed: SEED.to_string() }));
            }
        }
        self.sent.push(outgoing);
        true
    }

    /// The worker tries again until the provider answers.
    fn retry(&mut self, effect: Effect) {
        self.waiting.push(Outgoing { id: CommandId::default(), action: Action::Effect(effect) });
    }

    fn deliver_twice(&mut self, outgoing: &Outgoing, command: Command) {
        let first = self.command(command.clone(), Actor::System);
        let second = self.command(command, Actor::System);
        match (&first, &second) {
            (Ok(_), Ok(0)) => {}
            (Err(first), Err(second)) if first == second => {}
            _ => panic!("sent twice, {outgoing:?} did something twice: {first:?}, then {second:?}"),
        }
        if first.as_ref().is_err_and(|refusal| is_early(outgoing, refusal)) {
            return self.waiting.push(outgoing.clone());
        }
        let follows = first.err().and_then(|refusal| on_refusal(outgoing, &refusal));
        if let Some(command) = follows {
            self.enqueue(command);
        }
    }

    /// Something that an effect worker or the outbox sends, in its own time.
    fn enqueue(&mut self, command: Command) {
        self.waiting.push(Outgoing { id: CommandId::default(), action: Action::Command(command) });
    }

    /// An answer was lost: something that was sent is sent again.
    pub fn send_again(&mut self, n: usize) {
        if !self.sent.is_empty() {
            self.waiting.push(self.sent[n % self.sent.len()].clone());
        }
    }

    /// A take-over whose watermark lies at the beginning: everything is sent again.
    pub fn send_everything_again(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.waiting.extend(sent);
    }

    fn open_page(&mut self, create: &CreatePayment) {
        let page = self.pages.entry(create.serial).or_insert_with(|| Page {
            payment: create.payment,
            amount: create.amount,
            pay_by: create.pay_by,
            movements: vec![],
            standing: Standing::Open,
        });
        if page.standing == Standing::Open {
            let (reference, url) = (format!("link {}", create.serial), "https://pay.test".to_owned());
            self.enqueue(Command::Payment(create.payment, payment::Command::RecordIntent { reference, url }));
        }
    }

    /// The provider gives money back, once for each refund, or says that it will not.
    fn give_back(&mut self, payment: PaymentId, refund: RefundId) {
        let known = self.payments[&payment.0].known().unwrap();
        let amount = known.refunds.iter().find(|known| known.refund == refund).unwrap().amount;
        let refuses = refund.0.as_u128().is_multiple_of(5);
        let command = match refuses {
            true => payment::Command::RecordRefundFailure { refund, reason: "account closed".to_owned() },
            false => payment::Command::RecordRefund { refund, reference: format!("re {refund}") },
        };
        if !refuses {
            self.paid_out.insert(refund, amount);
        }
        self.enqueue(Command::Payment(payment, command));
    }

    /// What the provider never heard of, it will never let anybody pay either.
    fn close_page(&mut self, payment: PaymentId, serial: i64) {
        let pay_by = self.time();
        let unheard = || Page { payment, amount: 0, pay_by, movements: vec![], standing: Standing::Open };
        let page = self.pages.entry(serial).or_insert_with(unheard);
        if page.standing == Standing::Open {
            page.standing = Standing::Ended;
        }
        self.report(serial);
    }

    /// The provider says how a payment stands: by webhook, or asked. It may be old news when it arrives.
    pub fn report(&mut self, serial: i64) {
        let Page { payment, movements, standing, .. } = self.pages[&serial].clone();
        self.enqueue(Command::Payment(payment, payment::Command::Report { movements, standing }));
    }

    /// Money arrives at the provider, whatever the page says.
    pub fn transfer(&mut self, serial: i64, amount: i64, currency: Currency) {
        self.references += 1;
        let reference = format!("transfer {}", self.references);
        let page = self.pages.get_mut(&serial).unwrap();
        page.movements.push(Movement { reference, amount, currency, fee: 0 });
        let sum: i64 = page.movements.iter().filter(|moved| moved.currency == vnd()).map(|moved| moved.amount).sum();
        if sum >= page.amount {
            page.standing = Standing::Paid;
        }
    }

    /// The clock moves on; pages that are too old end at the provider.
    pub fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        let now = self.time();
        for page in self.pages.values_mut().filter(|page| page.standing == Standing::Open && page.pay_by <= now) {
            page.standing = Standing::Ended;
        }
    }

    /// Fires one timer that is due; false if there is none.
    pub fn tick(&mut self) -> bool {
        let now = self.time();
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let orders = self.orders.iter().filter(|(_, order)| due(order.next_due()));
        let orders = orders.map(|(id, _)| Command::Order((*id).into(), Order::due()));
        let stock = self.inventories.iter().filter(|(_, stock)| due(stock.next_due()));
        let stock = stock.map(|(id, _)| Command::Inventory((*id).into(), Inventory::due()));
        let rooms = self.rooms.iter().filter(|(_, room)| due(room.next_due()));
        let rooms = rooms.map(|(id, _)| Command::Queue((*id).into(), WaitingRoom::due()));
        let rounds = self.rooms.iter().filter(|(_, room)| due(room.next_round()));
        let rounds = rounds.map(|(id, _)| Command::Queue((*id).into(), WaitingRoom::round()));
        let Some(command) = orders.chain(stock).chain(rooms).chain(rounds).next() else {
            return false;
        };
        let decided = self.command(command, Actor::System);
        assert!(decided.is_ok_and(|events| events > 0), "a timer that changes nothing fires for ever");
        true
    }

    /// Lets everything happen that can, in any order, until nothing can.
    pub fn settle(&mut self) {
        self.silent = false;
        for round in 0.. {
            assert!(round < 50, "this never ends: {:?}", self.waiting);
            self.run_down();
            let before = self.log.len();
            self.pass(100_000);
            let serials: Vec<i64> = self.pages.keys().copied().collect();
            serials.into_iter().for_each(|serial| self.report(serial));
            self.run_down();
            if self.log.len() == before {
                return;
            }
        }
    }

    fn run_down(&mut self) {
        for step in 0.. {
            assert!(step < 20_000, "this never ends: {:?}", self.waiting);
            if !self.deliver() && !self.tick() {
                return;
            }
        }
    }

    /// Folding the log anew gives every state.
    pub fn check_fold(&self) {
        fn folded<A: Root + PartialEq + Debug>(log: &[Event], kept: &Kept<A>) {
            let mut again: Kept<A> = kept.keys().map(|id| (*id, A::default())).collect();
            for event in log.iter().filter(|event| event.context() == A::CONTEXT) {
                let Ok(own) = A::Event::try_from(event.clone()) else { panic!("another context: {event:?}") };
                again.get_mut(&A::id(&own)).unwrap().apply(own);
            }
            assert_eq!(&again, kept);
            kept.values().cloned().for_each(|state| drop(carried(state)));
        }
        folded(&self.log, &self.inventories);
        folded(&self.log, &self.orders);
        folded(&self.log, &self.payments);
        folded(&self.log, &self.batches);
        folded(&self.log, &self.rooms);
    }
}
