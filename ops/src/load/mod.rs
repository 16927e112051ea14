//! `boxctl load`: how fast a box office is, and what limits it.

pub mod compare;
mod installation;
mod measure;
mod peer;
mod pictures;
pub mod queue;
mod sale;
mod scenario;
mod step;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};

use crate::stack;
use crate::topology::Counts;
pub use compare::CompareArgs;
use installation::{Installation, Wanted};
pub use queue::QueueArgs;
pub use scenario::Scenario;
use scenario::Size;

/// How durable an acknowledged write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// On disk before the answer.
    D1,
    /// Survives the crash of any process.
    D2,
}

/// How an installation is made up, and who sends to it, whatever is measured.
#[derive(Debug, Clone, Args)]
pub struct Site {
    /// Worker processes of the generator.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub processes: u16,
    /// Connections of each of them to each server, at most.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub connections: u16,
    /// How durable an acknowledged write is.
    #[arg(long, value_enum, default_value_t = Durability::D2)]
    pub durability: Durability,
    /// Partitions of every topic.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: u32,
    /// Instances of command-api.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub command_apis: u16,
    /// Where the services' programs are; beside boxctl if left out. Numbers count only from a release build.
    #[arg(long, value_name = "FOLDER")]
    pub programs: Option<PathBuf>,
    /// Seconds to wait until everything is at rest.
    #[arg(long, default_value_t = 300)]
    pub drain_within: u64,
    /// Set an environment variable of the services.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,
    /// Write everything as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// On the servers that the tests share, whose Postgres does not sync to disk, instead of those of `boxctl stack`.
    #[arg(long)]
    pub tests: bool,
    /// Keep topics, tables and logs.
    #[arg(long)]
    pub keep: bool,
}

/// How arrivals are made up, whatever is measured by them.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10)]
    pub duration: u64,
    /// Seconds before that do not count.
    #[arg(long, default_value_t = 3)]
    pub warm_up: u64,
    /// Tickets cost nothing: no payment is opened.
    #[arg(long)]
    pub free: bool,
    /// Draw pictures, as SVG.
    #[arg(long, value_name = "FOLDER")]
    pub plots: Option<PathBuf>,
    #[command(flatten)]
    pub site: Site,
}

/// `boxctl load`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    apart: Option<Apart>,
    #[command(flatten)]
    arrivals: LoadArgs,
}

/// What has no arrivals.
#[derive(Debug, Clone, Subcommand)]
enum Apart {
    /// A crowd in a waiting room: people join, and then stay and ask, or are told, until it is their turn.
    Queue(QueueArgs),
}

/// What to measure, and how.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// What is measured.
    #[arg(value_enum)]
    scenario: Option<Scenario>,
    /// Arrivals a second; where a search for the knee begins.
    #[arg(long, default_value_t = 1000.0, value_parser = rate)]
    rate: f64,
    /// Purchases one after the other on an idle system.
    #[arg(long, default_value_t = 100)]
    times: u32,
    /// Seconds that buyers have to pay [default: 900, or 20 where some walk away].
    #[arg(long, value_name = "SECONDS")]
    pay_within: Option<u64>,
    /// Find the highest rate with p99 ≤ 200 ms and less than 0.1 % failed.
    #[arg(long)]
    find_knee: bool,
    #[command(flatten)]
    common: Common,
}

/// Measures and prints; ends with 1 if the numbers do not count.
///
/// # Errors
/// Something cannot be brought up, or the generator cannot do its work.
pub async fn run_cli(cli: Cli) -> anyhow::Result<ExitCode> {
    match (cli.apart, cli.arrivals) {
        (Some(Apart::Queue(args)), _) => queue::run(args).await,
        (None, args) => run(args).await,
    }
}

/// The same for arrivals.
///
/// # Errors
/// Something cannot be brought up, or the generator cannot do its work.
pub async fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let common = &args.common;
    let scenario = args.scenario.context("nothing to measure: name a scenario")?;
    let site = Installation::up(&common.site.wanted()?).await?;
    let measured = tokio::select! {
        measured = measure::run(&site, scenario, &args) => measured,
        asked = crate::dev::stop_asked() => asked.and_then(|()| bail!("stopped")),
    };
    site.down(common.site.keep).await;
    let report = measured?;
    stack::print(&report.text())?;
    if let Some(path) = &common.site.json {
        std::fs::write(path, serde_json::to_vec(&report)?).with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(folder) = &common.plots {
        pictures::draw(&report, folder, &format!("{scenario:?}").to_lowercase())?;
    }
    Ok(if report.counts() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Site {
    fn wanted(&self) -> anyhow::Result<Wanted> {
        let pair = |setting: &String| {
            let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Wanted {
            tests: self.tests,
            synced: self.durability == Durability::D1,
            partitions: self.partitions,
            counts: Counts { command_apis: self.command_apis, ..Counts::ONE },
            programs: self.programs.clone(),
            settings: self.settings.iter().map(pair).collect::<anyhow::Result<_>>()?,
        })
    }
}

impl LoadArgs {
    fn size(&self) -> Size {
        Size {
            rate: self.rate,
            duration: self.common.duration,
            warm_up: self.common.warm_up,
            times: self.times,
            free: self.common.free,
            pay_within_s: self.pay_within,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("expected arrivals a second, above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: Cli,
    }

    #[test]
    fn a_scenario_or_a_crowd_is_named() {
        let line = |text: &str| Line::try_parse_from(text.split(' ')).map(|line| line.load);
        let steady = line("load steady --tests --duration 2").unwrap();
        assert_eq!((steady.arrivals.scenario, steady.apart.is_none()), (Some(Scenario::Steady), true));
        assert!(line("load queue --shape poll").unwrap().apart.is_some());
        assert!(line("load nothing").is_err());
    }
}
