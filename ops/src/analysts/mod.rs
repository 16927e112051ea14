//! The tools of analysts: every fact out of the log, as of any moment, in the formats they use.

mod as_of;
mod replay;
mod republish;
mod schema;
mod site;
mod work;

use std::process::ExitCode;

use clap::Subcommand;
use event_log::validity::Broken;
use export::Unreadable;

pub use as_of::AsOfArgs;
pub use replay::ReplayArgs;
pub use republish::RepublishArgs;
pub use schema::SchemaArgs;

/// Something was found to be wrong.
const FOUND: u8 = 1;
/// Something does not answer, or was asked wrongly.
const COULD_NOT_LOOK: u8 = 2;

/// What analysts ask. All end with 1 if something is wrong with the log, and with 2 if they could not look.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read events out of the log: as lines, JSON, CSV or Parquet.
    Replay(ReplayArgs),
    /// Show an aggregate as it was at a moment.
    AsOf(AsOfArgs),
    /// Show an event's schema and its history; without a type, list all.
    Schema(SchemaArgs),
    /// Copy valid events to a clean topic with CloudEvents headers, for tools that are not ours.
    Republish(RepublishArgs),
}

/// Does it.
pub async fn run(command: Command) -> ExitCode {
    let ran = match command {
        Command::Replay(args) => replay::run(args).await,
        Command::AsOf(args) => as_of::run(args).await,
        Command::Schema(args) => schema::run(args).await,
        Command::Republish(args) => republish::run(args).await,
    };
    ran.unwrap_or_else(|error| {
        eprintln!("boxctl: {error:#}");
        let broken = error.chain().any(|cause| cause.is::<Broken>() || cause.is::<Unreadable>());
        ExitCode::from(if broken { FOUND } else { COULD_NOT_LOOK })
    })
}
