//! A state as bytes. Timers and indexes are not in it: they follow from the aggregates.
//!
//! Invariant: what is restored is equal to what was stored, timers and indexes too.

use std::io::Write;

use domain::breakage::{Breakage, broken};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use super::{
    Arc, Caused, CommandId, Entry, OrdMap, OrdSet, Position, Repeat, Root, State, Timestamp, Traces, Uuid, Vector,
    Wakes,
};

/// What is written, field by field as it is read.
#[derive(Serialize)]
struct Written<'a, O: Serialize, A: Serialize, R: Serialize, S: Serialize> {
    position: Position,
    last: Timestamp,
    outbox: O,
    aggregates: A,
    repeats: R,
    serials: u64,
    by_serial: S,
    traces: Option<&'a Traces>,
}

/// What is read.
#[derive(Deserialize)]
struct Read<A> {
    position: Position,
    last: Timestamp,
    outbox: Vec<(i64, Caused)>,
    aggregates: Vec<(Uuid, u64, A)>,
    /// By age.
    repeats: Vec<(Timestamp, CommandId, Repeat)>,
    serials: u64,
    by_serial: Vec<(u64, Uuid)>,
    traces: Option<Traces>,
}

/// A list whose items are made one by one, so that a large state is not copied to be written.
struct List<F>(usize, F);

impl<F, I> Serialize for List<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0))?;
        for item in (self.1)() {
            list.serialize_element(&item)?;
        }
        list.end()
    }
}

impl<A: Root> State<A> {
    /// Writes the state.
    ///
    /// # Errors
    /// The writer fails (which is not told here), or an aggregate cannot be written in this format.
    pub fn store(&self, to: impl Write) -> Result<(), postcard::Error> {
        let repeat = |(at, command): &(Timestamp, CommandId)| {
            let repeat = self.repeats.get(command).copied().expect("everything that ages is remembered");
            (*at, *command, repeat)
        };
        let written = Written {
            position: self.position,
            last: self.last,
            outbox: List(self.outbox.len(), || self.outbox.iter().map(|(offset, caused)| (offset, caused.as_ref()))),
            aggregates: List(self.aggregates.len(), || {
                self.aggregates.iter().map(|(id, entry)| (id, entry.version, &entry.state))
            }),
            repeats: List(self.repeats_by_age.len(), || self.repeats_by_age.iter().map(repeat)),
            serials: self.serials,
            by_serial: List(self.by_serial.len(), || self.by_serial.iter()),
            traces: self.traces.as_deref(),
        };
        postcard::to_io(&written, to).map(drop)
    }

    /// Reads a state, and builds its timers and indexes.
    ///
    /// # Errors
    /// The bytes are no state of this shape, or more than one.
    pub fn restore(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let (mut read, rest) = postcard::take_from_bytes::<Read<A>>(bytes)?;
        if !rest.is_empty() {
            return Err(postcard::Error::DeserializeBadEncoding);
        }
        read.forget_on_purpose();
        let mut state = Self {
            position: read.position,
            last: read.last,
            outbox: read.outbox.into_iter().map(|(offset, caused)| (offset, Arc::new(caused))).collect(),
            timers: OrdSet::new(),
            rounds: OrdSet::new(),
            watched: OrdSet::new(),
            aggregates: OrdMap::new(),
            repeats: read.repeats.iter().map(|(_, command, repeat)| (*command, *repeat)).collect(),
            repeats_by_age: read.repeats.iter().map(|(at, command, _)| (*at, *command)).collect::<Vector<_>>(),
            serials: read.serials,
            by_serial: read.by_serial.into_iter().collect(),
            traces: read.traces.map(Arc::new),
        };
        for (id, version, aggregate) in read.aggregates {
            state.index(id, Wakes::default(), Wakes::of(&aggregate));
            state.aggregates.insert(id, Arc::new(Entry { state: aggregate, version }));
        }
        if broken(Breakage::SnapshotWithoutTimers) {
            (state.timers, state.rounds) = (OrdSet::new(), OrdSet::new());
        }
        Ok(state)
    }
}

impl<A> Read<A> {
    /// What a snapshot that left something out would be read as; for tests only.
    fn forget_on_purpose(&mut self) {
        if broken(Breakage::SnapshotWithoutRepeats) {
            self.repeats.clear();
        }
        if broken(Breakage::SnapshotWithoutOutbox) {
            self.outbox.clear();
        }
        if broken(Breakage::SnapshotWithoutSerials) {
            self.serials = 0;
        }
    }
}
