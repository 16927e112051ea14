//! `boxctl check`: the laws of a box office that runs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use check::history::{self, Margins};
use check::{Checker, Expected, Report};
use clap::Args;
use local_stack::{Endpoints, StackConfig};
use service_kit::config::{Env, Noted};
use service_kit::env;

use crate::init::LOCAL_PARTITIONS;
use crate::stack;

/// A law does not hold.
const BROKEN: u8 = 1;
/// Something does not answer, or a setting or a file is wrong: nothing is known.
const COULD_NOT_LOOK: u8 = 2;

/// What to check. Where: BOXOFFICE_KAFKA, BOXOFFICE_REGISTRY and BOXOFFICE_POSTGRES, or the local stack.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Prefix of topics and Postgres schemas [default: BOXOFFICE_NAMESPACE].
    #[arg(long)]
    namespace: Option<String>,
    /// Where the payment sandbox is, if its statement is to be compared, too.
    #[arg(long, value_name = "URL")]
    sandbox: Option<String>,
    /// A history of its clients, as the demo and the fault tests write it: whatever they asked of its shows is held
    /// against the log.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Compare every row of every read model with the fold of the log at its own offset, not only the sums.
    #[arg(long)]
    read_models: bool,
    /// Fail if no record lies in the log under a term that was over: then nothing was fenced.
    #[arg(long)]
    expect_fenced: bool,
    /// Fail if no call of the history was in doubt.
    #[arg(long, requires = "history")]
    expect_in_doubt: bool,
    /// Check again for so many seconds until every law holds: while orders are under way, some are broken for a moment.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    within: u64,
}

/// Where everything of a box office is.
pub(crate) struct Place {
    endpoints: Option<Endpoints>,
    pub(crate) namespace: String,
    pub(crate) partitions: u32,
}

impl Place {
    pub(crate) fn read(env: &mut Env) -> Result<Self, Noted> {
        let kafka = env.optional("BOXOFFICE_KAFKA", env::hosts(), "Kafka's bootstrap servers.");
        let registry = env.optional("BOXOFFICE_REGISTRY", env::url(), "The schema registry (Confluent API).");
        let postgres = env.optional("BOXOFFICE_POSTGRES", env::secret_text("a postgres:// URL"), "The read models.");
        let namespace = env.with_default("BOXOFFICE_NAMESPACE", "", env::name(), "Prefix of topics and schemas.");
        let partitions = env.optional("BOXOFFICE_PARTITIONS", env::whole(1..=1024), "Partitions of event topics.");
        let endpoints = match (kafka?, registry?, postgres?) {
            (Some(kafka), Some(registry), Some(postgres)) => Some(Endpoints { kafka, registry, postgres }),
            (None, None, None) => None,
            _ => {
                let expected = "all of BOXOFFICE_KAFKA, _REGISTRY and _POSTGRES, or none for the local stack";
                return Err(env.refuse("BOXOFFICE_KAFKA", "is set only with some of the others", expected));
            }
        };
        Ok(Self { endpoints, namespace: namespace?, partitions: partitions?.unwrap_or(LOCAL_PARTITIONS) })
    }

    /// The servers of the environment, or of the local stack.
    pub(crate) fn endpoints(self) -> anyhow::Result<Endpoints> {
        match self.endpoints {
            Some(endpoints) => Ok(endpoints),
            None => local_stack::endpoints(&StackConfig::local(&local_stack::find_root()?))?
                .context("the local stack never ran; start it with `boxctl stack up`"),
        }
    }
}

/// Checks and prints the report; ends with 0 if every law holds, with 1 if one does not, with 2 if it could not look.
pub async fn run(args: CheckArgs) -> ExitCode {
    match report(&args).await {
        Ok(report) if report.holds() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(BROKEN),
        Err(error) => {
            eprintln!("boxctl: {error:#}");
            ExitCode::from(COULD_NOT_LOOK)
        }
    }
}

async fn report(args: &CheckArgs) -> anyhow::Result<Report> {
    let place = Env::from_process().read(Place::read)?;
    // Before anything is asked: a history that cannot be read is no reason to wait.
    let calls = args.history.as_deref().map(history::read).transpose()?;
    let namespace = args.namespace.clone().unwrap_or_else(|| place.namespace.clone());
    let (partitions, endpoints) = (place.partitions, place.endpoints()?);
    let mut checker = Checker::connect(&endpoints, &namespace, partitions, args.sandbox.as_deref()).await?;
    checker = checker.expecting(Expected { fenced: args.expect_fenced, in_doubt: args.expect_in_doubt });
    if let Some(calls) = calls {
        checker = checker.with_history(calls, Margins::default());
    }
    if !args.read_models {
        checker = checker.sums_only();
    }
    let (report, _) = checker.settle(None, Duration::from_secs(args.within), |_| true).await?;
    match args.json {
        true => stack::print(&(serde_json::to_string_pretty(&report)? + "\n"))?,
        false => stack::print(&report.text())?,
    }
    Ok(report)
}
