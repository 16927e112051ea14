//! The owner against a log that loses, delays and duplicates, and against other owners.

use std::time::Duration;

use domain::inventory::{Refusal, ReservationStatus};
use event_log::frame::{Frame, Kind};
use event_log::log::{Delivered, Log};
use event_log::memory::{Fault, MemoryLog};
use event_log::owner::{Outcome, Output, Phase, Target};
use event_log::state::State;
use event_log::validity::{Broken, Position, Void};

use crate::support::AT;
use crate::support::oracle;
use crate::support::rig::{ACK_DEADLINE, GRACE, Rig, World, settings};
use crate::support::stock::{HOLD_S, SHOW, capacity, close, held, look, open, order, reserve, reserve_by, status};

/// Serving, and sales are open.
fn opened(tickets: i64) -> (World, MemoryLog, Rig) {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.submit(open(0, tickets));
    rig.run();
    assert_eq!(rig.outcomes(), [(0, "done")]);
    rig.told.clear();
    (world, log, rig)
}

fn frames(log: &MemoryLog) -> Vec<Frame> {
    log.records(AT).iter().map(|record| Frame::decode(&record.header).unwrap()).collect()
}

fn kinds(log: &MemoryLog) -> Vec<Kind> {
    frames(log).iter().map(|frame| frame.kind).collect()
}

/// What a fresh reader of the log makes of it, checked against an independent one.
#[track_caller]
fn folded(world: &World, log: &MemoryLog) -> Rig {
    let mut reader = Rig::new(world, log, "reader");
    reader.log.deliver(AT);
    reader.take();
    assert_eq!(reader.stock(), oracle::stock(&oracle::counted(&log.records(AT)), i64::MAX));
    reader
}

#[test]
fn the_first_claim_takes_an_empty_log() {
    let world = World::new();
    let log = world.log();
    let rig = Rig::serving(&world, &log, "one");
    let frames = frames(&log);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].kind, frames[0].term, frames[0].seq), (Kind::Claim, 1, 0));
    assert_eq!(rig.terms, [1]);
    let position = rig.owner.state().position;
    assert_eq!((position.identity, position.term, position.next), (Some(frames[0].claim), 1, 1));
}

#[test]
fn the_claims_own_report_may_come_late() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.log.deliver(AT);
    rig.take();
    rig.log.land(AT, 1);
    rig.log.deliver(AT);
    rig.take();
    assert!(rig.serves(), "it has read its claim");
    rig.submit(open(0, 1));
    rig.step();
    rig.log.report(AT);
    rig.take();
    assert!(rig.serves() && rig.told.is_empty(), "{:?}", rig.doubts);
    rig.run();
    assert_eq!(rig.outcomes(), [(0, "done")]);
}

#[test]
pub fn nothing_is_answered_before_it_is_acknowledged() {
    let (_, log, mut rig) = opened(10);
    rig.submit(reserve(1, 1));
    rig.step();
    assert_eq!(rig.log.waiting(AT), 1);
    assert!(rig.told.is_empty() && rig.sends.is_empty());
    rig.log.land(AT, 1);
    rig.take();
    assert!(rig.told.is_empty(), "in the log, but not acknowledged");
    assert_eq!(held(&rig.stock()), 0);
    rig.log.report(AT);
    rig.take();
    assert_eq!(rig.outcomes(), [(1, "done")]);
    assert_eq!(held(&rig.stock()), 1);
    assert_eq!(rig.sends.len(), 1, "what was caused is sent only now");
    let Outcome::Done(answer) = &rig.told[0].outcome else { unreachable!() };
    let position = rig.owner.state().position;
    assert_eq!((answer.version, answer.written, answer.offset), (2, 1, 2));
    assert_eq!(Some(answer.identity), position.identity);
    assert_eq!(log.bounds(AT).unwrap().end, 3);
}

#[test]
pub fn a_refusal_waits_for_a_barrier() {
    let (world, log, mut rig) = opened(1);
    rig.submit(reserve(1, 1));
    rig.run();
    rig.told.clear();
    for n in 2..12 {
        rig.submit(reserve(n, n));
    }
    rig.run();
    assert!(rig.told.is_empty(), "nothing proves yet that it still owns the partition");
    assert_eq!(kinds(&log).len(), 3);
    world.advance_ms(20);
    rig.step();
    assert_eq!(rig.log.land(AT, 9), 1, "one barrier for all of them");
    rig.take();
    assert!(rig.told.is_empty());
    rig.log.report(AT);
    rig.take();
    assert_eq!(rig.told.len(), 10);
    assert!(rig.told.iter().all(|it| matches!(it.outcome, Outcome::Refused(Refusal::SoldOut { .. }))));
    assert_eq!(kinds(&log)[3..], [Kind::Barrier]);
}

#[test]
pub fn a_refusal_joins_a_batch_that_writes() {
    let (_, log, mut rig) = opened(1);
    rig.submit(reserve(1, 1));
    rig.submit(reserve(2, 2));
    rig.run();
    assert_eq!(rig.outcomes(), [(1, "done"), (2, "refused")]);
    assert_eq!(kinds(&log), [Kind::Claim, Kind::Event, Kind::Event]);
}

#[test]
pub fn twenty_equal_commands_are_one() {
    let (_, log, mut rig) = opened(10);
    (0..20).for_each(|_| rig.submit(reserve(1, 1)));
    rig.run();
    let done = rig.outcomes().iter().filter(|it| **it == (1, "done")).count();
    let replayed = rig.outcomes().iter().filter(|it| **it == (1, "replayed")).count();
    assert_eq!((done, replayed), (1, 19));
    assert_eq!(kinds(&log), [Kind::Claim, Kind::Event, Kind::Event]);
    for told in &rig.told {
        let Outcome::Done(answer) = &told.outcome else { panic!("{told:?}") };
        assert_eq!((answer.version, held(&answer.state)), (2, 1));
    }
}

#[test]
pub fn a_key_with_another_body_is_refused() {
    let (world, _, mut rig) = opened(10);
    rig.submit(reserve(1, 1));
    let mut other = reserve(1, 1);
    other.hash.0 = [8; 16];
    rig.submit(other);
    rig.run();
    world.advance_ms(20);
    rig.run();
    assert_eq!(rig.outcomes(), [(1, "done"), (1, "key reused")]);
}

#[test]
pub fn a_foreign_claim_leaves_everything_after_it_in_doubt() {
    let (world, log, mut one) = opened(1);
    let mut two = Rig::serving(&world, &log, "two");
    assert_eq!(two.terms, [2]);
    two.submit(reserve(10, 10));
    two.run();
    // It does not know yet that it was superseded; by its own state there is a ticket left.
    one.submit(reserve(1, 1));
    one.submit(look(2));
    one.step();
    one.log.land(AT, 9);
    one.log.report(AT);
    one.take();
    assert_eq!(one.outcomes(), [(2, "in doubt"), (1, "in doubt")]);
    assert_eq!(one.doubts.len(), 1);
    let reader = folded(&world, &log);
    assert_eq!((status(&reader.stock(), 1), status(&reader.stock(), 10)), (None, Some(ReservationStatus::Active)));
    assert_eq!(reader.voids, [Void::OldTerm]);
}

#[test]
fn a_superseded_owner_answers_no_refusal_and_no_look() {
    let (world, log, mut one) = opened(1);
    let mut two = Rig::serving(&world, &log, "two");
    two.submit(reserve(10, 10));
    two.run();
    one.submit(look(1));
    one.submit(capacity(2, -1));
    one.run();
    assert!(one.told.is_empty());
    world.advance_ms(20);
    one.step();
    one.log.land(AT, 9);
    one.log.report(AT);
    one.take();
    assert_eq!(one.outcomes(), [(1, "in doubt"), (2, "in doubt")], "the stock it saw was stale");
}

#[test]
pub fn a_lost_append_amid_a_batch_voids_what_follows() {
    for lost in [Fault::Lose, Fault::LoseSilently] {
        let (world, log, mut rig) = opened(10);
        rig.log.plan(AT, [Fault::None, lost]);
        for n in 1..=3 {
            rig.submit(reserve(n, n));
        }
        rig.run();
        rig.run_for(ACK_DEADLINE + Duration::from_millis(100));
        assert_eq!(rig.outcomes(), [(1, "in doubt"), (2, "in doubt"), (3, "in doubt")], "{lost:?}");
        assert_eq!(rig.terms, [1, 2]);
        assert_eq!(rig.voids, [Void::AfterHole]);
        let stock = rig.stock();
        assert_eq!([1, 2, 3].map(|n| status(&stock, n).is_some()), [true, false, false]);
        assert_eq!(stock, folded(&world, &log).stock());
        rig.told.clear();
        for n in 1..=3 {
            rig.submit(reserve(n, n));
        }
        rig.run();
        assert_eq!(rig.outcomes(), [(1, "replayed"), (2, "done"), (3, "done")]);
    }
}

#[test]
fn a_lost_acknowledgement_is_in_doubt_and_its_repeat_is_replayed() {
    for lost in [Fault::LoseAcknowledgement, Fault::LoseAcknowledgementSilently] {
        let (_, log, mut rig) = opened(10);
        rig.log.plan(AT, [lost]);
        rig.submit(reserve(1, 1));
        rig.run();
        rig.run_for(ACK_DEADLINE + Duration::from_millis(100));
        assert_eq!(rig.outcomes(), [(1, "in doubt")], "{lost:?}");
        rig.submit(reserve(1, 1));
        rig.run();
        rig.run_for(Duration::from_millis(100));
        assert_eq!(rig.outcomes(), [(1, "in doubt"), (1, "replayed")]);
        let events = frames(&log).iter().filter(|frame| frame.kind == Kind::Event).count();
        assert_eq!((events, held(&rig.stock())), (2, 1));
        assert_eq!(rig.sends.len(), 1, "what it caused is sent after all");
    }
}

#[test]
fn without_an_acknowledgement_the_deadline_decides() {
    let (world, _, mut rig) = opened(10);
    rig.log.plan(AT, [Fault::LoseAcknowledgementSilently]);
    rig.submit(reserve(1, 1));
    rig.run();
    world.advance_ms(4999);
    rig.run();
    assert!(rig.told.is_empty());
    world.advance_ms(1);
    rig.step();
    assert_eq!(rig.outcomes(), [(1, "in doubt")]);
}

#[test]
pub fn a_duplicated_record_is_void() {
    let (world, log, mut rig) = opened(10);
    rig.log.plan(AT, [Fault::Duplicate]);
    rig.submit(reserve(1, 1));
    rig.run();
    assert_eq!(rig.outcomes(), [(1, "done")]);
    rig.submit(reserve(2, 2));
    rig.run();
    assert_eq!(rig.outcomes()[1], (2, "in doubt"), "it is not where it has to be");
    assert_eq!(rig.voids, [Void::Duplicate]);
    assert_eq!(held(&rig.stock()), 2);
    assert_eq!(rig.stock(), folded(&world, &log).stock());
}

#[test]
pub fn a_zombies_late_records_are_void() {
    let (world, log, mut zombie) = opened(10);
    zombie.log.plan(AT, [Fault::Delay, Fault::Delay]);
    zombie.submit(reserve(1, 1));
    zombie.submit(reserve(2, 2));
    zombie.run();
    let mut two = Rig::serving(&world, &log, "two");
    two.submit(reserve(3, 3));
    two.run();
    assert_eq!(zombie.log.release(AT), 2);
    two.submit(reserve(4, 4));
    two.run();
    assert_eq!(two.outcomes(), [(3, "done"), (4, "in doubt")]);
    assert_eq!(two.voids, [Void::OldTerm, Void::OldTerm]);
    two.submit(reserve(4, 4));
    two.run_for(Duration::from_millis(100));
    assert_eq!(two.outcomes()[2..], [(4, "replayed")]);
    zombie.log.report(AT);
    zombie.take();
    assert_eq!(zombie.outcomes(), [(1, "in doubt"), (2, "in doubt")]);
    let stock = folded(&world, &log).stock();
    assert_eq!([1, 2, 3, 4].map(|n| status(&stock, n).is_some()), [false, false, true, true]);
}

#[test]
pub fn an_unfinished_command_has_no_effect() {
    let (world, log, mut rig) = opened(10);
    (1..=3).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    assert_eq!(held(&rig.stock()), 3);
    rig.submit(close(9));
    rig.step();
    // Three tickets come back in one frame. The process dies after two of them are in the log.
    let waiting = rig.log.waiting(AT);
    rig.log.land(AT, 1);
    let tick = frames(&log).len();
    rig.log.report(AT);
    rig.take();
    rig.step();
    assert_eq!((waiting, rig.log.waiting(AT)), (1, 3));
    rig.log.land(AT, 2);
    let frame = frames(&log)[tick];
    assert_eq!((frame.evt_idx, frame.evt_cnt), (0, 3));
    drop(rig);
    let reader = folded(&world, &log);
    assert_eq!(held(&reader.stock()), 3);
    assert_eq!(reader.owner.state().position.next, i64::try_from(tick).unwrap(), "a restart reads the frame again");

    let mut two = Rig::serving(&world, &log, "two");
    assert_eq!(held(&two.stock()), 3);
    assert!(two.voids.is_empty());
    two.run_for(GRACE + Duration::from_secs(1));
    assert_eq!(held(&two.stock()), 0, "the next owner does it again, whole");
    assert_eq!(two.stock(), folded(&world, &log).stock());
}

#[test]
pub fn of_two_claims_of_one_term_the_first_counts() {
    let world = World::new();
    let log = world.log();
    let mut one = Rig::new(&world, &log, "one");
    let mut two = Rig::new(&world, &log, "two");
    for rig in [&mut one, &mut two] {
        rig.log.deliver(AT);
        rig.take();
        rig.step();
        assert_eq!(rig.log.waiting(AT), 1, "both claim");
    }
    two.run();
    assert!(two.serves());
    one.run();
    assert_eq!(
        frames(&log).iter().map(|frame| (frame.kind, frame.term)).collect::<Vec<_>>(),
        [(Kind::Claim, 1), (Kind::Claim, 1)]
    );
    assert!(matches!(one.owner.phase(), Phase::Folding { .. }), "{:?}", one.owner.phase());
    assert_eq!(one.voids, [Void::OldTerm]);
    // As long as it is assigned it tries again, and then the other one is out.
    one.run_for(Duration::from_secs(3));
    assert!(one.serves());
    two.submit(open(0, 1));
    two.step();
    two.log.land(AT, 9);
    two.log.report(AT);
    two.take();
    assert_eq!(two.outcomes(), [(0, "in doubt")]);
}

#[test]
fn a_claim_that_is_lost_is_tried_again() {
    for lost in [Fault::Lose, Fault::LoseSilently] {
        let world = World::new();
        let log = world.log();
        let mut rig = Rig::new(&world, &log, "one");
        rig.log.plan(AT, [lost]);
        rig.run();
        assert!(!rig.serves());
        rig.run_for(ACK_DEADLINE + Duration::from_secs(3));
        assert!(rig.serves(), "{lost:?}");
        assert_eq!(frames(&log).len(), 1);
    }
}

/// A denied acknowledgement is not waited for: the next claim follows after its back-off alone.
#[test]
fn a_claim_whose_append_fails_is_tried_again_after_the_back_off() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.log.plan(AT, [Fault::Lose, Fault::Lose]);
    let since = world.now().mono;
    let mut tried = Vec::new();
    while !rig.serves() {
        let before = rig.asked;
        rig.run();
        if rig.asked > before {
            tried.push((world.now().mono - since).as_millis());
        }
        world.advance_ms(10);
    }
    assert_eq!(tried.len(), 3, "{tried:?}");
    let waits: Vec<u128> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Half to one and a half times of 1 s, then of 2 s.
    assert!((500..1520).contains(&waits[0]) && (1000..3020).contains(&waits[1]), "{waits:?}");
    assert_eq!((frames(&log).len(), rig.terms.as_slice()), (1, &[1][..]));
}

/// What failed may lie in the log all the same; the log alone says so.
#[test]
fn a_claim_whose_append_fails_counts_if_the_log_has_it() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.log.plan(AT, [Fault::LoseAcknowledgement]);
    rig.step();
    rig.log.deliver(AT);
    rig.take();
    assert_eq!(rig.log.land(AT, 1), 1);
    // The error comes before the record.
    assert_eq!(rig.log.report(AT), 1);
    rig.take();
    rig.step();
    assert!(matches!(rig.owner.phase(), Phase::Claiming { failed: true, .. }), "{:?}", rig.owner.phase());
    rig.submit(open(0, 5));
    rig.run();
    assert!(rig.serves() && rig.asked == 1, "{:?}", rig.owner.phase());
    assert_eq!(
        (frames(&log).len(), rig.terms.as_slice(), rig.outcomes().as_slice()),
        (2, &[1][..], &[(0, "done")][..])
    );
}

#[test]
fn a_claim_that_comes_late_does_not_disturb_the_next() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.log.plan(AT, [Fault::Delay]);
    rig.run();
    rig.run_for(ACK_DEADLINE + Duration::from_secs(3));
    assert_eq!(rig.terms, [1]);
    rig.log.release(AT);
    rig.submit(open(0, 5));
    rig.run();
    assert_eq!(rig.outcomes(), [(0, "in doubt")]);
    rig.submit(open(0, 5));
    rig.run_for(Duration::from_millis(100));
    assert_eq!(rig.outcomes()[1], (0, "replayed"));
    assert_eq!(rig.stock(), folded(&world, &log).stock());
}

#[test]
pub fn what_is_answered_is_settled_and_the_rest_is_sent_again() {
    let (world, log, mut rig) = opened(10);
    (1..=3).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    let sent = rig.sends.clone();
    assert_eq!((sent.len(), rig.owner.open_sends()), (3, 3));
    rig.owner.settled(sent[0].at);
    rig.owner.settled(sent[2].at);
    rig.run_for(Duration::from_millis(1100));
    assert_eq!(kinds(&log).iter().filter(|kind| **kind == Kind::Settled).count(), 1);
    let outbox: Vec<i64> = rig.owner.state().outbox.keys().copied().collect();
    assert_eq!(outbox, [sent[1].at.0, sent[2].at.0], "below the first that is open");
    rig.run_for(Duration::from_secs(3));
    assert_eq!(kinds(&log).iter().filter(|kind| **kind == Kind::Settled).count(), 1, "said once");

    let mut two = Rig::serving(&world, &log, "two");
    assert_eq!(two.sends, sent[1..], "with the same ids");
    two.sends.iter().for_each(|send| two.owner.settled(send.at));
    two.run_for(Duration::from_millis(1100));
    assert!(two.owner.state().outbox.is_empty());
    assert!(Rig::serving(&world, &log, "three").sends.is_empty());
}

#[test]
fn a_timer_fires_once() {
    let (world, log, mut rig) = opened(10);
    rig.submit(reserve(1, 1));
    rig.run();
    rig.run_for(Duration::from_secs(u64::try_from(HOLD_S).unwrap() - 1));
    assert_eq!(held(&rig.stock()), 1);
    rig.run_for(Duration::from_secs(3));
    assert_eq!(status(&rig.stock(), 1), Some(ReservationStatus::Expired));
    let events = frames(&log).iter().filter(|frame| frame.kind == Kind::Event).count();
    assert_eq!(events, 3, "opened, reserved, expired");
    assert_eq!(rig.owner.wake_at(rig.now()).map(|at| at > world.now().mono), Some(true), "no timer is left");
}

#[test]
pub fn a_timer_that_is_under_way_does_not_fire_again() {
    let (world, _, mut rig) = opened(10);
    rig.submit(reserve(1, 1));
    rig.run();
    world.advance_ms(u64::try_from(HOLD_S).unwrap() * 1000 + 1000);
    for _ in 0..3 {
        rig.step();
        assert_eq!(rig.log.waiting(AT), 1);
        world.advance_ms(10);
    }
}

#[test]
pub fn no_timer_fires_soon_after_a_take_over() {
    let (world, log, mut rig) = opened(10);
    rig.submit(reserve(1, 1));
    rig.run();
    drop(rig);
    world.advance_ms(u64::try_from(HOLD_S).unwrap() * 1000 + 5000);
    let mut two = Rig::serving(&world, &log, "two");
    two.run_for(GRACE - Duration::from_millis(200));
    assert_eq!(held(&two.stock()), 1);
    two.run_for(Duration::from_millis(400));
    assert_eq!(held(&two.stock()), 0);
}

#[test]
fn time_never_goes_back() {
    let (world, log, mut rig) = opened(10);
    rig.skew = 0;
    world.advance_ms(60_000);
    rig.submit(reserve(1, 1));
    rig.run();
    drop(rig);
    let mut two = Rig::new(&world, &log, "two");
    two.skew = -1_900_000;
    two.run();
    assert!(two.serves(), "a clock 1.9 s off is tolerated");
    two.submit(reserve(2, 2));
    two.run();
    let codec = schemas::Codec::in_memory();
    let times: Vec<i64> = log
        .records(AT)
        .iter()
        .filter_map(|record| codec.decode(&record.value).ok())
        .map(|(meta, _)| meta.occurred_at.0)
        .collect();
    assert_eq!(times.len(), 3);
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times[1], times[2]);
}

#[test]
fn a_clock_too_far_off_is_not_served_with() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.skew = 2_100_000;
    rig.run();
    assert!(!rig.serves());
    assert!(rig.doubts[0].contains("2100 ms"), "{:?}", rig.doubts);
    rig.skew = 0;
    rig.run_for(Duration::from_secs(40));
    assert!(rig.serves());
}

#[test]
pub fn a_command_that_is_too_large_changes_nothing() {
    let (world, log, mut rig) = opened(10);
    rig.submit(reserve_by(1, 1, "guest:1", 600 * 1024));
    rig.submit(reserve(2, 2));
    rig.run();
    assert_eq!(rig.outcomes(), [(1, "too large"), (2, "done")]);
    let stock = folded(&world, &log).stock();
    assert_eq!((status(&stock, 1), held(&stock)), (None, 1));
    assert_eq!(rig.stock(), stock);
}

#[test]
pub fn a_version_counts_every_event() {
    let (_, log, mut rig) = opened(10);
    (1..=3).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    rig.submit(close(9));
    rig.run_for(Duration::from_secs(1));
    let events = frames(&log).into_iter().filter(|frame| frame.kind == Kind::Event);
    let (versions, counts): (Vec<u64>, Vec<u16>) = events.map(|frame| (frame.agg_ver, frame.evt_cnt)).unzip();
    assert!(counts.contains(&3), "three reservations end in one frame: {counts:?}");
    assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
    assert_eq!(rig.entry().map(|entry| entry.version), versions.last().copied());
}

#[test]
pub fn only_what_is_acknowledged_is_ever_kept() {
    let (_, _, mut rig) = opened(10);
    rig.submit(reserve(1, 1));
    rig.step();
    let kept = |rig: &Rig| rig.owner.to_keep().get(SHOW).map(|entry| held(&entry.state));
    assert_eq!(kept(&rig), Some(0));
    rig.run();
    assert_eq!(kept(&rig), Some(1));
}

#[test]
pub fn a_report_out_of_order_is_a_doubt() {
    let (world, _, mut rig) = opened(10);
    for n in [1, 2] {
        rig.submit(reserve(n, n));
        rig.step();
    }
    let Position { claim, seq, next, .. } = rig.owner.state().position;
    let second = Delivered { claim, seq: seq + 1, result: Ok(next + 1) };
    let outputs = rig.owner.delivered(vec![second], world.now());
    assert!(matches!(outputs.first(), Some(Output::Doubt { in_doubt: 2, .. })));
}

#[test]
pub fn what_is_late_or_too_much_is_not_decided() {
    let (world, log, mut rig) = opened(10);
    let mut late = reserve(1, 1);
    late.deadline = Some(world.now().mono);
    rig.submit(late);
    rig.run();
    assert_eq!(rig.outcomes(), [(1, "too late")]);
    assert_eq!(kinds(&log).len(), 2);

    let small = event_log::owner::Settings { mailbox: 2, ..settings() };
    let mut rig = Rig::with(&world, &log, "two", small, State::default());
    (1..=2).for_each(|n| rig.submit(reserve(n, n)));
    assert_eq!(rig.owner.submit(reserve(3, 3)).unwrap_err().reply, 3);
    assert!(rig.owner.submit(look(4)).is_ok(), "sagas have a lane of their own");
}

#[test]
fn only_so_many_records_are_under_way() {
    let world = World::new();
    let log = world.log();
    let few = event_log::owner::Settings { in_flight: 10, ..settings() };
    let mut rig = Rig::with(&world, &log, "one", few, State::default());
    rig.run();
    rig.submit(open(0, 1000));
    (1..100).for_each(|n| rig.submit(reserve(n, n)));
    rig.step();
    assert_eq!(rig.log.waiting(AT), 10);
    rig.step();
    assert_eq!(rig.log.waiting(AT), 10);
    rig.run();
    assert_eq!(rig.told.len(), 100);
    assert_eq!(held(&rig.stock()), 99);
}

#[test]
fn sagas_are_served_first() {
    let (_, _, mut rig) = opened(2);
    (1..=2).for_each(|n| rig.submit(reserve(n, n)));
    rig.submit(close(3));
    rig.run();
    assert_eq!(rig.outcomes()[0], (3, "done"));
    let mut unknown = look(4);
    unknown.target = Target::Serial(99);
    rig.submit(unknown);
    rig.run_for(Duration::from_millis(100));
    assert_eq!(rig.outcomes().last(), Some(&(4, "no such serial")));
    assert_eq!(status(&rig.stock(), 1), None);
    assert_ne!(order(1), order(2));
}

#[test]
fn a_shorter_log_breaks_the_partition() {
    let (world, log, mut rig) = opened(10);
    rig.submit(reserve(1, 1));
    rig.run();
    log.truncate(AT, 1);
    rig.submit(reserve(2, 2));
    rig.run();
    assert_eq!(rig.outcomes(), [(1, "done"), (2, "in doubt")]);
    let broken = rig.broken.clone().expect("its position is beyond the end");
    assert!(matches!(broken, Broken::OutsideTheLog { position: 3, start: 0, end: 2 }), "{broken}");
    rig.submit(reserve(3, 3));
    rig.run_for(Duration::from_millis(100));
    assert_eq!(rig.outcomes().last(), Some(&(3, "broken")), "nobody waits for it");
    drop(world);
}
