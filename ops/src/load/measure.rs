//! A scenario played once, or again and again until its knee is found.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use load::knee::Knee;
use load::machine::Machine;
use load::plan::Journey;
use load::report::{self, Report, shown};

use super::installation::Installation;
use super::scenario::{Scenario, Size};
use super::step::{self, Load, Measured, Target};
use super::{Common, LoadArgs, Site, sale, verdict};
use crate::stack;

/// Sent later than this, a request tells more of the generator than of the box office.
const LATE_MS: f64 = 5.0;
/// Who had to be paid for by a moment has ended so long after it.
const BACKSTOP: Duration = Duration::from_secs(8);

/// Plays it, checks the box office afterwards, and reports; of a search, the last rate that went well.
///
/// # Errors
/// The generator cannot do its work, or the box office cannot be checked.
pub async fn run(site: &Installation, scenario: Scenario, args: &LoadArgs) -> anyhow::Result<Report> {
    let common = &args.common;
    let mut acknowledged = Vec::new();
    let mut report = if args.find_knee {
        search(site, scenario, args.size(), common, &mut acknowledged).await?.context("nothing was served well")?
    } else {
        let (report, measured) = once(site, scenario, args.size(), common).await?;
        acknowledged.extend(measured.acknowledged);
        report
    };
    if scenario == Scenario::Purchase {
        let pay_within = Duration::from_secs(scenario.offer(args.size()).pay_within_s);
        stack::say("waiting until the orders of those who walked away have ended");
        tokio::time::sleep(pay_within + BACKSTOP).await;
    }
    report.void.extend(verdict::of(site, acknowledged).await?);
    Ok(report)
}

/// Looks for the highest rate that is served well, each on a show of its own.
async fn search(
    site: &Installation,
    scenario: Scenario,
    size: Size,
    common: &Common,
    acknowledged: &mut Vec<step::Acknowledged>,
) -> anyhow::Result<Option<Report>> {
    let (mut knee, mut best, mut notes) = (Knee::from(size.rate), None, Vec::new());
    while let Some(rate) = knee.next() {
        let (report, measured) = once(site, scenario, Size { rate, ..size }, common).await?;
        acknowledged.extend(measured.acknowledged);
        let well = scenario.good(&report);
        let totals = &report.totals;
        notes.push(format!(
            "{} {rate:.0}/s: acknowledged {:.0}/s, failed {:.3} %, {}",
            if well { "good" } else { "too much" },
            totals.acknowledged_per_s,
            totals.error_share * 100.0,
            shown(&totals.latency)
        ));
        stack::say(notes.last().map_or("", String::as_str));
        knee.tell(rate, well);
        if well {
            best = Some(report);
        }
    }
    let found = knee.found();
    Ok(best.map(|mut best: Report| {
        best.notes.push(format!("the knee is at {:.0}/s", found.unwrap_or_default()));
        best.notes.extend(notes);
        best
    }))
}

/// Plays it once on shows of its own.
pub async fn once(
    site: &Installation,
    scenario: Scenario,
    size: Size,
    common: &Common,
) -> anyhow::Result<(Report, Measured)> {
    let shows = sale::open(site, scenario.offer(size)).await?;
    let load = load(scenario, size, common, shows);
    let measured = step::run(&Target::ours(site)?, &load).await?;
    let (_, range) = scenario.phases(size);
    let mut report = report_of(&what(scenario, size, common), range, &measured);
    report.settings = settings(size, common, site.running().plan().overrides.clone());
    scenario.judge(size, &measured, &mut report);
    if measured.drained_s.is_none() {
        report.doubts.push(format!("it did not come to rest within {} s", common.site.drain_within));
    }
    Ok((report, measured))
}

/// What is sent for a scenario.
pub fn load(scenario: Scenario, size: Size, common: &Common, shows: Vec<load::plan::Sale>) -> Load {
    let (phases, (warm_up_s, _)) = scenario.phases(size);
    let mut journey = scenario.journey();
    let mut processes = usize::from(common.site.processes);
    if let (Scenario::Idle, Journey::Purchase(habits)) = (scenario, &mut journey) {
        habits.one_by_one = size.times;
        processes = 1;
    }
    Load {
        phases,
        warm_up_s: if scenario == Scenario::Idle { 0 } else { warm_up_s },
        journey,
        shows,
        zipf: scenario.zipf(),
        processes,
        connections: usize::from(common.site.connections),
        farewell_s: 60,
        drain: Duration::from_secs(common.site.drain_within),
    }
}

/// Of what was measured between two seconds.
pub fn report_of(what: &str, (from, to): (u64, u64), measured: &Measured) -> Report {
    let Measured { tally, samples, drained_s, restarts, .. } = measured;
    let index = |second| usize::try_from(second).unwrap_or(usize::MAX);
    let range = (index(from), index(to).min(tally.windows.len()).max(index(from) + 1));
    let totals = report::totals(tally, samples, range, *drained_s);
    let mut doubts = Vec::new();
    if *restarts > 0 {
        doubts.push(format!("{restarts} times a process of the box office was started again"));
    }
    if totals.scheduling_lag.p99_ms.is_some_and(|lag| lag > LATE_MS) {
        doubts.push(format!("the generator sent more than 1 % of its requests over {LATE_MS} ms late"));
    }
    if cfg!(debug_assertions) {
        doubts.push("boxctl is a debug build".to_owned());
    }
    Report {
        what: what.to_owned(),
        settings: BTreeMap::new(),
        machine: Machine::this(),
        totals,
        seconds: report::seconds(tally),
        samples: samples.clone(),
        histogram: tally.between(range.0, range.1).latency,
        void: Vec::new(),
        doubts,
        notes: Vec::new(),
        examples: tally.examples.clone(),
    }
}

fn what(scenario: Scenario, size: Size, common: &Common) -> String {
    let Site { durability, partitions, command_apis, .. } = &common.site;
    let free = if size.free { ", free" } else { "" };
    let rate = match scenario {
        Scenario::Idle => format!("one by one, {} times", size.times),
        Scenario::Steady => "at 1,000 a minute".to_owned(),
        _ => format!("at {:.0}/s", size.rate),
    };
    format!("{scenario:?} {rate}{free}, {durability:?}, {partitions} partitions, {command_apis} command-api")
}

fn settings(size: Size, common: &Common, services: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = [
        ("rate", size.rate.to_string()),
        ("duration_s", size.duration.to_string()),
        ("warm_up_s", size.warm_up.to_string()),
        ("free", size.free.to_string()),
        ("processes", common.site.processes.to_string()),
        ("connections", common.site.connections.to_string()),
        ("durability", format!("{:?}", common.site.durability)),
        ("partitions", common.site.partitions.to_string()),
        ("command_apis", common.site.command_apis.to_string()),
        ("commit", commit().unwrap_or_else(|| "unknown".to_owned())),
        ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
    ];
    ours.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(services).collect()
}

/// Of the checkout that boxctl runs in; the programs may be older.
pub fn commit() -> Option<String> {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
