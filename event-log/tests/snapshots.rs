//! What is written down is found again; what is wrong with a snapshot is noticed, and the one before it used.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::inventory::Inventory;
use domain::root::Context;
use event_log::log::{Log, Partition};
use event_log::memory::MemoryLog;
use event_log::snapshot::{Load, Turn, Unusable};
use event_log::state::State;
use event_log::validity::Broken;

use crate::support::AT;
use crate::support::image::image;
use crate::support::rig::{BEGIN, Rig, World};
use crate::support::shelf::{HEADER, Shelf, open as open_shelf, seal, write};
use crate::support::stock::{open, reserve};

/// Two snapshots of one log, at offsets 2 and 4, and more records behind them.
struct Case {
    world: World,
    log: MemoryLog,
    shelf: Shelf,
    rig: Rig,
}

fn case() -> Case {
    let world = World::new();
    let log = world.log();
    let shelf = Shelf::new();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.submit(open(0, 100));
    rig.run();
    shelf.write(AT, rig.owner.state()).unwrap();
    (1..=2).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    shelf.write(AT, rig.owner.state()).unwrap();
    (3..=5).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    Case { world, log, shelf, rig }
}

impl Case {
    fn load(&self) -> Load<Inventory> {
        self.shelf.load(&self.log)
    }

    /// The newest is not used for this reason, and the one before it is.
    #[track_caller]
    fn newest_is(&self, wanted: impl Fn(&Unusable) -> bool) {
        let load = self.load();
        assert_eq!(load.unusable.len(), 1, "{load:?}");
        assert!(wanted(&load.unusable[0].1), "{:?}", load.unusable);
        assert_eq!(load.loaded.expect("the one before it is fine").taken.offset, 2);
    }
}

fn offset(load: &Load<Inventory>) -> Option<i64> {
    load.loaded.as_ref().map(|loaded| loaded.taken.offset)
}

#[test]
fn what_is_written_down_is_found_again() {
    let case = case();
    let loaded = case.load().loaded.unwrap();
    assert_eq!((loaded.taken.offset, loaded.taken.at, loaded.state.position.next), (4, BEGIN, 4));
    let mut reader = Rig::with(&case.world, &case.log, "two", crate::support::rig::settings(), loaded.state);
    reader.vouched = None;
    reader.log.deliver(AT);
    reader.take();
    assert_eq!(image(reader.owner.state()), image(case.rig.owner.state()));
}

#[test]
fn another_partition_has_none() {
    let case = case();
    for at in [Partition { number: 2, ..AT }, Partition { context: Context::Order, ..AT }] {
        let load: Load<Inventory> = case.shelf.snapshots.load(at, 4, &case.log).unwrap();
        assert!(load.loaded.is_none() && load.unusable.is_empty());
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let case = case();
    let length = fs::read(case.shelf.files().pop().unwrap()).unwrap().len();
    for at in (0..length).step_by(7).chain([HEADER - 1, HEADER, length - 1]) {
        case.shelf.spoil(|bytes| bytes[at] ^= 4);
        let expected = |why: &Unusable| match at {
            0..8 => matches!(why, Unusable::NotASnapshot),
            8..10 => matches!(why, Unusable::Layout(_)),
            _ => matches!(why, Unusable::Corrupt),
        };
        case.newest_is(expected);
        case.shelf.spoil(|bytes| bytes[at] ^= 4);
    }
    assert_eq!(offset(&case.load()), Some(4), "nothing else was changed");
}

#[test]
fn half_a_file_and_more_than_one_are_noticed() {
    let case = case();
    let whole = fs::read(case.shelf.files().pop().unwrap()).unwrap();
    for length in [0, 5, HEADER - 1, HEADER, HEADER + 1, whole.len() - 1] {
        case.shelf.spoil(|bytes| *bytes = whole[..length].to_vec());
        case.newest_is(|why| matches!(why, Unusable::Truncated { .. }));
    }
    case.shelf.spoil(|bytes| *bytes = [&whole[..], &[0]].concat());
    case.newest_is(|why| matches!(why, Unusable::Truncated { .. }));
}

#[test]
fn what_the_operating_system_does_not_give_is_noticed() {
    let case = case();
    let path = case.shelf.files().pop().unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    case.newest_is(|why| matches!(why, Unusable::Unreadable(_)));
}

#[test]
fn another_version_is_noticed() {
    let case = case();
    case.shelf.spoil(|bytes| {
        bytes[9] = 2;
        seal(bytes);
    });
    case.newest_is(|why| matches!(why, Unusable::Layout(2)));
    case.shelf.spoil(|bytes| {
        bytes[9] = 1;
        bytes[20] ^= 1;
        seal(bytes);
    });
    case.newest_is(|why| matches!(why, Unusable::OtherShape));
}

#[test]
fn another_partition_or_count_is_noticed() {
    let case = case();
    let wrong = case.shelf.folder().join(case.shelf.names()[0].replace("inventory-events-1-", "inventory-events-2-"));
    fs::copy(case.shelf.files().pop().unwrap(), wrong).unwrap();
    let load: Load<Inventory> = case.shelf.snapshots.load(Partition { number: 2, ..AT }, 4, &case.log).unwrap();
    assert!(matches!(load.unusable[..], [(_, Unusable::OtherPartition)]), "{load:?}");
    let load: Load<Inventory> = case.shelf.snapshots.load(AT, 8, &case.log).unwrap();
    assert!(matches!(load.unusable[..], [(_, Unusable::OtherPartition), (_, Unusable::OtherPartition)]), "{load:?}");
}

#[test]
fn a_body_that_is_no_state_or_another_one_is_noticed() {
    let case = case();
    let whole = fs::read(case.shelf.files().pop().unwrap()).unwrap();
    case.shelf.spoil(|bytes| {
        bytes.push(0);
        seal(bytes);
    });
    case.newest_is(|why| matches!(why, Unusable::Body(_)));
    case.shelf.spoil(|bytes| {
        bytes.truncate(HEADER);
        bytes.extend([255; 40]);
        seal(bytes);
    });
    case.newest_is(|why| matches!(why, Unusable::Body(_)));
    let other = fs::read(&case.shelf.files()[0]).unwrap();
    case.shelf.spoil(|bytes| {
        *bytes = whole;
        bytes.truncate(HEADER);
        bytes.extend(&other[HEADER..]);
        seal(bytes);
    });
    case.newest_is(|why| matches!(why, Unusable::Body(_)));
}

#[test]
fn a_log_made_anew_uses_nothing_of_the_one_before() {
    let case = case();
    case.log.recreate(AT);
    let load = case.load();
    assert!(load.unusable.iter().all(|(_, why)| matches!(why, Unusable::Foreign { found: None, .. })), "{load:?}");
    let mut anew = Rig::serving(&case.world, &case.log, "anew");
    anew.submit(open(0, 100));
    (1..=9).for_each(|n| anew.submit(reserve(n, n)));
    anew.run();
    let load = case.load();
    assert_eq!((offset(&load), load.unusable.len()), (None, 2));
    assert!(load.unusable.iter().all(|(_, why)| matches!(why, Unusable::Foreign { found: Some(_), .. })), "{load:?}");
    assert_eq!(case.shelf.files().len(), 2, "whoever comes back to the other log finds them");
    assert!(load.lost().is_some(), "nothing of this log is there, and something of another one");
}

#[test]
fn a_log_that_lost_its_end_uses_what_was_before() {
    let case = case();
    case.log.truncate(AT, 3);
    case.newest_is(|why| matches!(why, Unusable::TooNew { offset: 4, end: 3 }));
    let again = case.load();
    let lost = again.lost().expect("whoever starts again must not go on either");
    assert!(matches!(&lost, Broken::BehindSnapshot { .. }) && lost.to_string().contains("ends at 3"), "{lost}");
}

#[test]
fn a_log_that_lost_its_end_and_grew_again_uses_what_was_before() {
    for lost_from in [2, 3] {
        let case = case();
        case.log.truncate(AT, lost_from);
        let mut next = Rig::serving(&case.world, &case.log, "next");
        (11..=19).for_each(|n| next.submit(reserve(n, n)));
        next.run();
        assert!(case.log.bounds(AT).unwrap().end > 4);
        case.newest_is(|why| matches!(why, Unusable::OtherHistory { offset: 4 }));
        assert!(case.load().lost().is_some());
    }
}

#[test]
fn records_of_others_that_do_not_count_are_no_other_history() {
    let Case { world, log, shelf, mut rig } = case();
    rig.log.plan(AT, [event_log::memory::Fault::Delay]);
    rig.submit(reserve(20, 20));
    rig.run();
    let mut two = Rig::serving(&world, &log, "two");
    two.submit(reserve(21, 21));
    two.run();
    rig.log.release(AT);
    let mut reader = Rig::new(&world, &log, "reader");
    reader.vouched = None;
    reader.log.deliver(AT);
    reader.take();
    assert_eq!(reader.voids.len(), 1, "the last record does not count");
    let taken = shelf.write(AT, reader.owner.state()).unwrap();
    assert_eq!(taken.offset, log.bounds(AT).unwrap().end);
    let load = shelf.load(&log);
    assert_eq!((offset(&load), load.unusable.len()), (Some(taken.offset), 0));
}

#[test]
fn two_of_a_log_are_kept_and_those_of_a_successor_always() {
    let Case { shelf, mut rig, log, .. } = case();
    let early = rig.owner.state().clone();
    let offsets = |shelf: &Shelf| -> Vec<i64> {
        shelf.names().iter().map(|name| name.split('-').nth(3).unwrap().parse().unwrap()).collect()
    };
    for n in 30..33 {
        rig.submit(reserve(n, n));
        rig.run();
        shelf.write(AT, rig.owner.state()).unwrap();
    }
    assert_eq!(offsets(&shelf), [9, 10]);
    assert!(shelf.write(AT, &early).is_some(), "a zombie's is a snapshot too");
    assert_eq!(offsets(&shelf), [7, 9, 10], "and takes nothing away");
    assert_eq!(offset(&shelf.load(&log)), Some(10));
    rig.submit(reserve(40, 40));
    rig.run();
    shelf.write(AT, rig.owner.state()).unwrap();
    assert_eq!(offsets(&shelf), [10, 11]);
}

#[test]
fn what_dead_writers_left_and_old_foreign_ones_go_in_time() {
    let Case { shelf, mut rig, .. } = case();
    let made = |name: &str, hours: u64| {
        let path = shelf.folder().join(name);
        let file = File::create(&path).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_times(FileTimes::new().set_modified(now - Duration::from_secs(hours * 3600))).unwrap();
        path
    };
    let foreign = |n: u32| format!("inventory-events-1-{n:020}-{n:032x}-{n:032x}.snapshot");
    let stays = [
        made("inventory-events-1-a.writing", 0),
        made("inventory-events-2-b.writing", 48),
        made("notes.txt", 48),
        made(&foreign(900), 2),
    ];
    let goes = [made("inventory-events-1-c.writing", 2), made(&foreign(901), 25)];
    rig.submit(reserve(50, 50));
    rig.run();
    shelf.write(AT, rig.owner.state()).unwrap();
    stays.iter().for_each(|path| assert!(path.exists(), "{path:?}"));
    goes.iter().for_each(|path| assert!(!path.exists(), "{path:?}"));
}

#[test]
fn a_writer_that_dies_leaves_the_one_before_it() {
    let case = case();
    let newest = case.shelf.files().pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    // Dead before the name was given, with nothing, half of it and all of it written.
    for written in [0, HEADER + 3, whole.len()] {
        fs::remove_file(&newest).unwrap();
        fs::write(case.shelf.folder().join("inventory-events-1-0123.writing"), &whole[..written]).unwrap();
        let load = case.load();
        assert_eq!((offset(&load), load.unusable.len()), (Some(2), 0));
        fs::write(&newest, &whole).unwrap();
    }
    // Dead after it was given, and before others were removed.
    for (from, to) in [("0000000002-", "0000000001-"), ("0000000002-", "0000000000-")] {
        let older = case.shelf.files()[0].to_str().unwrap().replace(from, to);
        fs::copy(&case.shelf.files()[0], older).unwrap();
    }
    assert_eq!(offset(&case.load()), Some(4));
    let mut rig = case.rig;
    rig.submit(reserve(60, 60));
    rig.run();
    case.shelf.write(AT, rig.owner.state()).unwrap();
    assert_eq!(case.shelf.files().len(), 2, "the next one tidies up");
}

#[test]
fn a_folder_that_cannot_be_used_yields_nothing_and_stops_nobody() {
    let case = case();
    let file = case.shelf.folder().join("a-file");
    fs::write(&file, "in the way").unwrap();
    for folder in [file.clone(), file.join("below")] {
        let snapshots = open_shelf(&folder, 1);
        assert!(write(&snapshots, AT, case.rig.owner.state()).is_none());
        let load: Load<Inventory> = snapshots.load(AT, 4, &case.log).unwrap();
        assert!(load.loaded.is_none() && load.unusable.is_empty());
    }
    // It works again as soon as the folder does.
    let snapshots = open_shelf(&file.join("below"), 1);
    fs::remove_file(&file).unwrap();
    assert!(write(&snapshots, AT, case.rig.owner.state()).is_some());
}

#[test]
fn only_one_is_written_at_a_time_unless_it_waits_for_its_turn() {
    let case = case();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let state = case.rig.owner.state();
    let other = Partition { number: 3, ..AT };
    let until_idle = || {
        let mut tries = std::iter::repeat_with(|| {
            std::thread::sleep(Duration::from_millis(5));
            case.shelf.snapshots.write(other, 4, state.clone(), BEGIN, Turn::IfIdle, |_| ())
        });
        assert!(tries.by_ref().take(1000).any(|written| written), "idle again");
    };
    until_idle();
    let blocked = move |_| wait.recv().unwrap();
    assert!(case.shelf.snapshots.write(AT, 4, state.clone(), BEGIN, Turn::Queue, blocked));
    assert!(!case.shelf.snapshots.write(other, 4, state.clone(), BEGIN, Turn::IfIdle, |_| ()));
    let (done, taken) = std::sync::mpsc::channel();
    assert!(case.shelf.snapshots.write(other, 4, state.clone(), BEGIN, Turn::Queue, move |it| done.send(it).unwrap()));
    go.send(()).unwrap();
    assert!(taken.recv_timeout(Duration::from_secs(20)).is_ok());
    until_idle();
}

#[test]
fn a_state_without_a_log_is_not_kept() {
    let shelf = Shelf::new();
    assert!(shelf.write(AT, &State::<Inventory>::default()).is_none());
    assert!(shelf.names().is_empty());
}

/// Two processes write one partition's snapshots all the time: whoever looks finds a whole one.
#[test]
fn two_writers_and_a_reader_never_see_a_mixed_file() {
    let Case { shelf, log, mut rig, world } = case();
    let zombie = rig.owner.state().clone();
    (100..400).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    let mut states = vec![rig.owner.state().clone()];
    for n in 400..420 {
        rig.submit(reserve(n, n));
        rig.run_for(Duration::from_millis(50));
        states.push(rig.owner.state().clone());
    }
    drop((rig, world));
    let writing = AtomicBool::new(true);
    let folder: &Path = shelf.folder();
    let loads = std::thread::scope(|scope| {
        let zombies = scope.spawn(|| {
            let snapshots = open_shelf(folder, 1);
            while writing.load(Ordering::Relaxed) {
                write(&snapshots, AT, &zombie).unwrap();
            }
        });
        let successors = scope.spawn(|| {
            let snapshots = open_shelf(folder, 1);
            assert!(states.iter().all(|state| write(&snapshots, AT, state).is_some()));
            writing.store(false, Ordering::Relaxed);
        });
        let mut loads = 0;
        let mut newest = 0;
        while writing.load(Ordering::Relaxed) {
            let load = shelf.load(&log);
            assert!(load.unusable.is_empty(), "{:?}", load.unusable);
            let offset = offset(&load).expect("there is always one");
            assert!(offset >= newest, "{offset} after {newest}");
            newest = offset;
            loads += 1;
        }
        zombies.join().unwrap();
        successors.join().unwrap();
        loads
    });
    assert!(loads > 3, "only {loads}");
    assert_eq!(offset(&shelf.load(&log)), Some(states.last().unwrap().position.next));
}
