//! Purchases as their events, as a busy sale leaves them behind: of ten, eight end with tickets, two lapse.

use std::collections::VecDeque;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, PersonId, ShowId, TicketClassId, TicketId};
use domain::inventory::{
    Checkout, ReleaseReason, ReservationConfirmed, ReservationReleased, SalesOpened, TicketsReserved,
};
use domain::order::{CancelReason, OrderCancelled, OrderCompleted, OrderCreated, OrderOverdue, OrderPaid};
use domain::show::ClassTerms;
use domain::ticket::{IssuedTicket, TicketsIssued};
use domain::value::{Currency, Fingerprint, Line, PaymentChoice, PricedLine, Provider, Sealed, Timestamp};
use mixes::Dice;

/// Shows that are on sale.
const SHOWS: u64 = 200;
/// Purchases under way at once.
const MEANWHILE: usize = 2_000;
const PRICE: i64 = 250_000;

/// Makes them, event after event.
pub(super) struct Purchases {
    dice: Dice,
    shows: Vec<(ShowId, TicketClassId, String)>,
    unopened: usize,
    under_way: VecDeque<Purchase>,
    /// Only what stock says of it.
    stock_only: bool,
    currency: Currency,
}

struct Purchase {
    show: usize,
    created: OrderCreated,
    quantity: i32,
    step: usize,
    lapses: bool,
}

impl Purchases {
    /// Of a seed.
    pub(super) fn new(seed: u64, stock_only: bool) -> Self {
        let mut dice = Dice::new(seed);
        let show = |_| (ShowId(dice.id()), TicketClassId(dice.id()), format!("account:{}", dice.id()));
        let shows = (0..SHOWS).map(show).collect();
        let currency = "VND".parse().expect("three upper-case letters");
        Self { dice, shows, unopened: 0, under_way: VecDeque::new(), stock_only, currency }
    }

    /// The next event, at this moment; it begins no more purchases once they are to end. None when all have ended.
    pub(super) fn next(&mut self, at: Timestamp, ending: bool) -> Option<Event> {
        if self.unopened < self.shows.len() {
            self.unopened += 1;
            return Some(self.opened(self.unopened - 1));
        }
        if !ending && (self.under_way.len() < MEANWHILE || self.dice.below(6) == 0) {
            return Some(self.reserve(at));
        }
        let mut purchase = self.under_way.pop_front()?;
        let event = self.event(&mut purchase);
        let last = match (self.stock_only, purchase.lapses) {
            (true, _) => 1,
            (false, true) => 4,
            (false, false) => 5,
        };
        if purchase.step < last {
            self.under_way.push_back(purchase);
        }
        Some(event)
    }

    fn opened(&self, show: usize) -> Event {
        let (show, ticket_class, organizer) = self.shows[show].clone();
        let terms = ClassTerms {
            ticket_class,
            name: "Standing".to_owned(),
            price: PRICE,
            capacity: 1_000_000_000,
            sale_starts_at: None,
            sale_ends_at: None,
            max_per_order: 10,
        };
        let (currency, classes) = (self.currency, vec![terms]);
        let opened = SalesOpened { show, organizer, currency, pay_within_s: 900, classes, waiting_room: false };
        Event::Inventory(opened.into())
    }

    fn reserve(&mut self, at: Timestamp) -> Event {
        let which = usize::try_from(self.dice.below(SHOWS)).expect("there are few shows");
        let (show, ticket_class, organizer) = self.shows[which].clone();
        let dice = &mut self.dice;
        let quantity = 1 + i32::try_from(dice.below(4)).expect("it is below 4");
        let lines = vec![PricedLine { ticket_class, quantity, unit_price: PRICE }];
        let payment = Some(PaymentChoice {
            payment: PaymentId(dice.id()),
            provider: Provider::Payos,
            return_url: "https://tickets.example.com/shows/42/thanks".to_owned(),
            cancel_url: None,
        });
        let created = OrderCreated {
            order: OrderId(dice.id()),
            show,
            organizer,
            person: PersonId(dice.id()),
            principal: format!("guest:{}", dice.id()),
            code: dice.code(),
            lines,
            currency: self.currency,
            total: PRICE * i64::from(quantity),
            created_at: at,
            pay_by: at.plus_s(900),
            hold_until: at.plus_s(20 * 24 * 3_600),
            payment,
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
            show,
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
        let lapses = dice.below(10) < 2;
        self.under_way.push_back(Purchase { show: which, created, quantity, step: 0, lapses });
        Event::Inventory(reserved.into())
    }

    fn event(&mut self, of: &mut Purchase) -> Event {
        of.step += 1;
        let (order, show) = (of.created.order, of.created.show);
        let payment = of.created.payment.as_ref().map(|choice| choice.payment);
        let lines = vec![Line { ticket_class: self.shows[of.show].1, quantity: of.quantity }];
        let step = if self.stock_only { 3 + usize::from(of.lapses) } else { of.step };
        match (step, of.lapses) {
            (1, _) => Event::Order(of.created.clone().into()),
            (2, false) => {
                let OrderCreated { lines, currency, total, .. } = of.created.clone();
                Event::Order(OrderPaid { order, show, payment, lines, currency, total }.into())
            }
            (3, false) => Event::Inventory(ReservationConfirmed { show, order, attempt: 1, lines }.into()),
            (4, false) => {
                let ticket = |_| IssuedTicket { ticket: TicketId(self.dice.id()), ticket_class: lines[0].ticket_class };
                let tickets = (0..of.quantity).map(ticket).collect();
                Event::Ticket(TicketsIssued { order, show, tickets }.into())
            }
            (_, false) => Event::Order(OrderCompleted { order, show, ticket_count: of.quantity, session: None }.into()),
            (2, true) => Event::Order(OrderOverdue { order, show, payments: payment.into_iter().collect() }.into()),
            (3, true) => {
                let cancelled = OrderCancelled {
                    order,
                    show,
                    reason: CancelReason::Expired,
                    open_payments: vec![],
                    refund: None,
                    refund_why: None,
                    issued: false,
                    session: None,
                };
                Event::Order(cancelled.into())
            }
            (_, true) => {
                let (confirmed, reason) = (false, ReleaseReason::Expired);
                let released = ReservationReleased { show, order, attempt: 1, lines, confirmed, reason, session: None };
                Event::Inventory(released.into())
            }
        }
    }
}
