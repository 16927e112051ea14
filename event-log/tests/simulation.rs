//! Two owners of one partition, any faults, any order of events: what is answered is true, and nothing happens twice.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};

use domain::inventory::{Inventory, Refusal};
use domain::root::Root;
use event_log::log::Log;
use event_log::memory::{Fault, MemoryLog};
use event_log::owner::{Outcome, Submission};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::AT;
use crate::support::image::{Image, image};
use crate::support::oracle::{self, Counted};
use crate::support::rig::{Rig, Told, World, settings, short};
use crate::support::stock::{capacity, command_id, look, open, reserve};

/// Cases for every run of the test; each is about a hundred steps.
const CASES: u32 = 400;

#[derive(Debug, Clone)]
enum Step {
    /// Takes what came, and does what it can.
    Turn,
    /// Everything goes well for a moment.
    Flow,
    Land(usize),
    Report,
    Deliver,
    Submit(u32),
    Settle,
    Fault(Fault),
    Release,
    Wait(u64),
    /// Whether the group thinks that it is an owner: it may think so of both, and of nobody.
    Vouch(Option<bool>),
    /// What is acknowledged here is written down.
    Snapshot,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::None),
        Just(Fault::Lose),
        Just(Fault::LoseSilently),
        Just(Fault::LoseAcknowledgement),
        Just(Fault::LoseAcknowledgementSilently),
        Just(Fault::Delay),
        Just(Fault::Duplicate),
    ];
    prop_oneof![
        24 => Just(Step::Turn),
        16 => Just(Step::Flow),
        12 => (1..5_usize).prop_map(Step::Land),
        12 => Just(Step::Report),
        12 => Just(Step::Deliver),
        24 => (1..40_u32).prop_map(Step::Submit),
        3 => Just(Step::Settle),
        3 => fault.prop_map(Step::Fault),
        2 => Just(Step::Release),
        6 => prop_oneof![4 => Just(20), 2 => Just(300), 1 => Just(1500), 1 => Just(5000)].prop_map(Step::Wait),
        2 => prop_oneof![3 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)].prop_map(Step::Vouch),
        2 => Just(Step::Snapshot),
        1 => Just(Step::Crash),
    ]
}

/// The same number is always the same command.
fn command(n: u32) -> Submission<Inventory, u32> {
    match n % 5 {
        0 => look(n),
        // Up and down, so that a command that took effect twice, or a stale refusal, would show.
        1 => capacity(n, i64::from(n % 4) + 2),
        _ => reserve(n, n),
    }
}

/// What was told to whom, with what is needed to judge it.
struct Heard {
    told: Told,
    /// The highest offset that any answer given before the command was submitted rests on.
    known: i64,
    /// The log's end when the answer was given.
    end: i64,
}

struct Simulation {
    world: World,
    log: MemoryLog,
    rigs: [Rig; 2],
    submitted: [HashMap<u32, VecDeque<i64>>; 2],
    heard: Vec<Heard>,
    sent: Vec<i64>,
    known: i64,
    crashes: u32,
    /// What was written down, by whomever.
    snapshots: Vec<Image>,
    seen: BTreeMap<String, u32>,
}

impl Simulation {
    fn new() -> Self {
        let world = World::new();
        let log = world.log();
        let mut one = Rig::serving(&world, &log, "one");
        one.submit(open(0, 4));
        one.run();
        assert_eq!(one.told.len(), 1);
        one.told.clear();
        let two = Rig::new(&world, &log, "two");
        Self {
            world,
            log,
            rigs: [one, two],
            submitted: Default::default(),
            heard: Vec::new(),
            sent: Vec::new(),
            known: 1,
            crashes: 0,
            snapshots: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    fn take(&mut self, who: usize, step: &Step) {
        let rig = &mut self.rigs[who];
        match step {
            Step::Turn => {
                rig.take();
                rig.step();
            }
            Step::Flow => {
                rig.run();
                self.world.advance_ms(20);
                rig.run();
            }
            Step::Land(records) => {
                rig.log.land(AT, *records);
            }
            Step::Report => {
                rig.log.report(AT);
            }
            Step::Deliver => {
                rig.log.deliver(AT);
            }
            Step::Submit(n) => {
                rig.submit(command(*n));
                self.submitted[who].entry(*n).or_default().push_back(self.known);
            }
            Step::Settle => {
                let sends = std::mem::take(&mut rig.sends);
                sends.iter().for_each(|send| rig.owner.settled(send.at));
                self.sent.extend(sends.iter().map(|send| send.at.0));
            }
            Step::Fault(fault) => rig.log.plan(AT, [*fault]),
            Step::Release => {
                rig.log.release(AT);
            }
            Step::Wait(ms) => self.world.advance_ms(*ms),
            Step::Vouch(vouched) => rig.vouched = *vouched,
            Step::Snapshot => self.snapshots.push(image(rig.owner.state())),
            Step::Crash => self.crash(who),
        }
        self.hear(who);
    }

    /// The process is gone. What it had on its way may still land later. The next one begins with what was written down.
    fn crash(&mut self, who: usize) {
        self.crashes += 1;
        let state = self.snapshots.last().map(Image::restore).unwrap_or_default();
        let new = Rig::with(&self.world, &self.log, &format!("new-{}", self.crashes), settings(), state);
        let old = std::mem::replace(&mut self.rigs[who], new);
        old.log.land(AT, 1);
        self.sent.extend(old.sends.iter().map(|send| send.at.0));
        self.submitted[who].clear();
        self.count(&old);
    }

    fn hear(&mut self, who: usize) {
        let end = self.log.bounds(AT).unwrap().end;
        for told in std::mem::take(&mut self.rigs[who].told) {
            let known = self.submitted[who].get_mut(&told.n).and_then(VecDeque::pop_front).expect("it was submitted");
            if let Outcome::Done(answer) = &told.outcome {
                self.known = self.known.max(answer.offset);
            }
            *self.seen.entry(short(&told.outcome).to_owned()).or_default() += 1;
            self.heard.push(Heard { told, known, end });
        }
    }

    fn count(&mut self, rig: &Rig) {
        assert_eq!(rig.broken, None, "no fault here breaks a log");
        *self.seen.entry("doubt".to_owned()).or_default() += u32::try_from(rig.doubts.len()).unwrap();
        *self.seen.entry("take-over".to_owned()).or_default() += u32::try_from(rig.terms.len()).unwrap();
        for void in &rig.voids {
            *self.seen.entry(format!("{void:?}")).or_default() += 1;
        }
    }

    /// Everything that is under way lands, a new owner takes over, and the whole log is judged.
    fn judge(mut self) -> BTreeMap<String, u32> {
        for rig in &self.rigs {
            rig.log.land(AT, usize::MAX);
            rig.log.release(AT);
        }
        for who in [0, 1] {
            self.crash(who);
        }
        let last = Rig::serving(&self.world, &self.log, "last");
        self.count(&last);
        let counted = oracle::counted(&self.log.records(AT));
        self.snapshots_lead_to(&last);
        assert_eq!(last.stock(), oracle::stock(&counted, i64::MAX), "another reader folds the log to another state");
        let mut ids: Vec<_> = counted.iter().map(|command| command.command).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|two| two[0] != two[1]), "a command took effect twice");
        self.heard.iter().for_each(|heard| heard.judge(&counted));
        for at in &self.sent {
            let caused = |it: &Counted| (it.offset + 1 - it.events.len() as i64..=it.offset).contains(at);
            assert!(counted.iter().any(caused), "offset {at} does not count, but something was sent for it");
        }
        self.seen
    }
}

impl Simulation {
    /// Whatever was written down at any moment by anybody leads to the same state as the whole log.
    fn snapshots_lead_to(&mut self, last: &Rig) {
        let whole = image(last.owner.state());
        *self.seen.entry("snapshot".to_owned()).or_default() += u32::try_from(self.snapshots.len()).unwrap();
        for taken in &self.snapshots {
            assert_eq!(image(&taken.restore()), *taken, "what is restored is what was written");
            let mut reader = Rig::with(&self.world, &self.log, "reader", settings(), taken.restore());
            reader.vouched = None;
            reader.log.deliver(AT);
            reader.take();
            assert_eq!(image(reader.owner.state()), whole);
        }
    }
}

impl Heard {
    fn judge(&self, counted: &[Counted]) {
        let n = self.told.n;
        match &self.told.outcome {
            Outcome::Done(answer) => {
                let within: Vec<&Counted> = counted.iter().take_while(|it| it.offset <= answer.offset).collect();
                let events: usize = within.iter().map(|it| it.events.len()).sum();
                let Submission { ask, by, .. } = command(n);
                let stock = oracle::stock(counted, answer.offset).relevant(&Inventory::about(&ask, &by));
                assert_eq!(answer.state, stock, "command {n} was told another state");
                assert_eq!(answer.version, events as u64);
                assert!(answer.offset >= self.known, "command {n} was told a state older than what was known");
                assert!(answer.offset < self.end, "command {n} was told what is not in the log");
                let took_effect = within.iter().any(|it| it.command == command_id(n).0);
                assert_eq!(took_effect, answer.written > 0 || answer.replayed, "command {n}");
            }
            Outcome::Refused(Refusal::SoldOut { .. }) => self.sometime(counted, |stock| free(stock) < 1),
            Outcome::Refused(Refusal::BelowCommitted { committed }) => {
                self.sometime(counted, |stock| stock.classes().any(|class| class.committed() == *committed));
            }
            Outcome::InDoubt | Outcome::TooLate => {}
            other => panic!("command {n} was told {other:?}"),
        }
    }

    /// It was so at some moment between the submission and the answer.
    fn sometime(&self, counted: &[Counted], so: impl Fn(&Inventory) -> bool) {
        let was = (self.known..self.end).any(|offset| so(&oracle::stock(counted, offset)));
        assert!(was, "command {} was refused for what was not so any more: {:?}", self.told.n, self.told.outcome);
    }
}

fn free(stock: &Inventory) -> i64 {
    stock.classes().map(|class| class.terms.capacity - class.committed()).sum()
}

#[test]
fn whatever_happens_what_is_answered_is_true() {
    let seen: RefCell<BTreeMap<String, u32>> = RefCell::default();
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec((0..2_usize, step()), 50..200);
    let result = runner.run(&steps, |steps| {
        let mut simulation = Simulation::new();
        steps.iter().for_each(|(who, step)| simulation.take(*who, step));
        for (what, times) in simulation.judge() {
            *seen.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    eprintln!("{seen:?}");
    for what in [
        "done",
        "replayed",
        "refused",
        "nothing",
        "in doubt",
        "doubt",
        "take-over",
        "OldTerm",
        "Duplicate",
        "AfterHole",
        "snapshot",
    ] {
        assert!(seen.get(what).copied() >= Some(CASES / 20), "{what} hardly ever happened: {seen:?}");
    }
}
