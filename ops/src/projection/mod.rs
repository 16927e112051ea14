//! `boxctl projection`: the generations of read models, for whoever rebuilds one while the box office runs.
//!
//! Ends with 0 if all is well, with 1 if a read model is not what the log says or readers do not see what they were to,
//! with 2 if nothing could be looked at or done.

mod bar;
mod list;
mod place;
mod rebuild;
mod rollback;
mod standing;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use place::Office;

/// Nothing could be looked at or done.
const COULD_NOT: u8 = 2;

/// What to do with read models.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show every generation: which one readers see, how far each has come, and who fills it.
    List(ListArgs),
    /// Fill the next generation beside the one that readers see, hold it against the log, and show it.
    Rebuild(RebuildArgs),
    /// Hold every row of what readers see against the log.
    Verify(VerifyArgs),
    /// Go back to the generation that readers saw before; it is filled up first.
    Rollback(RollbackArgs),
    /// Drop a generation that readers do not see.
    Drop(DropArgs),
    /// Have projectors stop filling a read model; the others go on.
    Pause(NameArgs),
    /// Have projectors fill it again.
    Resume(NameArgs),
}

/// Where: BOXOFFICE_KAFKA, BOXOFFICE_REGISTRY and BOXOFFICE_POSTGRES, or the local stack.
#[derive(Debug, Args)]
struct Where {
    /// Prefix of topics and Postgres schemas [default: BOXOFFICE_NAMESPACE].
    #[arg(long)]
    namespace: Option<String>,
    /// As JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// All of them.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    at: Where,
}

/// How to rebuild one.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    at: Where,
    /// The read model, such as orders.
    name: String,
    /// Fill and verify it, and let readers see what they saw; once more without this shows it.
    #[arg(long)]
    no_switch: bool,
    /// Records in one transaction, at most.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Transactions at once, each for some of the partitions.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    lanes: u32,
    #[command(flatten)]
    verifying: VerifyingArgs,
}

/// How to verify one.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    at: Where,
    /// The read model, such as orders.
    name: String,
    /// Another generation than the one that readers see.
    #[arg(long)]
    generation: Option<u32>,
    #[command(flatten)]
    verifying: VerifyingArgs,
}

/// What holding rows against the log may take.
#[derive(Debug, Clone, Copy, Args)]
struct VerifyingArgs {
    /// Megabytes for rows in memory; what has more is compared in parts, each with a reading of the log.
    #[arg(long, default_value_t = 512, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    memory: u64,
}

/// How to go back.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    at: Where,
    /// The read model, such as orders.
    name: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// Which generation.
#[derive(Debug, Args)]
pub struct DropArgs {
    #[command(flatten)]
    at: Where,
    /// The read model, such as orders.
    name: String,
    /// The number of the generation, as `list` shows it.
    generation: u32,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// Which read model.
#[derive(Debug, Args)]
pub struct NameArgs {
    #[command(flatten)]
    at: Where,
    /// The read model, such as orders.
    name: String,
}

/// Does it.
pub async fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::List(args) => list::run(args).await,
        Command::Rebuild(args) => rebuild::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Rollback(args) => rollback::run(args).await,
        Command::Drop(args) => standing::drop(args).await,
        Command::Pause(args) => standing::pause(args).await,
        Command::Resume(args) => standing::resume(args).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("boxctl: {error:#}");
        ExitCode::from(COULD_NOT)
    })
}

impl VerifyingArgs {
    fn verifying(self) -> projectors::verify::Verifying {
        projectors::verify::Verifying { memory_bytes: self.memory << 20 }
    }
}
