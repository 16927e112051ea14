//! One run of the generator against a box office: sent, watched, drained.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use domain::ids::{OrderId, ShowId};
use domain::value::Role;
use load::fleet::Fleet;
use load::monitor::{Monitor, Sample, Watched};
use load::plan::{Journey, Plan, Sale};
use load::schedule::Phase;
use load::tally::Tally;
use load::worker::Work;
use service_kit::auth::{Rules, SigningKey};
use service_kit::{clock, random};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::installation::Installation;
use crate::stack;
use crate::token;
use crate::topology::Process;

/// Workers are ready so long after they were started.
const AHEAD: Duration = Duration::from_millis(1500);
/// Accounts of each worker.
const ACCOUNTS: usize = 300;
/// Their tokens are good so long.
const TOKEN_TTL: Duration = Duration::from_secs(86_400);

/// An order that was acknowledged, and its show.
pub type Acknowledged = (OrderId, ShowId);

/// Who is asked.
pub struct Target {
    /// Where writes go.
    pub command: Vec<SocketAddr>,
    /// Where reads go; nowhere if they cannot.
    pub query: Vec<SocketAddr>,
    /// The payment provider.
    pub sandbox: Option<SocketAddr>,
    /// By which buyers' tokens are signed.
    pub key: SigningKey,
    /// Who is watched.
    pub watched: Watched,
    /// Where files go.
    pub folder: PathBuf,
    /// How often its processes have been started again.
    pub restarts: Box<dyn Fn() -> u32 + Send + Sync>,
}

impl Target {
    /// A box office of ours.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn ours(site: &Installation) -> anyhow::Result<Self> {
        let running = site.running().clone();
        Ok(Self {
            command: site.addresses(Process::CommandApi)?,
            query: site.addresses(Process::QueryApi)?,
            sandbox: site.addresses(Process::Sandbox)?.first().copied(),
            key: running.plan().secrets.signing_key()?,
            watched: site.watched()?,
            folder: running.plan().folder.clone(),
            restarts: Box::new(move || running.plan().counts.all().map(|it| running.restarts(it)).sum()),
        })
    }

    fn bearer(&self, account: &str) -> String {
        let minted = token::mint(&self.key, &Rules::default(), account, [Role::Buyer], TOKEN_TTL);
        format!("Bearer {minted}")
    }
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Load {
    /// Arrivals, warm-up first.
    pub phases: Vec<Phase>,
    /// Of which so many seconds do not count.
    pub warm_up_s: u64,
    /// What each does.
    pub journey: Journey,
    /// What is on sale.
    pub shows: Vec<Sale>,
    /// How wanted.
    pub zipf: f64,
    /// Worker processes.
    pub processes: usize,
    /// Connections of each to each server.
    pub connections: usize,
    /// How long to wait for the last answers, seconds.
    pub farewell_s: u64,
    /// How long to wait until everything is at rest.
    pub drain: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Measured {
    /// What was counted.
    pub tally: Tally,
    /// Every look at the machine.
    pub samples: Vec<Sample>,
    /// When nothing was left to be done behind the answers, seconds since the first arrival; none if not in time.
    pub drained_s: Option<f64>,
    /// Every order that was acknowledged.
    pub acknowledged: Vec<Acknowledged>,
    /// How many times a process of the box office had to be started again.
    pub restarts: u32,
}

/// Does it.
///
/// # Errors
/// The generator cannot do its work.
pub async fn run(target: &Target, load: &Load) -> anyhow::Result<Measured> {
    let plans = plans(target, load)?;
    let program = std::env::current_exe().context("find our own program")?;
    let work: Vec<Work> = plans.iter().cloned().map(|plan| Work::Arrivals(Box::new(plan))).collect();
    let fleet = Fleet::<Tally>::start(&worker_program(&program), &work).await?;
    let ahead = u64::try_from(plans.first().map_or(0, |it| it.start_us) - clock::now().0).unwrap_or(0);
    let monitor = Monitor::start(target.watched.clone(), clock::monotonic() + Duration::from_micros(ahead));
    for (number, pid) in fleet.pids().into_iter().enumerate() {
        monitor.add(&format!("load-worker-{}", number + 1), pid);
    }
    let mut before = 0;
    let tally = fleet.finish(|progress| {
        let second = progress.acknowledged - before;
        before = progress.acknowledged;
        let left = monitor.last().and_then(|it| it.outbox).map_or_else(String::new, |it| format!(", outbox {it:.0}"));
        stack::say(&format!("{second:>7}/s, {} offered, {} failed{left}", progress.offered, progress.failed));
    });
    let tally = tally.await?;
    let drained_s = if load.drain.is_zero() { None } else { drain(&monitor, load.drain).await };
    let samples = monitor.stop();
    let acknowledged = acknowledged(&plans)?;
    Ok(Measured { tally, samples, drained_s, acknowledged, restarts: (target.restarts)() })
}

/// The tests' own program is no boxctl; that lies one folder above it.
pub fn worker_program(us: &Path) -> PathBuf {
    let beside = us.ancestors().skip(1).take(2).map(|folder| folder.join("boxctl")).find(|it| it.is_file());
    beside.unwrap_or_else(|| us.to_owned())
}

fn plans(target: &Target, load: &Load) -> anyhow::Result<Vec<Plan>> {
    let (seed, run) = (random::below(u64::MAX), random::opaque_id().simple().to_string());
    let start_us = clock::now().0 + i64::try_from(AHEAD.as_micros())?;
    let share = |phase: &Phase| {
        let processes = f64::from(u32::try_from(load.processes).unwrap_or(1));
        Phase { rate: phase.rate / processes, seconds: phase.seconds }
    };
    let one = |number: usize| {
        let account = |at| target.bearer(&format!("load-{}-{number}-{at}", &run[..8]));
        Plan {
            number: number as u64,
            seed,
            start_us,
            warm_up_s: load.warm_up_s,
            phases: load.phases.iter().map(share).collect(),
            farewell_s: load.farewell_s,
            command: target.command.clone(),
            query: target.query.clone(),
            sandbox: target.sandbox,
            connections: load.connections,
            journey: load.journey,
            shows: load.shows.clone(),
            zipf: load.zipf,
            bearers: (0..ACCOUNTS).map(account).collect(),
            acknowledged: Some(target.folder.join(format!("acknowledged-{}-{number}", &run[..8]))),
        }
    };
    Ok((0..load.processes).map(one).collect())
}

/// Waits until two looks in a row find nothing to be done; tells when the first of them was.
pub async fn drain(monitor: &Monitor, limit: Duration) -> Option<f64> {
    let (deadline, mut rested, mut seen) = (Instant::now() + limit, None::<f64>, monitor.last()?.at_s);
    while Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
        let Some(last) = monitor.last().filter(|it| it.at_s > seen) else { continue };
        seen = last.at_s;
        match (last.at_rest(), rested) {
            (true, Some(since)) => return Some(since),
            (true, None) => rested = Some(last.at_s),
            (false, _) => rested = None,
        }
    }
    None
}

fn acknowledged(plans: &[Plan]) -> anyhow::Result<Vec<Acknowledged>> {
    let mut all = Vec::new();
    for path in plans.iter().filter_map(|plan| plan.acknowledged.as_ref()) {
        let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let both = bytes.as_chunks::<32>().0.iter().map(|both| {
            let id = |from: usize| Uuid::from_slice(&both[from..from + 16]).unwrap_or_default();
            (OrderId(id(0)), ShowId(id(16)))
        });
        all.extend(both);
        std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(all)
}
