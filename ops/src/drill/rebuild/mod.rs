//! `boxctl drill rebuild`: read models are rebuilt over a long log while people buy, and the rebuilding is killed on the
//! way; readers notice nothing, and every row is what the log says.

mod buyers;
mod rebuilding;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics::{self, Layout};
use local_stack::EphemeralStack;
use schemas::{Codec, Registry};
use service_kit::{clock, random};

use super::history::{self, Part, Written};
use crate::demo::shop::Shop;
use crate::dev::{self, DevOptions, Running, start};
use crate::init::LOCAL_PARTITIONS;
use crate::stack;
use buyers::Buyers;
use rebuilding::Rebuilding;

/// A law does not hold.
const BROKEN: u8 = 1;
/// How long everything may take to be ready: the writers read the whole log, and the projectors fold it.
const READY: Duration = Duration::from_secs(900);
/// So long people buy before anything is rebuilt.
const BEFORE: Duration = Duration::from_secs(15);
/// Many records in one transaction, for who has to fold a whole log.
const SETTINGS: [(&str, &str); 1] = [("BOXOFFICE_PROJECTOR_BATCH", "20000")];

/// How large the drill is.
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// Events in the log.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: u64,
    /// All of them of stock, and only the read model of stock is rebuilt.
    #[arg(long)]
    stock_only: bool,
    /// How often each rebuilding is killed on its way.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=10))]
    kill: u32,
    /// Orders placed in a second meanwhile.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Repeats what the log is made of; random if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Set an environment variable of the services: BOXOFFICE_LOG=debug.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = dev::pair)]
    settings: Vec<(String, String)>,
    /// Keep logs even if all is well.
    #[arg(long)]
    keep: bool,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    written: Written,
    writing: Duration,
    /// Until writers and projectors had read the whole log for the first time.
    first: Duration,
    rebuilt: Vec<Rebuilding>,
    buyers: Buyers,
}

/// Rehearses it on servers of its own, which go away afterwards.
///
/// # Errors
/// The box office cannot be brought up, or does not answer.
pub async fn run(args: RebuildArgs) -> anyhow::Result<ExitCode> {
    let started = tokio::task::spawn_blocking(|| EphemeralStack::start(&mut stack::say));
    let stack = started.await.context("wait for the servers")??;
    let id = random::opaque_id().simple().to_string();
    let namespace = format!("drill-{}", &id[..8]);
    let folder = local_stack::find_root()?.join("target/tmp/drill").join(&namespace);
    let played = tokio::select! {
        played = play(&args, &stack, &namespace, &folder) => played,
        asked = dev::stop_asked() => asked.and_then(|()| bail!("stopped before it was over")),
    };
    tokio::task::spawn_blocking(move || drop(stack)).await.context("take the servers down")?;
    let well = matches!(&played, Ok(outcome) if outcome.faults().is_empty());
    match args.keep || !well {
        true => stack::say(&format!("logs are kept in {}", folder.display())),
        false => drop(std::fs::remove_dir_all(&folder)),
    }
    let outcome = played?;
    stack::print(&table::text(&outcome))?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

async fn play(
    args: &RebuildArgs,
    stack: &EphemeralStack,
    namespace: &str,
    folder: &PathBuf,
) -> anyhow::Result<Outcome> {
    let seed = args.seed.unwrap_or_else(|| random::opaque_id().as_u64_pair().0);
    stack::say(&format!("writing {} events (--seed {seed})", args.events));
    let began = clock::monotonic();
    let written = write(args, stack, namespace, seed).await?;
    let writing = began.elapsed();
    stack::say(&format!("{} events are in the log after {:.1} s", written.events(), writing.as_secs_f64()));
    let mut options = DevOptions::new(stack.endpoints().clone(), namespace, folder);
    let settings = SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    options.overrides = settings.chain(args.settings.iter().cloned()).collect();
    options.say = Arc::new(stack::say);
    let began = clock::monotonic();
    let running = start(options).await?;
    let played = async {
        running.wait_ready(READY).await?;
        let first = began.elapsed();
        stack::say(&format!("writers and projectors have read all of it after {:.1} s", first.as_secs_f64()));
        let (rebuilt, buyers) = rehearse(args, &running).await?;
        anyhow::Ok(Outcome { written, writing, first, rebuilt, buyers })
    };
    let played = played.await;
    running.stop().await;
    played
}

async fn write(args: &RebuildArgs, stack: &EphemeralStack, namespace: &str, seed: u64) -> anyhow::Result<Written> {
    let endpoints = stack.endpoints();
    let kafka = KafkaSettings::new(&endpoints.kafka, namespace, "drill");
    let made = topics::init(&kafka, &endpoints.registry, Layout::local(LOCAL_PARTITIONS)).await;
    let codec = Codec::new(made.context("make the topics")?.ids, Registry::new(&endpoints.registry)?);
    let log = Arc::new(KafkaLog::connect(kafka)?);
    let (events, part) = (args.events, if args.stock_only { Part::Stock } else { Part::Sales });
    tokio::task::spawn_blocking(move || history::write(&*log, &codec, LOCAL_PARTITIONS, (events, part), seed)).await?
}

async fn rehearse(args: &RebuildArgs, running: &Running) -> anyhow::Result<(Vec<Rebuilding>, Buyers)> {
    let shop = Shop::new(running.base_url())?;
    let mut buying = buyers::begin(shop, running, args.rate).await?;
    tokio::time::sleep(BEFORE).await;
    let names: &[&'static str] = if args.stock_only { &["inventory"] } else { &["inventory", "orders"] };
    let mut rebuilt = Vec::new();
    for name in names {
        buying.phase(name);
        rebuilt.push(rebuilding::run(running, name, args.kill).await?);
    }
    let buyers = buying.end().await?;
    ensure!(buyers.failed.is_empty(), "an order failed: {}", buyers.failed[0]);
    Ok((rebuilt, buyers))
}

impl Outcome {
    /// What is not as it has to be.
    fn faults(&self) -> Vec<String> {
        self.rebuilt.iter().flat_map(|it| it.faults.iter().map(|fault| format!("{}: {fault}", it.name))).collect()
    }
}
