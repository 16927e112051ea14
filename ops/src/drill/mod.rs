//! `boxctl drill`: a rehearsal of what must not go wrong, on a box office of its own.

mod bank;
mod books;
mod buyer;
mod faults;
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
use bank::Bank;
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
        Command::Rebuild(args) => rebuild::run(args).await,
    }
}
