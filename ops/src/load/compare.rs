//! `boxctl compare`: ours and what a user would pick instead, in turn, behind the same edge, under the same load.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use load::knee::Knee;
use load::machine::Machine;
use load::plot::{self, Words};
use load::report::{Report, shown};
use serde::Serialize;

use super::installation::Installation;
use super::measure;
use super::peer::{Peer, Peers};
use super::scenario::{Scenario, Size};
use super::{Common, pictures, verdict};
use crate::dev;
use crate::stack;

/// Longer than any comparison: orders of the turn before must not end in the middle of this one.
const PAY_WITHIN_S: u64 = 6 * 3600;

/// A design that sells the same tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Design {
    /// Postgres, a row lock, four statements.
    RowLock,
    /// Postgres, one function call a reservation, one pipelined connection.
    Pipelined,
    /// The same for all who wait at once.
    Batched,
    /// A script in Redis.
    Redis,
    /// cqrs-es with postgres-es as shipped.
    CqrsEs,
}

impl Design {
    /// As the peers' program calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowLock => "row-lock",
            Self::Pipelined => "pipelined",
            Self::Batched => "batched",
            Self::Redis => "redis",
            Self::CqrsEs => "cqrs-es",
        }
    }
}

/// What to compare, and how.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// How often each has its turn.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Against whom.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "row-lock,pipelined,batched,redis,cqrs-es")]
    against: Vec<Design>,
    /// Arrivals a second, or `knee`: the highest rate that each serves well, looked for in each turn.
    #[arg(long, default_value = "knee")]
    rate: String,
    /// Where the search for a knee begins.
    #[arg(long, default_value_t = 1000.0, value_parser = super::rate)]
    from: f64,
    /// The peers' program.
    #[arg(long, value_name = "PROGRAM", default_value = "ops/peers/target/release/peer")]
    peer_program: PathBuf,
    /// Redis's program.
    #[arg(long, value_name = "PROGRAM", default_value = "redis-server")]
    redis_server: String,
    #[command(flatten)]
    common: Common,
}

/// One turn of one contestant.
#[derive(Debug, Serialize)]
struct Turn {
    who: String,
    round: u16,
    report: Report,
}

/// Everything that was compared. All of one durability class: others are never set beside each other.
#[derive(Debug, Serialize)]
struct Comparison {
    durability: String,
    machine: Machine,
    turns: Vec<Turn>,
    /// How many times as many a second ours acknowledged, by peer: medians of the turns.
    ratios: BTreeMap<String, f64>,
}

/// Who has a turn.
#[derive(Clone, Copy)]
enum Contestant {
    Ours,
    Peer(Design),
}

impl Contestant {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "boxoffice",
            Self::Peer(design) => design.name(),
        }
    }
}

/// Compares and prints; ends with 1 if a turn does not count.
///
/// # Errors
/// Something cannot be brought up, or the generator cannot do its work.
pub async fn run(args: CompareArgs) -> anyhow::Result<ExitCode> {
    let program = &args.peer_program;
    if !program.is_file() {
        bail!("{} is missing; build the peers, or say --peer-program", program.display());
    }
    let site = Installation::up(&args.common.site.wanted()?).await?;
    let compared = tokio::select! {
        compared = compare(&site, &args) => compared,
        asked = dev::stop_asked() => asked.and_then(|()| bail!("stopped")),
    };
    site.down(args.common.site.keep).await;
    let comparison = compared?;
    stack::print(&comparison.text())?;
    if let Some(path) = &args.common.site.json {
        let text = serde_json::to_vec(&comparison)?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(folder) = &args.common.plots {
        let name = format!("compare-{}.svg", comparison.durability.to_lowercase());
        pictures::write(folder, &name, &comparison.bars())?;
    }
    let counts = comparison.turns.iter().all(|turn| turn.report.counts());
    Ok(if counts { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn compare(site: &Installation, args: &CompareArgs) -> anyhow::Result<Comparison> {
    let peers = Peers::new(site, &args.peer_program, &args.redis_server, args.common.site.durability)?;
    let contestants: Vec<Contestant> =
        [Contestant::Ours].into_iter().chain(args.against.iter().map(|it| Contestant::Peer(*it))).collect();
    let mut turns = Vec::new();
    for round in 1..=args.rounds {
        for contestant in &contestants {
            let who = contestant.name();
            stack::say(&format!("round {round}: {who}"));
            let report = turn(site, &peers, *contestant, args).await.with_context(|| format!("the turn of {who}"))?;
            turns.push(Turn { who: who.to_owned(), round, report });
        }
    }
    Ok(Comparison::of(format!("{:?}", args.common.site.durability), turns))
}

async fn turn(
    site: &Installation,
    peers: &Peers,
    contestant: Contestant,
    args: &CompareArgs,
) -> anyhow::Result<Report> {
    if args.rate != "knee" {
        let rate = args.rate.parse().context("--rate is a number, or knee")?;
        return once(site, peers, contestant, args, rate).await;
    }
    let (mut knee, mut best, mut void) = (Knee::from(args.from), None, Vec::new());
    while let Some(rate) = knee.next() {
        let report = once(site, peers, contestant, args, rate).await?;
        let well = Scenario::Hot.good(&report);
        stack::say(&format!(
            "{} {rate:.0}/s: {}",
            if well { "good" } else { "too much" },
            shown(&report.totals.latency)
        ));
        knee.tell(rate, well);
        void.extend(report.void.iter().cloned());
        if well {
            best = Some(report);
        }
    }
    let mut best = best.context("it served nothing well")?;
    best.void = void;
    best.notes.push(format!("the knee is at {:.0}/s", knee.found().unwrap_or_default()));
    Ok(best)
}

async fn once(
    site: &Installation,
    peers: &Peers,
    contestant: Contestant,
    args: &CompareArgs,
    rate: f64,
) -> anyhow::Result<Report> {
    let Common { duration, warm_up, free, .. } = args.common;
    let size = Size { rate, duration, warm_up, times: 0, free, pay_within_s: Some(PAY_WITHIN_S) };
    match contestant {
        Contestant::Ours => {
            let (mut report, measured) = measure::once(site, Scenario::Hot, size, &args.common).await?;
            report.void.extend(verdict::of(site, measured.acknowledged).await?);
            Ok(report)
        }
        Contestant::Peer(design) => {
            let peer: Peer = peers.start(design).await?;
            let measured = peer.measure(size, &args.common).await;
            let ended = peer.end().await;
            let report = measured?;
            ended?;
            Ok(report)
        }
    }
}

impl Comparison {
    fn of(durability: String, turns: Vec<Turn>) -> Self {
        let mut rates = BTreeMap::<String, Vec<f64>>::new();
        for turn in &turns {
            rates.entry(turn.who.clone()).or_default().push(turn.report.totals.acknowledged_per_s);
        }
        let ours = rates.remove(Contestant::Ours.name()).map_or(f64::NAN, median);
        let ratios = rates.into_iter().map(|(who, rates)| (who, ours / median(rates))).collect();
        Self { durability, machine: Machine::this(), turns, ratios }
    }

    fn text(&self) -> String {
        let Machine { processor, cores, memory_mib, kernel } = &self.machine;
        let mut text = format!(
            "durability {}, on {cores} × {processor}, {memory_mib} MiB, Linux {kernel}\n{:<12}{:>6}{:>12}{:>12}{:>12}{:>9}  latency\n",
            self.durability, "", "round", "offered/s", "acked/s", "drained/s", "failed"
        );
        for Turn { who, round, report } in &self.turns {
            let totals = &report.totals;
            let drained = totals.drained_per_s.map_or_else(|| "-".to_owned(), |per_s| format!("{per_s:.0}"));
            text += &format!(
                "{who:<12}{round:>6}{:>12.0}{:>12.0}{drained:>12}{:>7.2} %  {}{}\n",
                totals.offered_per_s,
                totals.acknowledged_per_s,
                totals.error_share * 100.0,
                shown(&totals.latency),
                if report.counts() { "" } else { "  VOID" }
            );
        }
        for (who, ratio) in &self.ratios {
            text += &format!("boxoffice / {who}: {ratio:.2}\n");
        }
        for turn in &self.turns {
            let told = |what: &str, all: &[String]| -> String {
                all.iter().map(|it| format!("{what}: {} round {}: {it}\n", turn.who, turn.round)).collect()
            };
            text += &(told("VOID", &turn.report.void) + &told("doubtful", &turn.report.doubts));
        }
        text
    }

    fn bars(&self) -> String {
        let mut groups = Vec::<(String, Vec<f64>)>::new();
        for Turn { who, report, .. } in &self.turns {
            let rate = report.totals.acknowledged_per_s;
            match groups.iter_mut().find(|(name, _)| name == who) {
                Some((_, rates)) => rates.push(rate),
                None => groups.push((who.clone(), vec![rate])),
            }
        }
        let rounds = groups.iter().map(|(_, rates)| rates.len()).max().unwrap_or(0);
        let names: Vec<String> = (1..=rounds).map(|round| format!("round {round}")).collect();
        let title = format!("Acknowledged a second, {}", self.durability);
        plot::bars(&Words { title: &title, x: "", y: "a second" }, &names, &groups)
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let middle = [all.len().saturating_sub(1) / 2, all.len() / 2].map(|at| all.get(at).copied().unwrap_or(f64::NAN));
    f64::midpoint(middle[0], middle[1])
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn a_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9 && (median(vec![4.0, 1.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
