//! A folder of snapshots, and ways to spoil what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use domain::inventory::Inventory;
use domain::root::Root;
use event_log::log::Partition;
use event_log::memory::MemoryLog;
use event_log::snapshot::{Load, SnapshotSettings, SnapshotTaken, Snapshots, Turn};
use event_log::state::State;
use tempfile::TempDir;

use super::rig::BEGIN;
use super::{AT, unique};

const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a snapshot's header.
pub const HEADER: usize = 130;

/// A folder that goes when it is dropped.
pub struct Shelf {
    pub snapshots: Arc<Snapshots>,
    folder: TempDir,
}

pub fn open(folder: &Path, every_bytes: u64) -> Arc<Snapshots> {
    Snapshots::open(SnapshotSettings { folder: folder.to_owned(), every_bytes }, unique).unwrap()
}

impl Shelf {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { snapshots: open(folder.path(), 1), folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a state down, and waits for it; none if that fails.
    pub fn write<A: Root>(&self, at: Partition, state: &State<A>) -> Option<SnapshotTaken> {
        write(&self.snapshots, at, state)
    }

    pub fn load(&self, log: &MemoryLog) -> Load<Inventory> {
        self.snapshots.load(AT, 4, log).unwrap()
    }

    /// The names in the folder, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.paths().iter().map(|it| it.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// The snapshots in it, newest last.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut paths = self.paths();
        paths.retain(|path| path.extension().is_some_and(|it| it == "snapshot"));
        paths.sort();
        paths
    }

    /// Changes the bytes of the newest snapshot.
    pub fn spoil(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.files().pop().expect("there is one");
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    fn paths(&self) -> Vec<PathBuf> {
        fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

pub fn write<A: Root>(snapshots: &Snapshots, at: Partition, state: &State<A>) -> Option<SnapshotTaken> {
    let (done, taken) = channel();
    let done = move |it| done.send(it).unwrap();
    assert!(snapshots.write(at, 4, state.clone(), BEGIN, Turn::Queue, done));
    taken.recv_timeout(PATIENCE).ok()
}

/// Makes checksums of header and body fit again.
pub fn seal(bytes: &mut [u8]) {
    let length = u64::try_from(bytes.len() - HEADER).unwrap();
    bytes[114..122].copy_from_slice(&length.to_be_bytes());
    let body = crc32fast::hash(&bytes[HEADER..]);
    bytes[122..126].copy_from_slice(&body.to_be_bytes());
    let header = crc32fast::hash(&bytes[..126]);
    bytes[126..130].copy_from_slice(&header.to_be_bytes());
}
