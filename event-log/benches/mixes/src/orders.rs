//! Orders: of ten, eight get their tickets in three events, one lapses, one is still open.

use std::collections::VecDeque;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, PersonId, SessionId, ShowId, TicketClassId};
use domain::order::{CancelReason, OrderCancelled, OrderCompleted, OrderCreated, OrderOverdue, OrderPaid};
use domain::value::{Currency, PaymentChoice, PricedLine, Provider, Timestamp};

use crate::{Dice, Fate, Mix};

/// So many events happen between two of one order, about.
const MEANWHILE: usize = 2_000;

#[derive(Clone)]
enum Next {
    Paid,
    Completed,
    Overdue,
    Cancelled,
}

/// The commands of the orders of some shows.
#[derive(Clone)]
pub struct Orders {
    dice: Dice,
    shows: Vec<(ShowId, TicketClassId, String)>,
    under_way: VecDeque<(OrderCreated, Next)>,
    currency: Currency,
    fate: Fate,
    begun: u64,
}

impl Orders {
    /// Orders of so many made shows.
    pub fn new(seed: u64, shows: usize, fate: Fate) -> Self {
        let mut dice = Dice::new(seed);
        let shows = (0..shows).map(|_| (ShowId(dice.id()), TicketClassId(dice.id()), format!("account:{}", dice.id())));
        let shows = shows.collect();
        let currency = "VND".parse().expect("three upper-case letters");
        Self { dice, shows, under_way: VecDeque::new(), currency, fate, begun: 0 }
    }

    fn create(&mut self, at: Timestamp) -> Event {
        self.begun += 1;
        let dice = &mut self.dice;
        let which = usize::try_from(dice.below(self.shows.len() as u64)).expect("there are few shows");
        let (show, ticket_class, organizer) = self.shows[which].clone();
        let quantity = 1 + i32::try_from(dice.below(4)).expect("it is below 4");
        let (unit_price, order) = (250_000, OrderId(dice.id()));
        let created = OrderCreated {
            order,
            show,
            organizer,
            person: PersonId(dice.id()),
            principal: format!("guest:{}", dice.id()),
            code: dice.code(),
            lines: vec![PricedLine { ticket_class, quantity, unit_price }],
            currency: self.currency,
            total: unit_price * i64::from(quantity),
            created_at: at,
            pay_by: at.plus_s(900),
            hold_until: at.plus_s(1_200),
            payment: Some(PaymentChoice {
                payment: PaymentId(dice.id()),
                provider: Provider::Payos,
                return_url: "https://tickets.example.com/shows/42/thanks".to_owned(),
                cancel_url: None,
            }),
            session: (dice.below(2) == 0).then(|| SessionId(dice.id())),
        };
        let rolled = match self.fate {
            Fate::Mixed => dice.below(10),
            Fate::Open(_) => 9,
            Fate::Done(_) => 0,
        };
        match rolled {
            0..8 => self.under_way.push_back((created.clone(), Next::Paid)),
            8 => self.under_way.push_back((created.clone(), Next::Overdue)),
            _ => {}
        }
        Event::Order(created.into())
    }

    fn go_on(&mut self, of: OrderCreated, next: Next) -> Event {
        let (order, show, session) = (of.order, of.show, of.session);
        let payment = of.payment.as_ref().map(|choice| choice.payment);
        match next {
            Next::Paid => {
                let (lines, currency, total) = (of.lines.clone(), of.currency, of.total);
                self.under_way.push_back((of, Next::Completed));
                Event::Order(OrderPaid { order, show, payment, lines, currency, total }.into())
            }
            Next::Completed => {
                let ticket_count = of.lines.iter().map(|line| line.quantity).sum();
                Event::Order(OrderCompleted { order, show, ticket_count, session }.into())
            }
            Next::Overdue => {
                self.under_way.push_back((of, Next::Cancelled));
                Event::Order(OrderOverdue { order, show, payments: payment.into_iter().collect() }.into())
            }
            Next::Cancelled => expired(order, show, session),
        }
    }
}

/// The end of an order that nobody paid in time.
pub fn expired(order: OrderId, show: ShowId, session: Option<SessionId>) -> Event {
    let cancelled = OrderCancelled {
        order,
        show,
        reason: CancelReason::Expired,
        open_payments: vec![],
        refund: None,
        refund_why: None,
        issued: false,
        session,
    };
    Event::Order(cancelled.into())
}

impl Mix for Orders {
    fn next(&mut self, at: Timestamp) -> Vec<Event> {
        // Of 28 events 18 continue an order.
        let begins = self.fate.begins(self.begun);
        if !begins || (self.under_way.len() > MEANWHILE && self.dice.below(28) < 18) {
            let next = self.under_way.pop_front();
            return next.map(|(of, next)| self.go_on(of, next)).into_iter().collect();
        }
        vec![self.create(at)]
    }
}
