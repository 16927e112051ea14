//! What came of it: in people's words, and as laws that have to hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::chaos::Kill;
use super::payer::Webhooks;
use super::plan::Act;
use super::shop::Troubles;
use super::tally::{Outcome, Step, Tally};
use crate::check::{Class, Facts, Faults, Law, Purse, money, purses};
use crate::topology::Process;

/// A kind of end that has to have been seen, and whether this story is one.
type Wanted = (&'static str, Act, fn(&(Act, Outcome)) -> bool);

/// What was played, and therefore has to have been seen.
const WANTED: [Wanted; 5] = [
    ("expired", Act::WalkAway, |(_, outcome)| *outcome == Outcome::Expired),
    ("declined, then paid", Act::DeclineThenPay, |(act, outcome)| {
        *act == Act::DeclineThenPay && matches!(outcome, Outcome::Completed(_))
    }),
    ("webhook late", Act::WebhookLate, |(act, outcome)| {
        *act == Act::WebhookLate && matches!(outcome, Outcome::Completed(_))
    }),
    ("webhook twice", Act::WebhookTwice, |(act, outcome)| {
        *act == Act::WebhookTwice && matches!(outcome, Outcome::Completed(_))
    }),
    ("refund due", Act::PartOnly, |(_, outcome)| *outcome == Outcome::RefundDue),
];

/// The laws of the demo itself, beside those of every box office.
pub fn laws(tally: &Tally, facts: &Facts, webhooks: &Webhooks, kills: &[(Kill, Duration)]) -> Vec<Law> {
    let outcomes = tally.outcomes();
    let mut laws = vec![sold_out(facts, &outcomes), seen(&outcomes, webhooks), nobody_failed(&outcomes)];
    if !kills.is_empty() {
        laws.push(taken_over(facts, kills));
    }
    laws
}

/// At least 99 % are sold, or everybody who wanted a ticket got one.
fn sold_out(facts: &Facts, outcomes: &[(Act, Outcome)]) -> Law {
    let sum = |of: fn(&Class) -> i64| facts.stock.classes.values().map(of).sum::<i64>();
    let (sold, capacity) = (sum(|class| class.sold), sum(|class| class.capacity));
    let sent_away = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::SoldOut).count();
    let mut faults = Faults::default();
    if sold * 100 < capacity * 99 && sent_away > 0 {
        faults.add(format!("{sent_away} buyers were sent away, although {} tickets are left", capacity - sold));
    }
    let numbers = format!("{sold} of {capacity} sold, {sent_away} sent away");
    Law::new("sold out, or nobody is left who wants one", numbers, faults)
}

fn seen(outcomes: &[(Act, Outcome)], webhooks: &Webhooks) -> Law {
    let mut numbers = Vec::new();
    let mut faults = Faults::default();
    for (name, act, is) in WANTED {
        let count = outcomes.iter().filter(|story| is(story)).count();
        numbers.push(format!("{name} {count}"));
        if count == 0 && outcomes.iter().any(|(played, _)| *played == act) {
            faults.add(format!("{name}: it was played, and did not happen"));
        }
    }
    let played = |act| outcomes.iter().any(|(played, outcome)| *played == act && *outcome != Outcome::SoldOut);
    for (name, act, told) in [("twice", Act::WebhookTwice, webhooks.twice), ("late", Act::WebhookLate, webhooks.late)] {
        if told == 0 && played(act) {
            faults.add(format!("the provider told nothing {name}"));
        }
    }
    Law::new("everything that was played happened", numbers.join(", "), faults)
}

fn nobody_failed(outcomes: &[(Act, Outcome)]) -> Law {
    let failed = outcomes.iter().filter_map(|(_, outcome)| match outcome {
        Outcome::Failed(why) => Some(why.clone()),
        _ => None,
    });
    let faults: Faults = failed.collect();
    Law::new("no buyer met what should not happen", format!("{} of {}", faults.count, outcomes.len()), faults)
}

/// Every killed owner was followed by another claim of every partition.
fn taken_over(facts: &Facts, kills: &[(Kill, Duration)]) -> Law {
    let owners = kills.iter().filter(|(kill, _)| kill.process == Process::CommandApi).count() as u64;
    let mut faults = Faults::default();
    for (partition, counts) in facts.partitions.iter().filter(|(_, counts)| counts.claims < 1 + owners) {
        faults.add(format!("{partition} was claimed {} times", counts.claims));
    }
    let away = kills.iter().map(|(kill, away)| format!("{} away {:.2} s", kill.process.binary(), away.as_secs_f64()));
    Law::new("who was killed was followed", away.collect::<Vec<_>>().join(", "), faults)
}

/// What came of it, in people's words.
pub fn text(tally: &Tally, facts: &Facts, webhooks: &Webhooks, troubles: &Troubles) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "  {name:<20}{value}").expect("strings take everything");
    line("buyers", buyers(&tally.outcomes()));
    line("orders", orders(facts));
    for class in classes(facts) {
        line(&format!("sold {}", class.name), format!("{} of {}", class.sold, class.capacity));
    }
    for (currency, purse) in purses(facts) {
        let Purse { earned, refund, quarantined, .. } = purse;
        let show = |amount| money(amount, currency.as_str());
        let shown = format!("{}; refund due {}; quarantined {}", show(earned), show(refund), show(quarantined));
        line("revenue", shown);
    }
    let Webhooks { delivered, twice, late, never, failed_tries, .. } = webhooks;
    let shown = format!(
        "{delivered} delivered; {twice} told twice, {late} late, {never} never; {failed_tries} tries failed; {} attempts declined",
        facts.sales.declined
    );
    line("webhooks", shown);
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let shown = format!(
        "{} refused as sold out; {} in doubt, {} later, {} broken connections, {} answers repeated",
        of(&tally.counters.refusals),
        of(&troubles.in_doubt),
        of(&troubles.busy),
        of(&troubles.broken),
        of(&troubles.replayed)
    );
    line("requests", shown);
    for step in Step::ALL {
        let (count, [p50, p95, p99]) = tally.times(step);
        let ms = |time: Duration| format!("{} ms", time.as_millis());
        line(step.name(), format!("p50 {:>9}  p95 {:>9}  p99 {:>9}  ({count})", ms(p50), ms(p95), ms(p99)));
    }
    text
}

fn buyers(outcomes: &[(Act, Outcome)]) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, outcome) in outcomes {
        let name = match outcome {
            Outcome::Completed(_) => "with tickets",
            Outcome::SoldOut => "sent away",
            Outcome::Expired => "expired",
            Outcome::RefundDue => "refund due",
            Outcome::Quarantined => "paid too much",
            Outcome::Failed(_) => "failed",
        };
        *counts.entry(name).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("{}: {}", outcomes.len(), counts.join(", "))
}

fn orders(facts: &Facts) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for order in facts.sales.orders.values() {
        let reason = order.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        *counts.entry(format!("{}{reason}", order.phase)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("{}: {}; {} refunds due", facts.sales.orders.len(), counts.join(", "), facts.sales.refunds)
}

fn classes(facts: &Facts) -> Vec<&Class> {
    let mut classes: Vec<&Class> = facts.stock.classes.values().collect();
    classes.sort_by_key(|class| class.ordinal);
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Webhooks = Webhooks { delivered: 9, twice: 1, late: 1, never: 0, waiting: 0, failed_tries: 0 };

    fn happened() -> Vec<(Act, Outcome)> {
        vec![
            (Act::WalkAway, Outcome::Expired),
            (Act::PartOnly, Outcome::RefundDue),
            (Act::DeclineThenPay, Outcome::Completed(1)),
            (Act::WebhookLate, Outcome::Completed(2)),
            (Act::WebhookTwice, Outcome::Completed(1)),
        ]
    }

    #[test]
    fn what_was_played_has_to_have_happened() {
        assert!(seen(&happened(), &SEEN).holds());
        for missing in 0..5 {
            let mut stories = happened();
            stories[missing].1 = Outcome::Failed("x".to_owned());
            assert!(!seen(&stories, &SEEN).holds(), "{missing}");
        }
        assert!(!seen(&happened(), &Webhooks { twice: 0, ..SEEN }).holds());
        assert!(!seen(&happened(), &Webhooks { late: 0, ..SEEN }).holds());
        assert!(seen(&[(Act::Pay, Outcome::Completed(1))], &Webhooks::default()).holds(), "few buyers play few parts");
    }

    #[test]
    fn who_is_sent_away_from_a_show_with_tickets_is_a_fault() {
        let mut facts = Facts::default();
        let class = Class { capacity: 1000, sold: 989, ..Class::default() };
        facts.stock.classes.insert(Default::default(), class);
        let sent_away = [(Act::Pay, Outcome::SoldOut)];
        assert!(!sold_out(&facts, &sent_away).holds());
        assert!(sold_out(&facts, &[]).holds(), "demand is used up");
        facts.stock.classes.values_mut().for_each(|class| class.sold = 990);
        assert!(sold_out(&facts, &sent_away).holds());
    }

    #[test]
    fn a_failed_buyer_is_a_fault() {
        assert!(nobody_failed(&happened()).holds());
        assert!(!nobody_failed(&[(Act::Pay, Outcome::Failed("why".to_owned()))]).holds());
    }
}
