//! `boxctl simulate`: histories of a whole box office in memory, by the million.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use domain::breakage::Breakage;
use simulation::{Campaign, Outcome, Progress, bite_all, campaign, table};

/// Each fault and each site of a breakage is to be reached so often in a long run.
const OFTEN: u64 = 1000;
/// Between two lines of progress where nobody looks at a terminal.
const SELDOM: Duration = Duration::from_secs(30);

/// Which histories are run.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// How many histories.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Begin no more histories after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// But run so many at least.
    #[arg(long, default_value_t = 0)]
    at_least: u64,
    /// With this defect switched on; then a failure is what is expected, and the exit code is 1 all the same.
    #[arg(long)]
    breakage: Option<Breakage>,
    /// Threads; as many as there are processors if it is left out.
    #[arg(long)]
    jobs: Option<usize>,
    /// Where the counts go as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// List the defects that can be switched on.
    #[arg(long)]
    list: bool,
    /// Switch each defect on until it is noticed, and print the table of docs/TESTING.md; fails if one is not.
    #[arg(long)]
    table: bool,
}

/// Runs them. Ends with 1 if one failed; it is told with the fewest steps that still show it.
///
/// # Errors
/// The counts cannot be written.
pub fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    if args.list {
        Breakage::ALL.iter().for_each(|it| println!("{:<26} {}", it.name(), it.what()));
        return Ok(ExitCode::SUCCESS);
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if args.table {
        let bites = bite_all(args.jobs.unwrap_or(processors));
        print!("{}", table(&bites));
        let all = bites.iter().all(|bite| bite.seeds.is_some());
        return Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let histories = Campaign {
        from: args.from,
        seeds: args.seeds,
        time: args.seconds.map(Duration::from_secs),
        at_least: args.at_least,
        jobs: args.jobs.unwrap_or(processors),
        breakage: args.breakage,
    };
    let shown = Mutex::new(Duration::ZERO);
    println!("commit {}", commit());
    let outcome = campaign(&histories, &|progress| show(progress, args.seeds, &shown));
    if let Some(file) = &args.json {
        let json = serde_json::to_vec_pretty(&outcome).context("write the counts as JSON")?;
        std::fs::write(file, json).with_context(|| format!("write {}", file.display()))?;
    }
    report(&outcome);
    Ok(if outcome.failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One line that is written over, or a line now and then.
fn show(progress: Progress, seeds: u64, shown: &Mutex<Duration>) {
    let terminal = std::io::stderr().is_terminal();
    let pause = if terminal { Duration::from_millis(500) } else { SELDOM };
    let mut shown = shown.lock().expect("nobody panics with it");
    if progress.elapsed < *shown + pause {
        return;
    }
    *shown = progress.elapsed;
    let rate = per_second(progress.done, progress.elapsed.as_secs_f64());
    let left = seeds.saturating_sub(progress.done) as f64 / rate.max(0.001);
    let end = if terminal { '\r' } else { '\n' };
    eprint!("{} of {seeds} histories, {rate:.0}/s, {left:.0} s left   {end}", progress.done);
    // Progress that cannot be shown is no reason to stop.
    let _ = std::io::stderr().flush();
}

fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(0.001)
}

fn report(outcome: &Outcome) {
    let seen = &outcome.seen;
    println!("faults\n{}", simulation::Seen::lines(&seen.faults));
    println!("what happened\n{}", simulation::Seen::lines(&seen.happened));
    println!("sites of breakages\n{}", simulation::Seen::lines(&seen.sites));
    let all = seen.faults.iter().chain(&seen.sites);
    let seldom: Vec<&str> = all.filter(|(_, times)| **times < OFTEN).map(|(name, _)| *name).collect();
    if !seldom.is_empty() {
        println!("reached fewer than {OFTEN} times: {}", seldom.join(", "));
    }
    println!(
        "{} histories in {:.1} s ({:.0}/s), {} commands (at least {} a history), {} events in {} records: {}",
        seen.histories,
        outcome.seconds,
        per_second(seen.histories, outcome.seconds),
        seen.commands,
        seen.fewest_commands,
        seen.events,
        seen.records,
        if outcome.failure.is_some() { "1 VIOLATION" } else { "0 violations" },
    );
    if let Some(failure) = &outcome.failure {
        println!("\n{failure}");
    }
}

/// The commit of the tree as the run begins, for whoever wants to see the same again.
fn commit() -> String {
    let asked = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let said = asked.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    said.map_or_else(|| "unknown".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}
