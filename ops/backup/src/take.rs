//! Taking a backup: rounds of copying what is new. A round looks at all ends, copies up to there, then the schemas and the
//! keys, which are older than whatever needs them, syncs, and moves the manifest on.

use std::fs;

use anyhow::{Context as _, bail, ensure};
use event_log::frame::{self, Frame, Kind};
use event_log::kafka::KafkaSettings;
use event_log::kafka::copying::{Copier, Spot, Stretch, WholeRecord};
use event_log::topics::moving::Set;
use jiff::Timestamp;
use service_kit::clock;
use uuid::Uuid;

use crate::block::{self, Block};
use crate::files::{self, Appending};
use crate::keys;
use crate::manifest::{Folder, Manifest, Segment};
use crate::round::{Progress, conclude};
use crate::texts::Texts;

/// Records are gathered up to so many bytes before they are compressed.
const BLOCK: usize = 1 << 20;
/// A file of the log is closed when it has so many bytes.
const SEGMENT: u64 = 256 << 20;
/// A copy that is killed goes on from the last so many bytes.
const SAVED: u64 = 64 << 20;

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Records of the log that were new.
    pub records: u64,
    /// Keys and tombstones that were new.
    pub keys: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Nothing had been appended since the round before.
    pub quiet: bool,
}

/// A backup that is being taken. Everything blocks.
pub struct Taking {
    settings: KafkaSettings,
    copier: Copier,
    /// Every partition of the log, in the manifest's order.
    spots: Vec<(String, u32)>,
    writing: Writing,
    texts: Texts,
    /// The log was found to be the one that the backup is of.
    proven: bool,
}

/// What is written to.
struct Writing {
    folder: Folder,
    manifest: Manifest,
    file: Appending,
    unsaved: u64,
}

/// The moment by this machine's clock.
pub fn now() -> Timestamp {
    Timestamp::from_microsecond(clock::now().0).expect("the clock shows a year that has four digits")
}

impl Taking {
    /// Goes on with the backup in a folder, or begins one.
    ///
    /// # Errors
    /// The folder holds something else, or cannot be written.
    pub fn open(settings: &KafkaSettings, folder: Folder, partitions: u32, topics: Set) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.keys()).with_context(|| format!("create {}", folder.keys().display()))?;
        let made_by = concat!("boxctl ", env!("CARGO_PKG_VERSION")).to_owned();
        let manifest = match folder.manifest()? {
            Some(manifest) => Manifest { made_by, topics, ..manifest },
            None => Manifest::new(made_by, settings.namespace.clone(), partitions, now(), topics),
        };
        ensure!(
            (&manifest.namespace, manifest.partitions) == (&settings.namespace, partitions),
            "{} holds a backup of the namespace \"{}\" with {} partitions, not of \"{}\" with {partitions}",
            folder.path().display(),
            manifest.namespace,
            manifest.partitions,
            settings.namespace
        );
        let spots = manifest.log.iter().flat_map(|(topic, parts)| {
            let numbers = (0..).zip(parts).map(|(number, _)| number);
            numbers.map(|number| (topic.clone(), number)).collect::<Vec<_>>()
        });
        let (spots, texts) = (spots.collect(), Texts::of(&folder, &manifest)?);
        let writing = Writing::open(folder, manifest)?;
        Ok(Self {
            settings: settings.clone(),
            copier: Copier::connect(settings)?,
            spots,
            writing,
            texts,
            proven: false,
        })
    }

    /// How far it has come.
    pub fn manifest(&self) -> &Manifest {
        &self.writing.manifest
    }

    /// Copies what is new.
    ///
    /// # Errors
    /// Kafka does not answer, the log is another one, a record is missing, or the disk fails.
    pub fn round(&mut self) -> anyhow::Result<Round> {
        let before = self.manifest().bytes();
        let (stretches, quiet) = self.look()?;
        let records = self.copy(&stretches, quiet)?;
        let writing = &mut self.writing;
        self.texts.copy(&self.copier, &self.settings, &writing.folder, &mut writing.manifest)?;
        let keys = keys::copy(&self.copier, &self.settings, &writing.folder, &mut writing.manifest, &self.texts)?;
        writing.manifest.updated_at = now();
        writing.save()?;
        Ok(Round { records, keys, bytes: self.manifest().bytes().saturating_sub(before), quiet })
    }

    /// Writes the keys' file anew, so that it holds none that was taken away.
    ///
    /// # Errors
    /// Kafka does not answer, or the disk fails.
    pub fn forget(&mut self) -> anyhow::Result<()> {
        let writing = &mut self.writing;
        keys::rewrite(&self.copier, &self.settings, &writing.folder, &mut writing.manifest, &self.texts)?;
        writing.save()?;
        keys::remove_others(&writing.folder, &writing.manifest.keys.file)
    }

    /// Where every partition ends now, and whether that is where the copy ends.
    fn look(&self) -> anyhow::Result<(Vec<Stretch>, bool)> {
        let spot =
            |(topic, partition): &(String, u32)| Spot { topic: self.settings.name(topic), partition: *partition };
        let spots: Vec<Spot> = self.spots.iter().map(spot).collect();
        let bounds = self.copier.bounds(&spots)?;
        let mut stretches = Vec::new();
        let mut quiet = true;
        for ((at, bounds), (topic, partition)) in spots.into_iter().zip(bounds).zip(&self.spots) {
            let from = self.manifest().log[topic][*partition as usize].end;
            if bounds.start > 0 {
                bail!("{topic}/{partition} begins at offset {}: what came before is gone", bounds.start);
            }
            if bounds.end < from {
                let (end, folder) = (bounds.end, self.writing.folder.path().display());
                bail!(
                    "{topic}/{partition} ends at offset {end}, the backup at {from}: it is another log, or has lost records; begin another backup than {folder}"
                );
            }
            quiet &= bounds.end == from;
            // The last record that is there proves that the log is the same.
            let first = if self.proven { from } else { (from - 1).max(0) };
            stretches.push(Stretch { at, from: first, to: bounds.end });
        }
        Ok((stretches, quiet))
    }

    fn copy(&mut self, stretches: &[Stretch], quiet: bool) -> anyhow::Result<u64> {
        let Self { copier, spots, writing, .. } = self;
        let known_ms = writing.manifest.moment.latest_ms;
        let begin = |(topic, partition): &(String, u32)| {
            let end = writing.manifest.log[topic][*partition as usize].end;
            (Block::new(topic, *partition), Progress::begin(known_ms, end))
        };
        let mut open: Vec<(Block, Progress)> = spots.iter().map(begin).collect();
        let mut records = 0;
        copier.read(stretches, |index, record| {
            let (block, progress) = &mut open[index];
            let part = writing.manifest.part_mut(&block.topic, block.partition);
            if record.offset < part.end {
                return proves(&part.last, &record, &stretches[index].at);
            }
            progress.take(record.offset, record.timestamp_ms);
            block.push(&record);
            records += 1;
            if record.offset == 0 {
                part.identity = identity(&record);
            }
            if block.bytes() >= BLOCK || record.offset + 1 == stretches[index].to {
                let full = std::mem::replace(block, Block::new(&block.topic, block.partition));
                writing.append(&full, &record)?;
            }
            anyhow::Ok(())
        })?;
        self.proven = true;
        let Manifest { log, moment, .. } = &mut self.writing.manifest;
        let parts = log.values_mut().flatten().zip(open.into_iter().map(|(_, progress)| progress));
        conclude(moment, (quiet, known_ms), now(), parts);
        Ok(records)
    }
}

impl Writing {
    fn open(folder: Folder, manifest: Manifest) -> anyhow::Result<Self> {
        let file = match manifest.segments.last().filter(|last| last.sha256.is_none()) {
            Some(last) => Appending::open(folder.file(&last.file), last.bytes)?,
            None => Appending::open(folder.file(&name(manifest.segments.len())), 0)?,
        };
        Ok(Self { folder, manifest, file, unsaved: 0 })
    }

    /// Appends a block that ends with this record.
    fn append(&mut self, block: &Block, last: &WholeRecord) -> anyhow::Result<()> {
        let before = self.file.bytes;
        self.file.append(block)?;
        let part = self.manifest.part_mut(&block.topic, block.partition);
        part.end = last.offset + 1;
        part.last = digest(last);
        // Known also to the round that follows one that was interrupted.
        self.manifest.moment.latest_ms = self.manifest.moment.latest_ms.max(block.latest_ms);
        let new = || Segment { file: String::new(), bytes: 0, records: 0, sha256: None };
        if self.manifest.segments.last().is_none_or(|last| last.sha256.is_some()) {
            let file = name(self.manifest.segments.len());
            self.manifest.segments.push(Segment { file, ..new() });
        }
        let segment = self.manifest.segments.last_mut().expect("one was pushed");
        segment.bytes = self.file.bytes;
        segment.records += u64::from(block.count);
        self.unsaved += self.file.bytes - before;
        if self.file.bytes >= SEGMENT {
            self.close()?;
        }
        if self.unsaved >= SAVED { self.save() } else { Ok(()) }
    }

    /// Begins the next file.
    fn close(&mut self) -> anyhow::Result<()> {
        self.file.sync()?;
        let segment = self.manifest.segments.last_mut().expect("something was appended");
        segment.sha256 = Some(files::digest(&self.folder.file(&segment.file), segment.bytes)?);
        self.file = Appending::open(self.folder.file(&name(self.manifest.segments.len())), 0)?;
        Ok(())
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.file.sync()?;
        files::sync_folder(self.folder.path())?;
        self.unsaved = 0;
        self.folder.keep(&mut self.manifest)
    }
}

/// The name of the file behind so many others.
fn name(others: usize) -> String {
    format!("log-{:06}.box", others + 1)
}

/// What a record is known by.
pub fn digest(record: &WholeRecord) -> String {
    let mut bytes = Vec::new();
    block::encode(record, &mut bytes);
    files::digest_of(&bytes)
}

fn proves(known: &str, record: &WholeRecord, at: &Spot) -> anyhow::Result<()> {
    ensure!(
        digest(record) == known,
        "{}/{} has another record at offset {} than the backup: it is another log, or went on differently; begin another \
         backup in an empty folder",
        at.topic,
        at.partition,
        record.offset
    );
    Ok(())
}

/// The claim that names the log, if this is its first record.
fn identity(record: &WholeRecord) -> Option<Uuid> {
    let (_, header) = record.headers.iter().find(|(name, _)| name == frame::HEADER)?;
    let frame = Frame::decode(header.as_deref()?).ok()?;
    (frame.kind == Kind::Claim).then_some(frame.claim)
}
