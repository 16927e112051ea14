//! Who stands by leaves no trace, and is the same as who read the whole log once it is promoted.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::inventory::Inventory;
use event_log::driver::{Status, Vouch, Vouched, vouch_always};
use event_log::frame::Frame;
use event_log::log::{Bounds, Follower, Following, Log, LogError, NewRecord, Partition, Record, Reports};
use event_log::memory::MemoryLog;
use event_log::owner::absorb;
use event_log::snapshot::{Load, Snapshots};
use event_log::state::State;
use event_log::validity::Reader;
use schemas::Codec;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::collector::Collector;
use crate::support::image::{Image, image};
use crate::support::running::{Running, both};
use crate::support::shelf::open as open_shelf;
use crate::support::stock::{close, look, open, reserve};
use crate::support::{AT, wall};

fn shelf(every_bytes: u64) -> (TempDir, Arc<Snapshots>) {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open_shelf(folder.path(), every_bytes);
    (folder, snapshots)
}

fn in_memory() -> (MemoryLog, Arc<dyn Log>) {
    let memory = MemoryLog::auto(Arc::new(wall)).unwrap();
    (memory.clone(), Arc::new(memory))
}

/// What the log folds to below an offset, read from its beginning.
fn folded(log: &dyn Log, end: i64) -> Image {
    let followed = Collector::default();
    let following = log.follow(AT, 0, followed.follower());
    let records = followed.end(log.bounds(AT).unwrap().end);
    drop(following);
    let (mut state, codec) = (State::<Inventory>::default(), Codec::in_memory());
    let mut reader = Reader::at(state.position);
    for record in records.into_iter().filter(|record| record.offset < end) {
        absorb(&mut state, &codec, reader.judge(record).unwrap(), 4).unwrap();
        state.position = reader.position();
    }
    image(&state)
}

/// Lets it go, and looks at what it leaves behind: the snapshot must be what the log folds to.
#[track_caller]
fn leaves_what_was_written(one: Running, log: &dyn Log, snapshots: &Snapshots) {
    one.leave();
    let load: Load<Inventory> = snapshots.load(AT, 4, log).unwrap();
    let state = load.loaded.expect("who leaves writes one").state;
    let end = log.bounds(AT).unwrap().end;
    assert_eq!(state.position.next, end);
    assert!(image(&state) == folded(log, end), "it is another state than the log's");
}

/// The same once more.
fn again(record: &Record) -> NewRecord {
    let key = String::from_utf8(record.key.to_vec()).unwrap();
    NewRecord { key, header: record.header.to_vec().try_into().unwrap(), value: record.value.to_vec(), trace: None }
}

#[track_caller]
fn until_at(standby: &Running, next: i64) -> Status {
    standby.until(|status| status.caught_up && status.next == next)
}

#[test]
fn who_stands_by_leaves_no_trace_and_is_ready_once_it_is_promoted() {
    for [one_log, two_log] in both() {
        let one = Running::on(&one_log).until_serving(1);
        one.ask(open(0, 300));
        (1..=50).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let vouch: Vouch = Arc::new(move |_, vouched: Vouched| {
            counted.fetch_add(1, Ordering::Relaxed);
            vouched(true);
        });
        let (folder, snapshots) = shelf(1);
        let two = Running::standing_by(&two_log, &snapshots, vouch);
        until_at(&two, 52);
        (51..=200).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done", "nobody disturbs the owner"));
        let status = until_at(&two, 202);
        let mut late = look(901);
        late.deadline = Some(Duration::ZERO);
        assert_eq!(two.ask(late), "too late", "it answers nothing");
        std::thread::sleep(Duration::from_millis(1200));
        assert!(!status.serving && status.broken.is_none(), "{status:?}");
        assert_eq!((two.sent.try_iter().count(), asked.load(Ordering::Relaxed)), (0, 0));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
        assert_eq!(one_log.bounds(AT).unwrap().end, 202);

        two.mailbox.promote();
        two.mailbox.promote();
        let two = two.until_serving(2);
        let status = two.mailbox.status();
        assert_eq!((status.replayed, status.next, status.term), (1, 203, 2), "its own claim, and nothing else");
        assert_eq!(two.sent.iter().take(200).count(), 200, "nothing was settled, so all of it is sent again");
        assert_eq!(two.ask(reserve(7, 7)), "replayed");
        assert_eq!(two.ask(reserve(201, 201)), "done");
        assert_eq!(one.ask(look(902)), "in doubt", "the first one learns that it is superseded");
        // It would take the partition back.
        one.leave();
        assert!(["done", "replayed"].contains(&two.until_told(|| reserve(202, 202))));
        leaves_what_was_written(two, &*two_log, &snapshots);
    }
}

#[test]
fn who_is_promoted_before_it_is_ready_goes_on_as_any_owner() {
    let (memory, log) = in_memory();
    let one = Running::on(&log).until_serving(1);
    one.ask(open(0, 300));
    (1..=100).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    one.leave();
    let (_folder, snapshots) = shelf(u64::MAX);
    let two = Running::standing_by(&(Arc::new(memory.writer()) as Arc<dyn Log>), &snapshots, vouch_always());
    two.mailbox.promote();
    let two = two.until_serving(2);
    assert_eq!(two.ask(reserve(7, 7)), "replayed");
    leaves_what_was_written(two, &memory, &snapshots);
}

#[test]
fn who_stands_by_begins_with_a_snapshot_too() {
    let (memory, log) = in_memory();
    let (_folder, snapshots) = shelf(u64::MAX);
    let one = Running::keeping(&log, &snapshots).until_serving(1);
    one.ask(open(0, 300));
    (1..=20).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    one.leave();
    let three = Running::on(&log).until_serving(2);
    (21..=40).for_each(|n| assert_eq!(three.ask(reserve(n, n)), "done"));
    let two = Running::standing_by(&(Arc::new(memory.writer()) as Arc<dyn Log>), &snapshots, vouch_always());
    let status = until_at(&two, 43);
    assert_eq!((status.snapshot.map(|taken| taken.offset), status.replayed), (Some(22), 21));
    three.leave();
    two.mailbox.promote();
    let two = two.until_serving(3);
    assert_eq!(two.mailbox.status().replayed, 1);
    leaves_what_was_written(two, &memory, &snapshots);
}

#[test]
fn half_a_command_is_not_handed_over() {
    let (memory, log) = in_memory();
    let one = Running::on(&log).until_serving(1);
    one.ask(open(0, 300));
    (1..=9).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    assert_eq!(one.ask(close(10)), "done");
    // What a close gives back follows as a command of several events.
    let frame = |record: &Record| Frame::decode(&record.header).unwrap();
    let first_of_many = || memory.records(AT).iter().position(|record| frame(record).evt_cnt >= 9);
    let mut tries = (0..2000).map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        first_of_many()
    });
    let first = i64::try_from(tries.find_map(|first| first).expect("it gives back")).unwrap();
    one.leave();
    memory.truncate(AT, first + 4);
    let (_folder, snapshots) = shelf(u64::MAX);
    let two = Running::standing_by(&(Arc::new(memory.writer()) as Arc<dyn Log>), &snapshots, vouch_always());
    let status = two.until(|status| status.caught_up && status.next == first);
    assert_eq!(i64::try_from(status.replayed), Ok(first + 4), "it has read more than it hands over");
    two.mailbox.promote();
    let two = two.until_serving(2);
    assert_eq!(two.ask(close(10)), "replayed");
    leaves_what_was_written(two, &memory, &snapshots);
}

#[test]
fn what_does_not_count_is_not_handed_over() {
    let (memory, log) = in_memory();
    let one = Running::on(&log).until_serving(1);
    one.ask(open(0, 300));
    (1..=5).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    let stale = again(&memory.records(AT).pop().unwrap());
    one.leave();
    let three = Running::on(&(Arc::new(memory.writer()) as Arc<dyn Log>)).until_serving(2);
    (6..=9).for_each(|n| assert_eq!(three.ask(reserve(n, n)), "done"));
    for _ in 0..3 {
        memory.foreign_append(AT, &stale);
    }
    let (_folder, snapshots) = shelf(u64::MAX);
    let two = Running::standing_by(&(Arc::new(memory.writer()) as Arc<dyn Log>), &snapshots, vouch_always());
    until_at(&two, memory.bounds(AT).unwrap().end);
    // The owner learns of it by an offset that it does not expect, and would claim again.
    three.leave();
    two.mailbox.promote();
    two.until(|status| status.serving);
    assert_eq!(two.ask(reserve(5, 5)), "replayed");
    leaves_what_was_written(two, &memory, &snapshots);
}

#[test]
fn a_broken_log_stops_nobody_until_it_is_to_be_served() {
    let (memory, log) = in_memory();
    let one = Running::on(&log).until_serving(1);
    one.ask(open(0, 300));
    (1..=5).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    let (_folder, snapshots) = shelf(u64::MAX);
    let two = Running::standing_by(&(Arc::new(memory.writer()) as Arc<dyn Log>), &snapshots, vouch_always());
    until_at(&two, 7);
    one.leave();
    let mut spoiled = again(&memory.records(AT).pop().unwrap());
    spoiled.header[0] ^= 0xff;
    memory.foreign_append(AT, &spoiled);
    two.until(|status| status.caught_up && status.next == 0);
    assert_eq!(two.mailbox.status().broken, None, "nobody needs it");
    two.mailbox.promote();
    let status = two.until(|status| status.broken.is_some());
    assert!(status.broken.unwrap().contains("offset 7"), "who takes over finds out for itself");
    two.leave();
}

/// A log that does odd things to its followers.
struct Odd {
    log: MemoryLog,
    /// Those there are hear nothing any more.
    deaf: Mutex<Arc<AtomicBool>>,
    /// So many are still to panic.
    panics: AtomicU32,
}

impl Odd {
    fn over(log: &MemoryLog, panics: u32) -> Arc<Self> {
        Arc::new(Self { log: log.writer(), deaf: Mutex::default(), panics: AtomicU32::new(panics) })
    }

    fn deafen(&self) {
        std::mem::take(&mut *self.deaf.lock().unwrap()).store(true, Ordering::Release);
    }
}

impl Log for Odd {
    fn append(&self, to: Partition, claim: Uuid, first_seq: u64, records: Vec<NewRecord>, reports: Reports) {
        self.log.append(to, claim, first_seq, records, reports);
    }

    fn follow(&self, at: Partition, from: i64, follower: Follower) -> Box<dyn Following> {
        let left = self.panics.load(Ordering::Acquire);
        self.panics.store(left.saturating_sub(1), Ordering::Release);
        assert_eq!(left, 0, "as the test wants");
        let deaf = Arc::clone(&self.deaf.lock().unwrap());
        let hears = move |followed| {
            if !deaf.load(Ordering::Acquire) {
                follower(followed);
            }
        };
        self.log.follow(at, from, Arc::new(hears))
    }

    fn bounds(&self, at: Partition) -> Result<Bounds, LogError> {
        self.log.bounds(at)
    }

    fn record(&self, at: Partition, offset: i64) -> Result<Option<Record>, LogError> {
        self.log.record(at, offset)
    }
}

#[test]
fn a_log_that_was_cut_or_made_anew_is_read_anew() {
    type Change = fn(&MemoryLog);
    let cut: Change = |log| log.truncate(AT, 8);
    let anew: Change = |log| log.recreate(AT);
    for change in [cut, anew] {
        for notices in [true, false] {
            let (memory, log) = in_memory();
            let one = Running::on(&log).until_serving(1);
            one.ask(open(0, 300));
            (1..=20).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
            one.leave();
            let odd = Odd::over(&memory, 0);
            let (_folder, snapshots) = shelf(u64::MAX);
            let two = Running::standing_by(&(Arc::clone(&odd) as Arc<dyn Log>), &snapshots, vouch_always());
            until_at(&two, 22);
            if !notices {
                odd.deafen();
            }
            change(&memory);
            if notices {
                two.until(|status| status.next == 0);
            }
            let three = Running::on(&(Arc::new(memory.writer()) as Arc<dyn Log>));
            three.until(|status| status.serving);
            three.ask(open(100, 300));
            (101..=130).for_each(|n| assert_eq!(three.ask(reserve(n, n)), "done"));
            three.leave();
            two.mailbox.promote();
            let status = two.until(|status| status.serving);
            assert_eq!(i64::try_from(status.replayed), Ok(status.next), "the whole log");
            assert_eq!(two.ask(reserve(130, 130)), "replayed");
            leaves_what_was_written(two, &memory, &snapshots);
        }
    }
}

#[test]
fn a_panic_while_standing_by_is_not_the_owners() {
    let (memory, log) = in_memory();
    let one = Running::on(&log).until_serving(1);
    one.ask(open(0, 300));
    one.ask(reserve(1, 1));
    one.leave();
    let odd = Odd::over(&memory, 1);
    let (_folder, snapshots) = shelf(u64::MAX);
    let two = Running::standing_by(&(Arc::clone(&odd) as Arc<dyn Log>), &snapshots, vouch_always());
    two.until(|status| status.caught_up && status.next == 0);
    two.mailbox.promote();
    let two = two.until_serving(2);
    assert_eq!(two.ask(reserve(1, 1)), "replayed");
    leaves_what_was_written(two, &memory, &snapshots);
}
