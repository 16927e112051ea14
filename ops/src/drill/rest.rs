//! Waits until nothing is under way any more, and tells what is left until then.

use std::collections::BTreeMap;
use std::time::Duration;

use check::{Checker, Facts, Promised, Report};
use domain::value::Provider;
use tokio::time::{Instant, sleep};

use crate::stack;

/// Between two looks at the whole log.
const STEP: Duration = Duration::from_secs(5);
/// What is left is told so often.
const TELL: Duration = Duration::from_secs(20);

/// What is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Orders by their phase that have not ended.
    pub orders: BTreeMap<&'static str, u64>,
    /// Reservations that are held.
    pub held: usize,
    /// Payments that are being closed, by who collects.
    pub closing: BTreeMap<Provider, u64>,
    /// Refunds that a provider is asked for.
    pub refunding: BTreeMap<Provider, u64>,
}

impl Left {
    /// What the log has.
    pub fn of(facts: &Facts) -> Self {
        let mut left = Self { held: facts.stock.live().count(), ..Self::default() };
        for order in facts.sales.orders.values().filter(|it| matches!(it.phase, "open" | "stuck")) {
            *left.orders.entry(order.phase).or_default() += 1;
        }
        for payment in facts.sales.payments.values().filter(|it| matches!(it.status, "requested" | "closing")) {
            *left.closing.entry(payment.provider).or_default() += 1;
        }
        for refund in facts.sales.refunds.values().filter(|it| !it.due && it.done.is_none()) {
            let provider = facts.sales.payments.get(&refund.payment).map_or(Provider::Unknown, |it| it.provider);
            *left.refunding.entry(provider).or_default() += 1;
        }
        left
    }

    /// Whether it is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// In a line.
    pub fn text(&self) -> String {
        let sum = |of: &BTreeMap<Provider, u64>| {
            let each: Vec<String> =
                of.iter().map(|(provider, count)| format!("{} {count}", provider.as_str())).collect();
            if each.is_empty() { "none".to_owned() } else { each.join(", ") }
        };
        let orders: Vec<String> = self.orders.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
        let orders = if orders.is_empty() { "none".to_owned() } else { orders.join(", ") };
        format!(
            "orders: {orders}; held: {}; payments being closed: {}; refunds under way: {}",
            self.held,
            sum(&self.closing),
            sum(&self.refunding)
        )
    }
}

/// Looks again and again until nothing is under way and every law holds, or the time is over; gives the last look.
///
/// # Errors
/// Something does not answer until the time is over.
pub async fn wait(checker: &Checker, promised: &Promised, limit: Duration) -> anyhow::Result<(Report, Facts)> {
    let (deadline, mut tell) = (Instant::now() + limit, Instant::now());
    loop {
        let checked = checker.check(Some(promised)).await;
        let over = Instant::now() >= deadline;
        match checked {
            Ok((report, facts)) => {
                let left = Left::of(&facts);
                if (left.is_nothing() && report.holds()) || over {
                    return Ok((report, facts));
                }
                if tell <= Instant::now() {
                    tell = Instant::now() + TELL;
                    stack::say(&format!("under way: {}; laws not yet kept: {}", left.text(), report.broken()));
                }
            }
            Err(error) if over => return Err(error),
            Err(error) => stack::say(&format!("cannot look now: {error:#}")),
        }
        sleep(STEP).await;
    }
}
