//! `boxctl drill backup`: a backup that is taken while people buy, the end of everything else, and what comes back.

mod follow;
mod people;
mod rows;
mod told;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use backup::manifest::Folder;
use backup::read::Backup;
use backup::restore::{Target, missing_master_keys, plan};
use check::{Checker, Law, Promised};
use clap::Args;
use event_log::kafka::KafkaSettings;
use event_log::topics::Layout;
use jiff::Timestamp;
use schemas::Registry;
use schemas::sealed::{MasterKey, MasterKeys};
use service_kit::{clock, env};
use tokio::time::{Instant, sleep};

use self::follow::{Followed, Following};
use super::office::Office;
use super::rest;
use crate::backup::restore::restore;
use crate::{dev, stack};

/// Something is lost, or a law does not hold.
const BROKEN: u8 = 1;
/// Rows are as they were within so long after the services are ready.
const FILLED: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(500);

/// How large the drill is.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Orders that are placed before the end.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    orders: u32,
    /// Buyers that are at it at once.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// Orders that are placed afterwards.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    new_orders: u32,
    /// Lose the broker's disk in the middle of the sale, without letting the backup catch up: what came after its last round
    /// is lost, and is measured.
    #[arg(long)]
    in_full_swing: bool,
    /// Seconds within which nothing is under way any more.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    rest_within: u64,
    /// Set an environment variable of the services: BOXOFFICE_LOG=debug.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = dev::pair)]
    settings: Vec<(String, String)>,
    /// Keep logs, the backup and the sandbox's books even if all is well.
    #[arg(long)]
    keep: bool,
}

/// What happened, for whoever reads the table.
struct Story {
    followed: Followed,
    destroyed_at: Timestamp,
    records: u64,
    left_out: u64,
    restoring: Duration,
    serving: Duration,
    whole: Duration,
    /// Orders that were acknowledged and are not there.
    lost: usize,
    acknowledged: usize,
}

/// Rehearses it on servers of its own, which go away afterwards.
///
/// # Errors
/// The box office cannot be brought up, or does not answer.
pub async fn run(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let office = Office::up(&args.settings).await?;
    let mut stage = Some(office);
    let played = tokio::select! {
        played = play(&args, &mut stage) => played,
        asked = dev::stop_asked() => asked.and_then(|()| bail!("stopped before it was over")),
    };
    let well = matches!(played, Ok(true));
    if let Some(office) = stage {
        office.down(args.keep || !well).await;
    }
    Ok(if played? { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

/// Plays it, and says whether all is well.
async fn play(args: &BackupArgs, stage: &mut Option<Office>) -> anyhow::Result<bool> {
    let office = stage.as_ref().context("a box office runs")?;
    let settings = kafka(office);
    let folder = Folder::new(office.folder().join("backup"));
    let limit = Duration::from_secs(args.rest_within);
    let scene = people::scene(office, args.orders + args.new_orders).await?;
    let following = Following::start(&settings, &folder, args.in_full_swing).await?;
    stack::say(&format!("{} orders are placed while a backup follows", args.orders));
    let mut bought = people::buy(&scene, args.orders, args.at_once, args.in_full_swing).await?;
    let before = match args.in_full_swing {
        true => None,
        false => {
            rest(office, &bought.promised, limit, true).await?;
            Some(rows::read(&office.running.endpoints().postgres, &office.running.plan().namespace).await?)
        }
    };
    if args.in_full_swing {
        stack::say("the broker's disk dies");
        office.lose_broker().await?;
    }
    let destroyed_at = backup::take::now();
    let followed = following.end().await?;
    bought.end();
    bought.promised = scene.tally.seen().promised;
    stack::say("everything is destroyed but the backup, the secrets, and what the provider knows");
    office.destroy().await?;
    let began = clock::monotonic();
    office.start_servers().await?;
    let (records, left_out, restoring) = bring_back(office, &folder).await?;
    let serving = clock::monotonic();
    let office = stage.take().context("a box office ran")?.start_services().await?;
    let (serving, whole) = (serving.elapsed(), began.elapsed());
    stack::say(&format!("it serves again after {:.1} s", whole.as_secs_f64()));
    let office = stage.insert(office);
    let promised = if args.in_full_swing { Promised::default() } else { bought.promised.clone() };
    let mut laws = Vec::new();
    if let Some(before) = &before {
        laws.push(as_before(office, before).await?);
        laws.push(people::same_codes(office, &bought).await?);
    }
    let scene = people::moved(&scene, office)?;
    let new = people::buy(&scene, args.new_orders, args.at_once, false).await?;
    let promised = Promised {
        orders: [promised.orders, new.promised.orders.clone()].concat(),
        tickets: [promised.tickets, new.promised.tickets.clone()].concat(),
    };
    let (mut report, facts) = rest(office, &promised, limit, !args.in_full_swing).await?;
    let lost = bought.promised.orders.iter().filter(|key| !facts.sales.orders.contains_key(*key)).count();
    laws.push(people::all_went_well(&bought, &new));
    report.laws.extend(laws);
    let acknowledged = bought.promised.orders.len();
    let story = Story { followed, destroyed_at, records, left_out, restoring, serving, whole, lost, acknowledged };
    let verdict = match (report.broken(), args.in_full_swing) {
        (0, false) => "Nothing acknowledged was lost; every read model is as it was; every law holds.".to_owned(),
        (0, true) => "What was lost is what came after the moment of the backup; every law holds.".to_owned(),
        (broken, _) => format!("{broken} laws do not hold"),
    };
    stack::print(&format!("\nWhat happened:\n{}\nThe verdict:\n{}\n{verdict}\n", told::text(&story), report.text()))?;
    Ok(report.holds())
}

fn kafka(office: &Office) -> KafkaSettings {
    KafkaSettings::new(&office.running.endpoints().kafka, &office.running.plan().namespace, "boxctl-drill")
}

/// Waits until nothing is under way, and every law holds.
async fn rest(
    office: &Office,
    promised: &Promised,
    limit: Duration,
    with_statement: bool,
) -> anyhow::Result<(check::Report, check::Facts)> {
    let (running, plan) = (&office.running, office.running.plan());
    // Of what was lost the provider has money that nobody here knows of: `boxctl reconcile` finds it.
    let sandbox = with_statement.then(|| running.sandbox_url());
    let checker = Checker::connect(running.endpoints(), &plan.namespace, plan.partitions, sandbox.as_deref()).await?;
    rest::wait(&checker, promised, limit).await
}

/// Restores into empty servers; how many records, how many the backup had beyond its moment, and how long it took.
async fn bring_back(office: &Office, folder: &Folder) -> anyhow::Result<(u64, u64, Duration)> {
    let office_plan = office.running.plan();
    let backup = Backup::open(folder.clone())?;
    let master = env::hex32(&office_plan.secrets.master_key).context("the local master key is no key")?;
    let missing = missing_master_keys(&backup, &MasterKeys::new(MasterKey::new(master), []))?;
    ensure!(missing.is_empty(), "the backup needs other master keys than those of the box office: {missing:?}");
    let registry = Registry::new(&office.running.endpoints().registry)?;
    let target = Target { settings: kafka(office), registry, layout: Layout::local(office_plan.partitions) };
    let plan = plan(&backup, &target, None).await?;
    let took = restore(&backup, &target, &plan, Some("a drill".to_owned())).await?;
    Ok((plan.records, plan.left_out, took))
}

/// Waits until the read models are as they were.
async fn as_before(office: &Office, before: &rows::Rows) -> anyhow::Result<Law> {
    let (postgres, namespace) = (&office.running.endpoints().postgres, &office.running.plan().namespace);
    let deadline = Instant::now() + FILLED;
    loop {
        let law = rows::law(before, &rows::read(postgres, namespace).await?);
        if law.holds() || Instant::now() >= deadline {
            return Ok(law);
        }
        sleep(STEP).await;
    }
}
