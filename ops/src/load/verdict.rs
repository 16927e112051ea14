//! Whether a run's numbers count: nothing oversold, nothing lost, every law of the box office holds.

use std::time::Duration;

use check::{Checker, Promised};

use super::installation::Installation;
use super::step::Acknowledged;

/// Everything has come to rest within so long after it said so.
const AT_REST: Duration = Duration::from_secs(60);

/// Why the numbers do not count; empty if they do.
///
/// # Errors
/// The log or Postgres does not answer.
pub async fn of(site: &Installation, orders: Vec<Acknowledged>) -> anyhow::Result<Vec<String>> {
    let plan = site.running().plan();
    let sandbox = site.running().sandbox_url();
    let checker = Checker::connect(site.endpoints(), &plan.namespace, plan.partitions, Some(&sandbox)).await?;
    let promised = Promised { orders, tickets: Vec::new() };
    let (report, _) = checker.sums_only().settle(Some(&promised), AT_REST, |_| true).await?;
    let broken = report.laws.iter().filter(|law| !law.holds());
    Ok(broken
        .map(|law| format!("{}: {} faults, {}", law.name, law.faults.count, law.faults.first.join("; ")))
        .collect())
}
