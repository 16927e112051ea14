//! What waits of a parked key is folded in its turn, a page at a time, or left out where a person says so.
//!
//! Invariant: whoever does this holds the partition's checkpoint, which must stand where it was left: so one process at a
//! time does, and no event of the key goes past the queue meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};

use event_log::log::Partition;
use futures::FutureExt as _;

use super::{Aside, Parking, Place};
use crate::decoding::{Unreadable, decoded};
use crate::model::ReadModel;
use crate::projection::{PANICS, Projection};
use crate::store::{RowStore, Transaction as _};

/// Events that are folded in one transaction.
const PAGE: usize = 200;
/// Pages of one key before others have their turn.
const PAGES: usize = 10;

/// What became of a parked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// All that waited is folded: it goes on.
    Unparked {
        /// How many events.
        events: u64,
    },
    /// It still waits.
    Parked {
        /// How many events were folded all the same.
        events: u64,
        /// The one that cannot be.
        offset: i64,
        /// Why.
        reason: String,
    },
    /// There is more of it than is done in one go: ask again.
    More {
        /// How many events were folded.
        events: u64,
    },
    /// The checkpoints are not where they were left. Whoever is told this begins anew.
    Overtaken,
}

/// What became of an event that was to be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// It is left out.
    Done,
    /// No event of this key at this offset is known to be one that cannot be folded.
    Unknown,
    /// The checkpoints are not where they were left. Whoever is told this begins anew.
    Overtaken,
}

/// What one transaction did.
enum Step {
    Folded { events: u64, last: bool },
    Stuck { offset: i64, reason: String },
    Less,
    Overtaken,
}

/// How far the events of a page can be folded.
struct Fold {
    events: u64,
    through: Option<i64>,
    stuck: Option<(i64, String)>,
}

impl<M: ReadModel> Projection<M> {
    /// Folds what waits of a parked key, in order, until an event cannot be. To be called when nothing is to be written.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn replay<S: RowStore>(&mut self, store: &S, at: &(Partition, String)) -> Result<Replayed, S::Error> {
        // What was carried over may be of rows that change now.
        self.changes = M::Changes::default();
        let (mut events, mut most) = (0, PAGE);
        for _ in 0..PAGES {
            match self.step(store, at, most).await? {
                Step::Folded { events: more, last } => {
                    events += more;
                    self.parked.take(at, more);
                    if last {
                        self.parked.remove(at);
                        return Ok(Replayed::Unparked { events });
                    }
                    most = (most * 2).min(PAGE);
                }
                Step::Stuck { offset, reason } => return Ok(Replayed::Parked { events, offset, reason }),
                Step::Less => most = (most / 2).max(1),
                Step::Overtaken => return Ok(Replayed::Overtaken),
            }
        }
        Ok(Replayed::More { events })
    }

    /// Leaves out an event that cannot be folded; those behind it wait until they are replayed. To be called when nothing is
    /// to be written.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn skip<S: RowStore>(
        &mut self,
        store: &S,
        at: &(Partition, String),
        offset: i64,
        why: &str,
    ) -> Result<Skipped, S::Error> {
        let mut tx = store.begin().await?;
        if !self.holds(&mut tx, at.0).await? {
            tx.rollback().await?;
            return Ok(Skipped::Overtaken);
        }
        let known = tx.skip(at, offset, why).await?;
        tx.commit().await?;
        if known {
            // In memory it is parked until a replay finds that nothing waits any more.
            return Ok(Skipped::Done);
        }
        Ok(Skipped::Unknown)
    }

    /// One page. The page is written, or nothing of it.
    async fn step<S: RowStore>(&mut self, store: &S, at: &Place, most: usize) -> Result<Step, S::Error> {
        let mut tx = store.begin().await?;
        if !self.holds(&mut tx, at.0).await? {
            tx.rollback().await?;
            return Ok(Step::Overtaken);
        }
        let queue = tx.queue(at, most).await?;
        let (waiting, first) = (queue.len(), queue.first().map(|aside| aside.offset));
        let fold = self.fold_queue(queue).await;
        let written = AssertUnwindSafe(self.write_rows(&mut tx)).catch_unwind().await;
        let refused = match written {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(S::refusal(&error).ok_or(error)?),
            Err(_) => Some(PANICS.to_owned()),
        };
        match (refused, first) {
            (None, _) => self.keep(tx, at, fold, waiting < most).await,
            (Some(reason), Some(offset)) if waiting == 1 || most == 1 => {
                self.changes = M::Changes::default();
                tx.rollback().await?;
                self.blame(store, at, offset, reason).await
            }
            (Some(_), _) => {
                self.changes = M::Changes::default();
                tx.rollback().await?;
                Ok(Step::Less)
            }
        }
    }

    /// Commits what was folded of a page. `all` says that nothing waits behind it.
    async fn keep<T: Parking>(&mut self, mut tx: T, at: &Place, fold: Fold, all: bool) -> Result<Step, T::Error> {
        if let Some(through) = fold.through {
            tx.release(at, through).await?;
        }
        if let Some((offset, reason)) = &fold.stuck {
            tx.blame(at, *offset, reason).await?;
        }
        tx.tell(&M::touched(&self.changes)).await?;
        tx.commit().await?;
        self.changes = M::Changes::default();
        Ok(match fold.stuck {
            None => Step::Folded { events: fold.events, last: all },
            Some((offset, reason)) => {
                self.parked.take(at, fold.events);
                Step::Stuck { offset, reason }
            }
        })
    }

    /// The rows of this event alone are refused.
    async fn blame<S: RowStore>(&self, store: &S, at: &Place, offset: i64, reason: String) -> Result<Step, S::Error> {
        let mut tx = store.begin().await?;
        if !self.holds(&mut tx, at.0).await? {
            tx.rollback().await?;
            return Ok(Step::Overtaken);
        }
        tx.blame(at, offset, &reason).await?;
        tx.commit().await?;
        Ok(Step::Stuck { offset, reason })
    }

    /// Folds events in order until one cannot be.
    async fn fold_queue(&mut self, queue: Vec<Aside>) -> Fold {
        let mut fold = Fold { events: 0, through: None, stuck: None };
        let mut done = Vec::with_capacity(queue.len());
        for aside in queue {
            let envelope = match decoded(&self.codec, aside.place, &aside.record()).await {
                Ok(envelope) => envelope,
                Err(Unreadable::Poison(why)) => {
                    fold.stuck = Some((aside.offset, why));
                    break;
                }
                Err(Unreadable::Broken(broken)) => {
                    fold.stuck = Some((aside.offset, broken.to_string()));
                    break;
                }
            };
            let changes = &mut self.changes;
            if catch_unwind(AssertUnwindSafe(|| M::fold(changes, &envelope))).is_err() {
                fold.stuck = Some((aside.offset, "its fold panics; this process's log says where".to_owned()));
                // The changes may be half done.
                self.changes = M::Changes::default();
                done.iter().for_each(|envelope| M::fold(&mut self.changes, envelope));
                break;
            }
            fold.through = Some(aside.offset);
            fold.events += 1;
            done.push(envelope);
        }
        fold
    }

    /// Whether the partition's checkpoint is where we left it; it stays there until the transaction ends.
    async fn holds<T: Parking>(&self, tx: &mut T, place: Partition) -> Result<bool, T::Error> {
        let Some(source) = self.sources.iter().find(|source| source.place == place) else { return Ok(false) };
        let stored = tx.locked(&[place]).await?;
        let name = |position: &event_log::validity::Position| (position.next, position.identity);
        Ok(stored.first().and_then(Option::as_ref).map(name) == Some(name(&source.stored)))
    }
}
