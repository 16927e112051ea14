//! `boxctl partitions`: who owns every partition, and how it stands there, as the owners themselves say.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use command_api::cluster::directory::{Served, owners};
use command_api::cluster::peers::Peers;
use command_api::cluster::report::{Report, Row};
use command_api::cluster::signature::InternalKey;
use domain::root::Context;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics;
use local_stack::find_root;
use serde::Serialize;
use service_kit::config::{Env, Noted};
use service_kit::env;
use service_kit::keys::Secret32;

use crate::init::{LOCAL_PARTITIONS, Place};
use crate::local::{self, LocalSecrets};
use crate::stack;

/// An instance that does not answer by then is shown as such.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
const READ_WITHIN: Duration = Duration::from_secs(15);

/// How to show it. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started. The instances are
/// asked with BOXOFFICE_SECRET, or that of `boxctl dev`.
#[derive(Debug, Args)]
pub struct PartitionsArgs {
    /// As JSON, with every figure.
    #[arg(long)]
    json: bool,
    /// Prefix of topics [default: BOXOFFICE_NAMESPACE].
    #[arg(long)]
    namespace: Option<String>,
    /// Where `boxctl dev` keeps the secrets of these instances [default: .local/dev].
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// What an instance that is told to own something says.
type Answers = BTreeMap<String, Result<Report, String>>;

/// One partition of one topic, from outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Line {
    topic: &'static str,
    partition: u32,
    /// The instance's name; none if nobody is known to own it.
    owner: Option<String>,
    url: Option<String>,
    #[serde(flatten)]
    standing: Standing,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
enum Standing {
    /// Its owner says so.
    Owned { figures: Row },
    /// Whoever was its owner does not answer.
    Unreachable { why: String },
    /// Nobody says that it is his.
    Unowned,
}

impl Line {
    /// Whether a person has to look, or nobody would carry a command out.
    fn is_bad(&self) -> bool {
        match &self.standing {
            Standing::Owned { figures } => figures.broken.is_some(),
            Standing::Unreachable { .. } | Standing::Unowned => true,
        }
    }
}

/// Prints them; ends with 1 if a partition is broken, or nobody answers for it.
///
/// # Errors
/// A setting is wrong, or Kafka does not answer.
pub async fn run(args: &PartitionsArgs) -> anyhow::Result<ExitCode> {
    let place = Place::from_environment()?;
    let (kafka, _) = place.servers().await?;
    let namespace = args.namespace.as_ref().unwrap_or(&place.namespace);
    let settings = KafkaSettings::new(&kafka, namespace, "boxctl");
    let log = KafkaLog::connect(settings.clone())?;
    let told = log.read_compacted(&topics::partition_owners(&settings), READ_WITHIN).await;
    let served = owners(&told.context("reading who owns what")?);
    let answers = ask(&served, secret(args.folder.as_deref())?).await?;
    let lines = lines(place.partitions.unwrap_or(LOCAL_PARTITIONS), &served, &answers);
    let text = if args.json { serde_json::to_string_pretty(&lines)? + "\n" } else { table::of(&lines) };
    stack::print(&text)?;
    Ok(if lines.iter().any(Line::is_bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn secret(folder: Option<&Path>) -> anyhow::Result<Secret32> {
    let read = |env: &mut Env| -> Result<Option<Secret32>, Noted> {
        env.optional("BOXOFFICE_SECRET", env::secret32(), "Instances know each other's requests by it.")
    };
    if let Some(secret) = Env::from_process().read(read)? {
        return Ok(secret);
    }
    let folder = folder.map_or_else(|| find_root().map(|root| local::folder(&root)), |folder| Ok(folder.to_owned()))?;
    LocalSecrets::of(&folder)
        .and_then(|secrets| env::hex32(&secrets.secret).context("secret in secrets.json is not 64 hex digits"))
        .map(Secret32::new)
        .context("BOXOFFICE_SECRET is not set, and there is no local one")
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
