//! Organizers, buyers and others: what they ask for, under which key, and what they know by then.

use std::collections::BTreeMap;

use domain::event::Command;
use domain::ids::{CommandId, OrderId, PaymentId, PersonId, ShowId, TicketClassId, derived};
use domain::inventory::{self, Admission, Checkout};
use domain::queue::{self, Seed, Standing, Terms};
use domain::show::{self, ClassTerms, ShowDetails};
use domain::value::{Actor, Currency, Fingerprint, PaymentChoice, PricedLine, Provider, Role, Sealed, Timestamp};
use domain::{order, payment, ticket};
use event_log::owner::Target;
use uuid::Uuid;

use crate::part::{Asked, Kept, Said};
use crate::wire::{Asker, Message, WITHIN};
use crate::world::{SECOND, World};

/// What every draw follows from.
pub const SEED: Seed = Seed([7; 32]);
/// Prices of a ticket of each class.
const PRICES: [i64; 3] = [100, 70, 0];
/// How many of each class there are.
const CAPACITIES: [i64; 3] = [6, 3, 2];
/// The hold outlasts the time to pay by so much, seconds.
const BACKSTOP_S: i64 = 300;
/// More than a frame can hold, bytes.
const HUGE: usize = 530_000;
/// Somebody who hears nothing asks again after so long.
const PATIENCE: u64 = 7 * SECOND;

/// What a client can ask for. Numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A step on the way of a show to its sale.
    Prepare { show: u8, step: u8 },
    /// A place in the queue.
    Join { show: u8, who: u8 },
    /// It is this one's turn.
    Enter { show: u8, who: u8 },
    /// Not any more.
    Leave { show: u8, who: u8 },
    /// So many of a class; `sloppy` sees a wrong price.
    Order { show: u8, who: u8, order: u8, class: u8, quantity: u8, sloppy: bool },
    /// With more about the buyer than a frame can hold.
    Huge { show: u8, who: u8 },
    /// Another attempt to pay.
    AddPayment { order: u8, who: u8 },
    /// Given up, by the buyer or by support.
    Cancel { order: u8, who: u8, support: bool },
    /// By the organizer.
    Capacity { show: u8, class: u8, capacity: u8 },
    /// By the organizer; back again a little later.
    Price { show: u8, class: u8, price: u8 },
    /// The show is off.
    CancelShow { show: u8 },
    /// How things stand.
    Look { what: u8, which: u8, who: u8 },
}

/// One call, and everything that was answered to it.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked, always under the same id with the same body.
    pub asked: Asked,
    /// What the client meant.
    pub op: Op,
    tries: u32,
    /// When it is asked again; whatever would ask earlier is of no use any more.
    again_at: u64,
    /// Whether it was answered for good.
    pub settled: bool,
    /// Whether it was told that it was carried out.
    pub done: bool,
    /// Whether the client goes on until it is answered.
    honest: bool,
}

impl Call {
    /// Whether the client asks no more, answered or not.
    pub fn given_up(&self) -> bool {
        !self.honest
    }
}

/// All clients and what they know.
#[derive(Debug)]
pub struct Clients {
    base: Uuid,
    /// Every call.
    pub calls: Vec<Call>,
    /// The number in the queue of each who joined.
    numbers: BTreeMap<(u8, u8), u32>,
    tokens: BTreeMap<(u8, u8), Admission>,
    /// Prices as far as people know.
    prices: BTreeMap<(u8, u8), i64>,
    /// Commands sent, repeats too.
    pub sent: u64,
}

/// Viet Nam's.
pub fn vnd() -> Currency {
    "VND".parse().expect("three letters")
}

/// Another one.
pub fn usd() -> Currency {
    "USD".parse().expect("three letters")
}

fn account(name: &str, role: Role) -> Actor {
    Actor::Account { principal: format!("account:{name}"), roles: [role].into() }
}

fn buyer(who: u8) -> Actor {
    match who % 4 {
        3 => Actor::Guest { principal: format!("guest:{}", derived(Uuid::nil(), "guest", u64::from(who))) },
        _ => account(&format!("buyer-{who}"), Role::Buyer),
    }
}

impl Clients {
    /// Clients whose ids follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            base: derived(Uuid::nil(), "history", seed),
            calls: Vec::new(),
            numbers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            prices: BTreeMap::new(),
            sent: 0,
        }
    }

    /// The id of a show.
    pub fn show(&self, show: u8) -> ShowId {
        ShowId(derived(self.base, "show", u64::from(show)))
    }

    fn class(&self, show: u8, class: u8) -> TicketClassId {
        TicketClassId(derived(self.show(show).0, "class", u64::from(class % 3)))
    }

    fn order(&self, order: u8) -> OrderId {
        OrderId(derived(self.base, "order", u64::from(order)))
    }

    fn terms(&self, show: u8, class: u8) -> ClassTerms {
        let n = usize::from(class % 3);
        ClassTerms {
            ticket_class: self.class(show, class),
            name: "A class".to_owned(),
            price: PRICES[n],
            capacity: CAPACITIES[n],
            sale_starts_at: None,
            sale_ends_at: None,
            max_per_order: 4,
        }
    }
}

fn details(now: Timestamp) -> ShowDetails {
    ShowDetails {
        name: "A show".to_owned(),
        description: None,
        starts_at: now.plus_s(864_000),
        ends_at: None,
        time_zone: "Asia/Ho_Chi_Minh".to_owned(),
        venue_name: "A hall".to_owned(),
        venue_city: None,
        currency: vnd(),
        categories: Vec::new(),
    }
}

impl World {
    /// Somebody calls for the first time.
    pub fn first_call(&mut self, op: Op) {
        let Some((by, command)) = self.meant(op) else { return };
        self.new_call(op, by, command);
    }

    fn new_call(&mut self, op: Op, by: Actor, command: Command) {
        let n = self.clients.calls.len() as u64;
        let id = CommandId(derived(self.clients.base, "call", n));
        let mut command = command;
        let hash = self.body_hash(op, 0);
        if let Command::Inventory(_, inventory::Command::Reserve { checkout, .. }) = &mut command {
            checkout.fingerprint = hash;
        }
        let asked = Asked {
            target: Target::Id(command.target().1),
            command,
            by,
            id,
            hash,
            correlation_id: derived(id.0, "correlation", 0),
            causation_id: id.0,
        };
        // At the end everybody does: it is how owners learn what happened without them.
        let honest = self.healed || self.dice.chance(85);
        self.clients.calls.push(Call { asked, op, tries: 0, again_at: 0, settled: false, done: false, honest });
        self.call(self.clients.calls.len() - 1);
    }

    fn body_hash(&self, op: Op, other: u8) -> Fingerprint {
        let text = format!("{op:?} {other}");
        Fingerprint(*derived(self.clients.base, &text, 0).as_bytes())
    }

    /// The same command again, or another one under its key.
    pub fn repeat(&mut self, which: usize, other_body: bool) {
        if self.clients.calls.is_empty() {
            return;
        }
        let call = which % self.clients.calls.len();
        if !other_body {
            self.clients.calls[call].settled = false;
            self.clients.calls[call].tries = 0;
            return self.call(call);
        }
        let mut asked = self.clients.calls[call].asked.clone();
        asked.hash = self.body_hash(self.clients.calls[call].op, 1);
        if let Some(via) = self.somebody_up() {
            self.clients.sent += 1;
            self.seen.happened("client: the same key with another body");
            self.ask(via, asked, Asker::Nobody, Some(WITHIN));
        }
    }

    fn somebody_up(&mut self) -> Option<usize> {
        let up: Vec<usize> = (0..self.processes.len()).filter(|it| self.processes[*it].down_until.is_none()).collect();
        (!up.is_empty()).then(|| self.dice.pick(&up))
    }

    /// A client sends a call, and will ask again if it hears nothing.
    pub fn call(&mut self, call: usize) {
        if self.clients.calls[call].settled || (self.healed && self.clients.calls[call].given_up()) {
            return;
        }
        if self.clients.calls[call].again_at > self.now {
            return;
        }
        self.clients.calls[call].tries += 1;
        let tries = self.clients.calls[call].tries;
        if self.clients.calls[call].honest && (tries < 6 || self.healed) {
            self.ask_again(call, PATIENCE);
        }
        let Some(via) = self.somebody_up() else { return };
        if self.processes[via].asleep_until.is_some() && self.dice.chance(50) {
            // Nobody takes the connection.
            return;
        }
        self.clients.sent += 1;
        if tries > 1 {
            self.seen.happened("client: asked again");
        }
        let asked = self.clients.calls[call].asked.clone();
        self.ask(via, asked, Asker::Call(call), Some(WITHIN));
    }

    fn ask_again(&mut self, call: usize, wait: u64) {
        let at = self.now + wait;
        self.clients.calls[call].again_at = at;
        self.wire.send(at, Message::Call(call));
    }

    /// A client hears what became of a call.
    pub fn called_back(&mut self, call: usize, said: Said) {
        match said {
            Said::Done(told) => {
                self.clients.calls[call].settled = true;
                self.clients.calls[call].done = true;
                self.learn(call, &told.state);
            }
            Said::Refused(_) | Said::KeyReused | Said::TooLarge | Said::NoSuchSerial => {
                self.clients.calls[call].settled = true;
            }
            Said::TooLate | Said::Overloaded | Said::NotServed | Said::InDoubt => {
                let tries = self.clients.calls[call].tries;
                if self.clients.calls[call].honest && (tries < 6 || self.healed) {
                    let wait = SECOND / 4 + self.dice.below(2 * SECOND);
                    self.ask_again(call, wait);
                }
            }
            Said::Broken => {}
        }
    }

    fn learn(&mut self, call: usize, state: &Kept) {
        let Call { op, asked, .. } = &self.clients.calls[call];
        let (Op::Join { show, who } | Op::Enter { show, who }, Kept::Queue(room)) = (op, state) else { return };
        let Some(number) = room.number_of(&asked.by.principal()) else { return };
        let (show, who) = (*show, *who);
        self.clients.numbers.insert((show, who), number);
        if let Standing::InCheckout { expires_at, .. } = room.standing(number) {
            let session = queue::session(self.clients.show(show), number);
            self.clients.tokens.insert((show, who), Admission { session, expires_at });
        }
    }

    /// Who asks what, as far as the client can know; nothing if it makes no sense to ask.
    fn meant(&mut self, op: Op) -> Option<(Actor, Command)> {
        let organizer = account("olga", Role::Organizer);
        Some(match op {
            Op::Prepare { show, step } => self.prepare(show, step),
            Op::Join { show, who } => {
                (buyer(who), Command::Queue(self.clients.show(show), queue::Command::Join { proof_bits: 0 }))
            }
            Op::Enter { show, who } => {
                let number = *self.clients.numbers.get(&(show, who))?;
                let seen = self.true_time();
                (buyer(who), Command::Queue(self.clients.show(show), queue::Command::Enter { number, seen }))
            }
            Op::Leave { show, who } => {
                let number = *self.clients.numbers.get(&(show, who))?;
                (buyer(who), Command::Queue(self.clients.show(show), queue::Command::Leave { number }))
            }
            Op::Order { show, who, order, class, quantity, sloppy } => {
                (buyer(who), self.reserve(show, who, order, (class, quantity), sloppy))
            }
            Op::Huge { show, who } => {
                let mut command = self.reserve(show, who, 200, (0, 1), false);
                if let Command::Inventory(_, inventory::Command::Reserve { checkout, .. }) = &mut command {
                    checkout.buyer = Sealed(vec![0; HUGE]);
                }
                (buyer(who), command)
            }
            Op::AddPayment { order, who } => {
                let payment = self.choice();
                let command = order::Command::AddPayment { payment, accepts: vec![vnd()] };
                (buyer(who), Command::Order(self.clients.order(order), command))
            }
            Op::Cancel { order, who, support } => {
                let by = if support { account("sue", Role::Support) } else { buyer(who) };
                (by, Command::Order(self.clients.order(order), order::Command::Cancel))
            }
            Op::Capacity { show, class, capacity } => {
                let ticket_class = self.clients.class(show, class);
                let command = inventory::Command::ChangeCapacity { ticket_class, capacity: i64::from(capacity) };
                (organizer, Command::Inventory(self.clients.show(show), command))
            }
            Op::Price { show, class, price } => {
                let ticket_class = self.clients.class(show, class);
                let price = if class % 3 == 2 { 0 } else { i64::from(price) };
                self.clients.prices.insert((show, class % 3), price);
                let command = inventory::Command::ChangePrice { ticket_class, price };
                (organizer, Command::Inventory(self.clients.show(show), command))
            }
            Op::CancelShow { show } => (organizer, Command::Show(self.clients.show(show), show::Command::Cancel)),
            Op::Look { what, which, who } => self.look(what, which, who),
        })
    }

    fn look(&self, what: u8, which: u8, who: u8) -> (Actor, Command) {
        let clients = &self.clients;
        match what % 6 {
            0 => (buyer(who), Command::Inventory(clients.show(which % 2), inventory::Command::Look)),
            1 => (buyer(who), Command::Queue(clients.show(which % 2), queue::Command::Look)),
            2 => (account("sue", Role::Support), Command::Order(clients.order(which), order::Command::Look)),
            3 => (account("olga", Role::Organizer), Command::Show(clients.show(which % 2), show::Command::Look)),
            4 => {
                let unknown = PaymentId(Uuid::from_u128(u128::from(which)));
                (account("sue", Role::Support), Command::Payment(unknown, payment::Command::Look))
            }
            _ => (account("sue", Role::Support), Command::Ticket(clients.order(which), ticket::Command::Look)),
        }
    }

    fn prepare(&mut self, show: u8, step: u8) -> (Actor, Command) {
        let id = self.clients.show(show);
        let organizer = account("olga", Role::Organizer);
        let command = match step {
            0 => show::Command::Create { show: id, details: details(self.true_time()) },
            1..=3 => show::Command::DefineClass { terms: self.clients.terms(show, step - 1) },
            4 => {
                let waiting_room = (show < self.knobs.rooms).then(|| self.room_terms());
                let checkout_url = Some("https://shop.test/checkout".to_owned());
                show::Command::Configure { pay_within_s: self.knobs.pay_within_s, checkout_url, waiting_room }
            }
            5 => return (account("ada", Role::Admin), Command::Show(id, show::Command::Approve)),
            _ => show::Command::Publish { draw_hash: Some(SEED.hash()) },
        };
        (organizer, Command::Show(id, command))
    }

    fn room_terms(&self) -> Terms {
        Terms {
            opens_at: self.knobs.opens_in_s.map(|seconds| self.true_time().plus_s(seconds)),
            slots: self.knobs.slots,
            admission_batch: self.knobs.admission_batch,
            token_ttl_s: 300,
            ..Terms::default()
        }
    }

    fn choice(&mut self) -> PaymentChoice {
        let payment = PaymentId(derived(self.clients.base, "payment", self.clients.calls.len() as u64));
        let return_url = "https://shop.test/back".to_owned();
        let provider = if self.clients.calls.len().is_multiple_of(2) { Provider::Payos } else { Provider::Stripe };
        PaymentChoice { payment, provider, return_url, cancel_url: None }
    }

    fn reserve(&mut self, show: u8, who: u8, order: u8, (class, quantity): (u8, u8), sloppy: bool) -> Command {
        let by = buyer(who);
        let known = self.clients.prices.get(&(show, class % 3)).copied();
        let unit_price = known.unwrap_or(PRICES[usize::from(class % 3)]) + i64::from(sloppy);
        let line =
            PricedLine { ticket_class: self.clients.class(show, class), quantity: i32::from(quantity), unit_price };
        let total = unit_price * i64::from(quantity);
        let checkout = Checkout {
            session: None,
            person: PersonId(derived(self.clients.base, "person", u64::from(who))),
            principal: by.principal(),
            code: "0123456789".to_owned(),
            buyer: Sealed(vec![1, 2, 3]),
            email_hash: "abc".to_owned(),
            payment: (total > 0).then(|| self.choice()),
            fingerprint: Fingerprint::default(),
        };
        let command = inventory::Command::Reserve {
            order: self.clients.order(order),
            lines: vec![line],
            checkout,
            accepts: vec![vnd()],
            hold_backstop_s: BACKSTOP_S,
            admission: self.clients.tokens.get(&(show, who)).copied(),
        };
        Command::Inventory(self.clients.show(show), command)
    }
}
