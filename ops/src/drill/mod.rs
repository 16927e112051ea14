//! `boxctl drill`: a rehearsal of what must not go wrong, on a box office of its own.

mod backup;
mod bank;
mod books;
mod buyer;
mod export;
mod faults;
mod history;
mod office;
mod order;
mod payments;
mod plan;
mod rebuild;
mod rest;
mod stage;
mod strikes;
mod table;
mod tally;
mod verdict;

use std::process::ExitCode;

use clap::Subcommand;

use crate::demo::shop::Shop;
pub use backup::BackupArgs;
use bank::Bank;
pub use export::ExportArgs;
pub use payments::PaymentsArgs;
pub use rebuild::RebuildArgs;
use stage::Stage;
use tally::Tally;

/// What is rehearsed.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Orders over all providers with every fault, while writers are killed and the broker is restarted; ends with 1 if
    /// an order does not end, a law breaks, or the books differ.
    Payments(PaymentsArgs),
    /// Back up while people buy, destroy everything but that and the secrets, restore, and compare; ends with 1 if
    /// anything acknowledged is lost, a law breaks, or a read model differs.
    Backup(BackupArgs),
    /// Export a large log to Parquet, measure time and memory, and hold the money in the files against Postgres; ends with
    /// 1 if it differs.
    Export(ExportArgs),
    /// Read models rebuilt over a long log while people buy, the rebuilding killed on its way; ends with 1 if a row is not
    /// what the log says.
    Rebuild(RebuildArgs),
}

/// What all buyers share.
#[derive(Debug)]
struct Scene {
    /// The shop's front door.
    shop: Shop,
    /// The payment providers.
    bank: Bank,
    /// What is sold.
    stages: Vec<Stage>,
    /// What is counted.
    tally: Tally,
    /// A token of who gives money back.
    support: String,
    /// How often of a hundred each fault takes place.
    percent: u64,
    /// The seed of this run.
    seed: u64,
}

/// Rehearses it.
///
/// # Errors
/// The box office cannot be brought up, or does not answer.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Payments(args) => payments::run(args).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Export(args) => export::run(args).await,
        Command::Rebuild(args) => rebuild::run(args).await,
    }
}
