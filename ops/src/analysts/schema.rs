//! `boxctl schema`: an event's schema and its history.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use event_log::kafka::KafkaLog;
use event_log::topics;
use export::history::{self, Column, Version, columns, find, near};
use schemas::{RecordType, SchemaRecord};
use serde_json::json;

use super::FOUND;
use super::site::Site;
use crate::stack;

const READ_WITHIN: Duration = Duration::from_secs(20);

/// Which type. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// A type, such as OrderPaid; without it all are listed.
    #[arg(value_name = "TYPE")]
    name: Option<String>,
    /// As JSON: the type, or one a line.
    #[arg(long)]
    json: bool,
    /// Nothing but the Avro schema that is written now, for other tools.
    #[arg(long, requires = "name", conflicts_with = "json")]
    avsc: bool,
}

/// What to say about a name that no type has.
pub(super) fn unknown(name: &str) -> String {
    let near = near(name);
    let hint = if near.is_empty() {
        "`boxctl schema` lists them".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    format!("there is no record type {name:?}: {hint}")
}

/// Prints it; ends with 1 if the registry and the log's own copy do not have the same.
pub(super) async fn run(args: SchemaArgs) -> anyhow::Result<ExitCode> {
    let named = args.name.as_deref().map(|name| find(name).ok_or_else(|| unknown(name)));
    let named = match named.transpose() {
        Ok(named) => named,
        Err(unknown) => bail!(unknown),
    };
    if let (Some(record), true) = (named, args.avsc) {
        stack::print(record.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let site = Site::find().await?;
    let copy = copy(&site).await?;
    match named {
        Some(record) => one(&site, &copy, record, args.json).await,
        None => all(&site, &copy, args.json).await,
    }
}

async fn copy(site: &Site) -> anyhow::Result<Vec<SchemaRecord>> {
    let log = KafkaLog::connect(site.settings.clone())?;
    let topic = topics::event_schemas(&site.settings);
    let records = log.read_compacted(&topic, READ_WITHIN).await.context("read the log's copy of the schemas")?;
    let values = records.into_iter().filter_map(|record| record.value);
    values.map(|value| Ok(SchemaRecord::decode(&value)?)).collect()
}

async fn versions(site: &Site, copy: &[SchemaRecord], record: RecordType) -> anyhow::Result<Vec<Version>> {
    let subject = record.subject(&site.settings.namespace);
    let registered = site.registry.versions(&subject).await?;
    Ok(history::versions(record, site.codec.ids().of(record), &subject, &registered, copy))
}

/// Both must have every version: the copy is what a lost registry is restored from.
fn is_whole(version: &Version) -> bool {
    version.in_log && version.version.is_some()
}

fn verdict<'v>(mut versions: impl Iterator<Item = &'v Version>) -> ExitCode {
    if versions.all(is_whole) { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
}

async fn one(site: &Site, copy: &[SchemaRecord], record: RecordType, as_json: bool) -> anyhow::Result<ExitCode> {
    let versions = versions(site, copy, record).await?;
    let fields = columns(record);
    let text = match as_json {
        true => {
            let all =
                json!({ "type": record.full_name(), "topic": topic(record), "fields": fields, "versions": versions });
            serde_json::to_string_pretty(&all)? + "\n"
        }
        false => described(record, &fields, &versions),
    };
    stack::print(&text)?;
    Ok(verdict(versions.iter()))
}

fn topic(record: RecordType) -> &'static str {
    match record {
        RecordType::Event(event) => event.context().topic(),
        RecordType::PersonKey => schemas::PERSON_KEY_TOPIC,
        RecordType::PartitionClaimed | RecordType::Barrier | RecordType::Settled => "every event topic",
    }
}

fn described(record: RecordType, fields: &[Column], versions: &[Version]) -> String {
    let mut text = format!("{} in {}\n\n", record.full_name(), topic(record));
    let widths = |of: fn(&Column) -> &str| fields.iter().map(|it| of(it).chars().count()).max().unwrap_or(0);
    let (name, holds) = (widths(|it| &it.name), widths(|it| &it.holds).min(40));
    for field in fields {
        let personal = if field.personal { " Personal: ciphertext." } else { "" };
        let line = format!("  {:<name$}  {:<holds$}  {}{personal}", field.name, field.holds, field.doc);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for version in versions {
        let number = version.version.map_or_else(|| "not in the registry".to_owned(), |it| format!("version {it}"));
        let copied = if version.in_log { "" } else { ", not in the log's copy" };
        let ours = if version.ours { ", written now" } else { "" };
        text.push_str(&format!("\n{number}: id {} of {}{copied}{ours}\n", version.id, version.subject));
        version.changes.iter().for_each(|change| text.push_str(&format!("  {change}\n")));
    }
    text
}

async fn all(site: &Site, copy: &[SchemaRecord], as_json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for record in RecordType::all() {
        all.push((record, versions(site, copy, record).await?));
    }
    let line = |(record, versions): &(RecordType, Vec<Version>)| -> anyhow::Result<String> {
        let ids: Vec<u32> = versions.iter().map(|it| it.id).collect();
        let ours = site.codec.ids().of(*record);
        if as_json {
            let line = json!({ "type": record.full_name(), "topic": topic(*record), "ids": ids, "written": ours });
            return Ok(serde_json::to_string(&line)? + "\n");
        }
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        Ok(format!(
            "{:<45}  {:<18}  {:>8}  {:>7}  {}\n",
            record.full_name(),
            topic(*record),
            ids.len(),
            ours,
            ids.join(" ")
        ))
    };
    let lines = all.iter().map(line).collect::<anyhow::Result<String>>()?;
    let heading = format!("{:<45}  {:<18}  {:>8}  {:>7}  {}\n", "TYPE", "TOPIC", "VERSIONS", "WRITTEN", "IDS");
    stack::print(&if as_json { lines } else { heading + &lines })?;
    Ok(verdict(all.iter().flat_map(|(_, versions)| versions)))
}
