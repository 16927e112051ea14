//! A crowd's run: stage after stage, watched, and looked at afterwards in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use load::crowd::{Plan, Stage, Tally};
use load::fleet::Fleet;
use load::line::Progress;
use load::machine::Machine;
use load::monitor::Monitor;
use load::worker::Work;
use service_kit::{clock, random};
use tokio::time::sleep;
use uuid::Uuid;

use super::report::{Report, Span};
use super::{QueueArgs, Shape, blow, verdict};
use crate::load::installation::Installation;
use crate::load::measure::commit;
use crate::load::sale::{self, Offer};
use crate::load::step::{drain, worker_program};
use crate::stack;
use crate::topology::Process;

/// Between two stages: read models learn of the last, and the memory that a stage begins with is seen.
const BETWEEN: Duration = Duration::from_millis(2500);
/// Workers hear of a stage so long before it begins.
const AHEAD: Duration = Duration::from_millis(300);
/// Tickets, which nobody buys.
const CAPACITY: u64 = 1_000_000;

/// Plays it, and looks at what came of it.
///
/// # Errors
/// The generator cannot do its work, or the box office cannot be looked at.
pub async fn run(site: &Installation, args: &QueueArgs) -> anyhow::Result<Report> {
    let offer = Offer { shows: 1, capacity: CAPACITY, price: 0, pay_within_s: 900, waiting_room: Some(args.room()) };
    let show = sale::open(site, offer).await?.first().context("no show is on sale")?.show;
    let plans = plans(site, args, show)?;
    let work: Vec<Work> = plans.iter().cloned().map(|plan| Work::Crowd(Box::new(plan))).collect();
    let program = std::env::current_exe().context("find our own program")?;
    let mut fleet = Fleet::<Tally>::start(&worker_program(&program), &work).await?;
    let start = clock::monotonic();
    let monitor = Monitor::start(site.watched()?, start);
    for (number, pid) in fleet.pids().into_iter().enumerate() {
        monitor.add(&format!("load-worker-{}", number + 1), pid);
    }
    let stages = stages(args);
    let (mut spans, mut say) = (Vec::<Span>::new(), progress());
    fleet.ready(0, &mut say).await?;
    for (number, stage) in stages.iter().enumerate() {
        sleep(BETWEEN).await;
        stack::say(&format!("stage {}: {}", number + 1, stage.name()));
        fleet.begin(clock::now().0 + i64::try_from(AHEAD.as_micros())?).await?;
        let mut span = Span::begun(stage.name(), (start.elapsed() + AHEAD).as_secs_f64());
        let victims = if is_blown(args.shape, *stage) { args.kill.as_slice() } else { &[] };
        let kills = blow::all(site, victims, show, length(*stage), &monitor);
        (span.notes, ()) = tokio::try_join!(kills, fleet.ready(number + 1, &mut say))?;
        span.to_s = start.elapsed().as_secs_f64();
        spans.push(span);
    }
    // Those who were admitted last are told meanwhile.
    sleep(BETWEEN).await;
    fleet.begin(clock::now().0).await?;
    let tally = fleet.finish(&mut say).await?;
    let rested = drain(&monitor, Duration::from_secs(args.site.drain_within)).await;
    let samples = monitor.stop();
    spans.iter_mut().for_each(|span| span.measure(&samples));
    let places = places(&plans)?;
    let mut report = Report::of(what(args), settings(site, args), Machine::this(), spans, &tally);
    report.samples = samples;
    if rested.is_none() {
        report.doubts.push(format!("it did not come to rest within {} s", args.site.drain_within));
    }
    verdict::judge(site, args, show, &tally, &places, &mut report).await?;
    Ok(report)
}

fn progress() -> impl FnMut(Progress) {
    let mut before = 0;
    move |progress| {
        let second = progress.acknowledged.saturating_sub(before);
        before = progress.acknowledged;
        stack::say(&format!("{second:>7}/s, {} due, {} failed", progress.offered, progress.failed));
    }
}

fn stages(args: &QueueArgs) -> Vec<Stage> {
    let (people, rate) = (f64::from(args.people), f64::from(args.connect_per_s));
    let join = |default: f64| Stage::Join { within_s: args.join_within.unwrap_or(default) };
    match args.shape {
        Shape::Join => vec![join(5.0)],
        Shape::Poll => vec![join(40.0), Stage::Poll { every_ms: args.every_ms, seconds: args.duration }],
        Shape::Sockets => vec![
            join(40.0),
            Stage::Connect { within_s: people / rate },
            Stage::Idle { seconds: args.idle },
            Stage::Admit { seconds: args.duration },
        ],
    }
}

/// Whether something is killed during this stage.
fn is_blown(shape: Shape, stage: Stage) -> bool {
    match shape {
        Shape::Join => matches!(stage, Stage::Join { .. }),
        Shape::Poll => matches!(stage, Stage::Poll { .. }),
        Shape::Sockets => matches!(stage, Stage::Admit { .. }),
    }
}

fn length(stage: Stage) -> Duration {
    match stage {
        Stage::Join { within_s } | Stage::Connect { within_s } => Duration::from_secs_f64(within_s),
        Stage::Poll { seconds, .. } | Stage::Idle { seconds } | Stage::Admit { seconds } => {
            Duration::from_secs(seconds)
        }
    }
}

fn plans(site: &Installation, args: &QueueArgs, show: Uuid) -> anyhow::Result<Vec<Plan>> {
    let (seed, processes) = (random::below(u64::MAX), u32::from(args.site.processes));
    let (command, query) = (site.addresses(Process::CommandApi)?, site.addresses(Process::QueryApi)?);
    let folder = &site.running().plan().folder;
    let one = |number: u32| Plan {
        number,
        processes,
        seed,
        // The first ones take what is left over.
        people: usize::try_from(args.people / processes + u32::from(number < args.people % processes)).unwrap_or(0),
        show,
        command: command.clone(),
        query: query.clone(),
        connections: usize::from(args.site.connections),
        enter_s: i64::from(args.enter_within),
        stay_ms: args.stay_ms,
        stages: stages(args),
        farewell_s: args.farewell,
        acknowledged: Some(folder.join(format!("places-{number}"))),
    };
    Ok((0..processes).map(one).collect())
}

/// Every place that was acknowledged: session and number.
fn places(plans: &[Plan]) -> anyhow::Result<Vec<(Uuid, u32)>> {
    let mut all = Vec::new();
    for path in plans.iter().filter_map(|plan| plan.acknowledged.as_ref()) {
        let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        all.extend(bytes.as_chunks::<20>().0.iter().map(|both| {
            let (session, number) = both.split_at(16);
            let number = number.try_into().map_or(0, u32::from_be_bytes);
            (Uuid::from_slice(session).unwrap_or_default(), number)
        }));
    }
    Ok(all)
}

fn what(args: &QueueArgs) -> String {
    let QueueArgs { people, every_ms, duration, idle, query_apis, site, .. } = args;
    let how = match args.shape {
        Shape::Poll => format!("asking every {every_ms} ms for {duration} s"),
        Shape::Sockets => format!("each with a socket, {idle} s idle, {duration} s of admission"),
        Shape::Join => "joining".to_owned(),
    };
    let (partitions, command_apis) = (site.partitions, site.command_apis);
    format!(
        "Queue, {people} people {how}, {:?}, {partitions} partitions, {command_apis} command-api, {query_apis} query-api",
        site.durability
    )
}

fn settings(site: &Installation, args: &QueueArgs) -> BTreeMap<String, String> {
    let ours = [
        ("people", args.people.to_string()),
        ("shape", format!("{:?}", args.shape).to_lowercase()),
        ("every_ms", args.every_ms.to_string()),
        ("duration_s", args.duration.to_string()),
        ("idle_s", args.idle.to_string()),
        ("join_within_s", args.join_within.map_or_else(|| "default".to_owned(), |it| it.to_string())),
        ("connect_per_s", args.connect_per_s.to_string()),
        ("processes", args.site.processes.to_string()),
        ("connections", args.site.connections.to_string()),
        ("query_apis", args.query_apis.to_string()),
        ("command_apis", args.site.command_apis.to_string()),
        ("slots", args.slots.to_string()),
        ("batch", args.batch.to_string()),
        ("tick_ms", args.tick_ms.to_string()),
        ("enter_within_s", args.enter_within.to_string()),
        ("stay_ms", args.stay_ms.to_string()),
        ("kill", format!("{:?}", args.kill)),
        ("durability", format!("{:?}", args.site.durability)),
        ("partitions", args.site.partitions.to_string()),
        ("commit", commit().unwrap_or_else(|| "unknown".to_owned())),
        ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
    ];
    let services = site.running().plan().overrides.clone();
    ours.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(services).collect()
}
