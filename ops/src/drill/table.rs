//! The table of what happened, recomputed from the log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use check::{Facts, Payment, money};
use domain::ids::OrderId;
use domain::value::Currency;
use provider_sandbox::Provider;

use super::faults::KINDS;
use super::strikes::Struck;
use super::tally::Seen;

/// So many, and how much of each currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    amounts: BTreeMap<Currency, i64>,
}

impl Sum {
    fn add(&mut self, amount: i64, currency: Currency) {
        self.count += 1;
        *self.amounts.entry(currency).or_default() += amount;
    }

    fn text(&self) -> String {
        let amounts: Vec<String> = self.amounts.iter().map(|(of, amount)| money(*amount, of.as_str())).collect();
        if amounts.is_empty() { "0".to_owned() } else { format!("{}: {}", self.count, amounts.join(" + ")) }
    }
}

/// What happened at one provider.
#[derive(Debug, Clone, Default)]
struct Row {
    orders: BTreeSet<OrderId>,
    attempts: u64,
    captured: Sum,
    in_part: Sum,
    tickets: usize,
    done: Sum,
    due: Sum,
    by_hand: Sum,
    quarantined: Sum,
}

fn rows(facts: &Facts) -> BTreeMap<&'static str, Row> {
    let mut rows: BTreeMap<&str, Row> = Provider::ALL.map(|it| (it.name(), Row::default())).into_iter().collect();
    let sales = &facts.sales;
    let row_of = |payment: Option<&Payment>| payment.map_or("unknown", |it| it.provider.as_str());
    for payment in sales.payments.values() {
        let row = rows.entry(payment.provider.as_str()).or_default();
        row.attempts += 1;
        row.orders.insert(payment.order.0);
    }
    for movement in sales.movements.values() {
        let payment = sales.payments.get(&movement.payment);
        let row = rows.entry(row_of(payment)).or_default();
        let whole = payment.is_some_and(|it| it.status == "completed");
        let sum = match (movement.quarantined, whole) {
            (true, _) => &mut row.quarantined,
            (false, true) => &mut row.captured,
            (false, false) => &mut row.in_part,
        };
        sum.add(movement.amount, movement.currency);
    }
    for refund in sales.refunds.values() {
        let payment = sales.payments.get(&refund.payment);
        let row = rows.entry(row_of(payment)).or_default();
        let sum = match (refund.due, refund.by_hand) {
            (true, _) => &mut row.due,
            (false, true) => &mut row.by_hand,
            (false, false) => &mut row.done,
        };
        if let Some(payment) = payment.filter(|_| refund.due || refund.done.is_some()) {
            sum.add(refund.amount, payment.currency);
        }
    }
    for (key, batch) in &sales.batches {
        let paid_by = sales.orders.get(key).and_then(|order| order.paid_by);
        let payment = paid_by.and_then(|payment| sales.payments.get(&payment));
        rows.entry(row_of(payment)).or_default().tickets += batch.tickets.len();
    }
    rows
}

/// All of it.
pub fn text(
    facts: &Facts,
    seen: &Seen,
    injected: &BTreeMap<(Provider, &'static str), u64>,
    struck: &[Struck],
    took: Duration,
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let line = format!("  {name:<24}{value}");
        writeln!(text, "{}", line.trim_end()).expect("strings take everything");
    };
    for (provider, row) in rows(facts) {
        line(
            provider,
            format!("{} orders, {} attempts, {} tickets issued", row.orders.len(), row.attempts, row.tickets),
        );
        let sums = [
            ("captured", &row.captured),
            ("came in part", &row.in_part),
            ("refunded by provider", &row.done),
            ("refund due by hand", &row.due),
            ("refunded by hand", &row.by_hand),
            ("quarantined", &row.quarantined),
        ];
        sums.iter().filter(|(_, sum)| sum.count > 0).for_each(|(name, sum)| line(&format!("  {name}"), sum.text()));
    }
    line("", String::new());
    line("faults met", Provider::ALL.iter().map(|it| format!("{:>8}", it.name())).collect());
    for kind in KINDS {
        let of = |provider| injected.get(&(provider, kind)).copied().unwrap_or_default();
        line(&format!("  {kind}"), Provider::ALL.iter().map(|it| format!("{:>8}", of(*it))).collect());
    }
    line("", String::new());
    for (end, count) in endings(facts) {
        line("orders ended", format!("{count:>6}  {end}"));
    }
    for (status, count) in statuses(facts) {
        line("attempts ended", format!("{count:>6}  {status}"));
    }
    line("attempts declined", format!("{:>6}", facts.sales.declined));
    let [whole, tickets] = seen.by_staff;
    line("refunds by staff", format!("{whole:>6}  whole orders, {tickets} single tickets"));
    line("sold out", format!("{:>6}  times, and another class was taken", seen.sold_out));
    line("", String::new());
    for ((act, end), count) in &seen.stories {
        line(&format!("{act:?}"), format!("{count:>6}  {end}"));
    }
    line("", String::new());
    struck.iter().for_each(|struck| line("struck", struck.to_string()));
    line("duration", format!("{} s", took.as_secs()));
    text
}

fn endings(facts: &Facts) -> BTreeMap<String, u64> {
    let ends = facts.sales.orders.values().map(|order| match &order.reason {
        Some(reason) if order.times_paid > 0 => format!("{} ({reason}), had been paid", order.phase),
        Some(reason) => format!("{} ({reason})", order.phase),
        None => order.phase.to_owned(),
    });
    counted(ends)
}

fn statuses(facts: &Facts) -> BTreeMap<String, u64> {
    counted(facts.sales.payments.values().map(|payment| match payment.status {
        "open" => "page still open at the provider, its order is over".to_owned(),
        status => status.to_owned(),
    }))
}

fn counted(words: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    words.fold(BTreeMap::new(), |mut counts, word| {
        *counts.entry(word).or_default() += 1;
        counts
    })
}
