//! A backup as it is read: its blocks in order, and how far a restore would go.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;

use crate::block::Block;
use crate::files;
use crate::manifest::{ACTIONS, Folder, Manifest};
use crate::texts::Texts;

/// The offset behind the last record of every partition, by topic.
pub type Ends = BTreeMap<String, Vec<i64>>;

/// A backup.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Where it is.
    pub folder: Folder,
    /// What it holds.
    pub manifest: Manifest,
    /// The schemas of its records.
    pub texts: Texts,
    /// Where its keys are: in another folder, if a newer copy of them is used.
    pub keys_in: Folder,
}

impl Backup {
    /// Opens it.
    ///
    /// # Errors
    /// There is none, or it was changed.
    pub fn open(folder: Folder) -> anyhow::Result<Self> {
        let manifest = folder.manifest()?;
        let manifest = manifest.with_context(|| format!("{} holds no backup", folder.path().display()))?;
        let texts = Texts::of(&folder, &manifest)?;
        Ok(Self { keys_in: folder.clone(), folder, manifest, texts })
    }

    /// Uses the keys of a newer backup of the same log: whoever was forgotten since this one stays so.
    ///
    /// # Errors
    /// There is none, it is of another log, or it is older.
    pub fn with_keys_of(self, folder: Folder) -> anyhow::Result<Self> {
        let newer = Self::open(folder)?;
        let path = newer.folder.path().display();
        let name = |it: &Self| -> Vec<_> { it.manifest.log.values().flatten().map(|part| part.identity).collect() };
        let (ours, theirs) = (name(&self), name(&newer));
        let same = ours.iter().zip(&theirs).all(|(ours, theirs)| ours.is_none() || ours == theirs);
        ensure!(same && ours.len() == theirs.len(), "{path} is a backup of another log");
        let older = newer.manifest.keys.ends.iter().zip(&self.manifest.keys.ends).any(|(newer, ours)| newer < ours);
        ensure!(!older, "the keys of {path} are older than those of the backup itself");
        let Self { folder, mut manifest, mut texts, .. } = self;
        (manifest.keys, manifest.master_keys) = (newer.manifest.keys, newer.manifest.master_keys);
        for (id, text) in newer.texts.records {
            texts.records.entry(id).or_insert(text);
        }
        Ok(Self { folder, manifest, texts, keys_in: newer.keys_in })
    }

    /// Hands over every block of the log, each partition's in order.
    ///
    /// # Errors
    /// A file cannot be read or was changed, or whatever `take` says.
    pub fn blocks(&self, mut take: impl FnMut(Block) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut each = |block: Block| {
            let parts = self.manifest.log.get(&block.topic);
            let known = parts.is_some_and(|parts| (block.partition as usize) < parts.len());
            ensure!(known, "a block is of {}/{}, which the manifest does not name", block.topic, block.partition);
            take(block)
        };
        let mut segments = self.manifest.segments.iter();
        segments.try_for_each(|it| files::blocks(&self.folder.file(&it.file), it.bytes, &mut each))
    }

    /// How far a restore goes: to the backup's own moment, or to an earlier one. What operators did is kept whole.
    ///
    /// # Errors
    /// That moment is later than the backup's, or the backup was never completed.
    pub fn ends(&self, until: Option<Timestamp>) -> anyhow::Result<Ends> {
        let moment = self.manifest.moment;
        let at =
            moment.at.context("this backup was never completed: run `boxctl backup --to` with its folder again")?;
        let parts = |of: fn(&crate::manifest::Part) -> i64| {
            let ends = self.manifest.log.iter().map(move |(topic, parts)| {
                let of = if topic == ACTIONS { |part: &crate::manifest::Part| part.end } else { of };
                (topic.clone(), parts.iter().map(of).collect())
            });
            ends.collect::<Ends>()
        };
        let whole = parts(|part| part.moment);
        let Some(until) = until else { return Ok(whole) };
        ensure!(until <= at, "the backup goes to {at}, not to {until}");
        let (mut ends, until_ms) = (parts(|_| -1), until.as_millisecond());
        self.blocks(|block| {
            let end = &mut ends.get_mut(&block.topic).expect("the manifest names it")[block.partition as usize];
            if *end < 0 && block.latest_ms > until_ms {
                let records = block.records()?;
                let later = records.iter().find(|record| record.timestamp_ms > until_ms);
                *end = later.map_or(*end, |record| record.offset);
            }
            Ok(())
        })?;
        for (topic, ends) in &mut ends {
            for (end, whole) in ends.iter_mut().zip(&whole[topic]) {
                *end = if *end < 0 { *whole } else { (*end).min(*whole) };
            }
        }
        Ok(ends)
    }
}

/// How many records lie below these ends.
pub fn records(ends: &Ends) -> u64 {
    ends.values().flatten().map(|end| u64::try_from(*end).unwrap_or(0)).sum()
}
