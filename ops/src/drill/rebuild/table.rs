//! What is told at the end.

use std::fmt::Write as _;
use std::time::Duration;

use super::Outcome;
use super::buyers::Wait;
use super::rebuilding::Rebuilding;

/// Everything, for people.
pub(super) fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    let topics: Vec<String> =
        outcome.written.topics.iter().map(|(topic, count)| format!("{count} in {topic}")).collect();
    line(&mut text, "log", &format!("{} events ({})", outcome.written.events(), topics.join(", ")));
    line(
        &mut text,
        "written in",
        &format!("{} s ({}/s)", s(outcome.writing), rate(outcome.written.events(), outcome.writing)),
    );
    line(&mut text, "first read by all", &format!("{} s", s(outcome.first)));
    for it in &outcome.rebuilt {
        rebuilt(&mut text, it);
    }
    text.push_str("\nbuyers                     orders  taken p50    p99    max   seen p50    p99    max\n");
    for (phase, name) in
        [("before", "before"), ("inventory", "while stock is rebuilt"), ("orders", "while orders are rebuilt")]
    {
        waits(&mut text, name, outcome.buyers.waits.iter().filter(|wait| wait.phase == phase));
    }
    let faults = outcome.faults();
    text.push('\n');
    for fault in &faults {
        writeln!(text, "WRONG  {fault}").expect("writing to a string never fails");
    }
    text.push_str(match faults.is_empty() {
        true => "Verdict: readers noticed nothing, and every row is what the log says.\n",
        false => "Verdict: not as it has to be.\n",
    });
    text
}

fn rebuilt(text: &mut String, it: &Rebuilding) {
    let figure = |name: &str| it.last[name].as_f64().unwrap_or(0.0);
    writeln!(text, "\nrebuilding {}", it.name).expect("writing to a string never fails");
    line(
        text,
        "killed",
        &format!("{} times; it began at {:?} records", it.began_at.len().saturating_sub(1), it.began_at),
    );
    line(text, "records", &it.records.to_string());
    line(text, "all in all", &format!("{} s", s(it.took)));
    let fills = format!("{} s in all, {}/s; fastest 5 s {}/s", s(it.filling), rate(it.records, it.filling), it.fastest);
    line(text, "filling", &fills);
    line(text, "indexes, verifying", &format!("{:.1} s, {:.1} s", figure("indexing_s"), figure("verifying_s")));
    line(text, "most memory", &format!("{} MB", it.memory_bytes >> 20));
    let verdict = if it.verified["holds"] == serde_json::Value::Bool(true) { "agree" } else { "DIFFER" };
    line(text, "checksums", &format!("{verdict}: {} rows of {} records", it.verified["rows"], it.verified["records"]));
}

fn waits<'a>(text: &mut String, name: &str, of: impl Iterator<Item = &'a Wait> + Clone) {
    let count = of.clone().count();
    if count == 0 {
        return;
    }
    let mut taken: Vec<Duration> = of.clone().map(|wait| wait.taken).collect();
    let mut seen: Vec<Duration> = of.map(|wait| wait.seen).collect();
    taken.sort_unstable();
    seen.sort_unstable();
    let at = |all: &[Duration], part: usize| all[(all.len() * part / 100).min(all.len() - 1)].as_millis();
    writeln!(
        text,
        "{name:<26} {count:>6}  {:>6} ms {:>6} {:>6}  {:>6} ms {:>6} {:>6}",
        at(&taken, 50),
        at(&taken, 99),
        at(&taken, 100),
        at(&seen, 50),
        at(&seen, 99),
        at(&seen, 100),
    )
    .expect("writing to a string never fails");
}

fn line(text: &mut String, name: &str, what: &str) {
    writeln!(text, "{name:<20} {what}").expect("writing to a string never fails");
}

fn s(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

fn rate(count: u64, time: Duration) -> u64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / ms
}
