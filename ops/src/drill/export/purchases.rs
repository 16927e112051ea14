//! Made purchases over all topics: every one is paid and ends with its tickets, so that log and read models tell of the
//! same money.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::IntoIter;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, PersonId, ShowId, TicketClassId, TicketId, derived};
use domain::inventory::{Checkout, ReservationConfirmed, SalesOpened, TicketsReserved};
use domain::order::{OrderCompleted, OrderCreated, OrderPaid};
use domain::payment::{PaymentCompleted, PaymentIntentCreated, PaymentRequested};
use domain::root::Context;
use domain::show::ClassTerms;
use domain::ticket::{IssuedTicket, TicketsIssued};
use domain::value::{Currency, Fingerprint, Line, PaymentChoice, PricedLine, Provider, Sealed, Timestamp};
use event_log::log::Partition;
use event_log::partition::partition_of;
use mixes::{Dice, Mix};

/// Events of one purchase over all topics.
pub(super) const EVENTS: u64 = 9;
/// The topics they lie in.
pub(super) const CONTEXTS: [Context; 4] = [Context::Inventory, Context::Order, Context::Payment, Context::Ticket];
/// Shows they are for.
const SHOWS: usize = 50;
const PAGE: &str = "https://tickets.example.com/shows/42/thanks";

/// One show on sale, in one currency.
#[derive(Debug)]
pub(super) struct OnSale {
    show: ShowId,
    class: TicketClassId,
    organizer: String,
    price: i64,
    currency: Currency,
}

/// One purchase.
#[derive(Debug, Clone)]
pub(super) struct Purchase {
    order: OrderId,
    payment: PaymentId,
    sale: Arc<OnSale>,
    quantity: i32,
    code: String,
    person: PersonId,
    serial: i64,
}

impl Purchase {
    fn total(&self) -> i64 {
        self.sale.price * i64::from(self.quantity)
    }

    fn lines(&self) -> Vec<PricedLine> {
        let OnSale { class, price, .. } = *self.sale;
        vec![PricedLine { ticket_class: class, quantity: self.quantity, unit_price: price }]
    }

    fn choice(&self) -> PaymentChoice {
        let (payment, provider, return_url) = (self.payment, Provider::Payos, PAGE.to_owned());
        PaymentChoice { payment, provider, return_url, cancel_url: None }
    }

    fn principal(&self) -> String {
        format!("guest:{}", self.person)
    }
}

/// So many purchases, the same at every run.
pub(super) fn purchases(count: u64) -> Vec<Purchase> {
    let mut dice = Dice::new(9);
    let currencies = ["VND", "USD", "JPY"].map(|it| it.parse::<Currency>().expect("three upper-case letters"));
    let sales: Vec<Arc<OnSale>> = (0..SHOWS)
        .map(|n| OnSale {
            show: ShowId(dice.id()),
            class: TicketClassId(dice.id()),
            organizer: format!("account:{}", dice.id()),
            price: 1_000 + i64::try_from(dice.below(900_000)).expect("it is small"),
            currency: currencies[n % 3],
        })
        .map(Arc::new)
        .collect();
    let mut one = |n: u64| Purchase {
        order: OrderId(dice.id()),
        payment: PaymentId(dice.id()),
        sale: Arc::clone(&sales[usize::try_from(dice.below(SHOWS as u64)).expect("there are few")]),
        quantity: 1 + i32::try_from(dice.below(4)).expect("it is below 4"),
        code: dice.code(),
        person: PersonId(dice.id()),
        serial: i64::try_from(n).expect("there are not so many") + 1_000,
    };
    (0..count).map(&mut one).collect()
}

/// What happens in one partition.
pub(super) struct Part {
    context: Context,
    unopened: IntoIter<Arc<OnSale>>,
    purchases: IntoIter<Purchase>,
    under_way: Option<(Purchase, u8)>,
    dice: Dice,
}

impl Part {
    /// Of these purchases, what lies in this partition.
    pub(super) fn of(at: Partition, partitions: u32, all: &[Purchase]) -> Self {
        let id = |it: &Purchase| match at.context {
            Context::Inventory => it.sale.show.0,
            Context::Payment => it.payment.0,
            _ => it.order.0,
        };
        let here: Vec<Purchase> =
            all.iter().filter(|it| partition_of(id(it), partitions) == at.number).cloned().collect();
        let shows: BTreeMap<ShowId, Arc<OnSale>> = here.iter().map(|it| (it.sale.show, Arc::clone(&it.sale))).collect();
        let shows = if at.context == Context::Inventory { shows } else { BTreeMap::new() };
        Self {
            context: at.context,
            unopened: shows.into_values().collect::<Vec<_>>().into_iter(),
            purchases: here.into_iter(),
            under_way: None,
            dice: Dice::new(u64::from(at.number)),
        }
    }

    fn step(&mut self, it: &Purchase, step: u8, at: Timestamp) -> Option<Event> {
        match self.context {
            Context::Inventory => self.inventory(it, step, at),
            Context::Order => order(it, step, at),
            Context::Payment => self.payment(it, step, at),
            Context::Ticket => ticket(it, step),
            Context::Catalog | Context::Queue => None,
        }
    }

    fn inventory(&mut self, it: &Purchase, step: u8, at: Timestamp) -> Option<Event> {
        let (show, order) = (it.sale.show, it.order);
        let mut reserved = || TicketsReserved {
            show,
            order,
            attempt: 1,
            organizer: it.sale.organizer.clone(),
            lines: it.lines(),
            currency: it.sale.currency,
            total: it.total(),
            pay_by: at.plus_s(900),
            hold_until: at.plus_s(1_200),
            checkout: Some(Checkout {
                session: None,
                person: it.person,
                principal: it.principal(),
                code: it.code.clone(),
                buyer: Sealed(self.dice.bytes(150)),
                email_hash: self.dice.hex(32),
                payment: Some(it.choice()),
                fingerprint: Fingerprint(it.order.0.into_bytes()),
            }),
        };
        let lines = || vec![Line { ticket_class: it.sale.class, quantity: it.quantity }];
        match step {
            0 => Some(Event::Inventory(reserved().into())),
            1 => Some(Event::Inventory(ReservationConfirmed { show, order, attempt: 1, lines: lines() }.into())),
            _ => None,
        }
    }

    fn payment(&mut self, it: &Purchase, step: u8, at: Timestamp) -> Option<Event> {
        let (payment, order, show, currency) = (it.payment, it.order, it.sale.show, it.sale.currency);
        let (amount, reference) = (it.total(), self.dice.hex(16));
        Some(Event::Payment(match step {
            0 => PaymentRequested {
                payment,
                order,
                show,
                provider: Provider::Payos,
                serial: it.serial,
                amount,
                currency,
                code: it.code.clone(),
                return_url: PAGE.to_owned(),
                cancel_url: None,
                pay_by: at.plus_s(900),
            }
            .into(),
            1 => PaymentIntentCreated { payment, order, show, reference, url: PAGE.to_owned() }.into(),
            2 => PaymentCompleted {
                payment,
                order,
                show,
                reference,
                amount,
                currency,
                received: amount,
                fee: 0,
                provider: Provider::Payos,
            }
            .into(),
            _ => return None,
        }))
    }
}

fn order(it: &Purchase, step: u8, at: Timestamp) -> Option<Event> {
    let (order, show, currency, total) = (it.order, it.sale.show, it.sale.currency, it.total());
    Some(Event::Order(match step {
        0 => OrderCreated {
            order,
            show,
            organizer: it.sale.organizer.clone(),
            person: it.person,
            principal: it.principal(),
            code: it.code.clone(),
            lines: it.lines(),
            currency,
            total,
            created_at: at,
            pay_by: at.plus_s(900),
            hold_until: at.plus_s(1_200),
            payment: Some(it.choice()),
            session: None,
        }
        .into(),
        1 => OrderPaid { order, show, payment: Some(it.payment), lines: it.lines(), currency, total }.into(),
        2 => OrderCompleted { order, show, ticket_count: it.quantity, session: None }.into(),
        _ => return None,
    }))
}

fn ticket(it: &Purchase, step: u8) -> Option<Event> {
    let one = |n: i32| IssuedTicket {
        ticket: TicketId(derived(it.order.0, "ticket", u64::from(n.unsigned_abs()))),
        ticket_class: it.sale.class,
    };
    let tickets = || (0..it.quantity).map(one).collect();
    (step == 0).then(|| Event::Ticket(TicketsIssued { order: it.order, show: it.sale.show, tickets: tickets() }.into()))
}

impl Mix for Part {
    fn next(&mut self, at: Timestamp) -> Vec<Event> {
        if let Some(sale) = self.unopened.next() {
            let terms = ClassTerms {
                ticket_class: sale.class,
                name: "Standing".to_owned(),
                price: sale.price,
                capacity: 1_000_000_000,
                sale_starts_at: None,
                sale_ends_at: None,
                max_per_order: 10,
            };
            let (show, organizer, currency) = (sale.show, sale.organizer.clone(), sale.currency);
            let opened =
                SalesOpened { show, organizer, currency, pay_within_s: 900, classes: vec![terms], waiting_room: false };
            return vec![Event::Inventory(opened.into())];
        }
        loop {
            let (it, step) = match self.under_way.take() {
                Some(it) => it,
                None => match self.purchases.next() {
                    Some(it) => (it, 0),
                    None => return Vec::new(),
                },
            };
            if let Some(event) = self.step(&it, step, at) {
                self.under_way = Some((it, step + 1));
                return vec![event];
            }
        }
    }
}
