//! What a reading of the owner against its protocol turned up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use domain::inventory::Inventory;
use event_log::driver::{Reply, Surroundings, start, vouch_always};
use event_log::log::Log;
use event_log::memory::{Fault, MemoryLog};
use event_log::owner::{Now, Settings, Submission};
use event_log::state::State;
use schemas::Codec;

use crate::support::rig::{GRACE, Rig, World, settings, short};
use crate::support::stock::{HOLD_S, close, held, look, open, reserve};
use crate::support::{AT, unique, wall};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn due_timers_wait_for_room_and_do_not_spin() {
    let (world, few) = (World::new(), Settings { in_flight: 10, ..settings() });
    let log = world.log();
    let mut rig = Rig::with(&world, &log, "one", few, State::default());
    rig.run();
    rig.submit(open(0, 1000));
    (1..=300).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    // Three pages of a hundred come back, one frame each.
    rig.submit(close(999));
    rig.step();
    for _ in 0..5 {
        rig.step();
    }
    assert!(rig.log.waiting(AT) <= 10 + 100, "{} records are under way", rig.log.waiting(AT));
    let wake = rig.owner.wake_at(rig.now()).unwrap();
    assert!(wake > rig.now().mono, "nothing can be done before an acknowledgement comes");
    rig.run();
    assert_eq!(held(&rig.stock()), 0);
}

#[test]
fn pages_that_are_due_at_one_moment_write_events_of_their_own() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.submit(open(0, 1000));
    (1..=150).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    world.advance_ms(u64::try_from(HOLD_S).unwrap() * 1000 + 1000);
    rig.run();
    assert_eq!(held(&rig.stock()), 0, "more than one page");
    let codec = Codec::in_memory();
    let ids: Vec<_> = log.records(AT).iter().filter_map(|it| Some(codec.decode(&it.value).ok()?.0.event_id)).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert!(ids.len() > 300);
}

#[test]
fn an_open_send_wakes_nobody() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.submit(open(0, 10));
    rig.submit(reserve(1, 1));
    rig.run();
    assert_eq!(rig.owner.open_sends(), 1);
    world.advance_ms(5000);
    rig.run();
    assert_eq!(rig.owner.wake_at(rig.now()).unwrap(), rig.now().mono + Duration::from_secs(1));
    rig.owner.settled(rig.sends[0].at);
    assert!(rig.owner.wake_at(rig.now()).unwrap() <= rig.now().mono, "now there is something to say");
}

#[test]
fn who_waits_not_for_ever_is_told_so_behind_who_does() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::new(&world, &log, "one");
    rig.log.plan(AT, [Fault::LoseSilently]);
    rig.submit(look(1));
    let mut second = look(2);
    second.deadline = Some(rig.now().mono + Duration::from_secs(1));
    rig.submit(second);
    rig.run();
    world.advance_ms(1000);
    rig.run();
    assert!(!rig.serves());
    assert_eq!(rig.outcomes(), [(2, "too late")]);
    rig.run_for(GRACE);
    assert_eq!(rig.outcomes(), [(2, "too late"), (1, "nothing")]);
}

#[test]
fn a_send_that_is_answered_twice_settles_nothing_else() {
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "one");
    rig.submit(open(0, 10));
    (1..=2).for_each(|n| rig.submit(reserve(n, n)));
    rig.run();
    let first = rig.sends[0].at;
    rig.owner.settled(first);
    // In doubt and back: what was answered and not yet settled is sent again, and answered twice.
    rig.log.plan(AT, [Fault::Lose]);
    rig.submit(reserve(3, 3));
    rig.run_for(Duration::from_millis(200));
    assert_eq!(rig.terms, [1, 2]);
    assert_eq!(rig.sends.iter().filter(|send| send.at == first).count(), 2);
    rig.owner.settled(first);
    rig.owner.settled(first);
    rig.run_for(Duration::from_secs(2));
    let left: Vec<i64> = rig.owner.state().outbox.keys().copied().collect();
    assert_eq!(left, [rig.sends[1].at.0], "the other one is still under way");
}

#[test]
fn a_panic_stops_the_partition_and_answers_everybody() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::auto(Arc::new(wall)).unwrap());
    let begin = tokio::time::Instant::now();
    let surroundings = Surroundings {
        log,
        codec: Codec::in_memory(),
        clock: Arc::new(move || Now { wall: wall(), mono: begin.elapsed() }),
        new_claim: unique,
        outbox: Arc::new(|_, _| panic!("as the test wants")),
        vouch: vouch_always(),
        snapshots: None,
        begin: |_| (),
    };
    let (mailbox, thread) = start::<Inventory>(settings(), surroundings).unwrap();
    let ask = |submission: Submission<Inventory, u32>| {
        let (sender, outcome) = channel();
        let Submission { target, ask, by, id, hash, correlation_id, causation_id, trace, deadline, .. } = submission;
        let reply: Reply<Inventory> = Box::new(move |outcome| sender.send(short(&outcome)).unwrap());
        mailbox.submit(Submission { target, ask, by, id, hash, correlation_id, causation_id, trace, deadline, reply });
        outcome
    };
    assert_eq!(ask(open(0, 10)).recv_timeout(PATIENCE), Ok("done"));
    assert!(mailbox.status().serving);
    // Reserving causes something, and so the panic; it is in the log, and its caller was answered before.
    assert_eq!(ask(reserve(1, 1)).recv_timeout(PATIENCE), Ok("done"));
    assert_eq!(ask(reserve(2, 2)).recv_timeout(PATIENCE), Ok("broken"));
    let status = mailbox.status();
    assert!(!status.serving && status.broken.is_some_and(|why| why.contains("panicked")));
    mailbox.shut_down();
    thread.join().unwrap();
}
