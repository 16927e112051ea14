//! `faults`: plays faults by name, or all of them, and prints what came of it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use faults::table::{self, Row};

/// Attacks a box office of its own while people buy, and checks that nothing acknowledged is lost.
#[derive(Parser)]
#[command(name = "boxctl faults", version)]
struct Cli {
    /// Which faults; all of them, if none is named.
    names: Vec<String>,
    /// How often each.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Show every fault with what it does and proves, and do nothing.
    #[arg(long)]
    list: bool,
    /// Only those that every test run plays.
    #[arg(long, conflicts_with = "names")]
    quick: bool,
    /// Write what came of it to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match system_tests::run(run(Cli::parse())) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("boxctl faults: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if cli.list {
        print(&list())?;
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = faults::all().into_iter().filter(|fault| !cli.quick || fault.quick);
    let names = match cli.names.is_empty() {
        true => chosen.map(|fault| fault.name.to_owned()).collect(),
        false => cli.names,
    };
    let mut rows: Vec<Row> = Vec::new();
    for name in &names {
        rows.push(faults::run::named(name, cli.runs).await?);
        // Written after each: a night's runs are not lost by the last one.
        if let Some(file) = &cli.json {
            let text = serde_json::to_string_pretty(&rows).context("print the rows")?;
            std::fs::write(file, text + "\n").with_context(|| format!("write {}", file.display()))?;
        }
    }
    print(&table::markdown(&rows))?;
    Ok(if rows.iter().all(Row::passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list() -> String {
    let line = |fault: &&faults::Fault| {
        let quick = if fault.quick { " (in every test run)" } else { "" };
        format!("{}{quick}\n    {}\n    {}\n", fault.name, fault.what, fault.proves)
    };
    faults::all().iter().map(line).collect()
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("write to stdout")
}
