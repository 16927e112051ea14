//! Giving a registry that lost its schemas the same ids again, from the copy in the topic `event-schemas`.
//!
//! Two ways lead there. Confluent's registry, and those that follow it in this, take an id with a schema while a subject is
//! in the mode IMPORT. Apicurio takes that mode, but ignores the id; it has an import of archives of its own.
//! Invariant: no id that means something else is ever touched, and nothing counts as restored before it was read back.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;
use serde_json::{Value, json};

use super::{Identified, Registry, RegistryError, same, shortened};
use crate::copy::SchemaRecord;

mod archive;

/// What a registry makes of one record of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The id means the schema, and its subject has it under this id.
    Kept,
    /// The registry knows neither.
    Lost,
    /// The id means the schema, but the subject does not have it.
    Unlisted,
    /// The id means another schema: the log would be misread.
    Taken,
    /// The subject has the schema under this other id.
    Elsewhere(u32),
}

impl Standing {
    /// Whether it can be put right without touching what is there.
    pub fn can_be_restored(self) -> bool {
        matches!(self, Self::Lost | Self::Unlisted)
    }
}

impl Registry {
    /// What the registry makes of a record of the copy.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn standing(&self, record: &SchemaRecord) -> Result<Standing, RegistryError> {
        let text = self.text(record.id).await?;
        let under = self.id_under(&record.subject, &record.schema).await?;
        Ok(match (text, under) {
            (Some(text), _) if !same(&record.schema, &text) => Standing::Taken,
            (_, Some(id)) if id != record.id => Standing::Elsewhere(id),
            (Some(_), Some(_)) => Standing::Kept,
            (Some(_), None) => Standing::Unlisted,
            (None, _) => Standing::Lost,
        })
    }

    /// Registers these schemas under their own ids, and has them read back. Each must be one that
    /// [can be restored](Standing::can_be_restored).
    ///
    /// # Errors
    /// [`RegistryError`]; what was restored before stays.
    pub async fn restore(&self, records: &[SchemaRecord]) -> Result<(), RegistryError> {
        let mut by_subject: BTreeMap<&str, Vec<&SchemaRecord>> = BTreeMap::new();
        let mut unlisted = Vec::new();
        for record in records {
            match self.standing(record).await? {
                // A registry gives one text one id, whatever the subject: there is nothing to import.
                Standing::Unlisted => unlisted.push(record),
                _ => by_subject.entry(&record.subject).or_default().push(record),
            }
        }
        let mut numbered = Vec::new();
        for (subject, mut records) in by_subject {
            // Ids were given out in the order of versions.
            records.sort_by_key(|record| record.id);
            let there = self.numbers(subject).await?;
            let first = there.iter().max().map_or(1, |last| last + 1);
            numbered.push(Versions { subject, there, new: (first..).zip(records).collect() });
        }
        match self.apicurio() {
            _ if numbered.is_empty() => {}
            Some(import) => self.import_archive(import, &numbered).await?,
            None => self.import_one_by_one(&numbered).await?,
        }
        for record in &unlisted {
            self.list(record).await?;
        }
        for subject in records.iter().map(|record| record.subject.as_str()).collect::<BTreeSet<_>>() {
            self.require_compatibility(subject).await?;
        }
        for record in records {
            if self.standing(record).await? != Standing::Kept {
                let detail = format!("it took id {} for {} and does not have it now", record.id, record.subject);
                return Err(self.answer(&record.subject, detail));
            }
        }
        Ok(())
    }

    /// Puts a schema under its subject that the registry has under another one.
    async fn list(&self, record: &SchemaRecord) -> Result<(), RegistryError> {
        let SchemaRecord { subject, schema, id } = record;
        let request = self.http.post(self.url(&["subjects", subject, "versions"]));
        match self.send(request.json(&json!({ "schema": schema, "schemaType": "AVRO" })), subject).await? {
            Some(Identified { id: given }) if given == *id => Ok(()),
            Some(Identified { id: given }) => {
                Err(self.answer(subject, format!("it lists it under id {given} instead of {id}")))
            }
            None => Err(self.answer(subject, "it does not register schemas".to_owned())),
        }
    }

    /// The id of a schema under a subject, whatever it is.
    async fn id_under(&self, subject: &str, text: &str) -> Result<Option<u32>, RegistryError> {
        let request = self.http.post(self.url(&["subjects", subject]));
        let answer = self.send(request.json(&json!({ "schema": text, "schemaType": "AVRO" })), subject).await?;
        Ok(answer.map(|Identified { id }| id))
    }

    /// The numbers of a subject's versions; none if it does not know the subject.
    pub(super) async fn numbers(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let request = self.http.get(self.url(&["subjects", subject, "versions"]));
        Ok(self.send(request, subject).await?.unwrap_or_default())
    }

    /// Where Apicurio takes archives, if this is one.
    fn apicurio(&self) -> Option<Url> {
        let (root, _) = self.base.path().split_once("/apis/ccompat/")?;
        let mut url = self.base.clone();
        url.set_path(&format!("{root}/apis/registry/v3/admin/import"));
        url.set_query(Some("requireEmptyRegistry=false"));
        Some(url)
    }

    async fn import_archive(&self, to: Url, subjects: &[Versions<'_>]) -> Result<(), RegistryError> {
        let archive = archive::of(subjects).map_err(|error| self.answer("an archive", error.to_string()))?;
        let request = self.http.post(to).header("Content-Type", "application/zip");
        let request = request.header("X-Registry-Preserve-ContentId", "true");
        let request = request.header("X-Registry-Preserve-GlobalId", "false").body(archive);
        let answer = request.send().await.map_err(|error| self.unreachable(error.without_url()))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let body = answer.bytes().await.unwrap_or_default();
        Err(self.answer("an archive of schemas", format!("status {status}: {}", shortened(&body))))
    }

    async fn import_one_by_one(&self, subjects: &[Versions<'_>]) -> Result<(), RegistryError> {
        for versions in subjects {
            self.set_mode(versions.subject, Some("IMPORT")).await?;
            let imported = self.import_subject(versions).await;
            // Also after an error: nobody could register anything new.
            let open = self.set_mode(versions.subject, None).await;
            imported.and(open)?;
        }
        Ok(())
    }

    async fn import_subject(&self, versions: &Versions<'_>) -> Result<(), RegistryError> {
        let subject = versions.subject;
        for (version, record) in &versions.new {
            let body = json!({
                "schema": record.schema, "schemaType": "AVRO", "id": record.id, "version": version,
            });
            let request = self.http.post(self.url(&["subjects", subject, "versions"])).json(&body);
            match self.send(request, subject).await? {
                Some(Identified { id }) if id == record.id => {}
                Some(Identified { id }) => {
                    return Err(self.answer(subject, format!("it registers it under id {id} instead of {}", record.id)));
                }
                None => return Err(self.answer(subject, "it does not register schemas".to_owned())),
            }
        }
        Ok(())
    }

    /// Sets a subject's mode, or takes it away again.
    async fn set_mode(&self, subject: &str, mode: Option<&str>) -> Result<(), RegistryError> {
        let mut url = self.url(&["mode", subject]);
        let request = match mode {
            Some(mode) => {
                url.set_query(Some("force=true"));
                self.http.put(url).json(&json!({ "mode": mode }))
            }
            None => self.http.delete(url),
        };
        match self.send::<Value>(request, subject).await? {
            None if mode.is_some() => Err(self.answer(subject, "it has no mode IMPORT".to_owned())),
            _ => Ok(()),
        }
    }
}

/// New versions of a subject, numbered on from those that are there.
struct Versions<'a> {
    subject: &'a str,
    there: Vec<u32>,
    new: Vec<(u32, &'a SchemaRecord)>,
}
