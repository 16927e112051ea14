//! Everything there is in one history: clocks, log, processes, network, provider, clients, and the oracle beside them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::breakage;
use domain::root::Context;
use domain::value::Timestamp;
use event_log::log::{Followed, Follower, Following, Log, Partition, Record};
use event_log::memory::{Fault, MemoryLog};
use event_log::owner::{Now, Settings};
use schemas::Codec;

use crate::clients::Clients;
use crate::dice::Dice;
use crate::oracle::Lane;
use crate::outbox::Pending;
use crate::part::Said;
use crate::plan::Knobs;
use crate::provider::Provider;
use crate::readers::Readers;
use crate::seats::Seat;
use crate::seen::Seen;
use crate::wire::{Ask, Wire};

/// When every history begins.
pub const BEGIN: i64 = 1_800_000_000_000_000;
/// All of it happens in the only partition there is.
pub const PARTITIONS: u32 = 1;
/// One microsecond a unit.
pub const SECOND: u64 = 1_000_000;
/// An owner that has taken over ends nothing for so long.
pub const GRACE: Duration = Duration::from_secs(20);
/// How far an owner's clock may be off.
pub const TOLERANCE: Duration = Duration::from_secs(2);

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What has to hold.
    pub law: &'static str,
    /// What broke it.
    pub detail: String,
}

/// A process with its owners.
pub struct Process {
    /// One for each context, while it owns the partition.
    pub seats: [Option<Seat>; 6],
    /// Its way to the log.
    pub writer: MemoryLog,
    /// What the next records of each context are to meet.
    pub planned: [VecDeque<Fault>; 6],
    /// Counts its starts: what was for an earlier one is for nobody.
    pub life: u32,
    /// How far its wall clock is ahead, microseconds.
    pub skew: i64,
    /// Until when it is not running.
    pub down_until: Option<u64>,
    /// Until when it is asleep.
    pub asleep_until: Option<u64>,
    /// What it had under way waits while it sleeps.
    pub held: bool,
    /// Whether it believes the partition is its own.
    pub assigned: bool,
    /// Whether the group, too, would tell it so, whatever is true.
    pub vouched_anyway: bool,
    /// What its owners want done, and is not done.
    pub pending: BTreeMap<u64, Pending>,
}

/// What a dead process had under way.
pub struct Ghost {
    pub writer: MemoryLog,
    pub queued: [usize; 6],
}

/// Whom the group has assigned the partition.
#[derive(Debug, Default)]
pub struct Group {
    pub assigned: Option<usize>,
    /// When it notices that the owner is gone.
    pub notices_at: Option<u64>,
}

/// One history.
pub struct World {
    pub knobs: Knobs,
    pub codec: Codec,
    /// Microseconds since the beginning.
    pub now: u64,
    broker: Arc<AtomicI64>,
    pub log: MemoryLog,
    /// Changes whenever something may have landed in a partition.
    pub landed: [u64; 6],
    /// What of that the oracle has read.
    oracle_read: [u64; 6],
    pub processes: Vec<Process>,
    pub ghosts: Vec<Ghost>,
    pub group: Group,
    /// Who last began to serve each context.
    pub hints: [usize; 6],
    pub wire: Wire,
    pub asks: Vec<Ask>,
    /// Said by owners, and not told yet.
    pub answers: Vec<(usize, u32, Said)>,
    pub clients: Clients,
    pub provider: Provider,
    /// Snapshots of each context, in the order they were written.
    pub shelf: [Vec<Arc<[u8]>>; 6],
    /// Which of them are of another log.
    pub foreign: [Vec<usize>; 6],
    pub lanes: Vec<Lane>,
    _read_along: Vec<Box<dyn Following>>,
    to_read: ToRead,
    /// The highest offset of each context that any answer so far rests on.
    pub known: [i64; 6],
    /// What was done, by context, offset of the cause, and position.
    pub done: BTreeSet<(usize, i64, usize)>,
    pub readers: Readers,
    pub seen: Seen,
    pub dice: Dice,
    pub counter: u64,
    /// Nothing goes wrong any more.
    pub healed: bool,
    pub wrong: Option<Wrong>,
}

/// What the log handed over and nobody has read, by context.
type ToRead = Arc<Mutex<Vec<(usize, Vec<Record>)>>>;

/// The partition of a context.
pub fn place(context: usize) -> Partition {
    Partition { context: Context::ALL[context], number: 0 }
}

/// The number of a context.
pub fn number(context: Context) -> usize {
    Context::ALL.iter().position(|it| *it == context).expect("all of them are in the list")
}

impl World {
    /// Some processes, of which the first is assigned the partition, and nothing in the log.
    pub fn new(knobs: Knobs, codec: &Codec, seed: u64) -> Self {
        let broker = Arc::new(AtomicI64::new(BEGIN));
        let clock = Arc::clone(&broker);
        let log = MemoryLog::manual(Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))));
        let to_read = ToRead::default();
        let follow = |context: usize| {
            let into = Arc::clone(&to_read);
            let follower: Follower = Arc::new(move |followed| {
                if let Followed::Records(records) = followed {
                    into.lock().expect("nobody panics with it").push((context, records));
                }
            });
            log.follow(place(context), 0, follower)
        };
        let read_along = (0..6).map(follow).collect();
        let process = |_| Process {
            seats: Default::default(),
            writer: log.writer(),
            planned: Default::default(),
            life: 0,
            skew: 0,
            down_until: None,
            asleep_until: None,
            held: false,
            assigned: false,
            vouched_anyway: false,
            pending: BTreeMap::new(),
        };
        let processes: Vec<Process> = (0..knobs.processes).map(process).collect();
        let mut world = Self {
            readers: Readers::new(&knobs, codec),
            clients: Clients::new(seed),
            knobs,
            codec: codec.clone(),
            now: 0,
            broker,
            log,
            landed: [0; 6],
            oracle_read: [0; 6],
            processes,
            ghosts: Vec::new(),
            group: Group { assigned: Some(0), notices_at: None },
            hints: [0; 6],
            wire: Wire::default(),
            asks: Vec::new(),
            answers: Vec::new(),
            provider: Provider::default(),
            shelf: Default::default(),
            foreign: Default::default(),
            lanes: Context::ALL.into_iter().map(Lane::new).collect(),
            _read_along: read_along,
            to_read,
            known: [-1; 6],
            done: BTreeSet::new(),
            seen: Seen::default(),
            dice: Dice::new(seed),
            counter: 0,
            healed: false,
            wrong: None,
        };
        world.begin_to_own(0);
        world
    }

    /// What a process's clocks say.
    pub fn clocks(&self, process: usize) -> Now {
        let wall = Timestamp(self.true_time().0 + self.processes[process].skew);
        Now { wall, mono: Duration::from_secs(1000) + Duration::from_micros(self.now) }
    }

    /// What the broker's clock says.
    pub fn true_time(&self) -> Timestamp {
        Timestamp(BEGIN + i64::try_from(self.now).expect("histories are short"))
    }

    /// Time passes.
    pub fn pass_to(&mut self, now: u64) {
        self.now = now.max(self.now);
        self.broker.store(self.true_time().0, Ordering::Relaxed);
    }

    /// Accidents from here on follow from the seed and this number alone.
    pub fn reseed(&mut self, seed: u64, step: usize) {
        self.dice = Dice::new(seed.wrapping_mul(0x9e37_79b9) ^ (step as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
    }

    /// The counts of this history.
    pub fn tally(&mut self) -> Seen {
        let mut seen = std::mem::take(&mut self.seen);
        seen.histories = 1;
        seen.commands = self.clients.sent;
        seen.fewest_commands = self.clients.sent;
        seen.events = self.lanes.iter().map(|lane| lane.events).sum();
        seen.records = self.lanes.iter().map(|lane| lane.next.unsigned_abs()).sum();
        seen
    }

    /// What the log has of whatever is named by its id.
    pub fn story(&self, detail: &str) -> Vec<String> {
        let words = detail.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
        let named: BTreeSet<&str> = words.filter(|word| word.len() == 36).take(4).collect();
        let mut told = Vec::new();
        for (lane, line) in self.lanes.iter().flat_map(|lane| lane.log.iter().map(move |line| (lane, line))) {
            let text = format!("{:?}", line.event);
            if named.iter().any(|id| text.contains(id)) {
                let (at, offset) = (line.meta.occurred_at, line.offset);
                told.push((at, format!("{:>12} {}:{offset} {text}", at.0 - BEGIN, lane.context.topic())));
            }
        }
        told.sort();
        told.into_iter().map(|(_, line)| line.chars().take(400).collect()).take(60).collect()
    }

    /// Sums up every byte of every log (FNV-1a).
    pub fn digest(&self) -> u64 {
        let records = (0..6).flat_map(|context| self.log.records(place(context)));
        let bytes = records.flat_map(|record| [record.key, record.header, record.value]);
        bytes.fold(0xcbf2_9ce4_8422_2325, |sum, bytes| {
            bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
        })
    }

    /// A number that was not used before.
    pub fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Notes the first thing that went wrong.
    pub fn fail(&mut self, law: &'static str, detail: impl Into<String>) {
        if self.wrong.is_none() {
            self.wrong = Some(Wrong { law, detail: detail.into() });
        }
    }

    /// Whether a process can do something now.
    pub fn is_up(&self, process: usize) -> bool {
        let process = &self.processes[process];
        process.down_until.is_none() && process.asleep_until.is_none()
    }

    /// The settings of an owner.
    pub fn settings(&self, process: usize, context: usize) -> Settings {
        Settings {
            partition: place(context),
            partitions: PARTITIONS,
            instance: format!("p{process}"),
            url: String::new(),
            ack_deadline: Duration::from_secs(5),
            barrier_after: Duration::from_millis(20),
            takeover_grace: GRACE,
            in_flight: self.knobs.in_flight,
            mailbox: self.knobs.mailbox,
            settle_every: Duration::from_secs(1),
            clock_tolerance: TOLERANCE,
        }
    }

    /// The oracle reads what has landed since.
    pub fn read_along(&mut self, context: usize) {
        if self.oracle_read[context] == self.landed[context] {
            return;
        }
        self.oracle_read[context] = self.landed[context];
        self.log.deliver(place(context));
        let read = std::mem::take(&mut *self.to_read.lock().expect("nobody panics with it"));
        let grace = i64::try_from((GRACE - TOLERANCE).as_micros()).expect("a short time");
        // Whatever is broken on purpose, the oracle is not.
        breakage::with(None, || {
            for (context, records) in read {
                for record in records {
                    self.lanes[context].read(&record, &self.codec, grace);
                }
            }
        });
        let wrong = self.lanes[context].wrong.first().cloned();
        if let Some(detail) = wrong {
            self.fail("the log is one unbroken history", detail);
        }
    }

    /// The oracle reads everything.
    pub fn read_all_along(&mut self) {
        (0..6).for_each(|context| self.read_along(context));
    }
}
