//! The log as it is read for the check: what counts, what does not, and what breaks it.

use std::sync::Arc;

use check::{Facts, from_facts, from_log};
use domain::event::Event;
use domain::ids::ShowId;
use domain::inventory::{self, CapacityChanged, CloseReason, SalesClosed};
use domain::root::{Context, Meta};
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::{Log, NewRecord, Partition};
use event_log::memory::MemoryLog;
use event_log::owner::CONTROL_KEY;
use schemas::{Codec, Control};
use uuid::Uuid;

const AT: Partition = Partition { context: Context::Inventory, number: 0 };
const SHOW: ShowId = ShowId(Uuid::from_u128(7));
const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

fn frame(kind: Kind, (term, claim): (u32, Uuid), seq: u64, agg_ver: u64) -> Frame {
    let cmd_id = Uuid::from_u64_pair(u64::from(term), seq);
    Frame { kind, term, seq, evt_idx: 0, evt_cnt: 1, agg_ver, claim, cmd_id, cmd_hash: [0; 16] }
}

fn claim((term, claim): (u32, Uuid)) -> NewRecord {
    let value = Control::Claimed { claim, term, instance: "test".to_owned(), url: "http://127.0.0.1".to_owned() };
    let value = Codec::in_memory().encode_control(&value).unwrap();
    let header = frame(Kind::Claim, (term, claim), 0, 0).encode();
    NewRecord { key: CONTROL_KEY.to_owned(), header, value, trace: None }
}

fn event(frame: Frame) -> NewRecord {
    let closed = SalesClosed { show: SHOW, reason: CloseReason::ShowCancelled };
    written(frame, &inventory::Event::from(closed).into())
}

fn written(frame: Frame, event: &Event) -> NewRecord {
    let meta = Meta {
        event_id: frame.cmd_id,
        occurred_at: Timestamp(0),
        version: i64::try_from(frame.agg_ver).unwrap(),
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: "system".to_owned(),
    };
    let value = Codec::in_memory().encode(&meta, event).unwrap();
    NewRecord { key: event.aggregate().hyphenated().to_string(), header: frame.encode(), value, trace: None }
}

async fn read(records: &[NewRecord]) -> Facts {
    let log = MemoryLog::auto(Arc::new(|| Timestamp(0))).unwrap();
    for record in records {
        log.foreign_append(AT, record);
    }
    let log: Arc<dyn Log> = Arc::new(log);
    from_log(log, &Codec::in_memory(), 1).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_count_is_counted_apart() {
    let (first, second) = ((1, ONE), (2, TWO));
    let half = Frame { evt_cnt: 2, ..frame(Kind::Event, first, 2, 2) };
    let facts = read(&[
        claim(first),
        event(frame(Kind::Event, first, 1, 1)),
        event(frame(Kind::Event, first, 1, 1)),
        event(half),
        claim(second),
        event(frame(Kind::Event, first, 3, 2)),
        event(frame(Kind::Event, second, 1, 2)),
        event(frame(Kind::Event, second, 3, 4)),
    ])
    .await;
    let counts = facts.counts();
    assert_eq!((counts.records, counts.claims, counts.events), (8, 2, 2));
    assert_eq!((counts.duplicates, counts.unfinished, counts.old_term, counts.after_hole), (1, 1, 1, 1));
    assert!(from_facts(&facts).holds(), "{}", from_facts(&facts).text());
    assert_eq!(facts.stock.events, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_partition_is_told_and_the_others_are_read() {
    let skips_a_term = read(&[claim((1, ONE)), claim((3, TWO))]).await;
    assert!(!from_facts(&skips_a_term).holds());
    let no_claim = read(&[event(frame(Kind::Event, (1, ONE), 1, 1))]).await;
    assert!(!from_facts(&no_claim).holds());
    let mut garbage = event(frame(Kind::Event, (1, ONE), 1, 1));
    garbage.value.truncate(9);
    let undecodable = read(&[claim((1, ONE)), garbage]).await;
    let report = from_facts(&undecodable);
    assert!(report.text().contains("cannot be decoded"), "{}", report.text());
    assert_eq!(undecodable.partitions.len(), Context::ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_left_out_or_does_not_agree_is_seen() {
    let owner = (1, ONE);
    let lost =
        read(&[claim(owner), event(frame(Kind::Event, owner, 1, 1)), event(frame(Kind::Event, owner, 2, 3))]).await;
    assert_eq!(lost.log.versions.count, 1, "{:?}", lost.log);
    let capacity = CapacityChanged { show: SHOW, ticket_class: Uuid::nil().into(), capacity: 1 };
    let mut other_key = written(frame(Kind::Event, owner, 1, 1), &inventory::Event::from(capacity).into());
    other_key.key = ONE.hyphenated().to_string();
    let facts = read(&[claim(owner), other_key]).await;
    assert_eq!(facts.log.frames.count, 1, "{:?}", facts.log);
    assert!(!facts.stock.oversold.is_empty(), "the class was never on sale");
}
