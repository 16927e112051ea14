//! What happens to a read model, without a clock, a log or a database: it is told records, judges and folds them, and
//! writes what they change with where it stands.
//!
//! Invariant: rows and checkpoints move in one transaction, and only from where the checkpoints stand, so that every
//! event counts exactly once, however many processes do this.

use domain::breakage::{Breakage, broken};
use event_log::frame::{Frame, Kind};
use event_log::log::{Partition, Record};
use event_log::validity::{Broken, Position, Reader, Valid, Verdict};
use schemas::Codec;

use crate::intake::decoded;
use crate::model::{Envelope, ReadModel};
use crate::steps::Steps;
use crate::store::{RowStore, Transaction};

/// One partition that is read.
#[derive(Debug)]
pub struct Source {
    /// Which.
    pub place: Partition,
    /// Everything below it is folded: where a batch that is written now ends.
    pub position: Position,
    /// What is stored, as far as known.
    stored: Position,
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
}

/// A read model that is being filled.
pub struct Projection<M: ReadModel> {
    codec: Codec,
    sources: Vec<Source>,
    changes: M::Changes,
    /// Folded and not written.
    events: u64,
    void: u64,
    steps: Steps,
}

impl<M: ReadModel> Projection<M> {
    /// One that reads nothing yet.
    pub fn new(codec: Codec) -> Self {
        Self { codec, sources: Vec::new(), changes: M::Changes::default(), events: 0, void: 0, steps: Steps::default() }
    }

    /// Begins (again) at these positions. What was folded and not written is forgotten, and what was carried over too,
    /// because somebody else may have written since.
    pub fn begin_at(&mut self, from: impl IntoIterator<Item = (Partition, Position)>) {
        let source = |(place, position)| Source { place, position, stored: position, reader: Reader::at(position) };
        self.sources = from.into_iter().map(source).collect();
        let before = std::mem::take(&mut self.changes);
        if broken(Breakage::CarryKept) {
            self.changes = M::carry(before);
        }
        self.events = 0;
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
        self.sources.iter().any(|source| source.position != source.stored)
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
            // All of them are decoded before the first is folded: a frame counts whole or not at all.
            let envelopes = decoded(&self.codec, place, valid).await?;
            envelopes.iter().for_each(|envelope| self.fold(envelope));
            let source = &mut self.sources[source];
            source.position = source.reader.position();
        }
        Ok(())
    }

    /// Folds an event that is known to count.
    pub fn fold(&mut self, envelope: &Envelope) {
        self.events += 1;
        M::fold(&mut self.changes, envelope);
    }

    /// Writes what was folded, and where it ends, in one transaction. After an error the same may be written again,
    /// though it may have counted: then it is overtaken.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn write<S: RowStore>(&mut self, store: &S) -> Result<Written, S::Error> {
        let mut tx = store.begin().await?;
        if !self.stands_there(&mut tx).await? && !broken(Breakage::CompareAndSetLeftOut) {
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
        tx.tell(&M::touched(&self.changes)).await?;
        tx.commit().await?;
        self.sources.iter_mut().for_each(|source| source.stored = source.position);
        self.changes = M::carry(std::mem::take(&mut self.changes));
        self.steps.written();
        Ok(Written::Rows { rows, events: std::mem::take(&mut self.events) })
    }

    /// Whether every checkpoint is where it was left; it stays there until the transaction ends.
    async fn stands_there<T: Transaction>(&self, tx: &mut T) -> Result<bool, T::Error> {
        let places: Vec<Partition> = self.moved().map(|source| source.place).collect();
        let stored = tx.locked(&places).await?;
        let name = |position: &Position| (position.next, position.identity);
        Ok(self.moved().zip(&stored).all(|(source, now)| now.as_ref().map(name) == Some(name(&source.stored))))
    }

    async fn write_rows<T: Transaction>(&mut self, tx: &mut T) -> Result<u64, T::Error> {
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
pub async fn load<S: RowStore>(store: &S, places: &[Partition]) -> Result<Option<Vec<Position>>, S::Error> {
    let mut tx = store.begin().await?;
    tx.found(places).await?;
    let positions = tx.positions(places).await?;
    tx.commit().await?;
    Ok(positions.into_iter().collect())
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
