//! `boxctl load queue`: a crowd in a waiting room, and whether everybody keeps the place that was acknowledged.

mod blow;
mod crowd;
mod disk;
mod report;
mod verdict;

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use load::machine;

use super::Site;
use super::installation::{Installation, Wanted};
use super::sale::Room;
use crate::stack;
use crate::topology::Counts;
pub use blow::Victim;

/// Files of a process beside those of people: of its own, to Kafka, Postgres and the other servers.
const OTHER_FILES: u64 = 600;
/// More than anybody here is away.
const AWAY_GRACE_S: u32 = 3_600;
/// To order, which nobody does.
const TOKEN_TTL_S: u32 = 900;

/// What the crowd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// All join, then ask again and again; whoever is admitted enters, leaves, and is followed by somebody new.
    Poll,
    /// All join and open a WebSocket; for a while nobody moves, then whoever is admitted enters and leaves.
    Sockets,
    /// All join within a few seconds.
    Join,
}

/// What a crowd does in which waiting room.
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    /// How many people there are.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub people: u32,
    /// What they do.
    #[arg(long, value_enum, default_value_t = Shape::Poll)]
    pub shape: Shape,
    /// Milliseconds between two questions of the same person.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub every_ms: u64,
    /// Seconds of asking, or of admission to those with sockets.
    #[arg(long, default_value_t = 60)]
    pub duration: u64,
    /// Seconds in which nobody with a socket moves.
    #[arg(long, default_value_t = 30)]
    pub idle: u64,
    /// Seconds within which all join [default: 5, or 40 where joining is not what is measured].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub join_within: Option<f64>,
    /// Sockets that are opened a second.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connect_per_s: u32,
    /// Instances of query-api.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub query_apis: u16,
    /// People who may be admitted at once.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub slots: u32,
    /// People who are admitted in one round at most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub batch: u32,
    /// Milliseconds between two rounds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub tick_ms: u64,
    /// Seconds that somebody admitted has to enter.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub enter_within: u32,
    /// Milliseconds between entering and leaving.
    #[arg(long, default_value_t = 500)]
    pub stay_ms: u64,
    /// Kill these while people ask (or join, or are admitted), one after the other.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub kill: Vec<Victim>,
    /// Seconds that somebody tries again to get a place, and that last answers may take.
    #[arg(long, default_value_t = 120)]
    pub farewell: u64,
    #[command(flatten)]
    pub site: Site,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(seconds),
        _ => Err("expected seconds, above 0".to_owned()),
    }
}

/// Measures and prints; ends with 1 if the numbers do not count.
///
/// # Errors
/// Something cannot be brought up, or the generator cannot do its work.
pub async fn run(args: QueueArgs) -> anyhow::Result<ExitCode> {
    args.check(machine::open_files())?;
    let site = Installation::up(&args.wanted()?).await?;
    let measured = tokio::select! {
        measured = crowd::run(&site, &args) => measured,
        asked = crate::dev::stop_asked() => asked.and_then(|()| bail!("stopped")),
    };
    site.down(args.site.keep).await;
    let report = measured?;
    stack::print(&report.text())?;
    if let Some(path) = &args.site.json {
        std::fs::write(path, serde_json::to_vec(&report)?).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(if report.void.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl QueueArgs {
    /// Refuses what so many open files do not allow, before anything is brought up.
    fn check(&self, open_files: Option<u64>) -> anyhow::Result<()> {
        let (people, processes, servers) =
            (u64::from(self.people), u64::from(self.site.processes), u64::from(self.query_apis));
        let sockets = if self.shape == Shape::Sockets { people } else { 0 };
        let kept = u64::from(self.site.connections);
        let of_worker = sockets.div_ceil(processes) + kept * (servers + u64::from(self.site.command_apis));
        // One may be killed, and the others take its people.
        let without = if self.kill.contains(&Victim::QueryApi) { servers.saturating_sub(1).max(1) } else { servers };
        let of_server = sockets.div_ceil(without) * 21 / 20 + kept * processes;
        let Some(limit) = open_files else { return Ok(()) };
        let fits = |needed: u64| needed + OTHER_FILES <= limit;
        ensure!(
            fits(of_worker),
            "{of_worker} connections of a generator process, but {limit} files: give it more --processes"
        );
        ensure!(fits(of_server), "{of_server} connections to a query-api, but {limit} files: start more --query-apis");
        Ok(())
    }

    fn wanted(&self) -> anyhow::Result<Wanted> {
        let mut wanted = self.site.wanted()?;
        wanted.counts = Counts { command_apis: self.site.command_apis, query_apis: self.query_apis, ..Counts::ONE };
        let most = machine::open_files().map_or(1_000_000, |limit| limit.saturating_sub(OTHER_FILES)).max(1);
        let in_flight = u64::from(self.site.connections) * u64::from(self.site.processes) + 64;
        let mut settings = vec![
            ("BOXOFFICE_MAX_STREAMS".to_owned(), most.to_string()),
            ("BOXOFFICE_MAX_CONNECTIONS".to_owned(), most.to_string()),
        ];
        if self.shape != Shape::Join {
            // Who joins in a rush may be refused: how that is done is measured, too.
            settings.push(("BOXOFFICE_MAX_IN_FLIGHT".to_owned(), in_flight.max(4096).to_string()));
        }
        // What was asked for comes last, and wins.
        settings.append(&mut wanted.settings);
        wanted.settings = settings;
        Ok(wanted)
    }

    fn room(&self) -> Room {
        Room {
            slots: self.slots,
            admission_batch: self.batch,
            tick_ms: self.tick_ms,
            enter_s: self.enter_within,
            token_ttl_s: TOKEN_TTL_S,
            away_grace_s: AWAY_GRACE_S,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: QueueArgs,
    }

    fn args(line: &str) -> QueueArgs {
        Cli::parse_from(format!("queue {line}").split(' ')).args
    }

    #[test]
    fn sockets_that_no_process_may_open_are_refused_before() {
        let hundred_thousand = "--people 100000 --shape sockets --connections 64";
        let with = |more: &str| args(&format!("{hundred_thousand} {more}")).check(Some(20_000));
        assert!(with("--processes 6 --query-apis 6").is_ok());
        assert!(with("--processes 5 --query-apis 6").unwrap_err().to_string().contains("--processes"));
        assert!(with("--processes 6 --query-apis 5").unwrap_err().to_string().contains("--query-apis"));
        assert!(with("--processes 6 --query-apis 6 --kill query-api").is_err(), "five would be left");
        assert!(with("--processes 6 --query-apis 7 --kill owner,query-api").is_ok());
        assert!(args("--people 100000").check(Some(20_000)).is_ok());
    }

    #[test]
    fn what_was_asked_for_wins() {
        let wanted = args("--connections 5000 --processes 2 --set BOXOFFICE_MAX_IN_FLIGHT=7").wanted().unwrap();
        let last = wanted.settings.iter().rev().find(|(name, _)| name == "BOXOFFICE_MAX_IN_FLIGHT");
        assert_eq!(last.map(|(_, value)| value.as_str()), Some("7"));
        assert_eq!(wanted.counts.query_apis, 1);
    }
}
