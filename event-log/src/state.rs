//! The state of one partition: what its valid records fold to. Cloned in O(1), so that every batch has its own root.

mod stored;
mod traces;

use std::sync::Arc;

use domain::breakage::{Breakage, broken};
use domain::ids::CommandId;
use domain::root::{Meta, Root};
use domain::saga::{self, Outgoing};
use domain::value::{Fingerprint, Timestamp};
use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::Traced;
use crate::validity::Position;
use traces::Traces;

/// For how long a command's id is remembered, at most.
pub const REMEMBER_S: i64 = 24 * 3600;
/// Serial numbers begin here: providers use small ones in samples (PayOS 123), which must never look like ours.
const FIRST_SERIAL: u64 = 1000;
/// 2026-01-01T00:00:00Z: with 1024 partitions numbers stay below 2^53, the largest that PayOS takes, for 270 years.
const SERIALS_SINCE_US: i64 = 1_767_225_600_000_000;
/// How many commands are remembered, at most.
pub const REMEMBER: usize = 1_000_000;

/// An aggregate and how many events made it.
#[derive(Debug, Clone)]
pub struct Entry<A> {
    /// The aggregate.
    pub state: A,
    /// Its version: 0 before the first event.
    pub version: u64,
}

/// A command that has been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// HMAC of its body.
    pub hash: Fingerprint,
    /// What it was for.
    pub aggregate: Uuid,
}

/// What an event makes others do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Caused {
    /// The event.
    pub event_id: Uuid,
    /// The request that it all started with.
    pub correlation_id: Uuid,
    /// What has to be done.
    pub outgoing: Vec<Outgoing>,
}

/// The fold of one partition's valid records.
#[derive(Debug, Clone)]
pub struct State<A: Root> {
    /// After the last record folded.
    pub position: Position,
    /// The time of the last event; the next is not before it.
    pub last: Timestamp,
    /// The outbox: offset of the cause → what has to be done and is not settled.
    pub outbox: OrdMap<i64, Arc<Caused>>,
    /// What ends something in time, earliest first.
    pub timers: OrdSet<(Timestamp, Uuid)>,
    /// What goes on with something in time, earliest first.
    pub rounds: OrdSet<(Timestamp, Uuid)>,
    /// What something outside has to be asked about.
    pub watched: OrdSet<Uuid>,
    aggregates: OrdMap<Uuid, Arc<Entry<A>>>,
    repeats: OrdMap<CommandId, Repeat>,
    repeats_by_age: Vector<(Timestamp, CommandId)>,
    /// How many serial numbers were used up.
    serials: u64,
    by_serial: OrdMap<u64, Uuid>,
    /// None before the first recorded trace.
    traces: Option<Arc<Traces>>,
}

/// When an aggregate wants to be woken, and whether something outside is asked about it.
#[derive(Debug, Clone, Copy, Default)]
struct Wakes {
    due: Option<Timestamp>,
    round: Option<Timestamp>,
    watched: bool,
}

impl Wakes {
    fn of<A: Root>(aggregate: &A) -> Self {
        Self { due: aggregate.next_due(), round: aggregate.next_round(), watched: aggregate.watched() }
    }
}

impl<A: Root> Default for Entry<A> {
    fn default() -> Self {
        Self { state: A::default(), version: 0 }
    }
}

impl<A: Root> Default for State<A> {
    fn default() -> Self {
        Self {
            position: Position::default(),
            last: Timestamp::default(),
            outbox: OrdMap::new(),
            timers: OrdSet::new(),
            rounds: OrdSet::new(),
            watched: OrdSet::new(),
            aggregates: OrdMap::new(),
            repeats: OrdMap::new(),
            repeats_by_age: Vector::new(),
            serials: 0,
            by_serial: OrdMap::new(),
            traces: None,
        }
    }
}

/// The events of one command with what its header says.
pub struct Folded<A: Root> {
    /// The command.
    pub command: CommandId,
    /// HMAC of its body.
    pub hash: Fingerprint,
    /// The offset of its first event; the others follow.
    pub offset: i64,
    /// At least one.
    pub events: Vec<(Meta, A::Event)>,
    /// Their recorded trace.
    pub trace: Traced,
}

impl<A: Root> State<A> {
    /// The aggregate of this id.
    pub fn get(&self, id: Uuid) -> Option<&Entry<A>> {
        self.aggregates.get(&id).map(AsRef::as_ref)
    }

    /// Every aggregate, in order of id.
    pub fn aggregates(&self) -> impl Iterator<Item = (&Uuid, &Entry<A>)> {
        self.aggregates.iter().map(|(id, entry)| (id, entry.as_ref()))
    }

    /// What this command did, if it is remembered.
    pub fn repeat(&self, command: CommandId) -> Option<Repeat> {
        self.repeats.get(&command).copied()
    }

    /// The aggregate that used this serial number.
    pub fn by_serial(&self, serial: u64) -> Option<Uuid> {
        self.by_serial.get(&serial).copied()
    }

    /// The next serial number at this moment: unlike any other of any partition, and its remainder tells this one.
    ///
    /// It counts up, and keeps up with the clock in milliseconds: a log that was restored to an earlier moment knows
    /// nothing of the numbers that it gave out after that, but providers do.
    pub fn next_serial(&self, partition: u32, partitions: u32, at: Timestamp) -> u64 {
        let clock = u64::try_from((at.0 - SERIALS_SINCE_US) / 1000).unwrap_or(0);
        (self.serials.max(FIRST_SERIAL).max(clock) + 1) * u64::from(partitions) + u64::from(partition)
    }

    /// Folds the events of one command. `after` is the aggregate they lead to, where it is known already.
    pub fn fold(&mut self, folded: Folded<A>, partitions: u32, after: Option<A>) {
        let Some((first, event)) = folded.events.first() else { return };
        let (at, id) = (first.occurred_at, A::id(event));
        let written = folded.events.len() as u64;
        let mut events = Vec::with_capacity(folded.events.len());
        for (offset, (meta, event)) in (folded.offset..).zip(folded.events) {
            if let Some(serial) = A::serial(&event) {
                self.serials = self.serials.max(serial / u64::from(partitions));
                self.by_serial.insert(serial, id);
            }
            events.push(self.cause(offset, &meta, event));
        }
        self.traced(&folded.trace, id, folded.offset..folded.offset + events.len() as i64);
        let slot = self.aggregates.entry(id).or_default();
        let before = Wakes::of(&slot.state);
        let written = if broken(Breakage::VersionPerFrame) { 1 } else { written };
        let version = slot.version + written;
        match after {
            Some(state) => *slot = Arc::new(Entry { state, version }),
            // In place where no other root has it: nobody sees what lies between two commands.
            None => {
                let entry = Arc::make_mut(slot);
                events.into_iter().for_each(|event| entry.state.apply(event));
                entry.version = version;
            }
        }
        let after = Wakes::of(&slot.state);
        self.index(id, before, after);
        self.last = self.last.max(at);
        self.remember(folded.command, Repeat { hash: folded.hash, aggregate: id }, at);
    }

    /// Takes out what was caused below an offset.
    pub fn settle(&mut self, below: i64) {
        // Splitting the map would copy all that stays, once for every watermark.
        while let Some(offset) = self.outbox.get_min().map(|(offset, _)| *offset).filter(|offset| *offset < below) {
            self.outbox.remove(&offset);
        }
        self.forget_causes(below);
    }

    /// Puts what an event causes in the outbox, and gives it back: events are large, so none is copied for that.
    fn cause(&mut self, offset: i64, meta: &Meta, event: A::Event) -> A::Event {
        let event: domain::event::Event = event.into();
        let outgoing = saga::react(&event, meta);
        if !outgoing.is_empty() {
            let caused = Caused { event_id: meta.event_id, correlation_id: meta.correlation_id, outgoing };
            self.outbox.insert(offset, Arc::new(caused));
        }
        A::Event::try_from(event).unwrap_or_else(|_| unreachable!("it was made of one"))
    }

    fn index(&mut self, id: Uuid, before: Wakes, after: Wakes) {
        move_timer(&mut self.timers, id, before.due, after.due);
        move_timer(&mut self.rounds, id, before.round, after.round);
        match (before.watched, after.watched) {
            (false, true) => {
                self.watched.insert(id);
            }
            (true, false) => {
                self.watched.remove(&id);
            }
            (true, true) | (false, false) => {}
        }
    }

    fn remember(&mut self, command: CommandId, repeat: Repeat, at: Timestamp) {
        if self.repeats.insert(command, repeat).is_none() {
            self.repeats_by_age.push_back((at, command));
        }
        while let Some(&(age, oldest)) = self.repeats_by_age.front() {
            if self.repeats_by_age.len() <= REMEMBER && age.plus_s(REMEMBER_S) > at {
                break;
            }
            self.repeats_by_age.pop_front();
            self.repeats.remove(&oldest);
        }
    }
}

fn move_timer(timers: &mut OrdSet<(Timestamp, Uuid)>, id: Uuid, from: Option<Timestamp>, to: Option<Timestamp>) {
    if from == to {
        return;
    }
    if let Some(from) = from {
        timers.remove(&(from, id));
    }
    if let Some(to) = to {
        timers.insert((to, id));
    }
}
