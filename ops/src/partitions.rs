//! `boxctl partitions`: who owns every partition, and how it stands there, as the owners themselves say.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use command_api::cluster::directory::{Served, owners};
use command_api::cluster::peers::Peers;
use command_api::cluster::report::{Report, Row};
use command_api::cluster::signature::InternalKey;
use domain::root::Context;
use event_log::kafka::KafkaLog;
use event_log::topics;
use serde::Serialize;
use service_kit::keys::Secret32;

use crate::site::{Site, SiteArgs};
use crate::stack;

/// An instance that does not answer by then is shown as such.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
const READ_WITHIN: Duration = Duration::from_secs(15);

/// How to show it. Where: the environment, or the local installation. The instances are asked with BOXOFFICE_SECRET, or
/// that of `boxctl dev`.
#[derive(Debug, Args)]
pub struct PartitionsArgs {
    /// As JSON, with every figure.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// What an instance that is told to own something says.
pub(crate) type Answers = BTreeMap<String, Result<Report, String>>;

/// One partition of one topic, from outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) topic: &'static str,
    pub(crate) partition: u32,
    /// The instance's name; none if nobody is known to own it.
    pub(crate) owner: Option<String>,
    url: Option<String>,
    #[serde(flatten)]
    pub(crate) standing: Standing,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub(crate) enum Standing {
    /// Its owner says so.
    Owned { figures: Row },
    /// Whoever was its owner does not answer.
    Unreachable { why: String },
    /// Nobody says that it is his.
    Unowned,
}

impl Line {
    /// Whether a person has to look, or nobody would carry a command out.
    pub(crate) fn is_bad(&self) -> bool {
        match &self.standing {
            Standing::Owned { figures } => figures.broken.is_some(),
            Standing::Unreachable { .. } | Standing::Unowned => true,
        }
    }
}

/// What was found out.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) lines: Vec<Line>,
    pub(crate) answers: Answers,
}

/// Prints them; ends with 1 if a partition is broken, or nobody answers for it.
///
/// # Errors
/// A setting is wrong, or Kafka does not answer.
pub async fn run(args: &PartitionsArgs) -> anyhow::Result<ExitCode> {
    let site = Site::find(&args.site)?;
    let partitions = site.partitions().await?;
    let Seen { lines, .. } = look(&site, &KafkaLog::connect(site.kafka())?, partitions).await?;
    let text = if args.json { serde_json::to_string_pretty(&lines)? + "\n" } else { table::of(&lines) };
    stack::print(&text)?;
    Ok(if lines.iter().any(Line::is_bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Asks everybody who is told to own something.
///
/// # Errors
/// Kafka does not answer, or nobody said what instances know each other by.
pub(crate) async fn look(site: &Site, log: &KafkaLog, partitions: u32) -> anyhow::Result<Seen> {
    let told = log.read_compacted(&topics::partition_owners(log.settings()), READ_WITHIN).await;
    let served = owners(&told.context("reading who owns what")?);
    let answers = ask(&served, site.secret()?).await?;
    Ok(Seen { lines: lines(partitions, &served, &answers), answers })
}

/// Everybody that is told to own something, at once.
async fn ask(served: &BTreeMap<u32, Served>, secret: Secret32) -> anyhow::Result<Answers> {
    let peers = Peers::new(InternalKey::new(&secret.derive(InternalKey::PURPOSE)))?;
    let urls: BTreeSet<&String> = served.values().map(|served| &served.url).collect();
    let asked = urls.into_iter().map(|url| {
        let peers = peers.clone();
        async move {
            let answer = peers.partitions(url, ANSWERS_WITHIN).await;
            (url.clone(), answer.map_err(|error| format!("{error:#}")))
        }
    });
    Ok(futures::future::join_all(asked).await.into_iter().collect())
}

/// Every partition of every topic, by number, as whoever owns it says. What is told to be somebody's may have moved on.
fn lines(partitions: u32, served: &BTreeMap<u32, Served>, answers: &Answers) -> Vec<Line> {
    let line = |partition: u32, topic: &'static str| {
        let told = served.get(&partition);
        let reports = answers.values().filter_map(|answer| answer.as_ref().ok());
        let found = reports.flat_map(|report| report.partitions.iter().map(move |row| (report, row)));
        let mut found: Vec<(&Report, &Row)> =
            found.filter(|(_, row)| row.partition == partition && row.topic == topic).collect();
        // While one moves two may believe to have it; the later claim counts.
        found.sort_by_key(|(_, row)| (row.serving, row.term));
        let unreachable = told.and_then(|told| answers.get(&told.url)?.as_ref().err());
        let (owner, url, standing) = match (found.last(), told, unreachable) {
            (Some((report, row)), _, _) => {
                let standing = Standing::Owned { figures: (*row).clone() };
                (Some(report.instance.clone()), Some(report.url.clone()), standing)
            }
            (None, Some(told), Some(why)) => {
                let standing = Standing::Unreachable { why: why.clone() };
                (Some(told.instance.clone()), Some(told.url.clone()), standing)
            }
            (None, _, _) => (None, None, Standing::Unowned),
        };
        Line { topic, partition, owner, url, standing }
    };
    (0..partitions).flat_map(|number| Context::ALL.map(|context| line(number, context.topic()))).collect()
}

#[cfg(test)]
mod tests;
