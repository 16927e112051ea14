//! A purchase on a terminal of 80 to 120 columns: what led to something stands above it and further left.

use uuid::Uuid;

use super::Step;
use crate::table::Table;

/// Longer descriptions are cut.
const WIDEST: usize = 58;

/// The whole trace.
pub(super) fn of(id: Uuid, steps: &[Step]) -> String {
    let mut table = Table::new(&["#second", "#after", "event", "partition@offset", "from"]);
    for step in steps {
        // Of what came from outside: since the line before.
        let after = after(step.since_cause_us.unwrap_or(step.since_previous_us));
        let void = step.void.as_ref().map(|why| format!("VOID ({why}): ")).unwrap_or_default();
        let name = format!("{}{void}{}  {}", "  ".repeat(step.depth.min(8)), step.event, step.details);
        let place = format!("{}/{}@{}", step.topic.trim_end_matches("-events"), step.partition, step.offset);
        table.row([seconds(step.since_first_us), after, cut(name.trim_end()), place, from(step)]);
    }
    let span = steps.last().map_or(0, |last| last.since_first_us);
    let first = steps.first().map_or("", |first| first.at.as_str());
    let partitions: std::collections::BTreeSet<(&str, u32)> = steps.iter().map(|it| (it.topic, it.partition)).collect();
    format!(
        "{id}: {} events in {} partitions, {} s from {first}\n\n{}",
        steps.len(),
        partitions.len(),
        seconds(span),
        table.text(0)
    )
}

/// Who, where it came from outside; else an event led to it, which stands above.
fn from(step: &Step) -> String {
    match step.since_cause_us {
        Some(_) => String::new(),
        None if step.by == "system" => step.cause.to_owned(),
        None => format!("{} of {}", step.cause, if step.by == "order" { "its holder" } else { step.by }),
    }
}

fn seconds(us: i64) -> String {
    format!("{}.{:03}", us / 1_000_000, us % 1_000_000 / 1000)
}

/// As people say it; clocks of two machines may differ.
fn after(us: i64) -> String {
    match us {
        0..10_000 => format!("+{}.{} ms", us / 1000, us % 1000 / 100),
        ..0 => format!("-{} ms", -us / 1000),
        _ => format!("+{}", crate::table::duration(us / 1000)),
    }
}

fn cut(text: &str) -> String {
    match text.chars().count() {
        ..=WIDEST => text.to_owned(),
        _ => text.chars().take(WIDEST - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(event: &'static str, depth: usize, at_us: i64, cause_us: Option<i64>) -> Step {
        Step {
            at: "2026-11-22T15:00:00Z".to_owned(),
            since_first_us: at_us,
            since_previous_us: at_us,
            since_cause_us: cause_us,
            depth,
            event,
            details: "2 tickets, 1000000 VND".to_owned(),
            topic: "order-events",
            partition: 3,
            offset: 17,
            cause: "request",
            by: "guest",
            void: None,
            event_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
        }
    }

    #[test]
    fn it_reads_in_a_terminal() {
        let steps = [step("TicketsReserved", 0, 0, None), step("OrderCreated", 1, 12_345_678, Some(3_400))];
        insta::assert_snapshot!(of(Uuid::nil(), &steps), @"
        00000000-0000-0000-0000-000000000000: 2 events in 1 partitions, 12.345 s from 2026-11-22T15:00:00Z

        second    after  event                                    partition@offset  from
         0.000  +0.0 ms  TicketsReserved  2 tickets, 1000000 VND  order/3@17        request of guest
        12.345  +3.4 ms    OrderCreated  2 tickets, 1000000 VND   order/3@17
        ");
        let deep = Step { details: "x".repeat(300), ..step("OrderCreated", 8, 0, None) };
        assert!(of(Uuid::nil(), &[deep]).lines().all(|line| line.chars().count() <= 120));
    }
}
