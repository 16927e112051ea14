//! By which terms stock was given out and taken back: prices, limits, windows and deadlines, of the moment of each decision.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{ShowId, TicketClassId};
use domain::inventory::{Event, TicketsReserved};
use domain::order::{self, CancelReason};
use domain::show::ClassTerms;
use domain::value::{Currency, Timestamp};

use super::facts::Facts;
use super::report::{Faults, Law};
use super::sales::Key;

/// How long after its deadline a hold may still stand, before it counts as forgotten: a take-over's grace, and some.
const FORGOTTEN_S: i64 = 900;

/// The terms as they are, and what went against them.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    classes: BTreeMap<(ShowId, TicketClassId), ClassTerms>,
    currencies: BTreeMap<ShowId, Currency>,
    closed: BTreeSet<ShowId>,
    holds: BTreeMap<Key, Timestamp>,
    pay_by: BTreeMap<Key, Timestamp>,
    paid: BTreeSet<Key>,
    reserved: u64,
    ended: u64,
    /// The last moment that the stock of a show tells.
    latest: BTreeMap<ShowId, Timestamp>,
    /// Reservations against the terms of their moment.
    pub broken: Faults,
    /// What ended before its deadline.
    pub early: Faults,
}

impl Terms {
    /// Takes the next event of `inventory-events` in.
    pub fn fold(&mut self, event: &Event, at: Timestamp) {
        let latest = self.latest.entry(ShowId(event.aggregate())).or_default();
        *latest = at.max(*latest);
        match event {
            Event::SalesOpened(opened) => {
                self.currencies.insert(opened.show, opened.currency);
                let terms = opened.classes.iter().map(|terms| ((opened.show, terms.ticket_class), terms.clone()));
                self.classes.extend(terms);
            }
            Event::SalesClosed(closed) => {
                self.closed.insert(closed.show);
            }
            Event::PriceChanged(it) => {
                if let Some(terms) = self.classes.get_mut(&(it.show, it.ticket_class)) {
                    terms.price = it.price;
                }
            }
            Event::TicketsReserved(reserved) => self.reserve(reserved, at),
            Event::ReservationExpired(it) => {
                self.ended += 1;
                if self.holds.get(&(it.order, it.show)).is_some_and(|until| at < *until) {
                    self.early.add(format!("the hold of order {} ran out before its time", it.order));
                }
            }
            Event::CapacityChanged(_)
            | Event::ReservationConfirmed(_)
            | Event::ReservationReleased(_)
            | Event::SessionBarred(_) => {}
        }
    }

    /// Takes the next event of `order-events` in.
    pub fn fold_order(&mut self, event: &order::Event, at: Timestamp) {
        use order::Event as E;
        match event {
            E::OrderCreated(it) => {
                self.pay_by.insert((it.order, it.show), it.pay_by);
            }
            E::OrderPaid(it) => {
                self.paid.insert((it.order, it.show));
            }
            E::OrderOverdue(it) => self.in_time((it.order, it.show), at, "became overdue"),
            // Without money in it, only the deadline ends an order like that.
            E::OrderCancelled(it) if it.reason == CancelReason::Expired => {
                self.in_time((it.order, it.show), at, "expired");
            }
            E::OrderFailed(it) => self.in_time((it.order, it.show), at, "failed"),
            E::OrderCancelled(_)
            | E::OrderPaymentAdded(_)
            | E::OrderPaymentEnded(_)
            | E::OrderCompleted(_)
            | E::OrderStuck(_)
            | E::OrderTicketsRefunded(_) => {}
        }
    }

    fn in_time(&mut self, key: Key, at: Timestamp, what: &str) {
        self.ended += 1;
        let early = self.pay_by.get(&key).is_some_and(|pay_by| at < *pay_by);
        if early && !self.paid.contains(&key) {
            self.early.add(format!("order {} {what} before its time to pay was over", key.0));
        }
    }

    fn reserve(&mut self, it: &TicketsReserved, at: Timestamp) {
        self.reserved += 1;
        self.holds.insert((it.order, it.show), it.hold_until);
        let mut wrong = |what: &str| self.broken.add(format!("order {}: {what}", it.order));
        if self.closed.contains(&it.show) {
            wrong("reserved after sales had closed");
        }
        if self.currencies.get(&it.show).is_some_and(|currency| *currency != it.currency) {
            wrong("reserved in another currency");
        }
        if it.attempt != 1 {
            return; // Late money takes the same stock again, at the price that it paid.
        }
        if it.pay_by < at || it.hold_until < it.pay_by {
            wrong("its deadlines lie before it");
        }
        let mut asked: BTreeMap<TicketClassId, i64> = BTreeMap::new();
        for line in &it.lines {
            *asked.entry(line.ticket_class).or_default() += i64::from(line.quantity);
            let Some(terms) = self.classes.get(&(it.show, line.ticket_class)) else { continue };
            if line.unit_price != terms.price {
                wrong(&format!("reserved at {}, the price was {}", line.unit_price, terms.price));
            }
            let early = terms.sale_starts_at.is_some_and(|starts| at < starts);
            if early || terms.sale_ends_at.is_some_and(|ends| at >= ends) {
                wrong("reserved outside the time of sale of its class");
            }
            if line.quantity < 0 {
                wrong("reserved less than nothing");
            }
        }
        for (class, quantity) in asked {
            let most = self.classes.get(&(it.show, class)).map(|terms| i64::from(terms.max_per_order));
            if most.is_some_and(|most| quantity > most) {
                wrong("more of a class than one order may have");
            }
        }
    }

    /// The laws that hold at every moment.
    pub fn laws(&self) -> [Law; 2] {
        [
            Law::new(TERMS, format!("{} reservations", self.reserved), self.broken.clone()),
            Law::new(DEADLINES, format!("{} ended by a deadline", self.ended), self.early.clone()),
        ]
    }

    /// What should have ended long ago: a hold, by the latest moment that the same show's stock tells; an order, if even
    /// the backstop behind it has let its stock go. A stuck order waits for a person, one with an open payment for its
    /// provider.
    pub fn forgotten(&self, facts: &Facts) -> Law {
        let over = |key: &Key| {
            let latest = self.latest.get(&key.1);
            self.holds.get(key).zip(latest).is_some_and(|(until, latest)| until.plus_s(FORGOTTEN_S) < *latest)
        };
        let held = facts.stock.live().filter(|(key, _)| over(key));
        let mut faults: Faults = held.map(|((order, _), _)| format!("order {order} still holds stock")).collect();
        let paying: BTreeSet<Key> =
            facts.sales.payments.values().filter(|payment| payment.open()).map(|payment| payment.order).collect();
        for (key, order) in &facts.sales.orders {
            let lapsed = facts.stock.holds.get(key).is_some_and(|hold| hold.state.released().is_some());
            if order.phase == "open" && !order.paid && lapsed && !paying.contains(key) {
                faults.add(format!("order {} is open, and its stock is gone", key.0));
            }
        }
        Law::new(FORGOTTEN, format!("{} with a deadline", self.holds.len()), faults)
    }
}

/// Stock was given out at the price, within the limit and in the time of sale of that moment.
pub const TERMS: &str = "stock is given out by the terms of its moment";
/// No hold and no order ends by a deadline that has not come.
pub const DEADLINES: &str = "nothing ends before its deadline";
/// Nothing stands long after its deadline.
pub const FORGOTTEN: &str = "no deadline is forgotten";

#[cfg(test)]
mod tests;
