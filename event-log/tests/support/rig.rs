//! An owner on a log in memory, driven by hand; time passes only when a test says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::inventory::Inventory;
use domain::root::Root;
use domain::value::Timestamp;
use event_log::log::{Delivered, Followed, Following, Log, Partition};
use event_log::memory::MemoryLog;
use event_log::owner::{Now, Outcome, Output, Owner, Phase, Send, Settings, Submission};
use event_log::state::{Entry, State};
use event_log::validity::{Broken, Void};
use schemas::Codec;
use uuid::Uuid;

use super::AT;
use super::stock::SHOW;

/// When every test begins: before serial numbers keep up with the clock, so that they count from the first.
pub const BEGIN: Timestamp = Timestamp(1_700_000_000_000_000);
pub const GRACE: Duration = Duration::from_secs(60);
pub const ACK_DEADLINE: Duration = Duration::from_secs(5);

/// The time that all share.
#[derive(Clone)]
pub struct World(Arc<Mutex<Now>>);

impl World {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Now { wall: BEGIN, mono: Duration::from_secs(1000) })))
    }

    pub fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }

    pub fn advance_ms(&self, ms: u64) {
        let mut now = self.0.lock().unwrap();
        now.mono += Duration::from_millis(ms);
        now.wall.0 += i64::try_from(ms).unwrap() * 1000;
    }

    pub fn log(&self) -> MemoryLog {
        let world = self.clone();
        MemoryLog::manual(Arc::new(move || world.now().wall))
    }
}

enum Input {
    Delivered(Vec<Delivered>),
    Followed(u64, Followed),
    Vouched(bool),
}

/// What somebody was told.
#[derive(Debug)]
pub struct Told<A: Root = Inventory> {
    pub n: u32,
    pub outcome: Outcome<A>,
}

/// An owner and all that came out of it.
pub struct Rig<A: Root = Inventory> {
    pub at: Partition,
    pub log: MemoryLog,
    pub owner: Owner<A, u32>,
    pub world: World,
    /// How far its own clock is ahead of the broker's, microseconds.
    pub skew: i64,
    pub told: Vec<Told<A>>,
    pub sends: Vec<Send>,
    pub doubts: Vec<String>,
    pub voids: Vec<Void>,
    pub broken: Option<Broken>,
    pub terms: Vec<u32>,
    /// What it is told when it asks whether the partition is still meant to be its own; nothing if none.
    pub vouched: Option<bool>,
    /// How often it asked.
    pub asked: u32,
    inputs: Arc<Mutex<VecDeque<Input>>>,
    generation: u64,
    following: Option<Box<dyn Following>>,
}

pub fn settings() -> Settings {
    Settings {
        partition: AT,
        partitions: 4,
        instance: "test".to_owned(),
        url: "http://127.0.0.1".to_owned(),
        ack_deadline: ACK_DEADLINE,
        barrier_after: Duration::from_millis(20),
        takeover_grace: GRACE,
        in_flight: 500,
        mailbox: 1000,
        settle_every: Duration::from_secs(1),
        clock_tolerance: Duration::from_secs(2),
    }
}

impl Rig {
    /// An owner with a writer of its own, that has not read anything yet. The seed names its claims.
    pub fn new(world: &World, log: &MemoryLog, seed: &str) -> Self {
        Self::with(world, log, seed, settings(), State::default())
    }

    /// An owner that serves already.
    pub fn serving(world: &World, log: &MemoryLog, seed: &str) -> Self {
        let mut rig = Self::new(world, log, seed);
        rig.run();
        assert!(rig.serves(), "{:?}", rig.owner.phase());
        rig
    }

    /// The stock as acknowledged.
    pub fn stock(&self) -> Inventory {
        self.entry().map(|entry| entry.state).unwrap_or_default()
    }

    pub fn entry(&self) -> Option<Entry<Inventory>> {
        self.owner.state().get(SHOW).cloned()
    }
}

impl<A: Root> Rig<A> {
    pub fn with(world: &World, log: &MemoryLog, seed: &str, settings: Settings, state: State<A>) -> Self {
        Self::reading(Codec::in_memory(), world, log, seed, settings, state)
    }

    pub fn reading(
        codec: Codec,
        world: &World,
        log: &MemoryLog,
        seed: &str,
        settings: Settings,
        state: State<A>,
    ) -> Self {
        let seed = Uuid::new_v5(&Uuid::nil(), seed.as_bytes());
        let mut claims = 0_u32;
        let new_claim = Box::new(move || {
            claims += 1;
            Uuid::new_v5(&seed, &claims.to_be_bytes())
        });
        let at = settings.partition;
        let (owner, outputs) = Owner::new(settings, codec, state, new_claim);
        let mut rig = Self {
            at,
            log: log.writer(),
            owner,
            world: world.clone(),
            skew: 0,
            told: Vec::new(),
            sends: Vec::new(),
            doubts: Vec::new(),
            voids: Vec::new(),
            broken: None,
            terms: Vec::new(),
            vouched: Some(true),
            asked: 0,
            inputs: Arc::default(),
            generation: 0,
            following: None,
        };
        rig.perform(outputs);
        rig
    }

    pub fn now(&self) -> Now {
        let now = self.world.now();
        Now { wall: Timestamp(now.wall.0 + self.skew), ..now }
    }

    pub fn serves(&self) -> bool {
        self.owner.phase() == Phase::Serving
    }

    pub fn submit(&mut self, submission: Submission<A, u32>) {
        assert!(self.owner.submit(submission).is_ok(), "the mailbox is full");
    }

    /// Lets the owner do what it can, and appends wait to land.
    pub fn step(&mut self) {
        let outputs = self.owner.step(self.now());
        self.perform(outputs);
    }

    /// Hands the owner what has come for it, and tells whether there was anything.
    pub fn take(&mut self) -> bool {
        let mut anything = false;
        loop {
            let Some(input) = self.inputs.lock().unwrap().pop_front() else {
                return anything;
            };
            anything = true;
            let now = self.now();
            let outputs = match input {
                Input::Delivered(reports) => self.owner.delivered(reports, now),
                Input::Followed(generation, _) if generation != self.generation => Vec::new(),
                Input::Followed(_, Followed::Records(records)) => {
                    records.into_iter().flat_map(|record| self.owner.read(record, now)).collect()
                }
                Input::Followed(_, Followed::End(end)) => self.owner.reached_end(end, now),
                Input::Followed(_, Followed::Lost { start, end }) => self.owner.lost(start, end),
                Input::Vouched(vouched) => self.owner.vouched(vouched, now),
            };
            self.perform(outputs);
        }
    }

    /// Everything of its own lands, is reported and is read, until nothing moves without time.
    pub fn run(&mut self) {
        loop {
            self.step();
            let landed = self.log.land(self.at, usize::MAX);
            let reported = self.log.report(self.at);
            let delivered = self.log.deliver(self.at);
            if !self.take() && landed + reported == 0 && !delivered {
                return;
            }
        }
    }

    /// Time passes in small steps, and everything happens in it.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.world.now().mono + time;
        while self.world.now().mono < until {
            self.run();
            self.world.advance_ms(50);
        }
        self.run();
    }

    /// Who was told what, in short.
    pub fn outcomes(&self) -> Vec<(u32, &'static str)> {
        self.told.iter().map(|told| (told.n, short(&told.outcome))).collect()
    }

    fn perform(&mut self, outputs: Vec<Output<A, u32>>) {
        for output in outputs {
            match output {
                Output::Follow(from) => self.follow(from),
                Output::Unfollow => {
                    self.generation += 1;
                    self.following = None;
                }
                Output::Vouch => {
                    self.asked += 1;
                    self.inputs.lock().unwrap().extend(self.vouched.map(Input::Vouched));
                }
                Output::Append { claim, first_seq, records } => {
                    let inputs = Arc::clone(&self.inputs);
                    let reports = Arc::new(move |reports| inputs.lock().unwrap().push_back(Input::Delivered(reports)));
                    self.log.append(self.at, claim, first_seq, records, reports);
                }
                Output::Answer(n, outcome) => self.told.push(Told { n, outcome }),
                Output::Send(send) => self.sends.push(send),
                Output::Serving { term } => self.terms.push(term),
                Output::Doubt { reason, .. } => self.doubts.push(reason),
                Output::Void(void) => self.voids.push(void),
                Output::Broken(broken) => self.broken = Some(broken),
            }
        }
    }

    fn follow(&mut self, from: i64) {
        self.generation += 1;
        let generation = self.generation;
        let inputs = Arc::clone(&self.inputs);
        let follower =
            Arc::new(move |followed| inputs.lock().unwrap().push_back(Input::Followed(generation, followed)));
        self.following = Some(self.log.follow(self.at, from, follower));
    }
}

/// The name of an outcome.
pub fn short<A: Root>(outcome: &Outcome<A>) -> &'static str {
    match outcome {
        Outcome::Done(answer) if answer.replayed => "replayed",
        Outcome::Done(answer) if answer.written == 0 => "nothing",
        Outcome::Done(_) => "done",
        Outcome::Refused(_) => "refused",
        Outcome::NoSuchSerial => "no such serial",
        Outcome::KeyReused => "key reused",
        Outcome::TooLarge => "too large",
        Outcome::TooLate => "too late",
        Outcome::Overloaded => "overloaded",
        Outcome::NotServed => "not served",
        Outcome::InDoubt => "in doubt",
        Outcome::Broken => "broken",
    }
}
