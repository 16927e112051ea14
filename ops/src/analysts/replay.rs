//! `boxctl replay`: events out of the log, as lines, JSON, CSV or Parquet.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use domain::root::Context;
use domain::value::Timestamp;
use export::export::{Format, Job, KEEP_ROWS, Summary};
use export::history;
use export::range::{Point, Wanted, time, topic};
use schemas::RecordType;

use super::FOUND;
use super::site::Site;
use super::work;
use crate::stack;

/// What to read, and where to. Where from: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A topic's name without the namespace, such as order-events; may be repeated [default: all].
    #[arg(long = "topic", value_parser = topic)]
    topics: Vec<Context>,
    /// From here on: earliest, a time of the log (RFC 3339), or offsets (order-events/0=120,order-events/3=98).
    #[arg(long, default_value = "earliest")]
    from: Point,
    /// To before here: latest, a time, or offsets. What lies before it is judged by what is known now.
    #[arg(long, default_value = "latest", conflicts_with = "follow")]
    to: Point,
    /// As the log was at this time: what came later does not count, a command that was not complete neither.
    #[arg(long, value_parser = time, value_name = "TIME", conflicts_with = "follow")]
    as_of: Option<Timestamp>,
    /// Only of this aggregate.
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only of this type, such as OrderPaid; may be repeated.
    #[arg(long = "type", value_parser = record, value_name = "TYPE")]
    types: Vec<RecordType>,
    /// Go on with whatever comes, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Everything that lies in the log, void and control records too, with every reader's verdict.
    #[arg(long)]
    raw: bool,
    /// As what.
    #[arg(long, value_enum, default_value_t = As::Lines)]
    format: As,
    /// A file (jsonl) or a folder (csv, parquet: a file for each type) [default: standard output].
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// Go on with the export that is there: one that was interrupted from where it was safe, one that was done with what came since.
    #[arg(long, requires = "out")]
    resume: bool,
    /// What was read is made safe after so many rows.
    #[arg(long, hide = true, default_value_t = KEEP_ROWS)]
    keep_rows: u64,
    /// Say at the end as JSON what was written: on standard output, or where that carries the events, on standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// Lines for people, by the log's clock.
    Lines,
    /// A JSON object a line, by the log's clock.
    Jsonl,
    /// CSV, partition after partition.
    Csv,
    /// Parquet with typed columns, partition after partition.
    Parquet,
}

impl As {
    fn format(self) -> Format {
        match self {
            Self::Lines => Format::Lines,
            Self::Jsonl => Format::Jsonl,
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }
}

fn record(name: &str) -> Result<RecordType, String> {
    history::find(name).ok_or_else(|| super::schema::unknown(name))
}

impl ReplayArgs {
    fn wanted(&self) -> anyhow::Result<Wanted> {
        if self.key.as_ref().is_some_and(|key| key.is_empty()) {
            bail!("--key is empty: name an aggregate's id");
        }
        let given = &self.topics;
        let mut topics: BTreeSet<Context> =
            if given.is_empty() { Context::ALL.into() } else { given.iter().copied().collect() };
        let types: BTreeSet<RecordType> = self.types.iter().copied().collect();
        let contexts = types.iter().map(|record| match record {
            RecordType::Event(event) => Some(event.context()),
            _ => None,
        });
        // Control records lie in every topic; events each in one.
        if let Some(contexts) = contexts.collect::<Option<BTreeSet<Context>>>().filter(|it| !it.is_empty()) {
            topics.retain(|topic| contexts.contains(topic));
        }
        if topics.is_empty() {
            bail!("none of the topics asked for carries a type asked for");
        }
        let (from, to, key) = (self.from.clone(), self.to.clone(), self.key.clone());
        Ok(Wanted { topics, from, to, as_of: self.as_of, key, types, raw: self.raw })
    }
}

/// Reads and writes.
pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let wanted = args.wanted()?;
    let site = Site::find().await?;
    let at_once = wanted.topics.len() * site.partitions as usize;
    let format = args.format.format();
    let one_by_one = matches!(format, Format::Csv | Format::Parquet) && !args.follow;
    let log = site.log(if one_by_one { 1 } else { at_once })?;
    let job = Job {
        wanted,
        format,
        out: args.out.clone(),
        resume: args.resume,
        follow: args.follow,
        partitions: site.partitions,
        keep_rows: args.keep_rows,
        namespace: site.settings.namespace.clone(),
    };
    let codec = site.codec.clone();
    let to_a_file = job.out.is_some();
    let exported =
        work::until_stopped(to_a_file, move |stop, progress| export::export::run(log, &codec, &job, stop, progress));
    let summary = exported.await?;
    report(&args, &summary)?;
    Ok(if summary.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn report(args: &ReplayArgs, summary: &Summary) -> anyhow::Result<()> {
    for broken in &summary.broken {
        eprintln!("boxctl: cannot be read on: {broken}");
    }
    if args.json {
        let text = serde_json::to_string(summary)? + "\n";
        return match args.out {
            Some(_) => stack::print(&text),
            None => std::io::stderr().write_all(text.as_bytes()).context("write to stderr"),
        };
    }
    let Some(out) = &args.out else { return Ok(()) };
    let Summary { rows, void, seconds, .. } = summary;
    for file in &summary.files {
        eprintln!("{:>12} rows {:>14} bytes  {}", file.rows, file.bytes, file.file);
    }
    let ended = if summary.interrupted { "; stopped early: --resume goes on" } else { "" };
    let records = summary.records;
    eprintln!("{rows} rows of {records} records ({void} void) to {} in {seconds:.1} s{ended}", out.display());
    Ok(())
}
