//! `boxctl doctor`: finds what is set wrong, and says what to do about it. It changes nothing.
//!
//! Invariant: no value of a secret is ever shown, not even a part.

mod clocks;
mod kafka;
mod keys;
mod machine;
mod postgres;
mod registry;
mod secrets;
mod variables;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use event_log::kafka::KafkaLog;
use serde::Serialize;
use service_kit::config::Env;

use crate::partitions;
use crate::site::{Site, SiteArgs};
use crate::stack;
use crate::topology::Process;

/// Whose settings. Where: the environment, which is looked at as this process would, or the local installation.
#[derive(Debug, Default, Args)]
pub struct DoctorArgs {
    /// The environment is that of this process; without it, that of any of them.
    #[arg(long, value_enum)]
    process: Option<Process>,
    /// As JSON, one finding a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// What to make of it.
    pub judgement: Judgement,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What to make of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// As it must be.
    Ok,
    /// It works, and a person should know.
    Warning,
    /// It does not work, or loses something.
    Wrong,
}

/// What is examined.
#[derive(Debug)]
pub struct Patient {
    /// What is set, `BOXOFFICE_…` only.
    pub env: BTreeMap<String, String>,
    /// Whose environment it is.
    pub process: Option<Process>,
    /// Where the box office is.
    pub site: Site,
}

/// Examines everything and prints a line for each check; ends with 1 if something is wrong, with 2 if it could not look.
///
/// # Errors
/// There is nothing to look at.
pub async fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let env = Env::from_process().ours();
    // An environment that cannot even be read is the first thing to tell of.
    let (site, mut findings) = match Site::find(&args.site) {
        Ok(site) => (Some(site), Vec::new()),
        Err(error) if env.is_empty() => return Err(error),
        Err(_) => (None, variables::check(&env, args.process, false)),
    };
    if let Some(site) = site {
        findings = examine(&Patient { env, process: args.process, site }).await?;
    }
    let text: String = match args.json {
        true => findings.iter().map(|it| Ok(serde_json::to_string(it)? + "\n")).collect::<anyhow::Result<_>>()?,
        false => page(&findings),
    };
    stack::print(&text)?;
    Ok(ExitCode::from(u8::from(findings.iter().any(|it| it.judgement == Judgement::Wrong))))
}

/// Examines everything.
///
/// # Errors
/// A client cannot be made.
pub async fn examine(patient: &Patient) -> anyhow::Result<Vec<Finding>> {
    let Patient { env, process, site } = patient;
    let mut findings = variables::check(env, *process, site.local);
    findings.extend(secrets::check(env, site.local));
    findings.extend(machine::check(patient).await);
    let log = Arc::new(KafkaLog::connect(site.kafka()).context("make a client of Kafka")?);
    let kafka = kafka::check(patient).await;
    let kafka_answers = kafka.iter().all(|it| it.check != kafka::ANSWERS || it.judgement == Judgement::Ok);
    findings.extend(kafka);
    if kafka_answers {
        findings.extend(registry::check(site).await);
        findings.extend(instances(site, &log).await);
    }
    findings.extend(postgres::check(patient).await);
    findings.extend(clocks::check(site).await);
    Ok(findings)
}

/// Whether instances know each other and share their snapshots.
async fn instances(site: &Site, log: &KafkaLog) -> Vec<Finding> {
    let seen = async { partitions::look(site, log, site.partitions().await?).await };
    let seen = match seen.await {
        Ok(seen) => seen,
        Err(error) => {
            return vec![Finding::warning(
                "instances",
                format!("{error:#}"),
                "set BOXOFFICE_SECRET to that of the command-apis",
            )];
        }
    };
    let mut findings: Vec<Finding> = Vec::new();
    for (url, answer) in &seen.answers {
        if let Err(why) = answer {
            let remedy = "start it again, or wait until its partitions are taken over (boxctl partitions)";
            findings.push(Finding::warning("instances", format!("{url}: {why}"), remedy));
        }
    }
    let reports: Vec<_> = seen.answers.values().flatten().collect();
    let mut stores: Vec<_> = reports.iter().map(|report| report.store).collect();
    stores.sort_unstable();
    stores.dedup();
    if stores.len() > 1 {
        let found = format!("{} instances keep snapshots in {} different folders", reports.len(), stores.len());
        let remedy =
            "set BOXOFFICE_SNAPSHOT_DIR of all of them to one shared folder, or a take-over replays the whole log";
        findings.push(Finding::warning("shared snapshots", found, remedy));
    } else if findings.is_empty() {
        findings.push(Finding::ok("instances", format!("{} answer, with one store of snapshots", reports.len())));
    }
    findings
}

impl Finding {
    pub(self) fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), judgement: Judgement::Ok, found: found.into(), remedy: None }
    }

    pub(self) fn warning(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { check: check.to_owned(), judgement: Judgement::Warning, found: found.into(), remedy }
    }

    pub(self) fn wrong(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { judgement: Judgement::Wrong, ..Self::warning(check, found, remedy) }
    }
}

fn page(findings: &[Finding]) -> String {
    let mut text = String::new();
    for it in findings {
        let word = match it.judgement {
            Judgement::Ok => "ok     ",
            Judgement::Warning => "warning",
            Judgement::Wrong => "WRONG  ",
        };
        let remedy = it.remedy.as_ref().map(|remedy| format!("\n             -> {remedy}")).unwrap_or_default();
        text += &format!("{word}  {}: {}{remedy}\n", it.check, it.found);
    }
    let count = |judgement| findings.iter().filter(|it| it.judgement == judgement).count();
    let (ok, warnings, wrong) = (count(Judgement::Ok), count(Judgement::Warning), count(Judgement::Wrong));
    text + &format!("{} checks: {ok} ok, {warnings} warnings, {wrong} wrong\n", findings.len())
}
