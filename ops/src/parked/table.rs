//! Parked keys and their events as people read them, and as programs do.

use domain::value::Timestamp;
use projectors::parked::desk::ParkedKey;
use serde_json::{Value, json};
use service_kit::views::moment;

use super::event::Shown;

/// Bytes of a value that are shown.
const BYTES: usize = 512;

pub(super) fn of(keys: &[ParkedKey]) -> String {
    let head = ["projection", "partition", "key", "offset", "type", "waiting", "since", "reason"].map(str::to_owned);
    let row = |it: &ParkedKey| {
        [
            it.projection.clone(),
            format!("{}/{}", it.context, it.partition),
            it.key.clone(),
            it.offset.to_string(),
            it.event_type.clone(),
            it.waiting.to_string(),
            since(it.since_us),
            it.reason.clone(),
        ]
    };
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(keys.iter().map(row)).collect();
    let widths: [usize; 8] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            3 | 5 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let waiting: i64 = keys.iter().map(|it| it.waiting).sum();
    let rows = if keys.is_empty() { String::new() } else { rows.iter().map(line).collect() };
    format!("{rows}{} keys parked, {waiting} events wait\n", keys.len())
}

pub(super) fn json(key: &ParkedKey) -> Value {
    json!({
        "projection": key.projection, "context": key.context, "partition": key.partition, "key": key.key,
        "offset": key.offset, "event_type": key.event_type, "reason": key.reason, "waiting": key.waiting,
        "since": since(key.since_us),
    })
}

pub(super) fn events(key: &ParkedKey, events: &[Shown]) -> String {
    let ParkedKey { projection, context, partition, key: id, waiting, .. } = key;
    let mut text = format!("{projection}: {context}/{partition}, key {id}, {waiting} events wait\n");
    for event in events {
        let Shown { offset, event_type, reason, appended_at_us, frame, decoded, value } = event;
        let standing = reason.as_ref().map_or_else(|| "waits".to_owned(), |why| format!("POISON: {why}"));
        text += &format!("\n  offset {offset}  {event_type}  appended {}  {standing}\n", since(*appended_at_us));
        text += &format!("    frame  {frame}\n");
        match decoded {
            Ok(event) => text += &format!("    event  {event}\n"),
            Err(why) => text += &format!("    not decoded: {why}\n"),
        }
        text += &format!("    value  {} bytes  {}\n", value.len(), hex(value));
    }
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > BYTES { shown + "…" } else { shown }
}

pub(super) fn since(us: i64) -> String {
    format!("{:.0}", moment(Timestamp(us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parked_key_has_a_line_with_why_and_how_many_wait() {
        let key = ParkedKey {
            projection: "orders".to_owned(),
            context: "order".to_owned(),
            partition: 3,
            key: "k-1".to_owned(),
            offset: 41,
            event_type: "OrderPaid".to_owned(),
            reason: "the bytes do not follow".to_owned(),
            waiting: 7,
            since_us: 1_795_000_000_000_000,
        };
        let text = of(std::slice::from_ref(&key));
        for shown in
            ["orders", "order/3", "k-1", "41", "OrderPaid", "7", "2026-", "do not follow", "1 keys parked, 7 events"]
        {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        assert_eq!(of(&[]), "0 keys parked, 0 events wait\n");
        assert_eq!(json(&key)["waiting"], 7);
    }
}
