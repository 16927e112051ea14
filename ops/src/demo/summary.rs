//! What came of it: in people's words, and as laws that have to hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Scene;
use super::chaos::Struck;
use super::payer::Webhooks;
use super::plan::Act;
use super::tally::{Outcome, Step};
use check::{At, Class, Facts, Faults, Law, Purse, Room, money, purses};

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
pub fn laws(scene: &Scene, facts: &Facts, webhooks: &Webhooks, struck: &[Struck]) -> Vec<Law> {
    let outcomes = scene.tally.outcomes();
    let room = facts.queues.rooms.get(&scene.stage.show).cloned().unwrap_or_default();
    let mut laws = vec![
        sold_out(facts, &outcomes),
        seen(&outcomes, webhooks),
        strayed(&outcomes, &room),
        nobody_failed(&outcomes),
    ];
    if !struck.is_empty() {
        laws.push(taken_over(facts, struck));
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

/// What visitors did in the waiting room is what the log says.
fn strayed(outcomes: &[(Act, Outcome)], room: &Room) -> Law {
    let count = |wanted: Outcome| outcomes.iter().filter(|(_, outcome)| *outcome == wanted).count();
    let kinds = [
        ("left", count(Outcome::Left), usize::try_from(room.left.0).unwrap_or(usize::MAX)),
        ("never entered", count(Outcome::NeverEntered), room.count(|at| at == At::Lapsed)),
        ("never ordered", count(Outcome::NeverOrdered), room.count(|at| matches!(at, At::Expired | At::Left))),
    ];
    let mut faults = Faults::default();
    // Others may have done so, too: those for whom nothing was left, or who missed their turn.
    for (name, told, known) in kinds.iter().filter(|(_, told, known)| told > known) {
        faults.add(format!("{told} say they {name}, the log knows {known}"));
    }
    let numbers: Vec<String> = kinds.iter().map(|(name, told, _)| format!("{name} {told}")).collect();
    Law::new("who strayed lost the place, and only that", numbers.join(", "), faults)
}

fn nobody_failed(outcomes: &[(Act, Outcome)]) -> Law {
    let failed = outcomes.iter().filter_map(|(_, outcome)| match outcome {
        Outcome::Failed(why) => Some(why.clone()),
        _ => None,
    });
    let faults: Faults = failed.collect();
    Law::new("no buyer met what should not happen", format!("{} of {}", faults.count, outcomes.len()), faults)
}

/// Every owner that ended was followed by another one: each time, somebody claimed partitions anew.
fn taken_over(facts: &Facts, struck: &[Struck]) -> Law {
    let ended = struck.iter().filter(|it| it.owned()).count() as u64;
    let again: u64 = facts.partitions.values().map(|counts| counts.claims.saturating_sub(1)).sum();
    let mut faults = Faults::default();
    if again < ended {
        faults.add(format!("{ended} owners ended, but partitions were claimed anew {again} times"));
    }
    let told: Vec<String> =
        struck.iter().map(|it| format!("{} {:.2} s", it.when.instance, it.silence.longest().as_secs_f64())).collect();
    Law::new("who was ended was followed", format!("{}; {again} claims anew", told.join(", ")), faults)
}

/// What came of it, in people's words.
pub fn text(scene: &Scene, facts: &Facts, webhooks: &Webhooks, struck: &[Struck]) -> String {
    let (tally, troubles) = (&scene.tally, &scene.shop.troubles);
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "  {name:<20}{value}").expect("strings take everything");
    line("buyers", buyers(&tally.outcomes()));
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    if let Some(room) = facts.queues.rooms.get(&scene.stage.show) {
        line("waiting room", queue(room));
        let (missed, again) = (of(&tally.counters.missed), of(&tally.counters.streams_again));
        line("", format!("{missed} missed the turn and came again; {again} event streams were opened again"));
    }
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
    for struck in struck {
        line("ended", struck.to_string());
    }
    text
}

fn buyers(outcomes: &[(Act, Outcome)]) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, outcome) in outcomes {
        let name = match outcome {
            Outcome::Completed(_) => "with tickets",
            Outcome::SoldOut => "sent away",
            Outcome::Left => "left the queue",
            Outcome::NeverEntered => "never entered",
            Outcome::NeverOrdered => "never ordered",
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

fn queue(room: &Room) -> String {
    let lapsed = room.count(|at| at == At::Lapsed);
    let drawn = room.draw.map(|draw| format!(" ({} before the opening, drawn)", draw.count())).unwrap_or_default();
    let slots = room.opened.as_ref().map_or(0, |opened| opened.terms.slots);
    format!(
        "{} joined{drawn}, {} admitted, {} entered, {lapsed} lapsed, {} left ({} while waiting); order inversions {}; most slots in use at once {} of {slots}",
        room.visitors.len(),
        room.admissions.len(),
        room.entered,
        room.left.0,
        room.left.1,
        room.inversions,
        room.peak
    )
}

fn orders(facts: &Facts) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for order in facts.sales.orders.values() {
        let reason = order.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        *counts.entry(format!("{}{reason}", order.phase)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!(
        "{}: {}; {} refunds due",
        facts.sales.orders.len(),
        counts.join(", "),
        facts.sales.refunds.values().filter(|refund| refund.due).count()
    )
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
