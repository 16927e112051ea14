//! `boxctl trace ORDER|CORRELATION`: every event of a purchase over all topics, in the order in which one led to the other.
//!
//! Invariant: only what counts is shown as an event, and no personal data is: neither names, nor addresses, nor codes.

mod chain;
mod details;
mod find;
mod page;
mod purchase;
mod read;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use domain::event::Event;
use domain::root::Meta;
use domain::value::Timestamp;
use event_log::kafka::KafkaLog;
use schemas::{Codec, Registry, lookup_all};
use serde::Serialize;
use uuid::Uuid;

use crate::site::{Site, SiteArgs};
use crate::stack;
use read::{Found, Logs};

/// Nothing is known by this id.
const NOTHING: u8 = 1;

/// What to trace. Where: the environment, or the local installation.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// An order; or a payment, a ticket, a place in a waiting room, or a correlation id.
    id: Uuid,
    /// Show attempts that do not count, too.
    #[arg(long)]
    raw: bool,
    /// Read the log only from this moment on, such as 2026-11-22T15:00:00Z; found by the read models if left out.
    #[arg(long, value_name = "TIME")]
    since: Option<jiff::Timestamp>,
    /// As JSON, one event a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// One event of a purchase.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// When its owner decided it, UTC.
    pub at: String,
    /// Microseconds since the first.
    pub since_first_us: i64,
    /// Microseconds since the one before it.
    pub since_previous_us: i64,
    /// Microseconds since what led to it; none if that is not among these events.
    pub since_cause_us: Option<i64>,
    /// How many events led to it, one after the other.
    pub depth: usize,
    /// Its type.
    pub event: &'static str,
    /// What it says, in short.
    pub details: String,
    /// The topic without the namespace.
    pub topic: &'static str,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: i64,
    /// What led to it: another event's type, `request`, `provider` or `timer`.
    pub cause: &'static str,
    /// Whose doing it was: `account`, `guest`, `order` (the holder of its token) or `system`.
    pub by: &'static str,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
    /// The event's own id.
    pub event_id: Uuid,
    /// The command or event that caused it.
    pub causation_id: Uuid,
    /// The request that all this started with.
    pub correlation_id: Uuid,
}

/// An event as it was read.
#[derive(Debug, Clone)]
struct Told {
    meta: Meta,
    event: Event,
    found: Found,
}

/// Traces it; ends with 1 if nothing is known by the id.
///
/// # Errors
/// A setting is wrong, or something does not answer.
pub async fn run(args: TraceArgs) -> anyhow::Result<ExitCode> {
    let site = Site::find(&args.site)?;
    let since = args.since.map(|at| Timestamp(at.as_microsecond()));
    let steps = look(&site, args.id, since, args.raw).await?;
    if steps.is_empty() {
        eprintln!("boxctl: the log has no purchase with the id {}", args.id);
        return Ok(ExitCode::from(NOTHING));
    }
    let text = match args.json {
        true => steps.iter().map(|step| Ok(serde_json::to_string(step)? + "\n")).collect::<anyhow::Result<String>>()?,
        false => page::of(args.id, &steps),
    };
    stack::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Every event of the purchase that an id belongs to, each after what led to it. Empty if nothing is known by the id.
///
/// # Errors
/// Something does not answer, or a record cannot be read.
pub async fn look(site: &Site, id: Uuid, since: Option<Timestamp>, raw: bool) -> anyhow::Result<Vec<Step>> {
    let partitions = site.partitions().await?;
    let ids =
        lookup_all(&site.registry, &site.namespace).await.context("ask the registry for the schemas of events")?;
    let codec = Codec::new(ids, Registry::new(&site.registry)?);
    let logs = Logs::new(KafkaLog::connect(site.kafka())?, codec, partitions);
    let hint = find::hint(site, id).await;
    let told = purchase::read(&logs, id, hint, since).await?;
    let told: Vec<Told> = told.into_iter().filter(|told| raw || told.found.void.is_none()).collect();
    let mut seen = BTreeSet::new();
    // Two windows may show the same record.
    let told = told.into_iter().filter(|told| seen.insert((told.found.at, told.found.record.offset))).collect();
    Ok(chain::ordered(told))
}

impl Logs {
    /// Decodes what was found.
    ///
    /// # Errors
    /// The registry does not know a schema, or the bytes do not follow it.
    async fn told(&self, found: Vec<Found>) -> anyhow::Result<Vec<Told>> {
        let mut all = Vec::with_capacity(found.len());
        for found in found {
            let (meta, event) = loop {
                match self.codec.decode(&found.record.value) {
                    Ok(decoded) => break decoded,
                    Err(schemas::DecodeError::UnlearnedSchema(id)) => self.codec.learn(id).await?,
                    Err(error) => bail!("{} offset {}: {error}", found.at, found.record.offset),
                }
            };
            all.push(Told { meta, event, found });
        }
        Ok(all)
    }
}
