//! `boxctl stack`: the local servers from the command line. Progress goes to stderr, results to stdout.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use local_stack::{Endpoints, EphemeralStack, ServerStatus, StackConfig};

use crate::{ask, dev};

/// What to do with the local servers.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start every server that does not answer, and wait until all do.
    Up {
        /// A stack of its own in a temporary folder, deleted at Ctrl-C.
        #[arg(long, conflicts_with = "tests")]
        ephemeral: bool,
        #[command(flatten)]
        which: Which,
        /// Print the endpoints as JSON.
        #[arg(long)]
        json: bool,
    },
    /// End every server; data and ports stay.
    Down {
        #[command(flatten)]
        which: Which,
    },
    /// Show every server; ends with 1 if one does not answer.
    Status {
        #[command(flatten)]
        which: Which,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// End every server and delete all data.
    Wipe {
        #[command(flatten)]
        which: Which,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Print the endpoints as shell exports: eval "$(boxctl stack env)".
    Env {
        #[command(flatten)]
        which: Which,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Which of a checkout's stacks.
#[derive(Debug, Clone, Copy, Args)]
pub struct Which {
    /// The stack that the tests share, instead of the one of `boxctl dev`.
    #[arg(long)]
    pub tests: bool,
}

impl Which {
    fn config(self) -> anyhow::Result<StackConfig> {
        let root = local_stack::find_root()?;
        Ok(match self.tests {
            true => StackConfig::for_tests(&root),
            false => StackConfig::local(&root),
        })
    }
}

/// Does it.
///
/// # Errors
/// What the stack says, or that a question was answered with no.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up { ephemeral: true, json, .. } => ephemeral(json).await?,
        Command::Up { which, json, .. } => show(&up(which.config()?).await?, json)?,
        Command::Down { which } => local_stack::down(&which.config()?, &mut say)?,
        Command::Status { which, json } => return status(&which.config()?, json),
        Command::Wipe { which, yes } => return wipe(&which.config()?, yes),
        Command::Env { which, json } => env(&which.config()?, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts what does not answer, and says so on stderr.
///
/// # Errors
/// As for [`local_stack::up`].
pub async fn up(config: StackConfig) -> anyhow::Result<Endpoints> {
    let started = tokio::task::spawn_blocking(move || local_stack::up(&config, &mut say));
    started.await.context("wait for the stack to start")?
}

/// Prints a line of progress.
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// The shell exports of these endpoints.
pub fn exports(endpoints: &Endpoints) -> String {
    let Endpoints { kafka, registry, postgres } = endpoints;
    format!(
        "export BOXOFFICE_KAFKA='{kafka}'\nexport BOXOFFICE_REGISTRY='{registry}'\nexport BOXOFFICE_POSTGRES='{postgres}'\n"
    )
}

async fn ephemeral(json: bool) -> anyhow::Result<()> {
    let started = tokio::task::spawn_blocking(|| EphemeralStack::start(&mut say));
    let stack = started.await.context("wait for the stack to start")??;
    show(stack.endpoints(), json)?;
    say("this stack is deleted at Ctrl-C");
    dev::stop_asked().await?;
    tokio::task::spawn_blocking(move || drop(stack)).await.context("delete the stack")
}

fn show(endpoints: &Endpoints, json: bool) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(endpoints)? + "\n",
        false => exports(endpoints),
    };
    print(&text)
}

fn env(config: &StackConfig, json: bool) -> anyhow::Result<()> {
    match local_stack::endpoints(config)? {
        Some(endpoints) => show(&endpoints, json),
        None => bail!("this stack never ran; start it with `boxctl stack up`"),
    }
}

fn status(config: &StackConfig, json: bool) -> anyhow::Result<ExitCode> {
    let servers = local_stack::status(config)?;
    match json {
        true => print(&(serde_json::to_string_pretty(&servers)? + "\n"))?,
        false => print(&servers.iter().map(line).collect::<String>())?,
    }
    match servers.iter().all(|server| server.up) {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

fn line(server: &ServerStatus) -> String {
    let state = match (server.up, server.pid) {
        (true, _) => "up",
        (false, Some(_)) => "does not answer",
        (false, None) => "down",
    };
    let or_dash = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    format!(
        "{:<10} {:<16} {state:<16} port {:<6} pid {:<8} {:>5} MB  {}\n",
        server.name.name(),
        server.version,
        or_dash(server.port.map(u64::from)),
        or_dash(server.pid.map(u64::from)),
        or_dash(server.memory_bytes.map(|bytes| bytes >> 20)),
        server.log.display()
    )
}

fn wipe(config: &StackConfig, yes: bool) -> anyhow::Result<ExitCode> {
    let what = format!(
        "This ends Kafka, the registry and Postgres of {0} and deletes all they hold: every event topic, every \
         registered schema, every read model, their logs and ports. Downloaded programs stay.",
        config.folder.display()
    );
    match yes {
        true => say(&what),
        false if ask::agreed(&what, "wipe")? => {}
        false => return Ok(ExitCode::from(ask::REFUSED)),
    }
    local_stack::wipe(config, &mut say)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes to stdout; a reader that went away is an error, not a panic.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("write to stdout")
}
