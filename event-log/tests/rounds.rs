//! Rounds go on at once after a take-over; what ends is held back.

use std::time::Duration;

use domain::ids::{CommandId, ShowId, derived};
use domain::queue::{Command, Standing, Terms, WaitingRoom, WaitingRoomOpened};
use domain::root::{Context, Root};
use domain::value::{Actor, Fingerprint, Timestamp};
use event_log::frame::{Frame, Kind};
use event_log::log::Partition;
use event_log::memory::MemoryLog;
use event_log::owner::{Settings, Submission, Target};
use event_log::state::State;
use schemas::Codec;
use uuid::Uuid;

use crate::support::image::image;
use crate::support::rig::{GRACE, Rig, World, settings};

const SHOW: Uuid = Uuid::from_u128(0x400);
const ROOM: Partition = Partition { context: Context::Queue, number: 1 };
const ENTER_S: i64 = 10;

fn room(world: &World, log: &MemoryLog, seed: &str) -> Rig<WaitingRoom> {
    let settings = Settings { partition: ROOM, ..settings() };
    let mut rig = Rig::with(world, log, seed, settings, State::default());
    rig.run();
    assert!(rig.serves());
    rig
}

fn command(n: u32, ask: Command, by: Actor) -> Submission<WaitingRoom, u32> {
    let id = Uuid::from_u128(u128::from(n));
    Submission {
        target: Target::Id(SHOW),
        ask,
        by,
        id: CommandId(id),
        hash: Fingerprint([7; 16]),
        correlation_id: id,
        causation_id: id,
        trace: None,
        deadline: None,
        reply: n,
    }
}

fn join(n: u32) -> Submission<WaitingRoom, u32> {
    command(n, Command::Join { proof_bits: 0 }, Actor::Guest { principal: format!("guest:{n}") })
}

/// Four slots, two admitted a second, ten seconds to enter.
fn open() -> Submission<WaitingRoom, u32> {
    let terms = Terms { slots: 4, admission_batch: 2, enter_s: ENTER_S, ..Terms::default() };
    let opened = WaitingRoomOpened {
        show: ShowId(SHOW),
        organizer: "account:organizer".to_owned(),
        terms,
        checkout_url: None,
        draw_hash: None,
    };
    command(1000, Command::Open(opened), Actor::System)
}

fn admitted(rig: &Rig<WaitingRoom>) -> usize {
    let Some(entry) = rig.owner.state().get(SHOW) else { return 0 };
    let standing = (1..=20).map(|number| entry.state.standing(number));
    standing.filter(|it| matches!(it, Standing::Admitted { .. })).count()
}

fn opened() -> (World, MemoryLog, Rig<WaitingRoom>) {
    let world = World::new();
    let log = world.log();
    let mut rig = room(&world, &log, "one");
    rig.submit(open());
    (1..=8).for_each(|n| rig.submit(join(n)));
    rig.run();
    (world, log, rig)
}

#[test]
pub fn a_round_admits_a_batch_a_tick() {
    let (world, _, mut rig) = opened();
    assert_eq!(admitted(&rig), 2, "the first round is due at once");
    world.advance_ms(999);
    rig.run();
    assert_eq!(admitted(&rig), 2);
    assert_eq!(rig.owner.wake_at(rig.now()), Some(rig.now().mono + Duration::from_millis(1)));
    world.advance_ms(1);
    rig.run();
    assert_eq!(admitted(&rig), 4);
    world.advance_ms(5000);
    rig.run();
    assert_eq!(admitted(&rig), 4, "no slot is free");
    assert!(rig.owner.state().rounds.is_empty());
}

#[test]
fn rounds_go_on_at_once_after_a_take_over_and_dues_are_held_back() {
    let (world, log, mut one) = opened();
    world.advance_ms(1000);
    one.run();
    drop(one);
    // Everybody's time to enter is over, and the owner is gone as long.
    world.advance_ms(u64::try_from(ENTER_S).unwrap() * 1000 + 2000);
    let mut two = room(&world, &log, "two");
    assert_eq!(two.terms, [2]);
    two.run_for(Duration::from_secs(2));
    assert_eq!(admitted(&two), 4, "nobody lapses so soon: they could not enter meanwhile");
    two.submit(command(2000, Command::Leave { number: 1 }, Actor::Guest { principal: "guest:1".to_owned() }));
    two.run_for(Duration::from_secs(2));
    assert_eq!(two.outcomes(), [(2000, "done")]);
    let fifth = two.owner.state().get(SHOW).unwrap().state.standing(5);
    assert!(matches!(fifth, Standing::Admitted { .. }), "the free slot is given on at once: {fifth:?}");
    // The fifth lapses in time of its own.
    two.run_for(GRACE - Duration::from_secs(5));
    let standing = |rig: &Rig<WaitingRoom>, number| rig.owner.state().get(SHOW).unwrap().state.standing(number);
    assert!(matches!(standing(&two, 2), Standing::Admitted { .. }));
    two.run_for(Duration::from_secs(5));
    assert!(matches!(standing(&two, 2), Standing::Ended(_)), "{:?}", standing(&two, 2));
}

#[test]
fn the_first_owner_of_a_log_holds_nothing_back() {
    let (_, _, mut rig) = opened();
    rig.run_for(Duration::from_secs(u64::try_from(ENTER_S).unwrap() + 3));
    let standing = rig.owner.state().get(SHOW).unwrap().state.standing(1);
    assert!(matches!(standing, Standing::Ended(_)), "{standing:?}");
}

#[test]
fn a_timers_command_is_named_by_its_lane_moment_and_version() {
    let (world, log, mut rig) = opened();
    let before = rig.owner.state().get(SHOW).unwrap().clone();
    let next = before.state.next_round().expect("somebody waits and a slot is free");
    world.advance_ms(1000);
    rig.run();
    let named = |lane: &str, moment: Timestamp, version: u64| {
        let command = derived(SHOW, lane, moment.0.unsigned_abs());
        derived(command, "version", version)
    };
    let frame = |log: &MemoryLog| Frame::decode(&log.records(ROOM).last().unwrap().header).unwrap();
    assert_eq!(frame(&log).cmd_id, named("round", next, before.version));
    let before = rig.owner.state().get(SHOW).unwrap().clone();
    let due = before.state.next_due().expect("somebody has to enter");
    world.advance_ms(u64::try_from(ENTER_S).unwrap() * 1000 - 1000);
    rig.step();
    rig.log.land(ROOM, usize::MAX);
    let frames = log.records(ROOM).into_iter().map(|record| Frame::decode(&record.header).unwrap());
    let ids: Vec<Uuid> = frames.filter(|frame| frame.kind == Kind::Event).map(|frame| frame.cmd_id).collect();
    assert!(ids.contains(&named("due", due, before.version)), "{ids:?}");
}

#[test]
pub fn a_restart_rebuilds_both_lanes() {
    let (world, log, rig) = opened();
    let mut reader: Rig<WaitingRoom> =
        Rig::with(&world, &log, "reader", Settings { partition: ROOM, ..settings() }, State::default());
    reader.log.deliver(ROOM);
    reader.take();
    let (state, read) = (rig.owner.state(), reader.owner.state());
    assert_eq!((&state.timers, &state.rounds), (&read.timers, &read.rounds));
    assert_eq!((state.timers.len(), state.rounds.len()), (1, 1));
    let stored = image(state);
    assert_eq!(image(&State::<WaitingRoom>::restore(&stored.bytes).unwrap()), stored);
    let codec = Codec::in_memory();
    assert!(log.records(ROOM).iter().skip(1).all(|record| codec.decode(&record.value).is_ok()));
}
