//! `boxctl status`: the whole box office on one page, and what of it needs a person.
//!
//! Invariant: what could not be looked at is never taken for well.

mod business;
mod page;
mod projections;
mod services;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use event_log::kafka::KafkaLog;
use serde::Serialize;
use service_kit::clock;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::partitions::{self, Line, Standing};
use crate::site::{Site, SiteArgs};
use crate::{stack, table};
pub use business::{Business, Holds, Money, Refunds, Room, Stuck};
pub use projections::{Lag, Projection};
pub use services::Service;
pub use verdict::{Problem, Verdict};

/// Connecting to Postgres takes no longer.
const CONNECT: Duration = Duration::from_secs(5);

/// How to show it. Where: the environment, or the local installation (docs/operating.md).
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// Again every so many seconds, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// A projection that is so many seconds behind needs a person.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    late: i64,
    #[command(flatten)]
    site: SiteArgs,
}

/// Everything there is to see.
#[derive(Debug, Serialize)]
pub struct Status {
    /// What to make of it.
    pub verdict: Verdict,
    /// When it was looked at, UTC.
    pub at: String,
    /// Prefix of topics and schemas.
    pub namespace: String,
    /// What a person has to see to.
    pub problems: Vec<Problem>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
    /// Every process.
    pub services: Vec<Service>,
    /// Who owns the log's partitions.
    pub partitions: Option<Partitions>,
    /// Every read model.
    pub projections: Vec<Projection>,
    /// Sales, money and waiting rooms.
    pub business: Option<Business>,
}

/// The log's partitions, all topics together.
#[derive(Debug, Default, Serialize)]
pub struct Partitions {
    /// How many there are.
    pub all: usize,
    /// Of these are served.
    pub serving: usize,
    /// Cannot be read on.
    pub broken: usize,
    /// Nobody answers for them.
    pub unanswered: usize,
    /// How many each instance owns.
    pub owners: std::collections::BTreeMap<String, usize>,
    /// Events whose consequences are still to be carried out.
    pub outbox: usize,
    /// Commands that wait for their partition's owner.
    pub waiting: usize,
    /// Callers left in doubt since their owners took over.
    pub in_doubt: u64,
}

/// Shows it; ends with 0 if all is well, with 1 if something needs a person, with 2 if it could not look.
///
/// # Errors
/// A setting is wrong, or there is nothing to look at.
pub async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let site = Site::find(&args.site)?;
    loop {
        let status = look(&site, args.late).await?;
        let text = match args.json {
            true => serde_json::to_string_pretty(&status)? + "\n",
            false => page::of(&status),
        };
        let Some(seconds) = args.watch else {
            stack::print(&text)?;
            return Ok(status.verdict.code());
        };
        // JSON is for programs, which have no screen.
        let clear = if args.json { "" } else { "\x1b[2J\x1b[H" };
        stack::print(&format!("{clear}{text}"))?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Looks at everything.
///
/// # Errors
/// A property of a client is wrong. What does not answer is in the result.
pub async fn look(site: &Site, late_s: i64) -> anyhow::Result<Status> {
    let log = Arc::new(KafkaLog::connect(site.kafka())?);
    let mut unseen = Vec::new();
    let partitions = keep(site.partitions().await, &mut unseen);
    let seen = match partitions {
        Some(count) => keep(partitions::look(site, &log, count).await, &mut unseen),
        None => None,
    };
    let pool = keep(database(site).await, &mut unseen);
    let services = services::look(site, seen.as_ref().map(|seen| &seen.answers)).await?;
    let projections = match (&pool, partitions) {
        (Some(pool), Some(count)) => keep(projections::look(pool, &log, &site.namespace, count).await, &mut unseen),
        _ => None,
    };
    let business = match &pool {
        Some(pool) => keep(business::look(pool, &site.namespace).await, &mut unseen),
        None => None,
    };
    let mut status = Status {
        verdict: Verdict::Well,
        at: table::moment(clock::now().0),
        namespace: site.namespace.clone(),
        problems: Vec::new(),
        unseen,
        services,
        partitions: seen.as_ref().map(|seen| Partitions::of(&seen.lines)),
        projections: projections.unwrap_or_default(),
        business,
    };
    status.problems = verdict::problems(&status, late_s * 1000);
    status.verdict = Verdict::of(&status);
    Ok(status)
}

fn keep<T>(looked: anyhow::Result<T>, unseen: &mut Vec<String>) -> Option<T> {
    looked.inspect_err(|error| unseen.push(format!("{error:#}"))).ok()
}

async fn database(site: &Site) -> anyhow::Result<PgPool> {
    let Some(url) = &site.postgres else { anyhow::bail!("BOXOFFICE_POSTGRES is not set: no projection was looked at") };
    let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(CONNECT);
    // The address is not shown: it may hold a password.
    pool.connect(url).await.map_err(|error| anyhow::anyhow!("Postgres does not answer: {error}"))
}

impl Partitions {
    fn of(lines: &[Line]) -> Self {
        let mut partitions = Self { all: lines.len(), ..Self::default() };
        for line in lines {
            let Standing::Owned { figures } = &line.standing else {
                partitions.unanswered += 1;
                continue;
            };
            partitions.serving += usize::from(figures.serving);
            partitions.broken += usize::from(figures.broken.is_some());
            partitions.outbox += figures.outbox;
            partitions.waiting += figures.waiting;
            partitions.in_doubt += figures.in_doubt;
            if let Some(owner) = &line.owner {
                *partitions.owners.entry(owner.clone()).or_default() += 1;
            }
        }
        partitions
    }
}
