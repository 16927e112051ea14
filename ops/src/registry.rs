//! `boxctl schemas check|restore`: the schema registry against its copy in the topic `event-schemas`, and the way back
//! when it lost its schemas.
//!
//! Invariant: an id that means something else is never touched; the log carries ids, so another meaning would misread it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use event_log::topics;
use schemas::{RecordType, Registry, RegistryError, SchemaRecord, Standing};
use serde::Serialize;
use serde_json::json;

use crate::ask;
use crate::audit::{self, Deed};
use crate::site::{Site, SiteArgs};
use crate::stack;
use crate::table::Table;

/// What to do with the schema registry.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare the registry with its copy in the log; ends with 1 if they differ, with 2 if it could not look.
    Check(CheckArgs),
    /// Give a registry that lost its schemas the same ids again; refuses if an id means something else there.
    Restore(RestoreArgs),
}

/// Where: the environment, or the local installation.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Where: the environment, or the local installation.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// How the registry stands.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// Whether it answers every id as the log needs it, and has every schema of this version.
    pub holds: bool,
    /// Every record of the copy.
    pub schemas: Vec<Line>,
    /// Subjects whose schema of this version is not registered: `boxctl init` does that.
    pub unregistered: Vec<String>,
    /// What a restoration did, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<usize>,
}

/// One record of the copy.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The id that records of the log carry.
    pub id: u32,
    /// The subject it was registered under.
    pub subject: String,
    /// `kept`, `lost`, `unlisted`, `taken` or `elsewhere`.
    pub standing: &'static str,
    /// What can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    #[serde(skip)]
    record: SchemaRecord,
    #[serde(skip)]
    stands: Standing,
}

/// Does it.
///
/// # Errors
/// Kafka or the registry does not answer, or a restoration was refused.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(args) => check(&args).await,
        Command::Restore(args) => restore(&args).await,
    }
}

async fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let compared = compare(&Site::find(&args.site)?).await?;
    show(&compared, args.json)?;
    Ok(ExitCode::from(u8::from(!compared.holds)))
}

async fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let site = Site::find(&args.site)?;
    let compared = compare(&site).await?;
    let lost = compared.lost();
    if let Some(refusal) = compared.refusal() {
        show(&compared, args.json)?;
        eprintln!("boxctl: {refusal}");
        return Ok(ExitCode::FAILURE);
    }
    if lost.is_empty() || args.dry_run {
        show(&compared, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = format!(
        "This registers {} schemas in {} under the ids that the topic event-schemas has for them: ids {}. Nothing that is \
         there is changed.",
        lost.len(),
        site.registry,
        lost.iter().map(|record| record.id.to_string()).collect::<Vec<_>>().join(", ")
    );
    if !args.yes && !ask::agreed(&what, "restore")? {
        return Ok(ExitCode::from(ask::REFUSED));
    }
    let restored = put_back(&site, &lost).await?;
    let ids: Vec<u32> = lost.iter().map(|record| record.id).collect();
    let deed = Deed { command: "schemas restore".to_owned(), what: json!({"ids": ids}), why: None };
    audit::record(&site.kafka(), deed).await.context("the schemas are restored, but that is not recorded")?;
    show(&Compared { restored: Some(restored), ..compare(&site).await? }, args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Registers what was lost under its own ids, and tells how many schemas that were.
///
/// # Errors
/// The registry does not take them.
pub async fn put_back(site: &Site, lost: &[SchemaRecord]) -> anyhow::Result<usize> {
    let registry = Registry::new(&site.registry)?;
    registry.restore(lost).await.context("restore the registry")?;
    Ok(lost.len())
}

/// Compares the registry with the copy, and with this version's own schemas.
///
/// # Errors
/// Kafka or the registry does not answer.
pub async fn compare(site: &Site) -> anyhow::Result<Compared> {
    let copy = topics::schema_copy(&site.kafka()).await;
    let copy = copy.with_context(|| format!("read the copy of the registry from Kafka at {}", site.kafka))?;
    let registry = Registry::new(&site.registry)?;
    let mut schemas = Vec::new();
    for record in copy {
        let stands = registry.standing(&record).await.context("ask the registry")?;
        schemas.push(Line::of(record, stands));
    }
    let unregistered = unregistered(&registry, &site.namespace, &schemas).await?;
    let kept = schemas.iter().all(|line| line.stands == Standing::Kept);
    Ok(Compared {
        holds: kept && unregistered.is_empty() && !schemas.is_empty(),
        schemas,
        unregistered,
        restored: None,
    })
}

/// Our own schemas that are neither in the copy nor registered. What the copy has is judged by the copy.
async fn unregistered(registry: &Registry, namespace: &str, known: &[Line]) -> anyhow::Result<Vec<String>> {
    let known: BTreeMap<(&str, &str), ()> =
        known.iter().map(|line| ((line.subject.as_str(), line.record.schema.as_str()), ())).collect();
    let mut missing = Vec::new();
    for record in RecordType::all() {
        let subject = record.subject(namespace);
        if known.contains_key(&(subject.as_str(), record.text())) {
            continue;
        }
        match registry.lookup(&subject, record.text()).await {
            Ok(_) => {}
            Err(RegistryError::Missing { .. }) => missing.push(subject),
            Err(error) => return Err(error).context("ask the registry"),
        }
    }
    Ok(missing)
}

impl Compared {
    /// What can be put back.
    pub fn lost(&self) -> Vec<SchemaRecord> {
        let lost = self.schemas.iter().filter(|line| line.stands.can_be_restored());
        lost.map(|line| line.record.clone()).collect()
    }

    /// Why nothing may be put back, if so.
    pub fn refusal(&self) -> Option<String> {
        let bad = |line: &&Line| matches!(line.stands, Standing::Taken | Standing::Elsewhere(_));
        let bad: Vec<&Line> = self.schemas.iter().filter(bad).collect();
        let first = bad.first()?;
        Some(format!(
            "nothing was restored: {} ids of the log mean something else in this registry (the first is id {} of {}). It was \
             filled by somebody else: point BOXOFFICE_REGISTRY at an empty one and restore that",
            bad.len(),
            first.id,
            first.subject
        ))
    }
}

impl Line {
    fn of(record: SchemaRecord, stands: Standing) -> Self {
        let restore = || Some("boxctl schemas restore".to_owned());
        let (standing, remedy) = match stands {
            Standing::Kept => ("kept", None),
            Standing::Lost => ("lost", restore()),
            Standing::Unlisted => ("unlisted", restore()),
            Standing::Taken => ("taken", Some("this registry is another one: restore into an empty one".to_owned())),
            Standing::Elsewhere(id) => {
                ("elsewhere", Some(format!("it has id {id} here: restore into an empty registry")))
            }
        };
        Self { id: record.id, subject: record.subject.clone(), standing, remedy, record, stands }
    }
}

fn show(compared: &Compared, json: bool) -> anyhow::Result<()> {
    if json {
        return stack::print(&(serde_json::to_string_pretty(compared)? + "\n"));
    }
    let mut table = Table::new(&["#id", "subject", "standing", "remedy"]);
    for line in compared.schemas.iter().filter(|line| line.stands != Standing::Kept) {
        let remedy = line.remedy.clone().unwrap_or_default();
        table.row([line.id.to_string(), line.subject.clone(), line.standing.to_owned(), remedy]);
    }
    for subject in &compared.unregistered {
        let cells = ["-", subject, "unregistered", "boxctl init"];
        table.row(cells.map(str::to_owned));
    }
    let mut text = if table.is_empty() { String::new() } else { table.text(0) };
    if let Some(restored) = compared.restored {
        text += &format!("{restored} schemas restored under the ids they had\n");
    }
    let kept = compared.schemas.iter().filter(|line| line.stands == Standing::Kept).count();
    let none = if compared.schemas.is_empty() { "; the copy is empty: run `boxctl init`" } else { "" };
    stack::print(&format!(
        "{text}{kept} of {} schemas of the log mean in the registry what they mean in the log{none}\n",
        compared.schemas.len()
    ))
}
