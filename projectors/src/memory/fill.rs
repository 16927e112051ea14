//! Every read model by one handle, whatever it folds to.

use std::collections::BTreeSet;

use domain::root::Context;
use event_log::log::{Partition, Record};
use event_log::validity::{Broken, Position};
use futures::FutureExt as _;
use schemas::Codec;
use tokio::task::unconstrained;

use super::{MemoryRows, MemoryStore, ToldToFail};
use crate::inventory::Inventory;
use crate::ledger::Ledger;
use crate::model::{Envelope, Layout, ReadModel};
use crate::orders::Orders;
use crate::parked::{Replayed, Skipped};
use crate::payments::Payments;
use crate::projection::{self, Projection, Written};
use crate::queue::Queue;
use crate::shows::Shows;
use crate::tickets::Tickets;

/// A read model that is filled in memory, as a worker fills it in Postgres: `load`, then `read` what lies behind the
/// positions, then `write`, again and again; `load` again after [`Written::Overtaken`] and after a crash.
pub trait Filling: Send {
    /// Tables, and how they are called.
    fn layout(&self) -> &'static Layout;

    /// The topics it folds.
    fn contexts(&self) -> &'static [Context];

    /// Begins at what is stored, and tells where that is, in the order of `places`. What was read and not written is
    /// forgotten.
    ///
    /// # Errors
    /// The rows were told to fail.
    fn load(&mut self, places: &[Partition]) -> Result<Vec<Position>, ToldToFail>;

    /// Takes in the next records of one of these places.
    ///
    /// # Errors
    /// The partition is broken, and must not be read any more.
    fn read(&mut self, place: Partition, records: Vec<Record>) -> Result<(), Broken>;

    /// The offset to read next in a place; none if it was not loaded.
    fn next(&self, place: Partition) -> Option<i64>;

    /// Whether there is anything to write.
    fn has_moved(&self) -> bool;

    /// Folds an event that is known to count, for who does not need checkpoints.
    fn fold(&mut self, envelope: &Envelope);

    /// How many records may be read before the next `write`.
    fn at_most(&self) -> usize;

    /// These events cannot be folded, and those were skipped, as somebody else found.
    fn told(&mut self, poison: BTreeSet<(Partition, i64)>, skipped: BTreeSet<(Partition, i64)>);

    /// Folds what waits of a parked key, as far as that goes. Nothing that was read may be unwritten.
    ///
    /// # Errors
    /// The rows were told to fail.
    fn replay(&mut self, place: Partition, key: &str) -> Result<Replayed, ToldToFail>;

    /// Leaves out an event that cannot be folded. Nothing that was read may be unwritten.
    ///
    /// # Errors
    /// The rows were told to fail.
    fn skip(&mut self, place: Partition, key: &str, offset: i64, why: &str) -> Result<Skipped, ToldToFail>;

    /// Writes what was read or folded.
    ///
    /// # Errors
    /// The rows were told to fail.
    fn write(&mut self) -> Result<Written, ToldToFail>;
}

struct InMemory<M: ReadModel> {
    projection: Projection<M>,
    store: MemoryStore,
}

/// Every read model of events, over these rows.
pub fn fillings(codec: &Codec, rows: &MemoryRows) -> Vec<Box<dyn Filling>> {
    vec![
        filling::<Shows>(codec, rows),
        filling::<Inventory>(codec, rows),
        filling::<Orders>(codec, rows),
        filling::<Payments>(codec, rows),
        filling::<Ledger>(codec, rows),
        filling::<Tickets>(codec, rows),
        filling::<Queue>(codec, rows),
    ]
}

fn filling<M: ReadModel>(codec: &Codec, rows: &MemoryRows) -> Box<dyn Filling> {
    Box::new(InMemory::<M> { projection: Projection::new(codec.clone()), store: rows.store(&M::LAYOUT) })
}

impl<M: ReadModel> InMemory<M> {
    fn source(&self, place: Partition) -> Option<usize> {
        self.projection.sources().iter().position(|source| source.place == place)
    }
}

impl<M: ReadModel> Filling for InMemory<M> {
    fn layout(&self) -> &'static Layout {
        &M::LAYOUT
    }

    fn contexts(&self) -> &'static [Context] {
        M::CONTEXTS
    }

    fn load(&mut self, places: &[Partition]) -> Result<Vec<Position>, ToldToFail> {
        let loaded = at_once(projection::load(&self.store, places))?;
        let loaded = loaded.expect("nobody empties it in the middle");
        let positions = loaded.positions.clone();
        self.projection.begin(places, loaded);
        Ok(positions)
    }

    fn read(&mut self, place: Partition, records: Vec<Record>) -> Result<(), Broken> {
        let source = self.source(place).expect("only what was loaded is read");
        at_once(self.projection.read(source, records))
    }

    fn next(&self, place: Partition) -> Option<i64> {
        self.source(place).map(|source| self.projection.sources()[source].next())
    }

    fn has_moved(&self) -> bool {
        self.projection.has_moved()
    }

    fn fold(&mut self, envelope: &Envelope) {
        self.projection.fold(envelope);
    }

    fn at_most(&self) -> usize {
        self.projection.at_most()
    }

    fn told(&mut self, poison: BTreeSet<(Partition, i64)>, skipped: BTreeSet<(Partition, i64)>) {
        self.projection.told(poison, skipped);
    }

    fn replay(&mut self, place: Partition, key: &str) -> Result<Replayed, ToldToFail> {
        at_once(self.projection.replay(&self.store, &(place, key.to_owned())))
    }

    fn skip(&mut self, place: Partition, key: &str, offset: i64, why: &str) -> Result<Skipped, ToldToFail> {
        at_once(self.projection.skip(&self.store, &(place, key.to_owned()), offset, why))
    }

    fn write(&mut self) -> Result<Written, ToldToFail> {
        at_once(self.projection.write(&self.store))
    }
}

/// Nothing in memory waits, as long as every schema is known and one thread does it all; but for a task's budget, which
/// is nobody's business here.
fn at_once<T>(doing: impl Future<Output = T>) -> T {
    unconstrained(doing).now_or_never().expect("nothing in memory waits")
}
