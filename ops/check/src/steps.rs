//! Whether every step of a sale was followed by the next: a command of a saga that was lost leaves its traces only here.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{OrderId, PaymentId, SessionId, ShowId};
use domain::inventory::{self, ReleaseReason};
use domain::{order, queue, show};

use super::facts::Facts;
use super::queue::At;
use super::report::{Faults, Law};
use super::stock::HoldState;

/// What asks for another step.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// Payments that an order wants to be asked for.
    wanted: Vec<(PaymentId, OrderId)>,
    /// Payments that an order wants to be closed.
    unwanted: Vec<(PaymentId, OrderId)>,
    /// Published shows, with whether they have a waiting room.
    published: BTreeMap<ShowId, bool>,
    /// Shows that were cancelled after that.
    cancelled: BTreeMap<ShowId, bool>,
    /// Who left with a checkout token.
    left: Vec<(ShowId, SessionId)>,
    opened: BTreeSet<ShowId>,
    closed: BTreeSet<ShowId>,
}

impl Steps {
    /// Takes the next event of `catalog-events` in.
    pub fn fold_show(&mut self, event: &show::Event) {
        match event {
            show::Event::ShowPublished(it) => {
                self.published.insert(it.show, it.waiting_room.is_some());
            }
            show::Event::ShowCancelled(it) if it.published => {
                self.cancelled.insert(it.show, it.waiting_room);
            }
            _ => {}
        }
    }

    /// Takes the next event of `inventory-events` in.
    pub fn fold_inventory(&mut self, event: &inventory::Event) {
        match event {
            inventory::Event::SalesOpened(it) => self.opened.insert(it.show),
            inventory::Event::SalesClosed(it) => self.closed.insert(it.show),
            _ => false,
        };
    }

    /// Takes the next event of `order-events` in.
    pub fn fold_order(&mut self, event: &order::Event) {
        use order::Event as E;
        let mut close = |payments: &[PaymentId], order| {
            self.unwanted.extend(payments.iter().map(|payment| (*payment, order)));
        };
        match event {
            E::OrderCreated(it) => {
                self.wanted.extend(it.payment.iter().map(|choice| (choice.payment, it.order)).filter(|_| it.total > 0));
            }
            E::OrderPaymentAdded(it) => self.wanted.push((it.payment.payment, it.order)),
            E::OrderOverdue(it) => close(&it.payments, it.order),
            E::OrderCancelled(it) => close(&it.open_payments, it.order),
            E::OrderFailed(it) => close(&it.open_payments, it.order),
            E::OrderPaymentEnded(_)
            | E::OrderPaid(_)
            | E::OrderCompleted(_)
            | E::OrderStuck(_)
            | E::OrderTicketsRefunded(_) => {}
        }
    }

    /// Takes the next event of `queue-events` in.
    pub fn fold_queue(&mut self, event: &queue::Event) {
        if let queue::Event::QueueLeft(it) = event
            && it.entered
        {
            self.left.push((it.show, it.session));
        }
    }

    /// The law; it holds at rest.
    pub fn law(&self, facts: &Facts) -> Law {
        let mut faults = self.orders(facts).and(&self.payments(facts)).and(&self.shows(facts));
        for (show, session) in &self.left {
            if !facts.queues.worthless(*session) && !self.closed.contains(show) {
                faults.add(format!("session {session} left, and its checkout token is still good"));
            }
        }
        let steps = self.wanted.len() + self.unwanted.len() + self.left.len() + facts.stock.holds.len();
        Law::new(STEPS, format!("{steps} steps, {} shows", self.published.len()), faults)
    }

    fn orders(&self, facts: &Facts) -> Faults {
        let mut faults = Faults::default();
        for (key, hold) in &facts.stock.holds {
            let (order, show) = *key;
            let back = hold.state.released();
            let taken = back == Some(ReleaseReason::OrderIdTaken);
            if back.is_some() && !taken && !facts.sales.orders.contains_key(key) {
                faults.add(format!("order {order} was never created, and its stock is back"));
            }
            let live = matches!(hold.state, HoldState::Held | HoldState::Confirmed);
            if live && self.closed.contains(&show) {
                faults.add(format!("sales have closed, and order {order} still has stock"));
            }
            let session = facts.queues.placed.get(&(show, order)).and_then(|placed| placed.session);
            let visitor = session.and_then(|session| facts.queues.rooms.get(&show)?.of(session));
            if matches!(visitor, Some((_, visitor)) if matches!(visitor.at, At::InCheckout(_) | At::Admitted(_))) {
                faults.add(format!("order {order} was placed, and its slot is not tied to it"));
            }
        }
        faults
    }

    fn payments(&self, facts: &Facts) -> Faults {
        let mut faults = Faults::default();
        for (payment, order) in &self.wanted {
            if !facts.sales.payments.contains_key(payment) {
                faults.add(format!("payment {payment} of order {order} was never asked for"));
            }
        }
        for (payment, order) in &self.unwanted {
            if facts.sales.payments.get(payment).is_some_and(|known| matches!(known.status, "requested" | "open")) {
                faults.add(format!("payment {payment} of order {order} is no longer wanted, and was not closed"));
            }
        }
        faults
    }

    fn shows(&self, facts: &Facts) -> Faults {
        let mut faults = Faults::default();
        for (show, room) in &self.published {
            if !self.opened.contains(show) && !self.closed.contains(show) {
                faults.add(format!("show {show} is published, and its sales never opened"));
            }
            if *room && !facts.queues.rooms.contains_key(show) {
                faults.add(format!("show {show} is published, and its waiting room never opened"));
            }
        }
        for (show, room) in &self.cancelled {
            if !self.closed.contains(show) {
                faults.add(format!("show {show} is cancelled, and its sales never closed"));
            }
            if *room && facts.queues.rooms.get(show).is_none_or(|room| !room.is_closed()) {
                faults.add(format!("show {show} is cancelled, and its waiting room never closed"));
            }
        }
        faults
    }
}

/// At rest, everything that an event makes others do was done.
pub const STEPS: &str = "every step of a sale was followed by the next";

#[cfg(test)]
mod tests;
