//! `boxctl init`: makes the topics and registers the schemas. Doing it again changes nothing.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout, Report};
use local_stack::{Endpoints, StackConfig};
use service_kit::config::{Env, Noted};
use service_kit::env;

use crate::stack;

/// Partitions of a local stack's topics.
pub const LOCAL_PARTITIONS: u32 = 4;
const PRODUCTION_PARTITIONS: u32 = 64;

/// What to make. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Partitions of every event topic, fixed for life [default: BOXOFFICE_PARTITIONS, or 4, or 64 in production].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    partitions: Option<u32>,
    /// How many brokers keep each record.
    #[arg(long, value_enum, default_value_t = Replication::Local)]
    replication: Replication,
    /// Durability class D1: Kafka syncs every append to disk before it answers. Without it (D2) what is acknowledged survives
    /// the end of any process, and of machines where several brokers keep it, but not that of the only one. Topics that have
    /// it keep it.
    #[arg(long)]
    synced: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// How many brokers keep each record.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Replication {
    /// One.
    Local,
    /// Three, of which two must have it before it counts.
    Production,
}

/// What the environment says about where.
#[derive(Debug)]
pub(crate) struct Place {
    kafka: Option<String>,
    registry: Option<String>,
    pub(crate) namespace: String,
    pub(crate) partitions: Option<u32>,
}

impl Place {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let kafka = env.optional("BOXOFFICE_KAFKA", env::hosts(), "Kafka's bootstrap servers.");
        let registry = env.optional("BOXOFFICE_REGISTRY", env::url(), "The schema registry (Confluent API).");
        let namespace = env.with_default("BOXOFFICE_NAMESPACE", "", env::name(), "Prefix of topics and subjects.");
        let partitions = env.optional("BOXOFFICE_PARTITIONS", env::whole(1..=1024), "Partitions of event topics.");
        let (kafka, registry) = (kafka?, registry?);
        if kafka.is_some() != registry.is_some() {
            let expected = "both BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or none for the local stack";
            return Err(env.refuse("BOXOFFICE_REGISTRY", "and BOXOFFICE_KAFKA go together", expected));
        }
        Ok(Self { kafka, registry, namespace: namespace?, partitions: partitions? })
    }

    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        Ok(Env::from_process().read(Self::read)?)
    }

    /// Whether the environment names no servers.
    pub(crate) fn is_local(&self) -> bool {
        self.kafka.is_none()
    }

    /// Kafka and the registry: those of the environment, or of the local stack, which is started.
    pub(crate) async fn servers(&self) -> anyhow::Result<(String, String)> {
        if let Some(both) = self.kafka.clone().zip(self.registry.clone()) {
            return Ok(both);
        }
        let Endpoints { kafka, registry, .. } = stack::up(StackConfig::local(&local_stack::find_root()?)).await?;
        Ok((kafka, registry))
    }
}

/// Makes it and prints what was made.
///
/// # Errors
/// A setting is wrong, something does not answer, or is there but wrong.
pub async fn run(args: InitArgs) -> anyhow::Result<()> {
    let place = Place::from_environment()?;
    let (kafka, registry) = place.servers().await?;
    let layout = layout(args.replication, args.partitions.or(place.partitions));
    let settings = KafkaSettings::new(&kafka, &place.namespace, "boxctl");
    let report = topics::init(&settings, &registry, layout)
        .await
        .with_context(|| format!("prepare Kafka at {kafka} and the registry at {registry}"))?;
    if args.synced {
        topics::sync_every_append(&settings).await.context("have every append synced to disk")?;
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&made(&report, layout, args.synced))? + "\n",
        false => summary(&report, layout, args.synced),
    };
    stack::print(&text)
}

fn layout(replication: Replication, partitions: Option<u32>) -> Layout {
    match replication {
        Replication::Local => Layout::local(partitions.unwrap_or(LOCAL_PARTITIONS)),
        Replication::Production => Layout::production(partitions.unwrap_or(PRODUCTION_PARTITIONS)),
    }
}

/// What was done, for programs.
fn made(report: &Report, layout: Layout, synced: bool) -> serde_json::Value {
    let Layout { partitions, replication, .. } = layout;
    serde_json::json!({
        "created": report.created, "existing": report.existing, "schemas_registered": report.copied,
        "partitions": partitions, "replication": replication, "synced": synced,
    })
}

/// What was done, a line each.
fn summary(report: &Report, layout: Layout, synced: bool) -> String {
    let Layout { partitions, replication, .. } = layout;
    let mut lines = vec![];
    lines.extend(report.created.iter().map(|topic| format!("topic  {topic}: created")));
    lines.extend(report.existing.iter().map(|topic| format!("topic  {topic}: exists")));
    lines.extend(report.copied.iter().map(|subject| format!("schema {subject}: registered")));
    let (made, there, schemas) = (report.created.len(), report.existing.len(), report.copied.len());
    lines.push(format!("{made} topics created, {there} existed, {schemas} schemas newly registered"));
    lines.push(format!(
        "Event topics have {partitions} partitions, {replication} copies: every process needs BOXOFFICE_PARTITIONS={partitions}"
    ));
    if synced {
        lines.push("Every append is synced to disk before it is answered (D1).".to_owned());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_takes_the_asked_partitions_or_the_place_s_usual() {
        assert_eq!(layout(Replication::Local, None), Layout::local(4));
        assert_eq!(layout(Replication::Production, None), Layout::production(64));
        assert_eq!(layout(Replication::Production, Some(8)), Layout::production(8));
    }

    #[test]
    fn kafka_and_the_registry_are_given_together() {
        let read = |names: &[&'static str]| {
            let value = |name: &&'static str| match *name {
                "BOXOFFICE_KAFKA" => (*name, "a:1"),
                _ => (*name, "http://a"),
            };
            Env::from_map(names.iter().map(value)).read(Place::read)
        };
        assert!(read(&[]).unwrap().kafka.is_none());
        assert!(read(&["BOXOFFICE_KAFKA", "BOXOFFICE_REGISTRY"]).unwrap().kafka.is_some());
        for one in ["BOXOFFICE_KAFKA", "BOXOFFICE_REGISTRY"] {
            assert!(read(&[one]).unwrap_err().to_string().contains("go together"), "{one}");
        }
    }
}
