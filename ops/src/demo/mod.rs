//! `boxctl demo`: a show of many tickets, more buyers than tickets, and a summary that is recomputed from the log.

mod board;
mod buyer;
mod chaos;
pub(crate) mod dice;
mod payer;
mod placed;
mod plan;
mod probe;
mod progress;
pub(crate) mod shop;
pub(crate) mod stage;
mod summary;
mod tally;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use domain::value::Role;
use service_kit::random;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::topology::Counts;
use crate::{dev, stack};
use board::Board;
pub use chaos::When;
use chaos::{How, Struck};
use check::history::{self, Margins, Recorder};
use check::{At, Checker, Facts};
use payer::{Payer, Webhooks};
use placed::until;
use plan::Plan;
use probe::Probe;
use progress::Progress;
use shop::Shop;
pub use stage::Room;
use stage::Stage;
use tally::Tally;

/// Durations of the services while the demo runs: short enough to be watched.
pub const SETTINGS: [(&str, &str); 3] =
    [("BOXOFFICE_TAKEOVER_GRACE_S", "2"), ("BOXOFFICE_HOLD_BACKSTOP_S", "10"), ("BOXOFFICE_STATUS_EVERY_MS", "1000")];

/// How many of each program run, unless asked otherwise.
pub const COUNTS: Counts = Counts::TWO;

/// Webhooks that are still on their way are waited for so long.
const LAST_WEBHOOKS: Duration = Duration::from_secs(45);
/// Everything has come to rest within so long after the last buyer left.
const AT_REST: Duration = Duration::from_secs(90);

/// What all buyers share.
#[derive(Debug)]
struct Scene {
    /// The shop's front door.
    shop: Shop,
    /// The payment provider.
    payer: Payer,
    /// What is sold.
    stage: Stage,
    /// What is left of it.
    board: Board,
    /// What is counted.
    tally: Tally,
    /// So many buyers order or pay at once.
    turns: Arc<Semaphore>,
    /// The seed of this run.
    seed: u64,
}

/// How large the demo is.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// End after the summary instead of staying up.
    #[arg(long)]
    pub exit: bool,
    /// Tickets of the show.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub show_tickets: u32,
    /// Buyers that want them.
    #[arg(long, default_value_t = 1500)]
    pub buyers: u32,
    /// Repeats a run's choices; random if left out.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Seconds over which the buyers come.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub over: u64,
    /// Seconds that a buyer has to pay.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub pay_within: u64,
    /// Buyers that order or pay at once, at most; the others wait outside.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub at_once: u16,
    #[command(flatten)]
    pub room: Room,
    /// Kill a process in the middle, such as command-api-1@12s; it is started again. May be repeated.
    #[arg(long, value_name = "PROCESS@SECONDS")]
    pub kill: Vec<When>,
    /// Stop a process in order in the middle, such as command-api-2@20s; it is started again. May be repeated.
    #[arg(long, value_name = "PROCESS@SECONDS")]
    pub term: Vec<When>,
}

/// Runs it against services that are up. boxctl stays up after an `Ok`, unless `--exit`, and stops the services.
///
/// # Errors
/// The demo cannot go on, or a law does not hold.
pub async fn run(args: Args, dev: dev::Running) -> anyhow::Result<()> {
    chaos::check(&dev, &[&args.kill[..], &args.term].concat())?;
    let seed = args.seed.unwrap_or_else(|| random::below(1_000_000));
    let written = dev.plan().folder.join("history.jsonl");
    let recorder = Recorder::create(&written).with_context(|| format!("write {}", written.display()))?;
    let shop = Shop::new(dev.base_url())?.recorded(recorder);
    let payer = Payer::new(Shop::new(&dev.sandbox_url())?);
    let stage = stage::set(&shop, &dev, args.show_tickets, args.pay_within, &args.room);
    let stage = stage.await.context("put the show on sale")?;
    stack::print(&format!(
        "On sale: {} tickets of show {}; {} visitors come over {} s{} (--seed {seed})\n",
        args.show_tickets,
        stage.show,
        args.buyers,
        args.over,
        stage.opens_at.map(|at| format!(", the waiting room opens at {at:.0}")).unwrap_or_default()
    ))?;
    let turns = Arc::new(Semaphore::new(usize::from(args.at_once)));
    let board = board::start(shop.clone(), stage.show);
    let scene = Arc::new(Scene { shop, payer, stage, board, tally: Tally::default(), turns, seed });
    let progress = Progress::start();
    let struck = sell(&args, &dev, &scene, progress).await?;
    let webhooks = last_webhooks(&scene.payer).await?;
    let (endpoints, plan) = (dev.endpoints(), dev.plan());
    let sandbox = dev.sandbox_url();
    let checker = Checker::connect(endpoints, &plan.namespace, plan.partitions, Some(&sandbox)).await?;
    let checker = checker.with_history(history::read(&written)?, Margins::default());
    let promised = scene.tally.promised();
    let (mut report, facts) = checker.settle(Some(&promised), AT_REST, at_rest).await.context("check the laws")?;
    report.laws.extend(summary::laws(&scene, &facts, &webhooks, &struck));
    let told = summary::text(&scene, &facts, &webhooks, &struck);
    let seconds = progress.began().elapsed().as_secs();
    stack::print(&format!(
        "\nAfter {seconds} s:\n{told}\nRecomputed from the log, the clients' history ({}), Postgres and the provider:\n{}",
        written.display(),
        report.text()
    ))?;
    match report.broken() {
        0 => stack::print("\nEvery law holds.\n\n"),
        broken => bail!("{broken} laws do not hold; the seed was {seed}"),
    }
}

/// Every order has ended, nothing is held, nobody waits, and no slot has an order. Tokens that nobody uses end by themselves.
fn at_rest(facts: &Facts) -> bool {
    let busy = |at| matches!(at, At::Waiting | At::Admitted(_) | At::Tied(_));
    let over = facts.queues.rooms.values().all(|room| room.count(busy) == 0);
    over && facts.stock.live().next().is_none() && facts.sales.orders.values().all(|order| order.phase != "open")
}

/// Lets all buyers play, and the chaos; gives what each ended process meant.
async fn sell(args: &Args, dev: &dev::Running, scene: &Arc<Scene>, progress: Progress) -> anyhow::Result<Vec<Struck>> {
    let probe = probe(dev, &scene.shop).await.context("prepare to probe the partitions")?;
    let start = progress.began();
    let mut buyers = JoinSet::new();
    // Whoever comes in the last second may come too late for the draw.
    let before = scene.stage.opens_at.map(|at| until(at).saturating_sub(Duration::from_secs(1))).unwrap_or_default();
    for plan in plan::plans(scene.seed, args.buyers, (before, Duration::from_secs(args.over))) {
        let account = account(dev, scene.seed, &plan)?;
        let scene = Arc::clone(scene);
        buyers.spawn(async move {
            sleep_until(start + plan.arrives).await;
            buyer::play(scene, plan, account).await;
        });
    }
    let mut strikes = strikes(args, dev, &probe, progress);
    let shown = show(scene, progress, args.buyers);
    tokio::select! {
        () = shown => {}
        played = all(&mut buyers) => played?,
    }
    progress.show(&scene.tally, &scene.board, args.buyers);
    progress.end();
    let mut all = Vec::new();
    while let Some(struck) = strikes.join_next().await {
        all.push(struck.context("a strike panicked")??);
    }
    all.sort_by_key(|struck| struck.when.after);
    Ok(all)
}

fn strikes(args: &Args, dev: &dev::Running, probe: &Probe, progress: Progress) -> JoinSet<anyhow::Result<Struck>> {
    let kills = args.kill.iter().map(|when| (*when, How::Kill));
    let mut strikes = JoinSet::new();
    for planned in kills.chain(args.term.iter().map(|when| (*when, How::Term))) {
        let (dev, probe) = (dev.clone(), probe.clone());
        strikes.spawn(async move {
            chaos::strike(&dev, &probe, planned, progress.began(), |text| progress.note(text)).await
        });
    }
    strikes
}

async fn probe(dev: &dev::Running, shop: &Shop) -> anyhow::Result<Probe> {
    let organizer = dev.token("demo-prober", &[Role::Organizer])?;
    Probe::set(shop, dev.base_url(), &organizer, dev.plan().partitions).await
}

fn account(dev: &dev::Running, seed: u64, plan: &Plan) -> anyhow::Result<Option<String>> {
    let token = || dev.token(&format!("demo-buyer-{seed}-{}", plan.number), &[Role::Buyer]);
    plan.account.then(token).transpose()
}

async fn all(buyers: &mut JoinSet<()>) -> anyhow::Result<()> {
    while let Some(played) = buyers.join_next().await {
        played.context("a buyer panicked")?;
    }
    Ok(())
}

/// Shows how it goes until it is dropped.
async fn show(scene: &Scene, progress: Progress, buyers: u32) {
    loop {
        sleep(progress.every()).await;
        progress.show(&scene.tally, &scene.board, buyers);
    }
}

/// What the provider told, once it has told everything or takes too long.
async fn last_webhooks(payer: &Payer) -> anyhow::Result<Webhooks> {
    let deadline = Instant::now() + LAST_WEBHOOKS;
    loop {
        let webhooks = payer.webhooks().await.context("ask the sandbox for its webhooks")?;
        if webhooks.waiting == 0 || Instant::now() >= deadline {
            return Ok(webhooks);
        }
        sleep(Duration::from_millis(500)).await;
    }
}
