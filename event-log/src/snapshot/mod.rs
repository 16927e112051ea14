//! Snapshots: the acknowledged state of a partition at one offset, so that a restart need not read the whole log.
//!
//! Invariant: a snapshot is only used if the log still has what it was taken from. Whatever is wrong with one, the one
//! before it is used, and without any the whole log is read: slower, and never wrong. But where it is the log that is wrong,
//! because it has lost what a snapshot was taken from, nobody goes on: [`Load::lost`].

mod bytes;
mod files;
mod header;
mod history;
mod read;
mod unusable;
mod write;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use domain::root::Root;
use domain::value::Timestamp;
use uuid::Uuid;

use crate::log::{Log, LogError, Partition};
use crate::state::State;
use crate::validity::{Broken, Position};
pub use bytes::{from_bytes, to_bytes};
use files::Named;
use history::History;
pub use unusable::Unusable;

/// The fingerprint of everything that decides what a stored state looks like and what the log folds to. Programs that
/// differ in it do not read what the other one has written.
pub fn shape() -> u128 {
    header::shape()
}

/// Why a log is not the one that a position was reached in, or has lost what it was reached by; none if it has that. Blocks.
///
/// # Errors
/// The log does not answer.
pub(crate) fn refuses(log: &dyn Log, at: Partition, position: &Position) -> Result<Option<Unusable>, LogError> {
    let Some(identity) = position.identity else { return Ok(None) };
    let mut history = History::ask(log, at)?;
    if let Some(why) = history.refuses(identity, position.next)? {
        return Ok(Some(why));
    }
    history.proves(position)
}

/// Where snapshots are kept, and how often one is written.
#[derive(Debug, Clone)]
pub struct SnapshotSettings {
    /// A folder. Instances that are to begin with each other's snapshots share it.
    pub folder: PathBuf,
    /// A partition is written down when so many bytes of its log were folded or appended since the last time; or as many as
    /// that took, if it was more.
    pub every_bytes: u64,
}

/// A snapshot that a restart could begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// Everything below this offset is in it.
    pub offset: i64,
    /// When it was taken, by the wall clock of its writer.
    pub at: Timestamp,
    /// Its length.
    pub bytes: u64,
}

/// A state to go on from.
#[derive(Debug)]
pub struct Loaded<A: Root> {
    /// The state.
    pub state: State<A>,
    /// Where and when it was taken.
    pub taken: SnapshotTaken,
}

/// What was found in the folder.
#[derive(Debug)]
pub struct Load<A: Root> {
    /// The newest usable one.
    pub loaded: Option<Loaded<A>>,
    /// Newer ones that are not used, newest first.
    pub unusable: Vec<(PathBuf, Unusable)>,
}

impl<A: Root> Load<A> {
    /// Why nobody may go on with this log: only what was acknowledged gets into a snapshot, and the log has it no more. Of
    /// another log nothing is said as long as there is a snapshot of this one: somebody decided on that before.
    pub fn lost(&self) -> Option<Broken> {
        let tells = |why: &Unusable| match why {
            Unusable::TooNew { .. } | Unusable::OtherHistory { .. } => true,
            Unusable::Foreign { .. } => self.loaded.is_none(),
            _ => false,
        };
        let (file, why) = self.unusable.iter().find(|(_, why)| tells(why))?;
        Some(Broken::BehindSnapshot { file: file.display().to_string(), why: why.to_string() })
    }
}

/// Whether a snapshot may wait for others that are being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is left out unless nothing else is being written.
    IfIdle,
    /// It waits for its turn.
    Queue,
}

type Job = Box<dyn FnOnce() + Send>;

/// The snapshots of one process: a folder, and a thread that writes one after the other.
pub struct Snapshots {
    settings: SnapshotSettings,
    new_id: fn() -> Uuid,
    jobs: Sender<Job>,
    /// How many are waiting or being written.
    pending: Arc<AtomicUsize>,
}

impl Snapshots {
    /// Starts the thread. A folder that cannot be written to is told loudly, and tried again for every snapshot.
    /// `new_id` makes ids unlike any other's.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn open(settings: SnapshotSettings, new_id: fn() -> Uuid) -> io::Result<Arc<Self>> {
        if let Err(error) = files::probe(&settings.folder, new_id()) {
            let folder = settings.folder.display();
            tracing::error!(%folder, %error, "snapshots cannot be written here; a restart will read more of the log");
        }
        let (jobs, queue) = channel::<Job>();
        let run = move || {
            for job in queue {
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("writing a snapshot panicked");
                }
            }
        };
        thread::Builder::new().name("snapshots".to_owned()).spawn(run)?;
        Ok(Arc::new(Self { settings, new_id, jobs, pending: Arc::default() }))
    }

    /// After so many bytes of log the next snapshot is due. The larger the last one was the longer that takes: reading the log
    /// behind it then costs a restart about as much as reading the snapshot itself, and writing snapshots costs no more for
    /// each event than a small state's.
    pub fn due_after(&self, last: Option<SnapshotTaken>) -> u64 {
        self.settings.every_bytes.max(last.map_or(0, |last| last.bytes))
    }

    /// The newest usable snapshot of a partition. Blocks: reads files, and asks the log. Tells in the log of the process
    /// why others are not used.
    ///
    /// # Errors
    /// The log does not answer, so that nobody knows which one is usable.
    pub fn load<A: Root>(&self, at: Partition, partitions: u32, log: &dyn Log) -> Result<Load<A>, LogError> {
        let mut unusable: Vec<(PathBuf, Unusable)> = Vec::new();
        let mut tried: Vec<PathBuf> = Vec::new();
        let mut history = None;
        // The folder is read every time: somebody may have written newer ones since, and removed these.
        while let Some(named) = self.next(at, &tried) {
            tried.push(named.path.clone());
            let history = match &mut history {
                Some(history) => history,
                history => history.insert(History::ask(log, at)?),
            };
            match read::judged(&named, at, partitions, history)? {
                Ok(loaded) => return Ok(Load { loaded: Some(loaded), unusable }),
                Err(Unusable::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(why) => {
                    self.tell(at, &named, &why);
                    unusable.push((named.path, why));
                }
            }
        }
        if !unusable.is_empty() {
            tracing::warn!(partition = %at, "no snapshot is usable: the whole log is read");
        }
        Ok(Load { loaded: None, unusable })
    }

    /// The newest one that was not tried yet.
    fn next(&self, at: Partition, tried: &[PathBuf]) -> Option<Named> {
        let listed = files::list(&self.settings.folder, at).unwrap_or_else(|error| {
            let folder = self.settings.folder.display();
            tracing::error!(partition = %at, %folder, %error, "cannot look for snapshots: the whole log is read");
            Vec::new()
        });
        listed.into_iter().find(|named| !tried.contains(&named.path))
    }

    fn tell(&self, at: Partition, named: &Named, why: &Unusable) {
        metrics::counter!("boxoffice_snapshots_unusable_total").increment(1);
        let file = named.path.display();
        tracing::warn!(partition = %at, %file, error = why.chain(), "a snapshot is not used");
    }

    /// Has a state written down; it must be one that is acknowledged. `done` is called once it is there, and dropped if
    /// that failed. Tells whether it will be tried.
    pub fn write<A: Root>(
        &self,
        at: Partition,
        partitions: u32,
        acknowledged: State<A>,
        now: Timestamp,
        turn: Turn,
        done: impl FnOnce(SnapshotTaken) + Send + 'static,
    ) -> bool {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let admitted = match turn {
            Turn::IfIdle => self.pending.compare_exchange(0, 1, order.0, order.1).is_ok(),
            Turn::Queue => {
                self.pending.fetch_add(1, order.0);
                true
            }
        };
        if !admitted {
            return false;
        }
        let pending = Pending(Arc::clone(&self.pending));
        let (folder, unique) = (self.settings.folder.clone(), (self.new_id)());
        let job = move || {
            let _pending = pending;
            match write::whole(&folder, at, partitions, &acknowledged, now, unique) {
                Ok(taken) => done(taken),
                Err(error) => {
                    metrics::counter!("boxoffice_snapshot_failures_total").increment(1);
                    let folder = folder.display();
                    tracing::error!(partition = %at, %folder, %error, "a snapshot could not be written");
                }
            }
        };
        self.jobs.send(Box::new(job)).is_ok()
    }
}

/// Counts down, also after a panic.
struct Pending(Arc<AtomicUsize>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
