//! What every log promises; the same tests against both.

use std::sync::Arc;
use std::time::Duration;

use domain::root::Context;
use event_log::log::{Bounds, Delivered, Log, Partition, Record};
use event_log::memory::MemoryLog;
use uuid::Uuid;

use crate::support::collector::Collector;
use crate::support::{AT, kafka, numbered, wall};

/// A log with two partitions of two topics, and the way to shorten it from the front.
struct Case {
    log: Arc<dyn Log>,
    forget_below: Box<dyn Fn(Partition, i64)>,
}

const CLAIM: Uuid = Uuid::from_u128(7);
const OTHER_TOPIC: Partition = Partition { context: Context::Order, number: 1 };

fn in_memory() -> Case {
    let log = MemoryLog::auto(Arc::new(wall)).unwrap();
    let inner = log.clone();
    Case { log: Arc::new(log), forget_below: Box::new(move |at, start| inner.forget_below(at, start)) }
}

fn on_kafka() -> Case {
    let settings = kafka::settings();
    let name = |at: Partition| settings.name(at.context.topic());
    kafka::create_events(&name(AT), 2);
    kafka::create_events(&name(OTHER_TOPIC), 2);
    let log = Arc::new(kafka::connect(&settings));
    let forget_below = move |at: Partition, start| {
        kafka::forget_below(&settings.name(at.context.topic()), i32::try_from(at.number).unwrap(), start);
    };
    Case { log, forget_below: Box::new(forget_below) }
}

macro_rules! contract {
    ($($name:ident,)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&super::in_memory()) })*
        }
        mod kafka_broker {
            $(#[test] fn $name() { super::$name(&super::on_kafka()) })*
        }
    };
}

contract! {
    order_is_kept_and_every_record_is_reported_once,
    records_come_back_verbatim,
    following_begins_at_any_offset,
    the_end_is_told_when_empty_and_after_growth,
    a_position_beyond_the_end_is_lost,
    a_position_before_the_start_is_lost,
    nothing_comes_after_unfollowing,
    following_begins_anew_at_once,
    a_partition_has_two_followers,
    topics_do_not_mix,
    large_records_pass,
    records_carry_the_brokers_time,
    bounds_are_told,
    a_record_is_found_by_its_offset,
    an_empty_batch_is_nothing,
}

impl Case {
    /// Appends records numbered from `first` on, in batches of this size.
    fn append(&self, at: Partition, first: u64, records: u64, batch: u64) -> Collector<Delivered> {
        let reports = Collector::default();
        for from in (first..first + records).step_by(usize::try_from(batch).unwrap()) {
            let to = (from + batch).min(first + records);
            let records = (from..to).map(|seq| numbered(seq, 100)).collect();
            self.log.append(at, CLAIM, from, records, reports.reports());
        }
        reports
    }

    #[track_caller]
    fn appended(&self, at: Partition, first: u64, records: u64) {
        let count = usize::try_from(records).unwrap();
        let reports = self.append(at, first, records, 100).count(count);
        assert!(reports.iter().all(|report| report.result.is_ok()), "{reports:?}");
    }
}

#[track_caller]
fn assert_numbered(records: &[Record], first: u64, end: u64) {
    let offsets: Vec<i64> = records.iter().map(|record| record.offset).collect();
    let expected: Vec<i64> = (first..end).map(|seq| i64::try_from(seq).unwrap()).collect();
    assert_eq!(offsets, expected);
    for (record, seq) in records.iter().zip(first..) {
        let written = numbered(seq, record.value.len());
        assert_eq!(record.key, written.key.as_bytes());
        assert_eq!(record.header, written.header.as_slice());
        assert_eq!(record.value, written.value);
    }
}

fn order_is_kept_and_every_record_is_reported_once(case: &Case) {
    let reports = case.append(AT, 0, 3000, 37);
    let reported = reports.count(3000);
    for (report, seq) in reported.iter().zip(0..) {
        assert_eq!((report.claim, report.seq), (CLAIM, seq));
        assert_eq!(report.result, Ok(i64::try_from(seq).unwrap()));
    }
    let followed = Collector::default();
    let _following = case.log.follow(AT, 0, followed.follower());
    assert_numbered(&followed.end(3000), 0, 3000);
    assert_eq!(reports.all().len(), 3000);
}

fn records_come_back_verbatim(case: &Case) {
    let mut odd = numbered(0, 0);
    odd.key = "_control".to_owned();
    let mut binary = numbered(1, 300);
    binary.header = [0; 74];
    let reports = Collector::default();
    case.log.append(AT, CLAIM, 0, vec![odd, binary.clone()], reports.reports());
    reports.count(2);
    let followed = Collector::default();
    let _following = case.log.follow(AT, 0, followed.follower());
    let records = followed.end(2);
    assert_eq!((&*records[0].key, records[0].value.len()), (&b"_control"[..], 0));
    assert_eq!(records[1].header, &[0; 74][..]);
    assert_eq!(records[1].value, binary.value);
}

fn following_begins_at_any_offset(case: &Case) {
    case.appended(AT, 0, 250);
    for from in [0, 1, 100, 249, 250] {
        let followed = Collector::default();
        let _following = case.log.follow(AT, from, followed.follower());
        assert_numbered(&followed.end(250), u64::try_from(from).unwrap(), 250);
    }
}

fn the_end_is_told_when_empty_and_after_growth(case: &Case) {
    let followed = Collector::default();
    let _following = case.log.follow(AT, 0, followed.follower());
    assert!(followed.end(0).is_empty());
    case.appended(AT, 0, 10);
    assert_numbered(&followed.end(10), 0, 10);
    case.appended(AT, 10, 1);
    assert_numbered(&followed.end(11), 0, 11);
}

fn a_position_beyond_the_end_is_lost(case: &Case) {
    case.appended(AT, 0, 5);
    let followed = Collector::default();
    let _following = case.log.follow(AT, 6, followed.follower());
    assert_eq!(followed.lost(), (0, 5));
    case.appended(AT, 5, 5);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(followed.all().len(), 1, "nothing comes after the position is lost");
}

fn a_position_before_the_start_is_lost(case: &Case) {
    case.appended(AT, 0, 20);
    (case.forget_below)(AT, 10);
    let followed = Collector::default();
    let _following = case.log.follow(AT, 9, followed.follower());
    assert_eq!(followed.lost(), (10, 20));
    let followed = Collector::default();
    let _following = case.log.follow(AT, 10, followed.follower());
    assert_numbered(&followed.end(20), 10, 20);
}

fn nothing_comes_after_unfollowing(case: &Case) {
    let followed = Collector::default();
    let following = case.log.follow(AT, 0, followed.follower());
    case.appended(AT, 0, 5);
    followed.end(5);
    drop(following);
    // What was being handed over while it was dropped may still come.
    std::thread::sleep(Duration::from_millis(300));
    let before = followed.all().len();
    case.appended(AT, 5, 5);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(followed.all().len(), before);
}

fn following_begins_anew_at_once(case: &Case) {
    case.appended(AT, 0, 1000);
    for turn in 0..20 {
        let aside = Collector::default();
        let following = case.log.follow(AT, 0, aside.follower());
        if turn % 2 == 0 {
            aside.end(1000);
        }
        drop(following);
        let followed = Collector::default();
        let _following = case.log.follow(AT, 500, followed.follower());
        assert_numbered(&followed.end(1000), 500, 1000);
    }
}

fn a_partition_has_two_followers(case: &Case) {
    let one = Collector::default();
    let two = Collector::default();
    let _one = case.log.follow(AT, 0, one.follower());
    one.end(0);
    case.appended(AT, 0, 50);
    let second = case.log.follow(AT, 25, two.follower());
    assert_numbered(&one.end(50), 0, 50);
    assert_numbered(&two.end(50), 25, 50);
    drop(second);
    case.appended(AT, 50, 50);
    assert_numbered(&one.end(100), 0, 100);
}

fn topics_do_not_mix(case: &Case) {
    let one = Collector::default();
    let two = Collector::default();
    let three = Collector::default();
    let _one = case.log.follow(AT, 0, one.follower());
    let _two = case.log.follow(OTHER_TOPIC, 0, two.follower());
    let _three = case.log.follow(Partition { number: 0, ..AT }, 0, three.follower());
    case.appended(AT, 0, 30);
    case.appended(OTHER_TOPIC, 0, 20);
    assert_numbered(&one.end(30), 0, 30);
    assert_numbered(&two.end(20), 0, 20);
    assert!(three.end(0).is_empty());
}

fn large_records_pass(case: &Case) {
    let reports = Collector::default();
    let records = (0..12).map(|seq| numbered(seq, 500 * 1024)).collect();
    case.log.append(AT, CLAIM, 0, records, reports.reports());
    assert!(reports.count(12).iter().all(|report| report.result.is_ok()));
    let followed = Collector::default();
    let _following = case.log.follow(AT, 0, followed.follower());
    assert_numbered(&followed.end(12), 0, 12);
}

fn records_carry_the_brokers_time(case: &Case) {
    // Kafka's timestamps are whole milliseconds.
    let before = wall().0 - 1000;
    case.appended(AT, 0, 3);
    let after = wall().0;
    let followed = Collector::default();
    let _following = case.log.follow(AT, 0, followed.follower());
    for record in followed.end(3) {
        assert!((before..=after).contains(&record.timestamp.0), "{:?} not in {before}..={after}", record.timestamp);
    }
}

fn bounds_are_told(case: &Case) {
    assert_eq!(case.log.bounds(AT).unwrap(), Bounds { start: 0, end: 0 });
    case.appended(AT, 0, 8);
    assert_eq!(case.log.bounds(AT).unwrap(), Bounds { start: 0, end: 8 });
    (case.forget_below)(AT, 3);
    assert_eq!(case.log.bounds(AT).unwrap(), Bounds { start: 3, end: 8 });
}

fn a_record_is_found_by_its_offset(case: &Case) {
    assert_eq!(case.log.record(AT, 0).unwrap(), None);
    case.appended(AT, 0, 800);
    for offset in [0, 1, 500, 799] {
        let record = case.log.record(AT, offset).unwrap().expect("it is there");
        assert_numbered(&[record], u64::try_from(offset).unwrap(), u64::try_from(offset).unwrap() + 1);
    }
    for offset in [-1, 800, 801] {
        assert_eq!(case.log.record(AT, offset).unwrap(), None, "{offset}");
    }
    (case.forget_below)(AT, 10);
    assert_eq!(case.log.record(AT, 9).unwrap(), None);
    assert_eq!(case.log.record(AT, 10).unwrap().unwrap().offset, 10);
    let followed = Collector::default();
    let _following = case.log.follow(AT, 790, followed.follower());
    assert_numbered(&followed.end(800), 790, 800);
}

fn an_empty_batch_is_nothing(case: &Case) {
    let reports = Collector::default();
    case.log.append(AT, CLAIM, 0, Vec::new(), reports.reports());
    case.appended(AT, 0, 1);
    assert!(reports.all().is_empty());
}
