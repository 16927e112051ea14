//! What happens to a read model, without a clock, a log or a database: it is told records, judges and folds them, and
//! writes what they change with where it stands.
//!
//! Invariant: rows and checkpoints move in one transaction, and only from where the checkpoints stand, so that every
//! event counts exactly once, however many processes do this.

mod batch;

use std::panic::AssertUnwindSafe;

use domain::breakage::{Breakage, broken};
use event_log::frame::{Frame, Kind};
use event_log::log::{Partition, Record};
use event_log::validity::{Broken, Position, Reader, Valid, Verdict};
use futures::FutureExt as _;
use schemas::Codec;

use crate::model::{Envelope, ReadModel};
use crate::parked::{Parked, Parking, Place};
use crate::steps::Steps;
use crate::store::{RowStore, Transaction};
use batch::{Batch, Care};

/// Why an event is put aside whose rows cannot even be made.
pub(crate) const PANICS: &str = "making its rows panics; this process's log says where";

/// One partition that is read.
#[derive(Debug)]
pub struct Source {
    /// Which.
    pub place: Partition,
    /// Everything below it is folded: where a batch that is written now ends.
    pub position: Position,
    /// What is stored, as far as known.
    pub(crate) stored: Position,
    reader: Reader,
}

impl Source {
    /// The offset to read next.
    pub fn next(&self) -> i64 {
        self.reader.next()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It counts: so many rows, of so many events.
    Rows {
        /// Rows that were made or changed.
        rows: u64,
        /// Events that were folded.
        events: u64,
    },
    /// Nothing of it: the checkpoints are not where they were left. Whoever is told this begins anew.
    Overtaken,
    /// Nothing of it: something in it cannot be folded, or the store refuses it for what it holds. Whoever is told this
    /// begins anew, with at most [`Projection::at_most`] records in a batch, until it is alone and put aside.
    Again,
}

/// Where a read model stands in some partitions.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The positions, in the order of the partitions.
    pub positions: Vec<Position>,
    /// The keys that are parked there.
    pub(crate) parked: Parked,
}

/// A read model that is being filled.
pub struct Projection<M: ReadModel> {
    pub(crate) codec: Codec,
    pub(crate) sources: Vec<Source>,
    pub(crate) changes: M::Changes,
    /// Read and not written.
    batch: Batch,
    /// Which keys are parked once the batch is written.
    pub(crate) parked: Parked,
    care: Care,
    void: u64,
    steps: Steps,
}

impl<M: ReadModel> Projection<M> {
    /// One that reads nothing yet.
    pub fn new(codec: Codec) -> Self {
        let (batch, parked, care) = (Batch::default(), Parked::default(), Care::default());
        let (sources, changes, steps) = (Vec::new(), M::Changes::default(), Steps::default());
        Self { codec, sources, changes, batch, parked, care, void: 0, steps }
    }

    /// Begins (again) at what was loaded of these partitions.
    pub fn begin(&mut self, places: &[Partition], loaded: Loaded) {
        self.begin_at(places.iter().copied().zip(loaded.positions), loaded.parked);
    }

    /// Begins (again) at these positions, with these keys parked. What was folded and not written is forgotten, and what was
    /// carried over too, because somebody else may have written since.
    pub(crate) fn begin_at(&mut self, from: impl IntoIterator<Item = (Partition, Position)>, parked: Parked) {
        let source = |(place, position)| Source { place, position, stored: position, reader: Reader::at(position) };
        self.sources = from.into_iter().map(source).collect();
        let before = std::mem::take(&mut self.changes);
        if broken(Breakage::CarryKept) {
            self.changes = M::carry(before);
        }
        self.batch = Batch::default();
        self.parked = parked;
        self.steps.overtaken();
    }

    /// The partitions, as they were given.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What is kept from one batch to the next, with what was folded since.
    pub fn kept(&self) -> &M::Changes {
        &self.changes
    }

    /// Whether there is anything to write.
    pub fn has_moved(&self) -> bool {
        self.batch.spoiled || self.sources.iter().any(|source| source.position != source.stored)
    }

    /// How many records the next batch may have: fewer while it is looked for what the store refuses.
    pub fn at_most(&self) -> usize {
        self.care.at_most
    }

    /// How many records did not count since this was asked last.
    pub fn take_void(&mut self) -> u64 {
        std::mem::take(&mut self.void)
    }

    /// Takes in the next records of a partition.
    ///
    /// # Errors
    /// The partition is broken, and must not be read any more; what came before is to be written all the same.
    pub async fn read(&mut self, source: usize, records: impl IntoIterator<Item = Record>) -> Result<(), Broken> {
        for record in records {
            if self.batch.spoiled {
                break;
            }
            self.batch.records += 1;
            let Source { place, reader, .. } = &mut self.sources[source];
            let place = *place;
            let anyway = broken(Breakage::VoidEventsProjected).then(|| record.clone());
            let valid = match reader.judge(record)? {
                Verdict::Command(valid) => valid,
                Verdict::Void(_) => {
                    self.void += 1;
                    anyway.and_then(as_valid).into_iter().collect()
                }
                Verdict::Claimed { .. } | Verdict::Barrier | Verdict::Settled(_) | Verdict::Partial => Vec::new(),
            };
            self.steps.begin(M::LAYOUT.name, place, &valid);
            self.take_in(place, valid).await?;
            let source = &mut self.sources[source];
            source.position = source.reader.position();
        }
        Ok(())
    }

    /// Folds an event that is known to count.
    pub fn fold(&mut self, envelope: &Envelope) {
        self.batch.events += 1;
        M::fold(&mut self.changes, envelope);
    }

    /// Writes what was folded, and where it ends, in one transaction. After an error the same may be written again,
    /// though it may have counted: then it is overtaken.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn write<S: RowStore>(&mut self, store: &S) -> Result<Written, S::Error> {
        if self.batch.spoiled {
            return Ok(Written::Again);
        }
        // What panics in here lies in the rows, as what the store refuses does.
        let reason = match AssertUnwindSafe(self.try_write(store)).catch_unwind().await {
            Ok(Ok(written)) => return Ok(written),
            Ok(Err(error)) => S::refusal(&error).filter(|_| self.has_folded()).ok_or(error)?,
            Err(_) => PANICS.to_owned(),
        };
        self.divide(reason);
        Ok(Written::Again)
    }

    async fn try_write<S: RowStore>(&mut self, store: &S) -> Result<Written, S::Error> {
        let mut tx = store.begin().await?;
        let ahead = !self.stands_there(&mut tx).await? && !broken(Breakage::CompareAndSetLeftOut);
        if ahead || !self.still_parked(&mut tx).await? {
            if broken(Breakage::OvertakenBatchWritten) {
                self.write_rows(&mut tx).await?;
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            return Ok(Written::Overtaken);
        }
        let moved = self.moved().map(|source| (source.place, source.position)).collect::<Vec<_>>();
        tx.advance(&moved).await?;
        if broken(Breakage::CheckpointApart) {
            tx.commit().await?;
            tx = store.begin().await?;
        }
        let rows = self.write_rows(&mut tx).await?;
        if !self.batch.aside.is_empty() {
            tx.put_aside(&self.batch.aside).await?;
        }
        tx.tell(&M::touched(&self.changes)).await?;
        tx.commit().await?;
        Ok(self.written(rows))
    }

    /// Whether the keys that events were put behind still wait: who lets one go on moves no checkpoint.
    async fn still_parked<T: Parking>(&self, tx: &mut T) -> Result<bool, T::Error> {
        if self.batch.behind.is_empty() {
            return Ok(true);
        }
        let behind: Vec<Place> = self.batch.behind.iter().cloned().collect();
        tx.are_parked(&behind).await
    }

    /// The batch counts.
    fn written(&mut self, rows: u64) -> Written {
        self.sources.iter_mut().for_each(|source| source.stored = source.position);
        self.changes = M::carry(std::mem::take(&mut self.changes));
        let batch = std::mem::take(&mut self.batch);
        self.care.went_well(&batch);
        self.care.stamps.extend(batch.stamps);
        self.steps.written();
        Written::Rows { rows, events: batch.events }
    }

    /// Whether every checkpoint is where it was left; it stays there until the transaction ends.
    async fn stands_there<T: Transaction>(&self, tx: &mut T) -> Result<bool, T::Error> {
        let places: Vec<Partition> = self.moved().map(|source| source.place).collect();
        let stored = tx.locked(&places).await?;
        let name = |position: &Position| (position.next, position.identity);
        Ok(self.moved().zip(&stored).all(|(source, now)| now.as_ref().map(name) == Some(name(&source.stored))))
    }

    pub(crate) async fn write_rows<T: Transaction>(&mut self, tx: &mut T) -> Result<u64, T::Error> {
        if let Some(wanted) = M::wanted(&self.changes) {
            let found = tx.look_up(&wanted).await?;
            M::found(&mut self.changes, found);
        }
        let mut written = 0;
        for rows in M::rows(&self.changes) {
            written += tx.merge(rows).await?;
        }
        Ok(written)
    }

    fn moved(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.position != source.stored)
    }
}

/// The positions to go on from; those that have none begin at the start of the log. `None` if they vanished meanwhile.
///
/// # Errors
/// The store does not answer.
pub async fn load<S: RowStore>(store: &S, places: &[Partition]) -> Result<Option<Loaded>, S::Error> {
    let mut tx = store.begin().await?;
    tx.found(places).await?;
    let positions = tx.positions(places).await?;
    // After the positions: whoever parks a key meanwhile moves one of them, and we are overtaken.
    let parked = Parked::of(tx.parked(places).await?);
    tx.commit().await?;
    let positions: Option<Vec<Position>> = positions.into_iter().collect();
    Ok(positions.map(|positions| Loaded { positions, parked }))
}

/// The positions as they are stored now.
///
/// # Errors
/// The store does not answer.
pub async fn look<S: RowStore>(store: &S, places: &[Partition]) -> Result<Vec<Option<Position>>, S::Error> {
    let mut tx = store.begin().await?;
    let positions = tx.positions(places).await?;
    tx.rollback().await?;
    Ok(positions)
}

/// An event that does not count, as if it did; for tests only.
fn as_valid(record: Record) -> Option<Valid> {
    let frame = Frame::decode(&record.header).ok().filter(|frame| frame.kind == Kind::Event)?;
    Some(Valid { frame, record })
}
