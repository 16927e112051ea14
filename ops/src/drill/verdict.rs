//! What the drill itself has to show, beside the laws of every box office.

use std::collections::BTreeMap;

use check::{Facts, Faults, Law};
use provider_sandbox::Provider;

use super::rest::Left;
use super::strikes::{Strike, Struck};
use super::tally::Seen;

/// So many payments have to have been opened for each kind of fault to have been met for certain.
const ENOUGH: u64 = 500;

/// The laws of the drill.
pub fn laws(
    facts: &Facts,
    seen: &Seen,
    struck: &[Struck],
    wanted: (u32, usize),
    injected: &BTreeMap<(Provider, &'static str), u64>,
) -> Vec<Law> {
    let (orders, strikes) = wanted;
    vec![ended(facts), placed(facts, orders), followed(facts, struck, strikes), met(facts, injected), wrong(seen)]
}

/// Every order is completed, cancelled or failed, and each refund done or due from a person.
fn ended(facts: &Facts) -> Law {
    let left = Left::of(facts);
    let mut faults = Faults::default();
    if !left.is_nothing() {
        faults.add(format!("still under way: {}", left.text()));
    }
    let count = |due: bool| facts.sales.refunds.values().filter(|it| it.due == due).count();
    let numbers = format!("{} orders; {} refunds done, {} due", facts.sales.orders.len(), count(false), count(true));
    Law::new("every order ends, every refund is done or due", numbers, faults)
}

fn placed(facts: &Facts, wanted: u32) -> Law {
    let (there, wanted) = (facts.sales.orders.len(), wanted as usize);
    let faults = (there != wanted).then(|| format!("{there} orders instead of {wanted}"));
    Law::new("as many orders as were asked for", format!("{there}"), faults.into_iter().collect())
}

/// Whoever was killed was followed: somebody claimed partitions anew.
fn followed(facts: &Facts, struck: &[Struck], wanted: usize) -> Law {
    let again: u64 = facts.partitions.values().map(|counts| counts.claims.saturating_sub(1)).sum();
    let kills = struck.iter().filter(|it| matches!(it.strike, Strike::Kill(_))).count();
    let mut faults = Faults::default();
    if struck.len() != wanted {
        faults.add(format!("{} of {wanted} strikes took place", struck.len()));
    }
    if again < kills as u64 {
        faults.add(format!("{kills} writers were killed, but partitions were claimed anew {again} times"));
    }
    let numbers = format!("{kills} kills, {} broker restarts, {again} claims anew", struck.len() - kills);
    Law::new("who was ended was followed", numbers, faults)
}

/// In a drill that is large enough, every kind of fault took place.
fn met(facts: &Facts, injected: &BTreeMap<(Provider, &'static str), u64>) -> Law {
    let enough = facts.sales.payments.len() as u64 >= ENOUGH && !injected.is_empty();
    let sum = |kind: &str| injected.iter().filter(|((_, of), _)| *of == kind).map(|(_, count)| count).sum::<u64>();
    let missing = super::faults::KINDS.into_iter().filter(|kind| enough && sum(kind) == 0);
    let faults = missing.map(|kind| format!("{kind}: never")).collect();
    let all: u64 = injected.values().sum();
    Law::new("every kind of fault was met", format!("{all} faults in {} payments", facts.sales.payments.len()), faults)
}

fn wrong(seen: &Seen) -> Law {
    let faults: Faults = seen.wrong.iter().cloned().collect();
    Law::new(
        "no buyer met what should not happen",
        format!("{} of {}", faults.count, seen.stories.values().sum::<u64>()),
        faults,
    )
}
