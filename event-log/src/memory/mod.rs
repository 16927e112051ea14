//! The log in memory, for tests and simulation: it can be told what goes wrong, record by record.
//!
//! Invariant: while it is pumped by hand, nothing happens but what a test asks for, in the order it asks.

mod state;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::value::Timestamp;
use uuid::Uuid;

use crate::batch::Batch;
use crate::log::{Bounds, Follower, Following, Log, LogError, NewRecord, Partition, Record, Reports};
use state::{Follow, Lane, Queued, State, Writer};

/// How soon the thread of a log that runs by itself notices that it was dropped.
const NOTICE: Duration = Duration::from_millis(100);

/// Tells the time that records are stamped with.
pub type BrokerClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What happens to one appended record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it lands and is reported.
    None,
    /// It never lands, and an error is reported.
    Lose,
    /// It never lands, and nothing is reported.
    LoseSilently,
    /// It lands, and an error is reported.
    LoseAcknowledgement,
    /// It lands, and nothing is reported.
    LoseAcknowledgementSilently,
    /// It waits until [`MemoryLog::release`], while later ones land.
    Delay,
    /// It lands twice, and the first place is reported.
    Duplicate,
}

/// One writer's way to a log in memory. Clones are the same writer; [`MemoryLog::writer`] gives another one.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
    writer: u64,
}

struct Shared {
    clock: BrokerClock,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while reports and records are handed over, so that they keep their order.
    handing: Mutex<()>,
    writers: AtomicU64,
    followers: AtomicU64,
}

struct Stop(Arc<AtomicBool>);

impl Following for Stop {}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl MemoryLog {
    /// A log that does nothing until it is pumped.
    pub fn manual(clock: BrokerClock) -> Self {
        let shared = Shared {
            clock,
            state: Mutex::default(),
            changed: Condvar::new(),
            handing: Mutex::default(),
            writers: AtomicU64::new(1),
            followers: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), writer: 0 }
    }

    /// A log that is pumped by a thread of its own, until it is dropped.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn auto(clock: BrokerClock) -> std::io::Result<Self> {
        let log = Self::manual(clock);
        let weak = Arc::downgrade(&log.shared);
        let run = move || {
            while let Some(shared) = weak.upgrade() {
                let changed = {
                    let state = shared.lock();
                    let waited = shared.changed.wait_timeout_while(state, NOTICE, |state| !state.dirty);
                    waited.unwrap_or_else(PoisonError::into_inner).0.dirty
                };
                if changed {
                    Self { shared, writer: 0 }.pump();
                }
            }
        };
        std::thread::Builder::new().name("memory-log".to_owned()).spawn(run)?;
        Ok(log)
    }

    /// Another writer to the same log: its appends keep their own order, and have their own faults.
    #[must_use]
    pub fn writer(&self) -> Self {
        let writer = self.shared.writers.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared), writer }
    }

    /// What happens to the next records that this writer lands in a partition; nothing to those after them.
    pub fn plan(&self, at: Partition, faults: impl IntoIterator<Item = Fault>) {
        self.own(&mut self.lock(), at, |writer| writer.plan.extend(faults));
    }

    /// How many records of this writer wait to land there, delayed ones aside.
    pub fn waiting(&self, at: Partition) -> usize {
        self.own(&mut self.lock(), at, |writer| writer.queued.len())
    }

    /// Lets up to so many waiting records of this writer land, and tells how many there were.
    pub fn land(&self, at: Partition, records: usize) -> usize {
        let mut state = self.lock();
        for landed in 0..records {
            let next = self.own(&mut state, at, |writer| {
                let queued = writer.queued.pop_front()?;
                Some((queued, writer.plan.pop_front().unwrap_or(Fault::None)))
            });
            let Some((queued, fault)) = next else { return landed };
            self.land_one(&mut state, at, queued, fault);
        }
        records
    }

    /// Lets what was delayed land now, and tells how many there were.
    pub fn release(&self, at: Partition) -> usize {
        let mut state = self.lock();
        let delayed = self.own(&mut state, at, |writer| std::mem::take(&mut writer.delayed));
        let count = delayed.len();
        delayed.into_iter().for_each(|queued| self.land_one(&mut state, at, queued, Fault::None));
        self.touch(&mut state);
        count
    }

    /// Hands this writer's reports over, and tells how many records they are about.
    pub fn report(&self, at: Partition) -> usize {
        let _handing = self.shared.handing.lock().unwrap_or_else(PoisonError::into_inner);
        let reports = self.own(&mut self.lock(), at, |writer| std::mem::take(&mut writer.unreported));
        let count = reports.len();
        reports.into_iter().for_each(|(batch, index, result)| batch.report(index, result));
        count
    }

    /// Hands what is new in a partition over to the followers of this writer, and tells whether there was anything.
    pub fn deliver(&self, at: Partition) -> bool {
        let _handing = self.shared.handing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut anything = false;
        loop {
            let next = self.lock().next_followed(self.writer, at);
            let Some((follower, stopped, followed)) = next else {
                return anything;
            };
            if !stopped.load(Ordering::Acquire) {
                follower(followed);
            }
            anything = true;
        }
    }

    /// Does for every writer and partition all there is to do, delayed records aside.
    pub fn pump(&self) {
        loop {
            let places: Vec<(u64, Partition)> = {
                let mut state = self.lock();
                state.dirty = false;
                let following = state.followers.values().map(|following| (following.writer, following.at));
                let mut places: Vec<(u64, Partition)> = state.writers.keys().copied().chain(following).collect();
                places.sort_unstable();
                places.dedup();
                places
            };
            let mut anything = false;
            for (writer, at) in places {
                let one = Self { shared: Arc::clone(&self.shared), writer };
                anything |= one.land(at, usize::MAX) > 0;
                anything |= one.report(at) > 0;
                anything |= one.deliver(at);
            }
            if !anything {
                return;
            }
        }
    }

    /// Another writer's record lands at once, at this offset.
    pub fn foreign_append(&self, at: Partition, record: &NewRecord) -> i64 {
        let mut state = self.lock();
        let now = (self.shared.clock)();
        self.touch(&mut state);
        state.lanes.entry(at).or_default().push(record, now)
    }

    /// Everything that lies in a partition.
    pub fn records(&self, at: Partition) -> Vec<Record> {
        self.lock().lanes.get(&at).map(|lane| lane.records.iter().cloned().collect()).unwrap_or_default()
    }

    /// The log forgets everything from an offset on, as after an unclean election.
    pub fn truncate(&self, at: Partition, end: i64) {
        let mut state = self.lock();
        state.lanes.entry(at).or_default().records.retain(|record| record.offset < end);
        self.touch(&mut state);
    }

    /// The log forgets everything below an offset, as with a retention.
    pub fn forget_below(&self, at: Partition, start: i64) {
        let mut state = self.lock();
        let lane = state.lanes.entry(at).or_default();
        lane.records.retain(|record| record.offset >= start);
        lane.start = start.max(lane.start);
        self.touch(&mut state);
    }

    /// The partition is deleted and made anew, empty.
    pub fn recreate(&self, at: Partition) {
        let mut state = self.lock();
        state.lanes.insert(at, Lane::default());
        self.touch(&mut state);
    }

    fn land_one(&self, state: &mut State, at: Partition, queued: Queued, fault: Fault) {
        if fault == Fault::Delay {
            return self.own(state, at, |writer| writer.delayed.push_back(queued));
        }
        let Queued { record, batch, index } = queued;
        let now = (self.shared.clock)();
        let lane = state.lanes.entry(at).or_default();
        let mut lands = || lane.push(&record, now);
        let error = || Some(Err("told to fail".to_owned()));
        let result = match fault {
            Fault::None => Some(Ok(lands())),
            Fault::Lose => error(),
            Fault::LoseSilently => None,
            Fault::LoseAcknowledgement => {
                lands();
                error()
            }
            Fault::LoseAcknowledgementSilently => {
                lands();
                None
            }
            Fault::Duplicate => {
                let first = lands();
                lands();
                Some(Ok(first))
            }
            Fault::Delay => unreachable!("it waits"),
        };
        if let Some(result) = result {
            self.own(state, at, |writer| writer.unreported.push_back((batch, index, result)));
        }
    }

    fn own<T>(&self, state: &mut State, at: Partition, ask: impl FnOnce(&mut Writer) -> T) -> T {
        ask(state.writers.entry((self.writer, at)).or_default())
    }

    fn touch(&self, state: &mut State) {
        state.dirty = true;
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for MemoryLog {
    fn append(&self, to: Partition, claim: Uuid, first_seq: u64, records: Vec<NewRecord>, reports: Reports) {
        let batch = Arc::new(Batch::new(claim, first_seq, records.len(), reports));
        let queued = records.into_iter().enumerate();
        let queued = queued.map(|(index, record)| Queued { record, batch: Arc::clone(&batch), index });
        let mut state = self.lock();
        self.own(&mut state, to, |writer| writer.queued.extend(queued));
        self.touch(&mut state);
    }

    fn follow(&self, at: Partition, from: i64, follower: Follower) -> Box<dyn Following> {
        let stopped = Arc::new(AtomicBool::new(false));
        let following =
            Follow { writer: self.writer, at, next: from, ended: None, stopped: Arc::clone(&stopped), follower };
        let id = self.shared.followers.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.followers.insert(id, following);
        self.touch(&mut state);
        Box::new(Stop(stopped))
    }

    fn bounds(&self, at: Partition) -> Result<Bounds, LogError> {
        let mut state = self.lock();
        let lane = state.lanes.entry(at).or_default();
        Ok(Bounds { start: lane.start, end: lane.end() })
    }

    fn record(&self, at: Partition, offset: i64) -> Result<Option<Record>, LogError> {
        let state = self.lock();
        let lane = state.lanes.get(&at);
        Ok(lane.and_then(|lane| lane.records.iter().find(|record| record.offset == offset)).cloned())
    }
}
