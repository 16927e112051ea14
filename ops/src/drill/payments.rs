//! `boxctl drill payments`: every order ends or is due, no money is kept without a ticket, and the books are equal to the
//! last unit, whatever providers do.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use check::Checker;
use clap::Args;
use domain::value::Role;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::random;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};

use super::bank::Bank;
use super::office::Office;
use super::plan::Market;
use super::strikes::{self, Struck};
use super::tally::Tally;
use super::{Scene, books, buyer, rest, stage, table, verdict};
use crate::demo::shop::Shop;
use crate::demo::stage::write;
use crate::{dev, stack};

/// A law does not hold, or the books differ.
const BROKEN: u8 = 1;
/// How it goes is told so often.
const TELL: Duration = Duration::from_secs(10);
/// Providers that were silent for long enough are made to answer again so often.
const LISTEN: Duration = Duration::from_secs(10);

/// How large the drill is.
#[derive(Debug, Clone, Args)]
pub struct PaymentsArgs {
    /// Orders that are placed.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    orders: u32,
    /// The chance of each fault for each payment, whatever else goes wrong with it.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    faults_percent: u8,
    /// How often a command-api is killed, the two in turn; it is started again.
    #[arg(long, default_value_t = 2)]
    kills: u16,
    /// How often the broker is restarted.
    #[arg(long, default_value_t = 1)]
    broker_restarts: u16,
    /// Seconds over which the orders are placed.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    over: u32,
    /// Seconds that a buyer has to pay.
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pay_within: u32,
    /// Buyers that are at it at once, at most.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// Seconds within which nothing is under way any more after the last buyer, and again after a show is cancelled.
    /// ZaloPay's pages cannot be closed and stay open for five minutes.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    rest_within: u64,
    /// Repeats what buyers do and what goes wrong; random if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Set an environment variable of the services: BOXOFFICE_LOG=debug.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = dev::pair)]
    settings: Vec<(String, String)>,
    /// Keep logs and the sandbox's books even if all is well.
    #[arg(long)]
    keep: bool,
}

/// Rehearses it on servers of its own, which go away afterwards.
///
/// # Errors
/// The box office cannot be brought up, or does not answer.
pub async fn run(args: PaymentsArgs) -> anyhow::Result<ExitCode> {
    let office = Office::up(&args.settings).await?;
    let played = tokio::select! {
        played = play(&args, &office) => played,
        asked = dev::stop_asked() => asked.and_then(|()| bail!("stopped before it was over")),
    };
    let well = matches!(played, Ok(true));
    office.down(args.keep || !well).await;
    Ok(if played? { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

/// Plays it, and says whether all is well.
async fn play(args: &PaymentsArgs, office: &Office) -> anyhow::Result<bool> {
    let running = &office.running;
    let scene = Arc::new(set(args, office).await?);
    stack::print(&format!(
        "{} orders over {} s, each fault at {} %, {} kills, {} broker restarts (--seed {})\n",
        args.orders, args.over, args.faults_percent, args.kills, args.broker_restarts, scene.seed
    ))?;
    let began = Instant::now();
    let listening = tokio::spawn(listen(scene.bank.clone()));
    let struck = sell(args, office, &scene, began).await?;
    let (plan, sandbox) = (running.plan(), running.sandbox_url());
    let checker = Checker::connect(running.endpoints(), &plan.namespace, plan.partitions, Some(&sandbox)).await?;
    let promised = scene.tally.seen().promised;
    let limit = Duration::from_secs(args.rest_within);
    stack::say(&format!("after {} s every buyer is through", began.elapsed().as_secs()));
    rest::wait(&checker, &promised, limit).await?;
    stack::say(&format!("after {} s everything is at rest; a show is cancelled", began.elapsed().as_secs()));
    cancel(&scene, office, limit).await?;
    let (mut report, facts) = rest::wait(&checker, &promised, limit).await?;
    listening.abort();
    let books = books::compare(&scene.bank, running).await?;
    let injected = scene.bank.injected().await?;
    let seen = scene.tally.seen();
    let wanted = (args.orders, usize::from(args.kills) + usize::from(args.broker_restarts));
    report.laws.extend(books::laws(&books));
    report.laws.extend(verdict::laws(&facts, &seen, &struck, wanted, &injected));
    let told = table::text(&facts, &seen, &injected, &struck, began.elapsed());
    let verdict = match report.broken() {
        0 => "Every order ended or is due, the books are equal, every law holds.".to_owned(),
        broken => format!("{broken} laws do not hold; the seed was {}", scene.seed),
    };
    stack::print(&format!("\nWhat happened:\n{told}\nThe verdict:\n{}\n{verdict}\n", report.text()))?;
    Ok(report.holds())
}

async fn set(args: &PaymentsArgs, office: &Office) -> anyhow::Result<Scene> {
    let dev = &office.running;
    let shop = Shop::new(dev.base_url())?;
    let mut stages = Vec::new();
    for market in [Market::Vnd, Market::Usd] {
        stages.push(stage::set(&shop, dev, market, args.orders, args.pay_within).await?);
    }
    Ok(Scene {
        bank: Bank::new(&dev.sandbox_url())?,
        stages,
        tally: Tally::default(),
        support: dev.token("drill-support", &[Role::Support])?,
        percent: u64::from(args.faults_percent),
        seed: args.seed.unwrap_or_else(|| random::below(1_000_000)),
        shop,
    })
}

/// Lets all buyers play at a steady pace, and hurts the box office meanwhile.
async fn sell(args: &PaymentsArgs, office: &Office, scene: &Arc<Scene>, began: Instant) -> anyhow::Result<Vec<Struck>> {
    let over = Duration::from_secs(u64::from(args.over));
    let planned = strikes::planned(args.kills, args.broker_restarts, over);
    let turns = Arc::new(Semaphore::new(usize::from(args.at_once)));
    let mut buyers = JoinSet::new();
    for number in 0..args.orders {
        let (scene, turns) = (Arc::clone(scene), Arc::clone(&turns));
        let comes = began + over * number / args.orders;
        buyers.spawn(async move {
            sleep_until(comes).await;
            let _turn = turns.acquire_owned().await.expect("nobody closes it");
            buyer::play(scene, number).await;
        });
    }
    let all = async {
        while let Some(played) = buyers.join_next().await {
            played.context("a buyer panicked")?;
        }
        anyhow::Ok(())
    };
    let told = tell(scene, began, args.orders);
    tokio::select! {
        () = told => bail!("telling how it goes never ends"),
        both = async { tokio::try_join!(strikes::carry_out(office, &planned, began), all) } => Ok(both?.0),
    }
}

async fn tell(scene: &Scene, began: Instant, orders: u32) {
    loop {
        sleep(TELL).await;
        let (placed, through, wrong) = scene.tally.progress();
        let seconds = began.elapsed().as_secs();
        stack::say(&format!("{seconds:>4} s  placed {placed}/{orders}  buyers through {through}  went wrong {wrong}"));
    }
}

/// Has providers answer again that were silent for long enough, until it is dropped.
async fn listen(bank: Bank) {
    let mut every = interval(LISTEN);
    loop {
        every.tick().await;
        if let Err(error) = bank.break_silence().await {
            stack::say(&format!("the sandbox cannot be told to answer again: {error:#}"));
        }
    }
}

/// Cancels the show in dong, and waits until its refunds are done or due.
async fn cancel(scene: &Scene, office: &Office, limit: Duration) -> anyhow::Result<()> {
    let organizer = stage::organizer(&office.running)?;
    let show = scene.stages.iter().find(|it| it.market == Market::Vnd).context("there is a show in dong")?.show;
    write(&scene.shop, &organizer, Method::POST, &format!("/v1/shows/{show}/cancel"), &json!({})).await?;
    let deadline = Instant::now() + limit;
    loop {
        let progress: Value = scene.shop.get(&format!("/v1/shows/{show}/refunds"), Some(&organizer)).await?;
        stack::say(&format!("the cancelled show: {progress}"));
        let none = |at: &Value| at.as_i64() == Some(0);
        if none(&progress["orders_to_go"]) && none(&progress["pending"]["count"]) || Instant::now() >= deadline {
            return Ok(());
        }
        sleep(TELL).await;
    }
}
