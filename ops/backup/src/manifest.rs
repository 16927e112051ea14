//! What a backup holds: the one file that says how far the others count.
//!
//! Invariant: the manifest is replaced only after everything that it tells of is on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use domain::root::Context;
use event_log::topics::moving::Set;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::files;

/// The layout that this code writes and reads.
pub const FORMAT: u32 = 1;
/// The topic of what operators did.
pub const ACTIONS: &str = "operator-actions";
/// The topic of wrapped data keys.
pub const KEYS: &str = "person-keys";
const NAME: &str = "manifest.json";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of these files.
    pub format: u32,
    /// The program that wrote last.
    pub made_by: String,
    /// Prefix of the topics that were copied.
    pub namespace: String,
    /// Partitions of every event topic.
    pub partitions: u32,
    /// When the backup was begun.
    pub began_at: Timestamp,
    /// When it was last brought up to date.
    pub updated_at: Timestamp,
    /// The moment that a restore brings back.
    pub moment: Moment,
    /// Every partition of the event topics and of the operators' actions.
    pub log: BTreeMap<String, Vec<Part>>,
    /// The files of the log, in order.
    pub segments: Vec<Segment>,
    /// The file of wrapped data keys.
    pub keys: Keys,
    /// Which master keys wrap them, and how many each.
    pub master_keys: BTreeMap<Uuid, u64>,
    /// Every schema of the log, by SHA-256 of `schemas.json`.
    pub schemas: String,
    /// What the topics were set to.
    pub topics: Set,
    /// SHA-256 of this file with nothing here.
    pub checksum: String,
}

/// A moment at which all partitions agree: nothing that an event before it caused and that was settled lies behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moment {
    /// By the brokers' clocks; none before the first round was whole.
    pub at: Option<Timestamp>,
    /// Nothing was appended while all ends were looked at twice: it does not depend on any clock.
    pub quiet: bool,
    /// The latest time of a copied record, in milliseconds.
    pub latest_ms: i64,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Part {
    /// The offset behind the last copied record.
    pub end: i64,
    /// The offset behind the last record before the moment.
    pub moment: i64,
    /// The log's name: the claim at offset 0.
    pub identity: Option<Uuid>,
    /// SHA-256 of the last copied record, by which a log is known again.
    pub last: String,
}

/// One file of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its name.
    pub file: String,
    /// So much of it counts.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
    /// SHA-256, once nothing more is appended.
    pub sha256: Option<String>,
}

/// The file of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Keys {
    /// Its name; empty before there is one.
    pub file: String,
    /// So much of it counts.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
    /// Of these, tombstones.
    pub tombstones: u64,
    /// How far each partition of the topic was copied.
    pub ends: Vec<i64>,
    /// When it was last written anew, with the last record of every key only.
    pub written_at: Option<Timestamp>,
    /// Tombstones that came since then: the keys that they take away are still in the file.
    pub to_forget: u64,
}

impl Manifest {
    /// Of a backup that holds nothing yet.
    pub fn new(made_by: String, namespace: String, partitions: u32, now: Timestamp, topics: Set) -> Self {
        let parts = |count: u32| vec![Part::default(); count as usize];
        let events = Context::ALL.iter().map(|context| (context.topic().to_owned(), parts(partitions)));
        Self {
            format: FORMAT,
            made_by,
            namespace,
            partitions,
            began_at: now,
            updated_at: now,
            moment: Moment { latest_ms: i64::MIN, ..Moment::default() },
            log: events.chain([(ACTIONS.to_owned(), parts(1))]).collect(),
            segments: Vec::new(),
            keys: Keys { ends: vec![0; partitions as usize], ..Keys::default() },
            master_keys: BTreeMap::new(),
            schemas: String::new(),
            topics,
            checksum: String::new(),
        }
    }

    /// How many records of the log it holds.
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// How many bytes all files have.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum::<u64>() + self.keys.bytes
    }

    /// One partition, of a topic that the backup has.
    pub fn part_mut(&mut self, topic: &str, partition: u32) -> &mut Part {
        let parts = self.log.get_mut(topic).expect("the manifest names every topic");
        &mut parts[partition as usize]
    }

    fn sum(&self) -> anyhow::Result<String> {
        let bare = Self { checksum: String::new(), ..self.clone() };
        Ok(files::digest_of(&serde_json::to_vec(&bare).context("write a manifest down")?))
    }
}

/// The folder of a backup.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// A folder that there may be.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where a file of it is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where the wrapped keys are: apart, because copies of them may be kept for a short time only.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The manifest, if there is a backup.
    ///
    /// # Errors
    /// It cannot be read, was changed, or is of another format.
    pub fn manifest(&self) -> anyhow::Result<Option<Manifest>> {
        let path = self.file(NAME);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("read {}", path.display()))?,
        };
        let shown = || format!("read {}", path.display());
        let manifest: Manifest = serde_json::from_slice(&text).with_context(shown)?;
        let found = manifest.format;
        ensure!(found == FORMAT, "{} is of format {found}; this program reads format {FORMAT}", path.display());
        ensure!(manifest.sum()? == manifest.checksum, "{} was changed: its checksum is wrong", path.display());
        Ok(Some(manifest))
    }

    /// Replaces the manifest.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub fn keep(&self, manifest: &mut Manifest) -> anyhow::Result<()> {
        manifest.checksum = manifest.sum()?;
        files::replace(&self.file(NAME), &serde_json::to_vec_pretty(manifest).context("write a manifest down")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_kept_and_a_changed_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::new(folder.path());
        assert!(folder.manifest().unwrap().is_none());
        let mut manifest = Manifest::new("boxctl".to_owned(), String::new(), 2, Timestamp::UNIX_EPOCH, Set::new());
        manifest.part_mut("order-events", 1).end = 7;
        folder.keep(&mut manifest).unwrap();
        assert_eq!(folder.manifest().unwrap(), Some(manifest));

        let text = fs::read_to_string(folder.file(NAME)).unwrap();
        fs::write(folder.file(NAME), text.replace("\"end\": 7", "\"end\": 8")).unwrap();
        let refused = folder.manifest().unwrap_err();
        assert!(refused.to_string().ends_with("was changed: its checksum is wrong"), "{refused}");
        fs::write(folder.file(NAME), text.replace("\"format\": 1", "\"format\": 2")).unwrap();
        let refused = folder.manifest().unwrap_err();
        assert!(refused.to_string().ends_with("is of format 2; this program reads format 1"), "{refused}");
    }
}
