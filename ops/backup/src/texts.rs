//! The schemas of the log, in `schemas.json`: without them its bytes mean nothing.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, ensure};
use event_log::kafka::KafkaSettings;
use event_log::kafka::copying::{Copier, Spot, Stretch};
use event_log::topics;
use schemas::{Codec, SchemaRecord};

use crate::files;
use crate::manifest::{Folder, Manifest};

const FILE: &str = "schemas.json";

/// Every schema by its id.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// As the topic `event-schemas` has them.
    pub records: BTreeMap<u32, SchemaRecord>,
    /// How far that topic was read.
    end: i64,
}

impl Texts {
    /// Those of a backup.
    ///
    /// # Errors
    /// The file cannot be read, or was changed.
    pub fn of(folder: &Folder, manifest: &Manifest) -> anyhow::Result<Self> {
        if manifest.schemas.is_empty() {
            return Ok(Self::default());
        }
        let path = folder.file(FILE);
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        ensure!(files::digest_of(&text) == manifest.schemas, "{} was changed: its checksum is wrong", path.display());
        let records: Vec<SchemaRecord> =
            serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
        Ok(Self { records: records.into_iter().map(|record| (record.id, record)).collect(), end: 0 })
    }

    /// Copies what is new.
    ///
    /// # Errors
    /// Kafka does not answer, somebody wrote something else there, or the disk fails.
    pub fn copy(
        &mut self,
        copier: &Copier,
        settings: &KafkaSettings,
        folder: &Folder,
        manifest: &mut Manifest,
    ) -> anyhow::Result<()> {
        let at = Spot { topic: topics::event_schemas(settings).name, partition: 0 };
        let to = copier.bounds(std::slice::from_ref(&at))?.first().map_or(0, |bounds| bounds.end);
        if to == self.end {
            return Ok(());
        }
        let before = self.records.clone();
        copier.read_compacted(&Stretch { at, from: self.end, to }, |record| {
            // Nobody takes a schema away.
            if let Some(value) = record.value {
                let schema = SchemaRecord::decode(&value).context("read the copy of the schemas")?;
                self.records.insert(schema.id, schema);
            }
            anyhow::Ok(())
        })?;
        self.end = to;
        if self.records != before || manifest.schemas.is_empty() {
            let all: Vec<&SchemaRecord> = self.records.values().collect();
            let text = serde_json::to_vec_pretty(&all).context("write the schemas down")?;
            files::replace(&folder.file(FILE), &text)?;
            manifest.schemas = files::digest_of(&text);
        }
        Ok(())
    }

    /// Reads by these schemas.
    ///
    /// # Errors
    /// One of them is none.
    pub fn codec(&self) -> anyhow::Result<Codec> {
        let texts = self.records.iter().map(|(id, record)| (*id, record.schema.as_str()));
        Codec::of_texts(texts).context("understand the schemas of the log")
    }
}
