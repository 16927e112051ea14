//! An owner that begins with a snapshot, and goes on whatever becomes of snapshots.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::inventory::Inventory;
use event_log::driver::{Vouch, Vouched, vouch_always};
use event_log::log::{Bounds, Follower, Following, Log, LogError, NewRecord, Partition, Record, Reports};
use event_log::memory::MemoryLog;
use event_log::snapshot::{Load, Snapshots};
use metrics_exporter_prometheus::PrometheusBuilder;
use uuid::Uuid;

use crate::support::image::image;
use crate::support::rig::{Rig, World, settings, short};
use crate::support::running::{PATIENCE, Running, both};
use crate::support::shelf::{open as open_shelf, write};
use crate::support::stock::{held, look, open, reserve};
use crate::support::{AT, wall};

/// Where a process of its own is told to write.
const FOLDER: &str = "EVENT_LOG_TEST_FOLDER";

fn never() -> u64 {
    u64::MAX
}

fn offsets(snapshots: &Snapshots, log: &dyn Log) -> Option<i64> {
    let load: Load<Inventory> = snapshots.load(AT, 4, log).unwrap();
    assert!(load.unusable.is_empty(), "{:?}", load.unusable);
    load.loaded.map(|loaded| loaded.taken.offset)
}

#[test]
fn a_shutdown_writes_a_snapshot_and_a_restart_begins_with_it() {
    for [log, other] in both() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = open_shelf(folder.path(), never());
        let one = Running::keeping(&log, &snapshots).until_serving(1);
        assert_eq!(one.mailbox.status().snapshot, None);
        one.ask(open(0, 300));
        let waiting: Vec<_> = (1..=200).map(|n| one.submit(reserve(n, n))).collect();
        waiting.iter().for_each(|it| assert_eq!(short(&it.recv_timeout(PATIENCE).unwrap()), "done"));
        let mailbox = one.mailbox.clone();
        one.leave();
        let status = mailbox.status();
        let end = log.bounds(AT).unwrap().end;
        assert_eq!(status.snapshot.map(|taken| taken.offset), Some(end), "{status:?}");
        assert!(!status.serving);
        assert_eq!(offsets(&snapshots, &*log), Some(end));

        let two = Running::keeping(&other, &open_shelf(folder.path(), never())).until_serving(2);
        let status = two.mailbox.status();
        assert_eq!(status.snapshot.map(|taken| taken.offset), Some(end));
        assert_eq!(status.replayed, 1, "its own claim, and nothing else");
        assert!(status.recovery_ms.is_some());
        assert_eq!(two.sent.iter().take(200).map(|it| it.at.0).collect::<BTreeSet<_>>().len(), 200);
        assert_eq!(two.ask(reserve(7, 7)), "replayed");
        assert_eq!(two.ask(reserve(201, 201)), "done");
        two.leave();
    }
}

#[test]
fn a_snapshot_is_written_by_bytes_and_a_crash_loses_nothing_behind_it() {
    let memory = MemoryLog::auto(Arc::new(wall)).unwrap();
    let log: Arc<dyn Log> = Arc::new(memory.clone());
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open_shelf(folder.path(), 10_000);
    let one = Running::keeping(&log, &snapshots).until_serving(1);
    one.ask(open(0, 1000));
    assert_eq!(one.mailbox.status().snapshot, None, "too little was written");
    (1..=100).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    let taken = one.until(|status| status.snapshot.is_some()).snapshot.unwrap();
    assert!((10..=102).contains(&taken.offset), "{taken:?}");
    (101..=110).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    // It is not shut down: another process takes over.
    let two = Running::keeping(&(Arc::new(memory.writer()) as Arc<dyn Log>), &open_shelf(folder.path(), never()));
    let two = two.until_serving(2);
    let status = two.mailbox.status();
    let began = status.snapshot.unwrap().offset;
    assert_eq!((began + i64::try_from(status.replayed).unwrap(), status.next), (113, 113));
    assert!(status.replayed < 100, "{status:?}");
    assert_eq!(two.ask(reserve(105, 105)), "replayed");
    two.leave();
    one.leave();
}

#[test]
fn a_large_state_is_written_down_as_seldom_as_its_size_tells() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::auto(Arc::new(wall)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let one = Running::keeping(&log, &open_shelf(folder.path(), 1)).until_serving(1);
    one.ask(open(0, 1000));
    (1..=300).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    let mut numbers = 301..2_000;
    let after = loop {
        let status = one.until(|status| status.snapshot.is_some());
        let last = status.snapshot.unwrap();
        if status.next - last.offset < 10 {
            break last;
        }
        let n = numbers.next().expect("a snapshot is due some time");
        assert_eq!(one.ask(reserve(n, n)), "done");
        std::thread::sleep(Duration::from_millis(20));
    };
    // Ten orders are far less than it.
    assert!(after.bytes > 40_000, "{after:?}");
    numbers.take(10).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    std::thread::sleep(Duration::from_millis(200));
    one.ask(reserve(1, 1));
    assert_eq!(one.mailbox.status().snapshot.map(|it| it.offset), Some(after.offset));
    one.leave();
}

#[test]
fn what_is_not_acknowledged_is_never_written_down() {
    let log = MemoryLog::manual(Arc::new(wall));
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open_shelf(folder.path(), 1);
    let one = Running::keeping(&(Arc::new(log.clone()) as Arc<dyn Log>), &snapshots);
    let pump_until = |wanted: &dyn Fn() -> bool| {
        for _ in 0..4000 {
            if wanted() {
                return;
            }
            log.pump();
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{:?}", one.mailbox.status());
    };
    pump_until(&|| one.mailbox.status().serving);
    let opened = one.submit(open(0, 100));
    pump_until(&|| one.mailbox.status().snapshot.is_some_and(|taken| taken.offset == 2));
    assert_eq!(short(&opened.recv().unwrap()), "done");
    let waiting: Vec<_> = (1..=10).map(|n| one.submit(reserve(n, n))).collect();
    // They are in the log, but nobody has said so.
    for _ in 0..40 {
        log.land(AT, usize::MAX);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(log.records(AT).len(), 12);
    assert_eq!(offsets(&snapshots, &log), Some(2));
    assert_eq!(one.mailbox.status().snapshot.map(|taken| taken.offset), Some(2));
    pump_until(&|| one.mailbox.status().snapshot.is_some_and(|taken| taken.offset == 12));
    assert!(waiting.iter().all(|it| short(&it.recv().unwrap()) == "done"));
    let loaded: Load<Inventory> = snapshots.load(AT, 4, &log).unwrap();
    let stock = loaded.loaded.unwrap().state.get(crate::support::stock::SHOW).unwrap().state.clone();
    assert_eq!(held(&stock), 10);
    one.leave();
}

#[test]
fn a_folder_that_cannot_be_written_to_keeps_nobody_from_being_served() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::auto(Arc::new(wall)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let snapshots = open_shelf(&file, 1);
    let one = Running::keeping(&log, &snapshots).until_serving(1);
    one.ask(open(0, 100));
    (1..=20).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    assert_eq!(one.mailbox.status().snapshot, None);
    one.leave();
}

#[test]
fn without_a_snapshot_that_can_be_used_the_whole_log_is_read() {
    let memory = MemoryLog::auto(Arc::new(wall)).unwrap();
    let log: Arc<dyn Log> = Arc::new(memory);
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open_shelf(folder.path(), never());
    let one = Running::keeping(&log, &snapshots).until_serving(1);
    one.ask(open(0, 100));
    (1..=20).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    one.leave();
    for entry in fs::read_dir(folder.path()).unwrap() {
        fs::write(entry.unwrap().path(), "spoiled").unwrap();
    }
    let two = Running::keeping(&log, &snapshots).until_serving(2);
    let status = two.mailbox.status();
    assert_eq!((status.snapshot, status.replayed), (None, 23));
    assert_eq!(two.ask(reserve(7, 7)), "replayed");
    two.leave();
}

/// A log that does not answer questions until it is told to.
struct Silent {
    log: MemoryLog,
    answers: AtomicBool,
}

impl Silent {
    fn ask<T>(&self, answer: impl FnOnce() -> Result<T, LogError>) -> Result<T, LogError> {
        if self.answers.load(Ordering::Acquire) {
            return answer();
        }
        Err(LogError { attempted: "ask a silent log", detail: "as the test wants".to_owned() })
    }
}

impl Log for Silent {
    fn append(&self, to: Partition, claim: Uuid, first_seq: u64, records: Vec<NewRecord>, reports: Reports) {
        self.log.append(to, claim, first_seq, records, reports);
    }

    fn follow(&self, at: Partition, from: i64, follower: Follower) -> Box<dyn Following> {
        self.log.follow(at, from, follower)
    }

    fn bounds(&self, at: Partition) -> Result<Bounds, LogError> {
        self.ask(|| self.log.bounds(at))
    }

    fn record(&self, at: Partition, offset: i64) -> Result<Option<Record>, LogError> {
        self.ask(|| self.log.record(at, offset))
    }
}

#[test]
fn callers_are_answered_in_time_while_the_state_is_loaded() {
    let memory = MemoryLog::auto(Arc::new(wall)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open_shelf(folder.path(), never());
    let one = Running::keeping(&(Arc::new(memory.clone()) as Arc<dyn Log>), &snapshots).until_serving(1);
    one.ask(open(0, 100));
    one.leave();
    let silent = Arc::new(Silent { log: memory, answers: AtomicBool::new(false) });
    let log: Arc<dyn Log> = Arc::<Silent>::clone(&silent);
    let two = Running::keeping(&log, &snapshots);
    let mut late = reserve(1, 1);
    late.deadline = Some(Duration::ZERO);
    assert_eq!(two.ask(late), "too late");
    let patient = two.submit(reserve(2, 2));
    assert!(!two.mailbox.status().serving);
    silent.answers.store(true, Ordering::Release);
    assert_eq!(short(&patient.recv_timeout(PATIENCE).unwrap()), "done");
    assert_eq!(two.mailbox.status().replayed, 1);
    two.leave();
    // Who leaves before it has a state does so at once.
    silent.answers.store(false, Ordering::Release);
    let three = Running::keeping(&log, &snapshots);
    let waiting = three.submit(look(3));
    three.leave();
    assert_eq!(short(&waiting.recv().unwrap()), "not served");
}

#[test]
fn who_reads_the_log_shows_how_much_is_left() {
    let (log, states) = states();
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open_shelf(folder.path(), never());
    for taken in [None, Some(&states[3])] {
        let left = log.bounds(AT).unwrap().end - taken.map_or(0, |state| state.position.next);
        if let Some(state) = taken {
            write(&snapshots, AT, state).unwrap();
        }
        let one = Running::keeping(&(Arc::new(log.writer()) as Arc<dyn Log>), &snapshots);
        let status = one.until(|status| status.lag > 0);
        assert_eq!((status.lag, status.serving), (left, false));
        for _ in 0..2000 {
            log.pump();
            if one.mailbox.status().lag == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(one.mailbox.status().lag, 0);
        drop(one);
    }
}

#[test]
fn who_is_vouched_for_later_serves_later() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::auto(Arc::new(wall)).unwrap());
    let yes = Arc::new(AtomicBool::new(false));
    let answer = Arc::clone(&yes);
    // From another thread, or not at all.
    let vouch: Vouch = Arc::new(move |_, vouched: Vouched| {
        let yes = answer.load(Ordering::Acquire);
        std::thread::spawn(move || vouched(yes));
    });
    let one = Running::start(&log, settings(), None, vouch);
    let mut late = reserve(1, 1);
    late.deadline = Some(Duration::ZERO);
    assert_eq!(one.ask(late), "too late");
    std::thread::sleep(Duration::from_millis(300));
    assert!(!one.mailbox.status().serving);
    assert_eq!(log.bounds(AT).unwrap().end, 0);
    yes.store(true, Ordering::Release);
    let one = one.until_serving(1);
    assert_eq!(one.ask(open(0, 10)), "done");
    one.leave();
}

#[test]
fn a_partition_shows_how_it_stands() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::auto(Arc::new(wall)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open_shelf(folder.path(), 1);
    let recorder = PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let one = metrics::with_local_recorder(&recorder, || {
        Running::start(&log, settings(), Some(Arc::clone(&snapshots)), vouch_always())
    });
    let one = one.until_serving(1);
    one.ask(open(0, 100));
    (1..=5).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    let status = one.until(|status| status.snapshot.is_some() && status.next == 7);
    assert_eq!((status.lag, status.outbox, status.open_sends), (0, 5, 5));
    assert_ne!(status.claim, Uuid::nil());
    let of = |name: &str| -> f64 {
        let text = shown.render();
        let labels = r#"{topic="inventory-events",partition="1"} "#;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("boxoffice_partition_{name}{labels}")));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    };
    let shown = ["serving", "term", "next_offset", "lag", "outbox", "open_sends", "broken", "void_total"].map(of);
    assert_eq!(shown, [1.0, 1.0, 7.0, 0.0, 5.0, 5.0, 0.0, 0.0]);
    assert!((0.0..20.0).contains(&of("snapshot_age_seconds")) && of("recovery_seconds") < 20.0);
    assert!(of("in_doubt_total").abs() < f64::EPSILON);
    one.leave();
    assert_eq!(["serving", "outbox", "broken"].map(of), [0.0, 0.0, 0.0], "it is not served here any more");
}

#[allow(clippy::disallowed_methods, reason = "a process of its own is told by it what to do")]
fn told() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// This test program, running one of its own tests that do nothing by themselves.
fn apart(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(FOLDER, folder);
    command.stdout(Stdio::null());
    command
}

/// States that every process comes to in the same way.
fn states() -> (MemoryLog, Vec<event_log::state::State<Inventory>>) {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.submit(open(0, 100_000));
    rig.run();
    let states = (0..20).map(|page| {
        (1..=100).for_each(|n| rig.submit(reserve(page * 100 + n, page * 100 + n)));
        rig.run();
        rig.owner.state().clone()
    });
    let states = states.collect();
    (log, states)
}

#[test]
#[ignore = "for a process of its own, which is killed"]
fn child_writes_snapshots_until_it_is_killed() {
    let folder = told().expect("the folder is told");
    let (_, states) = states();
    let snapshots = open_shelf(&folder, 1);
    for state in states.iter().cycle() {
        write(&snapshots, AT, state);
    }
}

#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_a_whole_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let (log, states) = states();
    let snapshots = open_shelf(folder.path(), 1);
    let known: Vec<i64> = states.iter().map(|state| state.position.next).collect();
    let mut left_over = 0;
    for turn in 0..12_u64 {
        let mut child = apart("restart::child_writes_snapshots_until_it_is_killed", folder.path()).spawn().unwrap();
        let mut tries = 0;
        while offsets(&snapshots, &log).is_none() {
            tries += 1;
            assert!(tries < 2000, "it writes nothing");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(400 + turn * 37));
        child.kill().unwrap();
        child.wait().unwrap();
        let load: Load<Inventory> = snapshots.load(AT, 4, &log).unwrap();
        assert!(load.unusable.is_empty(), "{:?}", load.unusable);
        let loaded = load.loaded.expect("there is always one");
        let at = known.iter().position(|next| *next == loaded.taken.offset).expect("one of those that were written");
        assert_eq!(image(&loaded.state), image(&states[at]));
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        left_over += names.filter(|name| name.to_str().unwrap().ends_with(".writing")).count();
    }
    assert!(left_over > 0, "it was never killed while it wrote");
}

#[test]
#[ignore = "for a process of its own, whose files may not grow"]
fn child_serves_with_a_full_disk() {
    let folder = told().expect("the folder is told");
    let log: Arc<dyn Log> = Arc::new(MemoryLog::auto(Arc::new(wall)).unwrap());
    let snapshots = open_shelf(&folder, 50_000);
    let one = Running::keeping(&log, &snapshots).until_serving(1);
    one.ask(open(0, 1000));
    (1..=300).for_each(|n| assert_eq!(one.ask(reserve(n, n)), "done"));
    one.leave();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing half is left");
    fs::write(folder.join("served"), "300").unwrap();
}

#[test]
fn a_full_disk_keeps_nobody_from_being_served() {
    let folder = tempfile::tempdir().unwrap();
    let apart = apart("restart::child_serves_with_a_full_disk", folder.path());
    // Files of this process end at two blocks, which is an error and no signal.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"]);
    limited.arg(apart.get_program()).args(apart.get_args()).env(FOLDER, folder.path()).stdout(Stdio::null());
    assert!(limited.status().unwrap().success());
    assert_eq!(fs::read_to_string(folder.path().join("served")).unwrap(), "300");
}
