//! Purchases as their events, as a busy sale leaves them behind: of ten, eight end with tickets, two lapse.

use std::collections::VecDeque;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, PersonId, ShowId, TicketClassId, TicketId};
use domain::inventory::{
    Checkout, ReleaseReason, ReservationConfirmed, ReservationReleased, SalesOpened, TicketsReserved,
};
use domain::order::{OrderCompleted, OrderCreated, OrderOverdue, OrderPaid};
use domain::payment::{PaymentCompleted, PaymentIntentCreated, PaymentRequested};
use domain::root::Context;
use domain::show::ClassTerms;
use domain::ticket::{IssuedTicket, TicketsIssued};
use domain::value::{Currency, Fingerprint, Line, PaymentChoice, PricedLine, Provider, Sealed, Timestamp};
use mixes::{Dice, expired};

/// Shows that are on sale.
const SHOWS: usize = 200;
/// Purchases under way at once.
const MEANWHILE: usize = 2_000;
const PAGE: &str = "https://tickets.example.com/shows/42/thanks";

/// What of the purchases lies in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::drill) enum Part {
    /// What stock says of them.
    Stock,
    /// Stock, orders and tickets.
    Sales,
    /// And the payments of those that were paid.
    Money,
}

/// What happens to a purchase after its tickets were reserved.
#[derive(Debug, Clone, Copy)]
enum Step {
    Created,
    Requested,
    Intended,
    Captured,
    Paid,
    Confirmed,
    Issued,
    Completed,
    Overdue,
    Cancelled,
    Released,
}

impl Part {
    /// The topics that it lies in.
    pub(super) fn contexts(self) -> &'static [Context] {
        match self {
            Self::Stock => &[Context::Inventory],
            Self::Sales => &[Context::Inventory, Context::Order, Context::Ticket],
            Self::Money => &[Context::Inventory, Context::Order, Context::Ticket, Context::Payment],
        }
    }

    /// A purchase has about so many: more begin only as others end.
    fn events(self) -> u64 {
        match self {
            Self::Stock => 2,
            Self::Sales => 6,
            Self::Money => 9,
        }
    }

    fn steps(self, lapses: bool) -> std::slice::Iter<'static, Step> {
        use Step::{
            Cancelled, Captured, Completed, Confirmed, Created, Intended, Issued, Overdue, Paid, Released, Requested,
        };
        let steps: &[Step] = match (self, lapses) {
            (Self::Stock, false) => &[Confirmed],
            (Self::Stock, true) => &[Released],
            (_, true) => &[Created, Overdue, Cancelled, Released],
            (Self::Sales, false) => &[Created, Paid, Confirmed, Issued, Completed],
            (Self::Money, false) => &[Created, Requested, Intended, Captured, Paid, Confirmed, Issued, Completed],
        };
        steps.iter()
    }
}

struct OnSale {
    show: ShowId,
    class: TicketClassId,
    organizer: String,
    price: i64,
    currency: Currency,
}

struct Purchase {
    created: OrderCreated,
    payment: PaymentId,
    serial: i64,
    quantity: i32,
    steps: std::slice::Iter<'static, Step>,
}

/// Makes them, event after event.
pub(super) struct Purchases {
    dice: Dice,
    sales: Vec<OnSale>,
    unopened: usize,
    under_way: VecDeque<Purchase>,
    part: Part,
    begun: i64,
}

impl Purchases {
    /// Of a seed.
    pub(super) fn new(seed: u64, part: Part) -> Self {
        let mut dice = Dice::new(seed);
        let currencies = ["VND", "USD", "JPY"].map(|it| it.parse::<Currency>().expect("three upper-case letters"));
        let sale = |n: usize| OnSale {
            show: ShowId(dice.id()),
            class: TicketClassId(dice.id()),
            organizer: format!("account:{}", dice.id()),
            price: 1_000 + i64::try_from(dice.below(900_000)).expect("it is small"),
            currency: currencies[n % 3],
        };
        let sales = (0..SHOWS).map(sale).collect();
        Self { dice, sales, unopened: 0, under_way: VecDeque::new(), part, begun: 0 }
    }

    /// The next event, at this moment; it begins no more purchases once they are to end. None when all have ended.
    pub(super) fn next(&mut self, at: Timestamp, ending: bool) -> Option<Event> {
        if let Some(sale) = self.sales.get(self.unopened) {
            self.unopened += 1;
            return Some(opened(sale));
        }
        if !ending && (self.under_way.len() < MEANWHILE || self.dice.below(self.part.events()) == 0) {
            return Some(self.reserve(at));
        }
        let mut purchase = self.under_way.pop_front()?;
        let step = *purchase.steps.next().expect("only those that go on are kept");
        let event = self.event(&purchase, step);
        if purchase.steps.len() > 0 {
            self.under_way.push_back(purchase);
        }
        Some(event)
    }

    fn reserve(&mut self, at: Timestamp) -> Event {
        self.begun += 1;
        let dice = &mut self.dice;
        let sale = &self.sales[usize::try_from(dice.below(SHOWS as u64)).expect("there are few shows")];
        let quantity = 1 + i32::try_from(dice.below(4)).expect("it is below 4");
        let payment = PaymentId(dice.id());
        let choice =
            PaymentChoice { payment, provider: Provider::Payos, return_url: PAGE.to_owned(), cancel_url: None };
        let created = OrderCreated {
            order: OrderId(dice.id()),
            show: sale.show,
            organizer: sale.organizer.clone(),
            person: PersonId(dice.id()),
            principal: format!("guest:{}", dice.id()),
            code: dice.code(),
            lines: vec![PricedLine { ticket_class: sale.class, quantity, unit_price: sale.price }],
            currency: sale.currency,
            total: sale.price * i64::from(quantity),
            created_at: at,
            pay_by: at.plus_s(900),
            hold_until: at.plus_s(20 * 24 * 3_600),
            payment: Some(choice),
            session: None,
        };
        let checkout = Checkout {
            session: None,
            person: created.person,
            principal: created.principal.clone(),
            code: created.code.clone(),
            buyer: Sealed(dice.bytes(150)),
            email_hash: dice.hex(64),
            payment: created.payment.clone(),
            fingerprint: Fingerprint(dice.id().into_bytes()),
        };
        let reserved = TicketsReserved {
            show: created.show,
            order: created.order,
            attempt: 1,
            organizer: created.organizer.clone(),
            lines: created.lines.clone(),
            currency: created.currency,
            total: created.total,
            pay_by: created.pay_by,
            hold_until: created.hold_until,
            checkout: Some(checkout),
        };
        let steps = self.part.steps(dice.below(10) < 2);
        self.under_way.push_back(Purchase { created, payment, serial: 1_000 + self.begun, quantity, steps });
        Event::Inventory(reserved.into())
    }

    fn event(&mut self, of: &Purchase, step: Step) -> Event {
        let (order, show, payment) = (of.created.order, of.created.show, of.payment);
        let (currency, total) = (of.created.currency, of.created.total);
        let ticket_class = of.created.lines[0].ticket_class;
        let lines = vec![Line { ticket_class, quantity: of.quantity }];
        // As the provider would call it.
        let reference = format!("made-{}", of.serial);
        match step {
            Step::Created => Event::Order(of.created.clone().into()),
            Step::Requested => {
                let OrderCreated { code, pay_by, .. } = of.created.clone();
                let requested = PaymentRequested {
                    payment,
                    order,
                    show,
                    provider: Provider::Payos,
                    serial: of.serial,
                    amount: total,
                    currency,
                    code,
                    return_url: PAGE.to_owned(),
                    cancel_url: None,
                    pay_by,
                };
                Event::Payment(requested.into())
            }
            Step::Intended => {
                let url = PAGE.to_owned();
                Event::Payment(PaymentIntentCreated { payment, order, show, reference, url }.into())
            }
            Step::Captured => {
                let completed = PaymentCompleted {
                    payment,
                    order,
                    show,
                    reference,
                    amount: total,
                    currency,
                    received: total,
                    fee: 0,
                    provider: Provider::Payos,
                };
                Event::Payment(completed.into())
            }
            Step::Paid => {
                let (lines, payment) = (of.created.lines.clone(), Some(payment));
                Event::Order(OrderPaid { order, show, payment, lines, currency, total }.into())
            }
            Step::Confirmed => Event::Inventory(ReservationConfirmed { show, order, attempt: 1, lines }.into()),
            Step::Issued => {
                let ticket = |_| IssuedTicket { ticket: TicketId(self.dice.id()), ticket_class };
                let tickets = (0..of.quantity).map(ticket).collect();
                Event::Ticket(TicketsIssued { order, show, tickets }.into())
            }
            Step::Completed => {
                Event::Order(OrderCompleted { order, show, ticket_count: of.quantity, session: None }.into())
            }
            Step::Overdue => Event::Order(OrderOverdue { order, show, payments: vec![payment] }.into()),
            Step::Cancelled => expired(order, show, None),
            Step::Released => {
                let (confirmed, reason) = (false, ReleaseReason::Expired);
                let released = ReservationReleased { show, order, attempt: 1, lines, confirmed, reason, session: None };
                Event::Inventory(released.into())
            }
        }
    }
}

fn opened(sale: &OnSale) -> Event {
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
    Event::Inventory(opened.into())
}
