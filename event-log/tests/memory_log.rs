//! The log in memory does what it is told, and nothing else.

use std::sync::Arc;

use domain::value::Timestamp;
use event_log::log::{Delivered, Followed, Log};
use event_log::memory::{Fault, MemoryLog};
use uuid::Uuid;

use crate::support::collector::Collector;
use crate::support::{AT, numbered};

const CLAIM: Uuid = Uuid::from_u128(7);

fn manual() -> MemoryLog {
    MemoryLog::manual(Arc::new(|| Timestamp(5_000_000)))
}

fn append(log: &MemoryLog, first: u64, records: u64) -> Collector<Delivered> {
    let reports = Collector::default();
    log.append(AT, CLAIM, first, (first..first + records).map(|seq| numbered(seq, 8)).collect(), reports.reports());
    reports
}

/// The numbers of the records in the log, in order.
fn lying(log: &MemoryLog) -> Vec<u8> {
    log.records(AT).iter().map(|record| record.value[0]).collect()
}

fn results(reports: &Collector<Delivered>) -> Vec<(u64, Option<i64>)> {
    reports.all().into_iter().map(|report| (report.seq, report.result.ok())).collect()
}

#[test]
fn nothing_happens_before_it_is_asked_for() {
    let log = manual();
    let followed = Collector::<Followed>::default();
    let _following = log.follow(AT, 0, followed.follower());
    let reports = append(&log, 0, 3);
    assert!(lying(&log).is_empty());
    assert_eq!(log.land(AT, 2), 2);
    assert_eq!((lying(&log), log.waiting(AT)), (vec![0, 1], 1));
    assert_eq!(log.report(AT), 2);
    assert!(reports.all().is_empty(), "the batch is not whole");
    assert_eq!(log.land(AT, 9), 1);
    assert_eq!(log.report(AT), 1);
    assert_eq!(results(&reports), [(0, Some(0)), (1, Some(1)), (2, Some(2))]);
    assert!(followed.all().is_empty());
    assert!(log.deliver(AT));
    assert_eq!(followed.records().len(), 3);
    assert_eq!(log.records(AT)[0].timestamp, Timestamp(5_000_000));
}

#[test]
fn every_fault_does_what_it_says() {
    type Seen = (Vec<u8>, Vec<(u64, Option<i64>)>);
    let cases: [(Fault, Seen); 7] = [
        (Fault::None, (vec![0, 1, 2], vec![(0, Some(0)), (1, Some(1)), (2, Some(2))])),
        (Fault::Lose, (vec![0, 2], vec![(0, Some(0)), (1, None), (2, Some(1))])),
        (Fault::LoseSilently, (vec![0, 2], vec![])),
        (Fault::LoseAcknowledgement, (vec![0, 1, 2], vec![(0, Some(0)), (1, None), (2, Some(2))])),
        (Fault::LoseAcknowledgementSilently, (vec![0, 1, 2], vec![])),
        (Fault::Delay, (vec![0, 2, 1], vec![(0, Some(0)), (1, Some(2)), (2, Some(1))])),
        (Fault::Duplicate, (vec![0, 1, 1, 2], vec![(0, Some(0)), (1, Some(1)), (2, Some(3))])),
    ];
    for (fault, (lies, reported)) in cases {
        let log = manual();
        log.plan(AT, [Fault::None, fault]);
        let reports = append(&log, 0, 3);
        log.pump();
        log.release(AT);
        log.pump();
        assert_eq!((lying(&log), results(&reports)), (lies, reported), "{fault:?}");
    }
}

#[test]
fn writers_keep_their_own_order_and_faults() {
    let one = manual();
    let two = one.writer();
    one.plan(AT, [Fault::Lose]);
    let _reports = (append(&one, 0, 2), append(&two, 10, 2));
    two.land(AT, 1);
    one.land(AT, 2);
    assert_eq!(one.foreign_append(AT, &numbered(99, 8)), 2);
    two.land(AT, 1);
    assert_eq!(lying(&one), [10, 1, 99, 11]);
}

#[test]
fn a_shorter_log_is_lost_to_its_followers() {
    for (shorten, bounds) in
        [((|log: &MemoryLog| log.truncate(AT, 2)) as fn(&MemoryLog), (0, 2)), (|log| log.recreate(AT), (0, 0))]
    {
        let log = manual();
        let followed = Collector::default();
        let _following = log.follow(AT, 0, followed.follower());
        let _reports = append(&log, 0, 4);
        log.pump();
        assert_eq!(followed.records().len(), 4);
        shorten(&log);
        log.pump();
        assert_eq!(followed.lost(), bounds);
    }
}
