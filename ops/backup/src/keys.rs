//! The wrapped data keys of persons, in a file of their own below `keys/`: what is taken away in the log must go away here.
//!
//! New records are appended. Writing the file anew keeps the last record of every key only; a tombstone stays, so that an
//! older copy of the keys beside it cannot bring the key back.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context as _, ensure};
use event_log::kafka::KafkaSettings;
use event_log::kafka::copying::{Copier, Spot, Stretch, WholeRecord};
use event_log::log::Bounds;
use schemas::{Codec, PersonKey};
use uuid::Uuid;

use crate::block::Block;
use crate::files::{self, Appending};
use crate::manifest::{Folder, KEYS, Keys, Manifest};
use crate::take::now;
use crate::texts::Texts;

const BLOCK: usize = 1 << 20;
/// A tombstone is gone from the log a day after it took effect: a file that was not written anew for half of that might never
/// have heard of it.
const STALE_S: i64 = 12 * 3600;

impl Keys {
    /// Whether the file has to be written anew for somebody to be forgotten.
    pub fn must_be_rewritten(&self) -> bool {
        let stale = self.written_at.is_none_or(|at| now().duration_since(at).as_secs() > STALE_S);
        self.to_forget > 0 || stale
    }
}

/// Appends what is new, and tells how much it was.
///
/// # Errors
/// Kafka does not answer, or the disk fails.
pub fn copy(
    copier: &Copier,
    settings: &KafkaSettings,
    folder: &Folder,
    manifest: &mut Manifest,
    texts: &Texts,
) -> anyhow::Result<u64> {
    if manifest.keys.file.is_empty() {
        rewrite(copier, settings, folder, manifest, texts)?;
        return Ok(manifest.keys.records);
    }
    let codec = texts.codec()?;
    let before = manifest.keys.records;
    let stretches = stretches(copier, settings, &manifest.keys.ends)?;
    if stretches.iter().all(|it| it.from >= it.to) {
        return Ok(0);
    }
    let mut file = Appending::open(folder.keys().join(&manifest.keys.file), manifest.keys.bytes)?;
    for stretch in stretches {
        let mut writing = Writing::new(&mut file, manifest, &codec, stretch.at.partition);
        copier.read_compacted(&stretch, |record| writing.push(&record))?;
        let tombstones = writing.finish()?;
        manifest.keys.to_forget += tombstones;
        manifest.keys.ends[stretch.at.partition as usize] = stretch.to;
    }
    file.sync()?;
    manifest.keys.bytes = file.bytes;
    Ok(manifest.keys.records - before)
}

/// Writes the file anew under another name; [`remove_others`] removes the old one once the manifest names this.
///
/// # Errors
/// Kafka does not answer, or the disk fails.
pub fn rewrite(
    copier: &Copier,
    settings: &KafkaSettings,
    folder: &Folder,
    manifest: &mut Manifest,
    texts: &Texts,
) -> anyhow::Result<()> {
    let codec = texts.codec()?;
    let number = manifest.keys.file.trim_matches(|it: char| !it.is_ascii_digit()).parse::<u32>().unwrap_or(0) + 1;
    let name = format!("{KEYS}-{number:06}.box");
    let mut file = Appending::open(folder.keys().join(&name), 0)?;
    let written_at = Some(now());
    manifest.keys = Keys { file: name, written_at, ends: vec![0; manifest.partitions as usize], ..Keys::default() };
    manifest.master_keys.clear();
    for stretch in stretches(copier, settings, &vec![0; manifest.partitions as usize])? {
        let mut last: HashMap<Option<Vec<u8>>, i64> = HashMap::new();
        copier.read_compacted(&stretch, |record| {
            last.insert(record.key, record.offset);
            anyhow::Ok(())
        })?;
        let mut writing = Writing::new(&mut file, manifest, &codec, stretch.at.partition);
        copier.read_compacted(&stretch, |record| match last.get(&record.key) {
            Some(offset) if *offset == record.offset => writing.push(&record),
            _ => Ok(()),
        })?;
        writing.finish()?;
        manifest.keys.ends[stretch.at.partition as usize] = stretch.to;
    }
    file.sync()?;
    files::sync_folder(&folder.keys())?;
    manifest.keys.bytes = file.bytes;
    Ok(())
}

/// Removes every file of keys but this one.
///
/// # Errors
/// The disk fails.
pub fn remove_others(folder: &Folder, name: &str) -> anyhow::Result<()> {
    let keys = folder.keys();
    let shown = || format!("remove old files of {}", keys.display());
    for entry in fs::read_dir(&keys).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        let found = entry.file_name();
        if found.to_str().is_some_and(|found| found.starts_with(KEYS) && found != name) {
            fs::remove_file(entry.path()).with_context(shown)?;
        }
    }
    files::sync_folder(&keys)
}

/// The last record of every key in the file, in order of their partitions and offsets.
///
/// # Errors
/// The file cannot be read, or was changed.
pub fn each(
    folder: &Folder,
    keys: &Keys,
    mut take: impl FnMut(u32, WholeRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if keys.file.is_empty() {
        return Ok(());
    }
    let path = folder.keys().join(&keys.file);
    let mut last: HashMap<Option<Vec<u8>>, i64> = HashMap::new();
    files::blocks(&path, keys.bytes, |block| {
        ensure!(block.topic == KEYS, "{} holds records of {}", path.display(), block.topic);
        last.extend(block.records()?.into_iter().map(|record| (record.key, record.offset)));
        Ok(())
    })?;
    files::blocks(&path, keys.bytes, |block| {
        let partition = block.partition;
        let mut records = block.records()?.into_iter();
        records.try_for_each(|record| match last.get(&record.key) {
            Some(offset) if *offset == record.offset => take(partition, record),
            _ => Ok(()),
        })
    })
}

fn stretches(copier: &Copier, settings: &KafkaSettings, from: &[i64]) -> anyhow::Result<Vec<Stretch>> {
    let spot = |(partition, _)| Spot { topic: settings.name(KEYS), partition };
    let spots: Vec<Spot> = (0..).zip(from).map(spot).collect();
    let bounds: Vec<Bounds> = copier.bounds(&spots)?;
    let each = spots.into_iter().zip(bounds).zip(from);
    each.map(|((at, bounds), &from)| {
        let end = bounds.end;
        ensure!(end >= from, "{}/{} ends at offset {end}, the backup at {from}", at.topic, at.partition);
        Ok(Stretch { at, from: from.max(bounds.start), to: end })
    })
    .collect()
}

/// The records of one partition on their way to the file.
struct Writing<'a> {
    file: &'a mut Appending,
    manifest: &'a mut Manifest,
    codec: &'a Codec,
    block: Block,
    tombstones: u64,
}

impl<'a> Writing<'a> {
    fn new(file: &'a mut Appending, manifest: &'a mut Manifest, codec: &'a Codec, partition: u32) -> Self {
        Self { file, manifest, codec, block: Block::new(KEYS, partition), tombstones: 0 }
    }

    fn push(&mut self, record: &WholeRecord) -> anyhow::Result<()> {
        self.block.push(record);
        self.manifest.keys.records += 1;
        match record.value.as_deref().map(|value| decoded(self.codec, value)) {
            // Whoever verifies the backup is told of what cannot be read.
            Some(key) => {
                *self.manifest.master_keys.entry(key.map_or(Uuid::nil(), |it| it.master_key_id)).or_default() += 1
            }
            None => {
                self.tombstones += 1;
                self.manifest.keys.tombstones += 1;
            }
        }
        if self.block.bytes() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.block.count > 0 {
            self.file.append(&self.block)?;
            self.block = Block::new(KEYS, self.block.partition);
        }
        Ok(())
    }

    /// How many tombstones there were.
    fn finish(mut self) -> anyhow::Result<u64> {
        self.flush()?;
        Ok(self.tombstones)
    }
}

/// What a value of the topic says.
///
/// # Errors
/// It is none, or its schema is not among those of the log.
pub fn decoded(codec: &Codec, value: &[u8]) -> anyhow::Result<PersonKey> {
    codec.decode_person_key(value).context("read a wrapped key")
}
