//! What does not count never leaves, unless raw is asked for, and then it says so.

use domain::event::Event;
use domain::ids::{OrderId, ShowId};
use domain::order::OrderFailed;
use domain::root::{Context, Meta};
use domain::value::Timestamp;
use event_log::log::Partition;
use export::export::Format;
use export::range::{Point, Wanted};
use schemas::Codec;
use serde_json::Value;
use uuid::Uuid;

use crate::support::{Written, at, export, job, lines, rows, try_export};

fn place() -> Partition {
    at(Context::Order, 1)
}

/// The n-th event: that order failed.
pub fn event(codec: &Codec, n: u128) -> (String, Vec<u8>) {
    let order = OrderId(Uuid::from_u128(n));
    let meta = Meta {
        event_id: Uuid::from_u128(0xe0_0000 + n),
        occurred_at: Timestamp(i64::try_from(n).unwrap()),
        version: 1,
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: "system".to_owned(),
    };
    let failed = OrderFailed {
        order,
        show: ShowId(Uuid::from_u128(1)),
        reason: domain::order::FailReason::PaymentFailed,
        open_payments: vec![],
        session: None,
    };
    (order.to_string(), codec.encode(&meta, &Event::Order(failed.into())).unwrap())
}

/// Offsets: 0 claim, 1 and 2 a command, 3 half a command, 4 the next claim, 5 of the old one, 6 a command,
/// 7 the same again, 8 after a hole, 9 the next claim, 10 half a command.
fn log(codec: &Codec) -> Written {
    let mut log = Written::default();
    let time = |second: i64| Timestamp(second * 1_000_000);
    let put = |log: &mut Written, owner: &mut crate::support::Owner, second, part, n| {
        let (key, value) = event(codec, n);
        owner.event(log, time(second), part, &key, value);
    };
    let mut first = log.claim(codec, place(), time(0), 1);
    put(&mut log, &mut first, 1, (0, 2), 101);
    put(&mut log, &mut first, 1, (1, 2), 102);
    put(&mut log, &mut first, 2, (0, 2), 103);
    let mut second = log.claim(codec, place(), time(3), 2);
    put(&mut log, &mut first, 4, (0, 1), 104);
    put(&mut log, &mut second, 5, (0, 1), 105);
    second.seq -= 1;
    put(&mut log, &mut second, 6, (0, 1), 105);
    second.seq += 1;
    put(&mut log, &mut second, 7, (0, 1), 106);
    let mut third = log.claim(codec, place(), time(8), 3);
    put(&mut log, &mut third, 9, (0, 2), 107);
    log
}

fn offsets(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["offset"].as_i64().unwrap()).collect()
}

fn exported(codec: &Codec, wanted: Wanted) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.jsonl");
    export(&log(codec), codec, &job(wanted, Format::Jsonl, &file));
    lines(&file)
}

#[test]
fn void_and_unfinished_events_never_leave() {
    let codec = Codec::in_memory();
    let folder = tempfile::tempdir().unwrap();
    let summary = export(&log(&codec), &codec, &job(Wanted::of([Context::Order]), Format::Parquet, folder.path()));
    assert_eq!((summary.rows, summary.records, summary.void), (3, 11, 3));
    assert_eq!(offsets(&rows(&folder.path().join("OrderFailed.parquet"))), [1, 2, 6]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "one type and the manifest");
    assert_eq!(offsets(&exported(&codec, Wanted::of([Context::Order]))), [1, 2, 6]);
}

#[test]
fn raw_shows_everything_with_its_verdict() {
    let codec = Codec::in_memory();
    let wanted = Wanted { raw: true, ..Wanted::of([Context::Order]) };
    let rows = exported(&codec, wanted.clone());
    let verdicts = rows.iter().map(|row| (row["verdict"].as_str().unwrap(), row["why"].as_str().unwrap_or("")));
    let expected = [
        ("valid", ""),
        ("valid", ""),
        ("valid", ""),
        ("void", "unfinished"),
        ("valid", ""),
        ("void", "old_term"),
        ("valid", ""),
        ("void", "duplicate"),
        ("void", "after_hole"),
        ("valid", ""),
        ("partial", ""),
    ];
    assert_eq!(verdicts.collect::<Vec<_>>(), expected);
    assert_eq!(offsets(&rows), (0..11).collect::<Vec<i64>>());
    let folder = tempfile::tempdir().unwrap();
    export(&log(&codec), &codec, &job(wanted, Format::Parquet, folder.path()));
    let events = crate::support::rows(&folder.path().join("OrderFailed.parquet"));
    assert_eq!(offsets(&events), [1, 2, 3, 5, 6, 7, 8, 10]);
    assert_eq!(events[2]["verdict_why"], "unfinished");
    assert_eq!(events[2]["frame_evt_cnt"], 2);
    assert_eq!(offsets(&crate::support::rows(&folder.path().join("PartitionClaimed.parquet"))), [0, 4, 9]);
}

#[test]
fn a_range_is_of_offsets_or_of_the_logs_time() {
    let codec = Codec::in_memory();
    let wanted = |from: &str, to: &str| {
        let (from, to): (Point, Point) = (from.parse().unwrap(), to.parse().unwrap());
        offsets(&exported(&codec, Wanted { from, to, ..Wanted::of([Context::Order]) }))
    };
    assert_eq!(wanted("order-events/1=2", "latest"), [2, 6]);
    assert_eq!(wanted("earliest", "order-events/1=2"), [1], "the command ends behind, and counts");
    assert_eq!(wanted("1970-01-01T00:00:01Z", "1970-01-01T00:00:05Z"), [1, 2]);
    assert_eq!(wanted("1970-01-01T00:00:05Z", "latest"), [6]);
    assert_eq!(wanted("latest", "latest"), [0_i64; 0]);
}

#[test]
fn as_of_is_what_was_known_then() {
    let codec = Codec::in_memory();
    let raw = |second: i64| {
        let as_of = Some(Timestamp(second * 1_000_000));
        exported(&codec, Wanted { raw: true, as_of, ..Wanted::of([Context::Order]) })
    };
    let last = raw(2).pop().unwrap();
    assert_eq!((last["offset"].as_i64(), last["verdict"].as_str()), (Some(3), Some("partial")));
    assert_eq!(raw(3)[3]["verdict"], "void");
    let as_of = Some(Timestamp(4_999_999));
    assert_eq!(offsets(&exported(&codec, Wanted { as_of, ..Wanted::of([Context::Order]) })), [1, 2]);
}

#[test]
fn a_key_and_a_type_choose() {
    let codec = Codec::in_memory();
    let (key, _) = event(&codec, 102);
    let found = event_log::partition::partition_of_key(key.as_bytes(), crate::support::PARTITIONS);
    let wanted = Wanted { key: Some(key), ..Wanted::of([Context::Order]) };
    let expected: &[i64] = if found == place().number { &[2] } else { &[] };
    assert_eq!(offsets(&exported(&codec, wanted)), expected);
    let types = |name: &str| [export::history::find(name).unwrap()].into();
    let wanted = |name: &str| Wanted { types: types(name), ..Wanted::of([Context::Order]) };
    assert_eq!(offsets(&exported(&codec, wanted("OrderFailed"))), [1, 2, 6]);
    assert_eq!(exported(&codec, wanted("OrderPaid")), [] as [Value; 0]);
}

#[test]
fn a_broken_partition_stops_loudly_and_raw_shows_where() {
    let codec = Codec::in_memory();
    let mut log = log(&codec);
    let (key, value) = event(&codec, 108);
    // A term that nobody claimed.
    let owner = crate::support::Owner { at: place(), term: 9, claim: Uuid::nil(), seq: 1 };
    owner.to_owned().event(&mut log, Timestamp(10_000_000), (0, 1), &key, value);
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted::of([Context::Order]);
    let error = try_export(&log, &codec, &job(wanted.clone(), Format::Csv, &folder.path().join("a"))).unwrap_err();
    assert!(error.chain().any(|it| it.is::<event_log::validity::Broken>()), "{error:#}");
    let raw = Wanted { raw: true, ..wanted };
    let file = folder.path().join("raw.jsonl");
    let summary = export(&log, &codec, &job(raw, Format::Jsonl, &file));
    assert_eq!(summary.broken.len(), 1);
    assert_eq!(lines(&file).pop().unwrap()["verdict"], "broken");
}

#[test]
fn what_counts_and_cannot_be_read_stops_and_raw_shows_it() {
    let codec = Codec::in_memory();
    let mut log = Written::default();
    let mut owner = log.claim(&codec, place(), Timestamp(0), 1);
    let (key, mut value) = event(&codec, 1);
    value.truncate(value.len() - 1);
    owner.event(&mut log, Timestamp(1), (0, 1), &key, value);
    let (key, value) = event(&codec, 2);
    owner.event(&mut log, Timestamp(2), (0, 1), &key, value);
    let folder = tempfile::tempdir().unwrap();
    for (n, format) in [Format::Jsonl, Format::Csv, Format::Parquet].into_iter().enumerate() {
        let out = folder.path().join(n.to_string());
        let error = try_export(&log, &codec, &job(Wanted::of([Context::Order]), format, &out)).unwrap_err();
        assert!(format!("{error:#}").contains("offset 1 of order-events/1"), "{error:#}");
    }
    let raw = Wanted { raw: true, ..Wanted::of([Context::Order]) };
    export(&log, &codec, &job(raw, Format::Parquet, &folder.path().join("raw")));
    let unreadable = rows(&folder.path().join("raw/Unreadable.parquet"));
    assert_eq!(offsets(&unreadable), [1]);
    assert_eq!(offsets(&rows(&folder.path().join("raw/OrderFailed.parquet"))), [2], "half a row is none");
}
