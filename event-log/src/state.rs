//! The state of one partition: what its valid records fold to. Cloned in O(1), so that every batch has its own root.

mod stored;

use std::sync::Arc;

use domain::breakage::{Breakage, broken};
use domain::ids::CommandId;
use domain::root::{Meta, Root};
use domain::saga::{self, Outgoing};
use domain::value::{Fingerprint, Timestamp};
use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::validity::Position;

/// For how long a command's id is remembered, at most.
const REMEMBER_S: i64 = 24 * 3600;
/// Serial numbers begin here: providers use small ones in samples (PayOS 123), which must never look like ours.
const FIRST_SERIAL: u64 = 1000;
/// How many commands are remembered, at most.
const REMEMBER: usize = 1_000_000;

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

    /// The next serial number: unlike any other of any partition, and its remainder tells this one.
    pub fn next_serial(&self, partition: u32, partitions: u32) -> u64 {
        (self.serials.max(FIRST_SERIAL) + 1) * u64::from(partitions) + u64::from(partition)
    }

    /// Folds the events of one command. `after` is the aggregate they lead to, where it is known already.
    pub fn fold(&mut self, folded: Folded<A>, partitions: u32, after: Option<A>) {
        let Some((first, _)) = folded.events.first() else { return };
        let at = first.occurred_at;
        let id = A::id(&folded.events[0].1);
        let before = self.aggregates.get(&id).cloned();
        let version = before.as_ref().map_or(0, |entry| entry.version) + folded.events.len() as u64;
        let version =
            if broken(Breakage::VersionPerFrame) { version + 1 - folded.events.len() as u64 } else { version };
        for (n, (meta, event)) in folded.events.iter().enumerate() {
            let offset = folded.offset + i64::try_from(n).expect("a command has at most 500 events");
            self.cause(offset, meta, event);
            if let Some(serial) = A::serial(event) {
                self.serials = self.serials.max(serial / u64::from(partitions));
                self.by_serial.insert(serial, id);
            }
        }
        let state = after.unwrap_or_else(|| {
            let mut state = before.as_ref().map(|entry| entry.state.clone()).unwrap_or_default();
            for (_, event) in folded.events {
                state.apply(event);
            }
            state
        });
        self.index(id, before.as_deref(), &state);
        self.aggregates.insert(id, Arc::new(Entry { state, version }));
        self.last = self.last.max(at);
        self.remember(folded.command, Repeat { hash: folded.hash, aggregate: id }, at);
    }

    /// Takes out what was caused below an offset.
    pub fn settle(&mut self, below: i64) {
        let (_, at, above) = self.outbox.split_lookup(&below);
        self.outbox = match at {
            Some(caused) => above.update(below, caused),
            None => above,
        };
    }

    fn cause(&mut self, offset: i64, meta: &Meta, event: &A::Event) {
        let outgoing = saga::react(&event.clone().into(), meta);
        if !outgoing.is_empty() {
            let caused = Caused { event_id: meta.event_id, correlation_id: meta.correlation_id, outgoing };
            self.outbox.insert(offset, Arc::new(caused));
        }
    }

    fn index(&mut self, id: Uuid, before: Option<&Entry<A>>, after: &A) {
        let before = before.map(|entry| &entry.state);
        move_timer(&mut self.timers, id, before.and_then(A::next_due), after.next_due());
        move_timer(&mut self.rounds, id, before.and_then(A::next_round), after.next_round());
        if after.watched() {
            self.watched.insert(id);
        } else {
            self.watched.remove(&id);
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
