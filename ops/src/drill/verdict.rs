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

#[cfg(test)]
mod tests {
    use check::{Order, Payment, Refund};
    use domain::ids::{OrderId, PaymentId, RefundId, ShowId};
    use domain::value;
    use uuid::Uuid;

    use super::*;

    const KEY: (OrderId, ShowId) = (OrderId(Uuid::from_u128(1)), ShowId(Uuid::from_u128(2)));
    const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(3));

    fn facts(phase: &'static str, status: &'static str, refund: Option<(bool, Option<&str>)>) -> Facts {
        let currency = "VND".parse().unwrap();
        let mut facts = Facts::default();
        let (reason, paid_by) = (None, Some(PAYMENT));
        let order = Order { total: 5, currency, phase, reason, paid: false, times_paid: 1, paid_by, given_back: 0 };
        facts.sales.orders.insert(KEY, order);
        let (order, provider) = (KEY, value::Provider::Stripe);
        let payment =
            Payment { order, provider, amount: 5, currency, status, received: 5, refunded: 0, due: 0, done: 0 };
        facts.sales.payments.insert(PAYMENT, payment);
        if let Some((due, done)) = refund {
            let refund = Refund { payment: PAYMENT, amount: 5, due, done: done.map(str::to_owned), by_hand: false };
            facts.sales.refunds.insert(RefundId(Uuid::from_u128(4)), refund);
        }
        facts
    }

    #[test]
    fn what_is_under_way_is_no_end() {
        for over in [
            facts("completed", "completed", None),
            facts("cancelled", "completed", Some((true, None))),
            facts("failed", "completed", Some((false, Some("re_1")))),
            facts("completed", "open", None),
        ] {
            assert!(ended(&over).holds());
        }
        for under_way in [
            facts("open", "completed", None),
            facts("stuck", "closing", None),
            facts("completed", "closing", None),
            facts("completed", "requested", None),
            facts("cancelled", "completed", Some((false, None))),
        ] {
            assert!(!ended(&under_way).holds(), "{under_way:?}");
        }
    }

    #[test]
    fn a_fault_that_never_took_place_is_told_only_of_a_drill_that_is_large_enough() {
        let injected: BTreeMap<_, _> = [((Provider::Stripe, super::super::faults::KINDS[0]), 7)].into();
        let mut facts = facts("completed", "completed", None);
        assert!(met(&facts, &injected).holds());
        let one = facts.sales.payments[&PAYMENT].clone();
        let more = (0..u128::from(ENOUGH)).map(|n| (PaymentId(Uuid::from_u128(100 + n)), one.clone()));
        facts.sales.payments.extend(more);
        assert_eq!(met(&facts, &injected).faults.count, 18);
    }
}
