//! Nobody claims who is not vouched for, and who leaves answers everybody.

use std::time::Duration;

use event_log::memory::{Fault, MemoryLog};
use event_log::owner::Phase;

use crate::support::AT;
use crate::support::rig::{ACK_DEADLINE, Rig, World};
use crate::support::stock::{held, open, reserve};

fn standing_by(vouched: Option<bool>) -> (World, MemoryLog, Rig) {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.vouched = vouched;
    rig.run();
    (world, log, rig)
}

#[test]
fn who_is_not_vouched_for_never_claims_and_keeps_asking() {
    for (vouched, least) in [(Some(false), 10), (None, 4)] {
        let (_, log, mut rig) = standing_by(vouched);
        rig.run_for(Duration::from_secs(30));
        assert!(log.records(AT).is_empty(), "nothing was written");
        assert!(rig.asked >= least, "asked {} times", rig.asked);
        assert!(rig.asked <= 40, "asked {} times", rig.asked);
        rig.vouched = Some(true);
        rig.run_for(ACK_DEADLINE + Duration::from_secs(3));
        assert_eq!(rig.terms, [1], "as soon as somebody vouches for it, it claims");
    }
}

#[test]
fn who_stands_by_keeps_folding_and_its_callers_are_not_forgotten() {
    let (world, log, mut rig) = standing_by(Some(false));
    let mut other = Rig::serving(&world, &log, "two");
    other.submit(open(0, 10));
    other.submit(reserve(1, 1));
    other.run();
    let mut late = reserve(2, 2);
    late.deadline = Some(world.now().mono + Duration::from_secs(1));
    rig.submit(late);
    rig.run();
    assert_eq!(held(&rig.stock()), 1);
    assert!(rig.told.is_empty());
    rig.run_for(Duration::from_secs(2));
    assert_eq!(rig.outcomes(), [(2, "too late")]);
    assert!(!rig.serves());
    other.submit(reserve(3, 3));
    other.run();
    assert_eq!(other.outcomes().last(), Some(&(3, "done")), "nobody disturbed the owner");
    rig.run_for(Duration::from_secs(3));
    assert_eq!(held(&rig.stock()), 2);
}

#[test]
fn a_superseded_owner_without_a_say_stands_by() {
    let world = World::new();
    let log = world.log();
    let mut zombie = Rig::serving(&world, &log, "one");
    zombie.submit(open(0, 10));
    zombie.run();
    let mut two = Rig::serving(&world, &log, "two");
    zombie.vouched = Some(false);
    zombie.submit(reserve(1, 1));
    zombie.run_for(Duration::from_secs(20));
    assert_eq!(zombie.outcomes().last(), Some(&(1, "in doubt")));
    two.submit(reserve(2, 2));
    two.run_for(Duration::from_secs(1));
    two.submit(reserve(3, 3));
    two.run_for(Duration::from_secs(1));
    assert_eq!(two.outcomes()[1..], [(3, "done")], "{:?}", two.doubts);
    assert_eq!((two.terms.len(), zombie.terms.len()), (2, 1), "only the zombie's late record was in the way, once");
}

#[test]
fn an_answer_that_nobody_waits_for_claims_nothing() {
    let (world, log, mut rig) = standing_by(None);
    assert!(matches!(rig.owner.phase(), Phase::Vouching { .. }));
    world.advance_ms(u64::try_from(ACK_DEADLINE.as_millis()).unwrap());
    rig.step();
    assert!(matches!(rig.owner.phase(), Phase::Folding { .. }), "{:?}", rig.owner.phase());
    assert!(rig.owner.vouched(true, rig.now()).is_empty(), "it may be long out of date");
    rig.run();
    assert!(log.records(AT).is_empty());
}

#[test]
fn who_is_overtaken_while_it_asks_does_not_claim_at_once() {
    let (world, log, mut rig) = standing_by(None);
    let two = Rig::serving(&world, &log, "two");
    rig.log.deliver(AT);
    rig.take();
    assert!(rig.owner.vouched(true, rig.now()).is_empty(), "{:?}", rig.owner.phase());
    rig.run();
    assert_eq!((log.records(AT).len(), two.terms.len()), (1, 1));
    // Still meant to be ours: after a while it tries.
    rig.vouched = Some(true);
    rig.run_for(Duration::from_secs(3));
    assert_eq!(rig.terms, [2]);
}

#[test]
fn who_is_vouched_for_but_behind_reads_on_first() {
    let (world, log, mut rig) = standing_by(None);
    let mut two = Rig::serving(&world, &log, "two");
    two.submit(open(0, 10));
    two.run();
    // It learns that the log has grown before it has read it.
    assert!(rig.owner.reached_end(5, rig.now()).is_empty());
    assert!(rig.owner.vouched(true, rig.now()).is_empty());
    assert!(matches!(rig.owner.phase(), Phase::Folding { .. }));
    assert!(!rig.serves());
}

#[test]
fn who_leaves_without_serving_tells_everybody_so_and_claims_no_more() {
    let (_, log, mut rig) = standing_by(None);
    rig.submit(reserve(1, 1));
    rig.owner.leave();
    rig.run();
    assert_eq!(rig.outcomes(), [(1, "not served")]);
    assert!(rig.owner.is_idle());
    assert!(rig.owner.vouched(true, rig.now()).is_empty());
    rig.vouched = Some(true);
    rig.run_for(Duration::from_secs(10));
    assert!(log.records(AT).is_empty());
}

#[test]
fn who_leaves_asks_no_more() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.owner.leave();
    rig.run();
    assert_eq!(rig.asked, 0);
}

#[test]
fn who_leaves_while_serving_decides_what_waits() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.submit(open(0, 10));
    (1..=3).for_each(|n| rig.submit(reserve(n, n)));
    rig.owner.leave();
    rig.run();
    assert_eq!(rig.outcomes(), [(0, "done"), (1, "done"), (2, "done"), (3, "done")]);
    assert!(rig.owner.is_idle());
}

#[test]
fn who_cannot_wait_for_its_acknowledgements_leaves_callers_in_doubt() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.log.plan(AT, [Fault::LoseAcknowledgementSilently]);
    rig.submit(open(0, 10));
    rig.run();
    rig.owner.leave();
    rig.submit(reserve(1, 1));
    let answers = rig.owner.give_up();
    let told: Vec<(u32, &str)> = answers
        .into_iter()
        .filter_map(|output| match output {
            event_log::owner::Output::Answer(n, outcome) => Some((n, crate::support::rig::short(&outcome))),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(1, "not served"), (0, "in doubt")]);
}
