//! Snapshots: the acknowledged state of a partition at one offset, so that a restart need not read the whole log.
//!
//! Invariant: a snapshot is only used if the log still has what it was taken from. Whatever is wrong with one, the one
//! before it is used, and without any the whole log is read: slower, and never wrong.

mod files;
mod header;
mod history;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use domain::root::Root;
use domain::value::Timestamp;
use uuid::Uuid;

use crate::driver::SnapshotTaken;
use crate::log::{Log, LogError, Partition};
use crate::state::State;
use files::Named;
use header::{Header, LENGTH};
use history::History;

/// The fingerprint of everything that decides what a stored state looks like and what the log folds to. Programs that
/// differ in it do not read what the other one has written.
pub fn shape() -> u128 {
    header::shape()
}

/// Where snapshots are kept, and how often one is written.
#[derive(Debug, Clone)]
pub struct SnapshotSettings {
    /// A folder. Instances that are to begin with each other's snapshots share it.
    pub folder: PathBuf,
    /// A partition is written down when so many bytes of its log were folded or appended since the last time.
    pub every_bytes: u64,
}

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The operating system does not give it.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// Another kind of file.
    #[error("it is no snapshot")]
    NotASnapshot,
    /// Shorter or longer than it says.
    #[error("it has {found} bytes instead of {expected}")]
    Truncated { expected: u64, found: u64 },
    /// Bits have changed.
    #[error("its checksum does not fit")]
    Corrupt,
    /// Written by another version.
    #[error("its layout {0} is not known to this version")]
    Layout(u16),
    /// Written by a version with other rules.
    #[error("it was written by a version with other rules")]
    OtherShape,
    /// A file in the wrong place.
    #[error("it belongs to another partition, or to another count of partitions")]
    OtherPartition,
    /// The log is another one.
    #[error("it belongs to another log: that began with claim {expected}, this one with {found:?}")]
    Foreign { expected: Uuid, found: Option<Uuid> },
    /// The log has lost records.
    #[error("it was taken at offset {offset}, and the log ends at {end}")]
    TooNew { offset: i64, end: i64 },
    /// The log has lost records, and got others since.
    #[error("what the log has below offset {offset} is not what it was taken from")]
    OtherHistory { offset: i64 },
    /// It does not say what its name or header says.
    #[error("its body is no state of this partition: {0}")]
    Body(String),
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

    /// A partition is written down when so many bytes of its log were folded or appended since the last time.
    pub fn every_bytes(&self) -> u64 {
        self.settings.every_bytes
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
            match read(&named, at, partitions, history)? {
                Ok(loaded) => return Ok(Load { loaded: Some(loaded), unusable }),
                Err(Unusable::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(why) => {
                    self.tell(at, &named, &why);
                    unusable.push((named.path, why));
                }
            }
        }
        if !unusable.is_empty() {
            tracing::error!(partition = %at, "no snapshot is usable: the whole log is read");
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
        tracing::warn!(partition = %at, %file, error = %Chain(why), "a snapshot is not used");
        if let Unusable::TooNew { .. } | Unusable::OtherHistory { .. } = why {
            files::set_aside(named);
        }
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
            match write(&folder, at, partitions, &acknowledged, now, unique) {
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

fn write<A: Root>(
    folder: &Path,
    at: Partition,
    partitions: u32,
    state: &State<A>,
    now: Timestamp,
    unique: Uuid,
) -> io::Result<SnapshotTaken> {
    let began = tokio::time::Instant::now();
    let header = Header::of(at, partitions, &state.position, now)
        .ok_or_else(|| io::Error::other("a state without a log is not kept"))?;
    let staged = files::stage(folder, at, header, unique, |body| store(state, body))?;
    let bytes = staged.bytes();
    let published = staged.publish()?;
    files::prune(&published);
    let (offset, took_ms) = (header.offset, began.elapsed().as_millis());
    metrics::counter!("boxoffice_snapshots_written_total").increment(1);
    metrics::histogram!("boxoffice_snapshot_seconds").record(began.elapsed().as_secs_f64());
    tracing::info!(partition = %at, offset, bytes, took_ms = u64::try_from(took_ms).unwrap_or(u64::MAX), "wrote a snapshot");
    Ok(SnapshotTaken { offset, at: now })
}

/// The format's own error does not tell why the disk failed.
fn store<A: Root>(state: &State<A>, to: &mut files::Body) -> io::Result<()> {
    let mut watched = Watched { to, error: None };
    let stored = state.store(&mut watched);
    match (watched.error, stored) {
        (Some(error), _) => Err(error),
        (None, stored) => stored.map_err(io::Error::other),
    }
}

struct Watched<'a> {
    to: &'a mut files::Body,
    error: Option<io::Error>,
}

impl io::Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Reads one file and judges it; the outer error is the log's.
fn read<A: Root>(
    named: &Named,
    at: Partition,
    partitions: u32,
    history: &mut History<'_>,
) -> Result<Result<Loaded<A>, Unusable>, LogError> {
    let (header, bytes) = match whole(&named.path, at, partitions) {
        Ok(whole) => whole,
        Err(why) => return Ok(Err(why)),
    };
    if let Some(why) = history.refuses(header.identity, header.offset)? {
        return Ok(Err(why));
    }
    let state = match State::<A>::restore(&bytes[LENGTH..]) {
        Ok(state) => state,
        Err(error) => return Ok(Err(Unusable::Body(error.to_string()))),
    };
    let position = state.position;
    if (position.identity, position.next, position.claim) != (Some(header.identity), header.offset, header.claim) {
        return Ok(Err(Unusable::Body("its position is another one than its header says".to_owned())));
    }
    if !history.continues(&position)? {
        return Ok(Err(Unusable::OtherHistory { offset: header.offset }));
    }
    let taken = SnapshotTaken { offset: header.offset, at: header.taken_at };
    Ok(Ok(Loaded { state, taken }))
}

/// The bytes of a file that is what it says, as far as it can tell itself.
fn whole(path: &Path, at: Partition, partitions: u32) -> Result<(Header, Vec<u8>), Unusable> {
    let bytes = fs::read(path).map_err(Unusable::Unreadable)?;
    let header = Header::decode(&bytes)?;
    if header.shape != header::shape() {
        return Err(Unusable::OtherShape);
    }
    if !header.is_of(at, partitions) {
        return Err(Unusable::OtherPartition);
    }
    let (expected, found) = (header.body_bytes.saturating_add(LENGTH as u64), bytes.len() as u64);
    if expected != found {
        return Err(Unusable::Truncated { expected, found });
    }
    if crc32fast::hash(&bytes[LENGTH..]) != header.body_crc {
        return Err(Unusable::Corrupt);
    }
    Ok((header, bytes))
}

/// An error with its causes, on one line.
struct Chain<'a>(&'a Unusable);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0 {
            Unusable::Unreadable(source) => write!(f, ": {source}"),
            _ => Ok(()),
        }
    }
}
