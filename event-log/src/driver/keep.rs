//! When an owner's state is written down, and where it comes from at the start.
//!
//! Invariant: only the acknowledged state is ever handed out; a snapshot that fails keeps nobody from being served.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use domain::root::Root;

use crate::log::{Log, LogError, Partition};
use crate::owner::Now;
use crate::snapshot::{self, Loaded, SnapshotTaken, Snapshots, Turn};
use crate::state::State;
use crate::validity::{Broken, Position};

/// How long an owner that leaves waits for its last snapshot.
pub(super) const FINISH: Duration = Duration::from_secs(5);
/// Between two attempts at a snapshot that failed.
const RETRY: Duration = Duration::from_secs(10);
/// Between two questions to a log that does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What an owner goes on from.
pub(super) enum Beginning<A: Root> {
    /// A snapshot, if there is one; and where the log ends, if that is known.
    Anew(Option<Box<Loaded<A>>>, Option<i64>),
    /// What it has folded already: the log, which ends there, still has what that came from.
    AsItStands(i64),
}

/// Keeps the state of one partition.
pub(super) struct Keeper {
    snapshots: Option<Arc<Snapshots>>,
    partition: Partition,
    partitions: u32,
    /// Folded or appended since the last snapshot.
    bytes: u64,
    taken: Option<SnapshotTaken>,
    /// Yields once what is being written is there, or nothing if that failed.
    writing: Option<Receiver<SnapshotTaken>>,
    not_before: Duration,
    /// Whoever loads for an owner that is gone stops.
    alive: Arc<()>,
}

impl Keeper {
    pub(super) fn new(snapshots: Option<Arc<Snapshots>>, partition: Partition, partitions: u32) -> Self {
        Self {
            snapshots,
            partition,
            partitions,
            bytes: 0,
            taken: None,
            writing: None,
            not_before: Duration::ZERO,
            alive: Arc::new(()),
        }
    }

    /// Looks for a snapshot on a thread of its own, unless the log has what this position was reached by, and hands over what
    /// to go on from, or why the log cannot be gone on with. Tells whether it does.
    pub(super) fn load<A: Root>(
        &self,
        log: Arc<dyn Log>,
        standing: Option<Position>,
        loaded: impl FnOnce(Result<Beginning<A>, Broken>) + Send + 'static,
    ) -> bool {
        let Some(snapshots) = self.snapshots.clone() else { return false };
        let (partition, partitions) = (self.partition, self.partitions);
        let alive = Arc::downgrade(&self.alive);
        let look = move || {
            while alive.strong_count() > 0 {
                match beginning(&snapshots, &*log, partition, partitions, standing) {
                    Ok(found) => return found,
                    Err(error) => {
                        tracing::warn!(%partition, %error, "cannot tell what to go on from; asking again");
                        thread::sleep(ASK_AGAIN);
                    }
                }
            }
            Ok(Beginning::Anew(None, None))
        };
        let run = move || {
            let found = catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| {
                tracing::error!(%partition, "loading a snapshot panicked; the whole log is read");
                Ok(Beginning::Anew(None, None))
            });
            loaded(found);
        };
        let spawned = thread::Builder::new().name(format!("load-{partition}")).spawn(run);
        if let Err(error) = &spawned {
            tracing::error!(%partition, %error, "no thread to load a snapshot; the whole log is read");
        }
        spawned.is_ok()
    }

    /// The owner goes on from this one.
    pub(super) fn began_with(&mut self, taken: SnapshotTaken) {
        self.taken = Some(taken);
    }

    /// The newest snapshot known to be there.
    pub(super) fn taken(&self) -> Option<SnapshotTaken> {
        self.taken
    }

    /// Whoever owned the partition has written the snapshots that were due.
    pub(super) fn forgo(&mut self) {
        if let Some(snapshots) = &self.snapshots {
            self.bytes %= snapshots.due_after(self.taken).max(1);
        }
    }

    /// So many bytes were folded or appended.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Has a snapshot written if it is time to and none is under way.
    pub(super) fn look<A: Root>(&mut self, acknowledged: &State<A>, now: Now) {
        self.collect(now);
        let Some(snapshots) = &self.snapshots else { return };
        if self.writing.is_none() && self.bytes >= snapshots.due_after(self.taken) && now.mono >= self.not_before {
            self.write(acknowledged, now, Turn::IfIdle);
        }
    }

    /// Has the last snapshot written, if there is anything new.
    pub(super) fn finish<A: Root>(&mut self, acknowledged: &State<A>, now: Now) {
        self.collect(now);
        self.write(acknowledged, now, Turn::Queue);
    }

    /// Whether something is being written.
    pub(super) fn is_writing(&mut self, now: Now) -> bool {
        self.collect(now);
        self.writing.is_some()
    }

    fn write<A: Root>(&mut self, acknowledged: &State<A>, now: Now, turn: Turn) {
        let Some(snapshots) = &self.snapshots else { return };
        let next = acknowledged.position.next;
        if acknowledged.position.identity.is_none() || self.taken.is_some_and(|taken| taken.offset >= next) {
            return;
        }
        let (done, writing) = sync_channel(1);
        let done = move |taken| {
            // An owner that is gone need not know.
            let _ = done.send(taken);
        };
        if snapshots.write(self.partition, self.partitions, acknowledged.clone(), now.wall, turn, done) {
            self.bytes = 0;
            self.writing = Some(writing);
        }
    }

    fn collect(&mut self, now: Now) {
        let Some(writing) = &self.writing else { return };
        match writing.try_recv() {
            Ok(taken) => self.taken = Some(taken),
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                self.not_before = now.mono + RETRY;
                self.bytes = u64::MAX;
            }
        }
        self.writing = None;
    }
}

/// What to go on from; the inner error tells why this log cannot be gone on with, the outer one that it does not answer.
fn beginning<A: Root>(
    snapshots: &Snapshots,
    log: &dyn Log,
    at: Partition,
    partitions: u32,
    standing: Option<Position>,
) -> Result<Result<Beginning<A>, Broken>, LogError> {
    if let Some(position) = standing {
        match snapshot::refuses(log, at, &position)? {
            None => return Ok(Ok(Beginning::AsItStands(log.bounds(at)?.end))),
            Some(why) => tracing::warn!(partition = %at, error = %why, "a standby is not gone on from"),
        }
    }
    let load = snapshots.load::<A>(at, partitions, log)?;
    let end = log.bounds(at)?.end;
    Ok(match load.lost() {
        Some(broken) => Err(broken),
        None => Ok(Beginning::Anew(load.loaded.map(Box::new), Some(end))),
    })
}
