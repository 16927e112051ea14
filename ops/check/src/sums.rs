//! The sums that the log and the read models have in common, and where they differ.

use std::collections::BTreeMap;
use std::fmt::Debug;

use domain::ids::{ShowId, TicketClassId};

use super::facts::Facts;
use super::laws;
use super::report::{Faults, Law};

/// One class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassSums {
    /// How many there are.
    pub capacity: i64,
    /// How many are held.
    pub held: i64,
    /// How many are sold.
    pub sold: i64,
}

/// How many, and how much together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountSums {
    /// How many.
    pub count: i64,
    /// Minor units.
    pub amount: i64,
}

impl CountSums {
    fn add(&mut self, amount: i64) {
        self.count += 1;
        self.amount += amount;
    }
}

/// Payments of one status and currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentSums {
    /// How many.
    pub count: i64,
    /// Asked for.
    pub amount: i64,
    /// Came and was applied.
    pub received: i64,
    /// Goes back.
    pub refund: i64,
}

/// What log and read models have to agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// Stock by class.
    pub classes: BTreeMap<(ShowId, TicketClassId), ClassSums>,
    /// Orders by show, phase with reason, and currency.
    pub orders: BTreeMap<(ShowId, String, String), CountSums>,
    /// Payments by status and currency.
    pub payments: BTreeMap<(String, String), PaymentSums>,
    /// Tickets by show, class and status.
    pub tickets: BTreeMap<(ShowId, TicketClassId, String), i64>,
    /// Money set aside, by currency.
    pub quarantined: BTreeMap<String, CountSums>,
}

impl Sums {
    /// The sums of the log.
    pub fn of(facts: &Facts) -> Self {
        let mut sums = Self::default();
        for (key, class) in &facts.stock.classes {
            let of = ClassSums { capacity: class.capacity, held: class.held, sold: class.sold };
            sums.classes.insert(*key, of);
        }
        for (key, hold) in &facts.stock.holds {
            let (phase, reason) = laws::standing(facts, key);
            let currency = hold.currency.to_string();
            sums.orders.entry((key.1, status(phase, reason), currency)).or_default().add(hold.total);
        }
        for payment in facts.sales.payments.values() {
            let key = (payment.status.to_owned(), payment.currency.to_string());
            let of = sums.payments.entry(key).or_default();
            of.count += 1;
            of.amount += payment.amount;
            of.received += payment.received;
            of.refund += payment.refunded;
        }
        for ((_, show), batch) in &facts.sales.batches {
            for (ticket, class) in &batch.tickets {
                let dead = batch.revoked || batch.dead.contains(ticket);
                let status = if dead { "revoked" } else { "valid" };
                *sums.tickets.entry((*show, *class, status.to_owned())).or_default() += 1;
            }
        }
        for movement in facts.sales.movements.values().filter(|movement| movement.quarantined) {
            sums.quarantined.entry(movement.currency.to_string()).or_default().add(movement.amount);
        }
        sums
    }
}

/// A phase and its reason in one word: `cancelled/expired`.
pub(super) fn status(phase: String, reason: Option<String>) -> String {
    match reason {
        Some(reason) => format!("{phase}/{reason}"),
        None => phase,
    }
}

/// Holds the read models against the log.
pub fn compare(log: &Sums, views: &Sums) -> Law {
    let mut faults = Faults::default();
    differ(&mut faults, "class", &log.classes, &views.classes);
    differ(&mut faults, "orders", &log.orders, &views.orders);
    differ(&mut faults, "payments", &log.payments, &views.payments);
    differ(&mut faults, "tickets", &log.tickets, &views.tickets);
    differ(&mut faults, "quarantined", &log.quarantined, &views.quarantined);
    let orders: i64 = views.orders.values().map(|sums| sums.count).sum();
    let tickets: i64 = views.tickets.values().sum();
    let payments: i64 = views.payments.values().map(|sums| sums.count).sum();
    let numbers = format!("{} classes, {orders} orders, {payments} payments, {tickets} tickets", views.classes.len());
    Law::new("Postgres has the same sums as the log", numbers, faults)
}

fn differ<K: Ord + Debug, V: PartialEq + Debug>(
    faults: &mut Faults,
    what: &str,
    log: &BTreeMap<K, V>,
    views: &BTreeMap<K, V>,
) {
    for (key, ours) in log {
        match views.get(key) {
            Some(theirs) if theirs == ours => {}
            theirs => faults.add(format!("{what} {key:?}: the log has {ours:?}, Postgres {theirs:?}")),
        }
    }
    for (key, theirs) in views.iter().filter(|(key, _)| !log.contains_key(*key)) {
        faults.add(format!("{what} {key:?}: Postgres has {theirs:?}, the log nothing"));
    }
}
