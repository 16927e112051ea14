//! `boxctl drill export`: how long it takes to get a large log out as Parquet, in how much memory, and whether the money in
//! the files is the money in Postgres.

mod sums;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::{Log, Partition};
use event_log::topics::{self, Layout};
use local_stack::{Endpoints, StackConfig, find_root};
use projectors::{Logs, Names, READS, Settings};
use schemas::{Codec, Registry};
use serde::Serialize;
use serde_json::Value;
use service_kit::{clock, random};
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::history::{self, Part};
use crate::{dev, stack};
use sums::Sums;

/// The log is the same at every run.
const SEED: u64 = 9;

/// What the read models may take for a record, at worst.
const FOLDED_WITHIN_PER_EVENT: Duration = Duration::from_millis(1);
const FOLDED_WITHIN: Duration = Duration::from_secs(120);

/// How much, and by which programs.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Events in the log, about.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Partitions of every topic.
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// A Python that has the package duckdb; without it the files are summed by boxctl alone.
    #[arg(long, default_value = "python3")]
    python: String,
    /// Where to leave the files [default: a folder that is deleted].
    #[arg(long)]
    out: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    events: u64,
    filled_s: f64,
    folded_s: f64,
    /// From the start of the exporting process to its end.
    exported_s: f64,
    rows: u64,
    events_per_s: f64,
    peak_rss_bytes: u64,
    bytes: u64,
    files: usize,
    revenue: Revenue,
    equal: bool,
}

/// The same money, asked for in different places.
#[derive(Debug, Serialize)]
struct Revenue {
    postgres_orders: Sums,
    postgres_ledger: Sums,
    parquet: Sums,
    duckdb: Option<Sums>,
}

impl Revenue {
    fn is_equal(&self) -> bool {
        let others = [&self.postgres_ledger, &self.parquet].into_iter().chain(&self.duckdb);
        !self.parquet.is_empty() && others.into_iter().all(|it| *it == self.postgres_orders)
    }
}

/// Rehearses it; ends with 1 if the sums differ.
pub(super) async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let endpoints = stack::up(StackConfig::for_tests(&find_root()?)).await?;
    let namespace: String = format!("x{}", random::opaque_id().simple()).chars().take(10).collect();
    let measured = measure(&args, &endpoints, &namespace).await;
    for left in dev::forget(&endpoints, &namespace).await {
        eprintln!("boxctl: {left:#}");
    }
    let outcome = measured?;
    stack::print(&if args.json { serde_json::to_string(&outcome)? + "\n" } else { text(&outcome) })?;
    Ok(if outcome.equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::cast_precision_loss, reason = "a rate is rounded")]
async fn measure(args: &ExportArgs, endpoints: &Endpoints, namespace: &str) -> anyhow::Result<Outcome> {
    let settings = KafkaSettings::new(&endpoints.kafka, namespace, "drill");
    let layout = Layout::local(args.partitions);
    let ids = topics::init(&settings, &endpoints.registry, layout).await.context("make the topics")?.ids;
    let codec = Codec::new(ids, Registry::new(&endpoints.registry)?);
    let log = Arc::new(KafkaLog::connect(settings)?);
    let began = clock::monotonic();
    let (filled, encoder, partitions) = (Arc::clone(&log), codec.clone(), args.partitions);
    let wanted = (args.events, Part::Money);
    let fill = move || history::write(&*filled, &encoder, partitions, wanted, SEED);
    let written = tokio::task::spawn_blocking(fill).await.context("wait for the log to be filled")??;
    let events = written.events();
    let filled_s = began.elapsed().as_secs_f64();
    stack::say(&format!("{events} events in the log after {filled_s:.1} s; exporting"));
    let folder = args.out.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("boxctl-{namespace}")));
    let began = clock::monotonic();
    let summary = export(args, endpoints, namespace, &folder).await?;
    let exported_s = began.elapsed().as_secs_f64();
    stack::say(&format!("exported in {exported_s:.1} s; filling the read models"));
    let began = clock::monotonic();
    let (pool, names) = fold(&log, &codec, endpoints, namespace, args.partitions, events).await?;
    let folded_s = began.elapsed().as_secs_f64();
    let revenue = Revenue {
        postgres_orders: sums::orders(&pool, &names.views()).await?,
        postgres_ledger: sums::ledger(&pool, &names.views()).await?,
        parquet: sums::files(&folder)?,
        duckdb: sums::duckdb(&args.python, &folder)?,
    };
    pool.close().await;
    if args.out.is_none() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("delete {}", folder.display()))?;
    }
    let number = |name: &str| summary[name].as_u64().with_context(|| format!("the export tells no {name}"));
    let files = summary["files"].as_array().context("the export tells no files")?;
    Ok(Outcome {
        events,
        filled_s,
        folded_s,
        exported_s,
        rows: number("rows")?,
        events_per_s: events as f64 / exported_s,
        peak_rss_bytes: number("peak_rss_bytes")?,
        bytes: files.iter().filter_map(|file| file["bytes"].as_u64()).sum(),
        files: files.len(),
        equal: revenue.is_equal() && number("rows")? == events,
        revenue,
    })
}

/// In a process of its own, as anybody exports.
async fn export(args: &ExportArgs, endpoints: &Endpoints, namespace: &str, folder: &Path) -> anyhow::Result<Value> {
    let program = std::env::current_exe().context("find this program")?;
    let ran = tokio::process::Command::new(program)
        .args(["replay", "--format", "parquet", "--json", "--out"])
        .arg(folder)
        .env("BOXOFFICE_KAFKA", &endpoints.kafka)
        .env("BOXOFFICE_REGISTRY", &endpoints.registry)
        .env("BOXOFFICE_NAMESPACE", namespace)
        .env("BOXOFFICE_PARTITIONS", args.partitions.to_string())
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("start the export")?;
    ensure!(ran.status.success(), "the export ended with {}", ran.status);
    serde_json::from_slice(&ran.stdout).context("read what the export says")
}

/// Fills the read models up to the log's end.
async fn fold(
    log: &Arc<KafkaLog>,
    codec: &Codec,
    endpoints: &Endpoints,
    namespace: &str,
    partitions: u32,
    events: u64,
) -> anyhow::Result<(PgPool, Names)> {
    let pool = PgPool::connect(&endpoints.postgres).await.context("connect to Postgres")?;
    let names = Names::of(namespace)?;
    let stop = CancellationToken::new();
    let logs = Logs::kafka(Arc::clone(log), partitions);
    let running =
        projectors::run(Settings::new(namespace, partitions), logs, codec.clone(), pool.clone(), stop.clone());
    let running = tokio::spawn(running);
    let within = FOLDED_WITHIN + FOLDED_WITHIN_PER_EVENT * u32::try_from(events).context("too many events")?;
    let began = clock::monotonic();
    for (name, contexts) in READS {
        for (context, number) in contexts.iter().flat_map(|it| (0..partitions).map(move |number| (*it, number))) {
            let at = Partition { context, number };
            let end = log.bounds(at)?.end;
            // While there is no table there is no position.
            while projectors::position(&pool, &names, name, at).await.ok().flatten().is_none_or(|it| it.next < end)
                && end > 0
            {
                if running.is_finished() || began.elapsed() > within {
                    bail!("the read model {name} does not come to offset {end} of {at}");
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    stop.cancel();
    running.await.context("wait for the projectors")??;
    Ok((pool, names))
}

#[allow(clippy::cast_precision_loss, reason = "shown rounded")]
fn text(outcome: &Outcome) -> String {
    let Outcome { events, filled_s, folded_s, exported_s, rows, events_per_s, files, revenue, .. } = outcome;
    let megabytes = |bytes: u64| bytes as f64 / 1_000_000.0;
    let sums = |sums: &Sums| {
        let each: Vec<String> = sums.iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
        each.join(", ")
    };
    let duckdb = revenue.duckdb.as_ref().map_or_else(|| "not there: pip install duckdb".to_owned(), sums);
    let verdict = if outcome.equal { "equal" } else { "DIFFERENT" };
    format!(
        "events in the log        {events} (appended in {filled_s:.1} s)\n\
         exported to Parquet      {rows} rows in {exported_s:.1} s: {events_per_s:.0} events/s\n\
         peak memory              {:.0} MB\n\
         files                    {files}, {:.1} MB\n\
         read models filled in    {folded_s:.1} s\n\
         revenue, orders view     {}\n\
         revenue, ledger view     {}\n\
         revenue, Parquet         {}\n\
         revenue, DuckDB          {duckdb}\n\
         the sums are {verdict}\n",
        megabytes(outcome.peak_rss_bytes),
        megabytes(outcome.bytes),
        sums(&revenue.postgres_orders),
        sums(&revenue.postgres_ledger),
        sums(&revenue.parquet),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_equal_only_if_everybody_says_so() {
        let sums = |amount| Sums::from([("VND".to_owned(), amount)]);
        let revenue = |duckdb| Revenue { postgres_orders: sums(5), postgres_ledger: sums(5), parquet: sums(5), duckdb };
        assert!(revenue(None).is_equal());
        assert!(revenue(Some(sums(5))).is_equal());
        assert!(!revenue(Some(sums(6))).is_equal());
        let nothing =
            Revenue { postgres_orders: Sums::new(), postgres_ledger: Sums::new(), parquet: Sums::new(), duckdb: None };
        assert!(!nothing.is_equal(), "nothing was compared");
    }
}
