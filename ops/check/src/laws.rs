//! The laws of a box office that has come to rest, checked on what the log says.
//!
//! While orders are under way, laws about several topics may be broken for a moment: ask again.

use std::collections::BTreeMap;

use domain::ids::{OrderId, PaymentId, TicketClassId, TicketId};
use domain::inventory::ReleaseReason;
use domain::value::Currency;

use super::facts::Facts;
use super::queue;
use super::report::{Faults, Law, Report, money};
use super::sales::{Batch, Key, Order};
use super::stock::Lines;

/// Every law that the log alone can be held against, of a box office at rest.
pub fn check(facts: &Facts) -> Report {
    let mut report = always(facts);
    report.laws.extend([
        nothing_held_in_vain(facts),
        paid_and_served(facts),
        sold_is_issued(facts),
        money_adds_up(facts),
        not_paid_twice(facts),
        facts.steps.law(facts),
        facts.terms.forgotten(facts),
        nothing_stuck(facts),
    ]);
    report.laws.extend(queue::at_rest(facts));
    report
}

/// The laws that hold at every moment, however far each partition has got.
pub fn always(facts: &Facts) -> Report {
    let mut laws = facts.log.laws(&facts.partitions);
    laws.extend([not_oversold(facts), reservations_end(facts)]);
    laws.extend(facts.terms.laws());
    laws.extend([orders_in_order(facts), money_once(facts)]);
    laws.extend(queue::always(facts));
    Report { laws }
}

/// Orders are created, paid and ended in that order, and tickets are issued once.
fn orders_in_order(facts: &Facts) -> Law {
    let (orders, batches) = (facts.sales.orders.len(), facts.sales.batches.len());
    Law::new(
        "orders and tickets come about once",
        format!("{orders} orders, {batches} with tickets"),
        facts.sales.endings.clone(),
    )
}

/// No movement of money counts twice, and no payment gets or gives back more than there is.
fn money_once(facts: &Facts) -> Law {
    let (movements, refunds) = (facts.sales.movements.len(), facts.sales.refunds.len());
    Law::new(
        "no money is counted twice",
        format!("{movements} movements, {refunds} refunds"),
        facts.sales.money.clone(),
    )
}

fn not_oversold(facts: &Facts) -> Law {
    let peaks = facts.stock.classes.values().map(|class| format!("{} {}/{}", class.name, class.peak, class.capacity));
    let mut peaks: Vec<String> = peaks.take(7).collect();
    if facts.stock.classes.len() > peaks.len() {
        peaks.push("…".to_owned());
    }
    let numbers = format!("peaks {} at {} moments", peaks.join(", "), facts.stock.events);
    Law::new("held + sold never exceeds capacity", numbers, facts.stock.oversold.clone())
}

fn reservations_end(facts: &Facts) -> Law {
    let stock = &facts.stock;
    let live = stock.live().count() as u64;
    let numbers = format!(
        "{} made = {} sold + {} released + {} lapsed + {live} held; {} undone",
        stock.reserved, stock.confirmed, stock.released, stock.expired, stock.undone
    );
    let mut faults = stock.endings.clone();
    if stock.reserved != stock.confirmed + stock.released + stock.expired + live {
        faults.add("the sums differ");
    }
    Law::new("every reservation ends exactly once", numbers, faults)
}

/// Stock is held only for an order that can still be paid, or is being served.
fn nothing_held_in_vain(facts: &Facts) -> Law {
    let mut held = 0;
    let mut faults = Faults::default();
    for ((order, show), _) in facts.stock.live() {
        held += 1;
        match facts.sales.orders.get(&(*order, *show)) {
            Some(known) if matches!(known.phase, "open" | "stuck") => {}
            Some(known) => faults.add(format!("order {order} is {} and still holds stock", known.phase)),
            None => faults.add(format!("stock is held for order {order}, which was never created")),
        }
    }
    Law::new("stock is held for open orders only", format!("{held} held"), faults)
}

/// Who paid has the tickets, or the money goes back: one of the two, and only one.
fn paid_and_served(facts: &Facts) -> Law {
    let (mut served, mut refunded) = (0_u64, 0_u64);
    let mut faults = Faults::default();
    for (key, order) in &facts.sales.orders {
        let tickets = valid_tickets(facts.sales.batches.get(key));
        let mut wanted = facts.stock.holds.get(key).map(|hold| hold.lines.clone()).unwrap_or_default();
        for (class, count) in dead_tickets(facts.sales.batches.get(key)) {
            *wanted.entry(class).or_default() -= count;
        }
        wanted.retain(|_, count| *count != 0);
        let id = key.0;
        let free = order.total == 0;
        let kept = if free { order.times_paid > 0 } else { order.paid_by.is_some_and(|payment| keeps(facts, payment)) };
        match (order.phase, order.paid) {
            ("completed", _) if tickets != wanted => {
                faults.add(format!("order {id} is completed, but has tickets {tickets:?} instead of {wanted:?}"));
            }
            ("completed", _) if !kept => faults.add(format!("order {id} has tickets, but no money of it was kept")),
            ("completed", _) => served += 1,
            (phase, true) => faults.add(format!("order {id} is paid and {phase}, and has no tickets yet")),
            (phase, false) if !tickets.is_empty() => faults.add(format!("order {id} is {phase} and has tickets")),
            (_, false) if order.times_paid == 0 => {}
            (phase, false) if kept && !free => {
                faults.add(format!("order {id} was paid and is {phase}, without tickets and without a refund"));
            }
            (_, false) => refunded += 1,
        }
    }
    faults = faults.and(&strangers(facts));
    Law::new("who paid has the tickets or a refund", format!("{served} served, {refunded} refunded"), faults)
}

/// Tickets without an order.
fn strangers(facts: &Facts) -> Faults {
    let unknown = facts.sales.batches.keys().filter(|key| !facts.sales.orders.contains_key(*key));
    unknown.map(|(order, _)| format!("tickets were issued to order {order}, which was never created")).collect()
}

fn keeps(facts: &Facts, payment: PaymentId) -> bool {
    facts.sales.payments.get(&payment).is_some_and(|payment| payment.kept() > 0)
}

/// How many valid tickets of each class a batch has.
pub(super) fn valid_tickets(batch: Option<&Batch>) -> Lines {
    let valid = |batch: &Batch, ticket: &TicketId| !batch.revoked && !batch.dead.contains(ticket);
    tickets_that(batch, valid)
}

/// How many tickets of each class died alone, of a batch whose others live: their stock is not sold again.
fn dead_tickets(batch: Option<&Batch>) -> Lines {
    tickets_that(batch, |batch: &Batch, ticket: &TicketId| !batch.revoked && batch.dead.contains(ticket))
}

fn tickets_that(batch: Option<&Batch>, are: impl Fn(&Batch, &TicketId) -> bool) -> Lines {
    let mut lines = Lines::new();
    if let Some(batch) = batch {
        for (_, class) in batch.tickets.iter().filter(|(ticket, _)| are(batch, ticket)) {
            *lines.entry(*class).or_default() += 1;
        }
    }
    lines
}

fn sold_is_issued(facts: &Facts) -> Law {
    let mut issued: BTreeMap<(domain::ids::ShowId, TicketClassId), i64> = BTreeMap::new();
    for ((_, show), batch) in &facts.sales.batches {
        for (class, count) in valid_tickets(Some(batch)).into_iter().chain(dead_tickets(Some(batch))) {
            *issued.entry((*show, class)).or_default() += count;
        }
    }
    let mut faults = Faults::default();
    for (key, class) in &facts.stock.classes {
        let tickets = issued.remove(key).unwrap_or(0);
        if tickets != class.sold {
            faults.add(format!("{}: {} sold, {tickets} tickets valid or refunded singly", class.name, class.sold));
        }
    }
    issued.iter().for_each(|(key, count)| faults.add(format!("{count} tickets of class {}, never on sale", key.1)));
    let sold: i64 = facts.stock.classes.values().map(|class| class.sold).sum();
    Law::new("as many valid tickets as were sold", format!("{sold}"), faults)
}

/// Where the money of one currency is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purse {
    /// Applied to a payment.
    pub received: i64,
    /// What of it completed its payment.
    pub captured: i64,
    /// What of it came in part.
    pub in_part: i64,
    /// The price of tickets that are valid.
    pub earned: i64,
    /// Goes back.
    pub refund: i64,
    /// What of it is due until a person did it.
    pub due: i64,
    /// What of it is done.
    pub done: i64,
    /// Came in part for an order that is still open.
    pub waiting: i64,
    /// Set aside; not part of `received`.
    pub quarantined: i64,
}

/// Where the money is, by currency.
pub fn purses(facts: &Facts) -> BTreeMap<Currency, Purse> {
    let mut purses: BTreeMap<Currency, Purse> = BTreeMap::new();
    for payment in facts.sales.payments.values() {
        let purse = purses.entry(payment.currency).or_default();
        purse.received += payment.received;
        purse.refund += payment.refunded;
        purse.due += payment.due;
        purse.done += payment.done;
        *if payment.status == "completed" { &mut purse.captured } else { &mut purse.in_part } += payment.received;
        if payment.open() {
            purse.waiting += payment.kept();
        }
    }
    for (key, order) in &facts.sales.orders {
        if has_tickets(facts, key) {
            purses.entry(order.currency).or_default().earned += order.total - order.given_back;
        }
    }
    for movement in facts.sales.movements.values().filter(|movement| movement.quarantined) {
        purses.entry(movement.currency).or_default().quarantined += movement.amount;
    }
    purses
}

fn has_tickets(facts: &Facts, key: &Key) -> bool {
    !valid_tickets(facts.sales.batches.get(key)).is_empty()
}

fn money_adds_up(facts: &Facts) -> Law {
    let mut faults = Faults::default();
    let mut numbers = Vec::new();
    for (currency, purse) in purses(facts) {
        let Purse { received, captured, in_part, earned, refund, due, done, waiting, quarantined } = purse;
        let show = |amount| money(amount, currency.as_str());
        numbers.push(format!(
            "{} captured + {} in part + {} quarantined = {} of tickets + {} refunded + {} being refunded + {} refund due + {} waiting + {} quarantined",
            show(captured),
            show(in_part),
            show(quarantined),
            show(earned),
            show(done),
            show(refund - due - done),
            show(due),
            show(waiting),
            show(quarantined)
        ));
        if received != earned + refund + waiting {
            faults.add(format!("{} cannot be accounted for", show(received - earned - refund - waiting)));
        }
    }
    for (id, payment) in &facts.sales.payments {
        let order = facts.sales.orders.get(&payment.order);
        let applied = order.is_some_and(|order| order.paid_by == Some(*id) && has_tickets(facts, &payment.order));
        let kept = payment.kept();
        let expected = if applied { order.map_or(0, |order| order.total - order.given_back) } else { 0 };
        if kept != expected && !payment.open() {
            faults.add(format!("payment {id} ({}) keeps {kept} instead of {expected}", payment.status));
        }
    }
    let numbers = if numbers.is_empty() { "no money moved".to_owned() } else { numbers.join("; ") };
    Law::new("all money is accounted for", numbers, faults)
}

fn not_paid_twice(facts: &Facts) -> Law {
    let mut keeping: BTreeMap<OrderId, u32> = BTreeMap::new();
    for payment in facts.sales.payments.values().filter(|payment| payment.status == "completed" && payment.kept() > 0) {
        *keeping.entry(payment.order.0).or_default() += 1;
    }
    let twice = keeping.iter().filter(|(_, count)| **count > 1);
    let faults = twice.map(|(order, count)| format!("{count} payments for order {order} are kept")).collect();
    Law::new("no order keeps two payments", format!("{} orders keep one", keeping.len()), faults)
}

fn nothing_stuck(facts: &Facts) -> Law {
    let stuck = facts.sales.orders.iter().filter(|(_, order)| order.phase == "stuck");
    let faults: Faults = stuck.map(|((order, _), _)| format!("order {order} is stuck")).collect();
    Law::new("no order is stuck", format!("{} of {}", faults.count, facts.sales.orders.len()), faults)
}

/// How an order of the stock stands, as readers see it: its phase and the reason.
pub(super) fn standing(facts: &Facts, key: &Key) -> (String, Option<String>) {
    let released = facts.stock.holds.get(key).and_then(|hold| hold.state.released());
    if released == Some(ReleaseReason::OrderIdTaken) {
        return ("failed".to_owned(), Some("order_id_taken".to_owned()));
    }
    match facts.sales.orders.get(key) {
        Some(Order { phase, reason, .. }) => ((*phase).to_owned(), reason.clone()),
        None => ("open".to_owned(), None),
    }
}

/// Checks that what a client was promised is in the log: every order that was answered with 201, and every ticket that
/// was handed out.
pub fn promised(facts: &Facts, orders: &[Key], tickets: &[(OrderId, domain::ids::TicketId)]) -> Law {
    let lost_orders = orders.iter().filter(|key| !facts.stock.holds.contains_key(*key));
    let mut faults: Faults =
        lost_orders.map(|(order, _)| format!("order {order} was acknowledged and is lost")).collect();
    let issued: std::collections::BTreeSet<(OrderId, domain::ids::TicketId)> = facts
        .sales
        .batches
        .iter()
        .flat_map(|((order, _), batch)| batch.tickets.iter().map(|(ticket, _)| (*order, *ticket)))
        .collect();
    for (order, ticket) in tickets.iter().filter(|handed| !issued.contains(*handed)) {
        faults.add(format!("ticket {ticket} of order {order} was handed out and is lost"));
    }
    let numbers = format!("{} orders, {} tickets", orders.len(), tickets.len());
    Law::new("nothing acknowledged is missing", numbers, faults)
}
