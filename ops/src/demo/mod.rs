//! `boxctl demo`: a show of many tickets, more buyers than tickets, and a summary that is recomputed from the log.

use anyhow::bail;
use clap::Args as ClapArgs;

use crate::dev;

/// How large the demo is.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// End after the summary instead of staying up.
    #[arg(long)]
    pub exit: bool,
    /// Tickets of the show.
    #[arg(long, default_value_t = 1000)]
    pub show_tickets: u32,
    /// Buyers that want them.
    #[arg(long, default_value_t = 1500)]
    pub buyers: u32,
    /// Repeats a run's choices; random if left out.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Runs it against services that are up. boxctl stays up after an `Ok`, unless `--exit`, and stops the services.
///
/// # Errors
/// The demo cannot go on, or an invariant does not hold.
pub async fn run(_args: Args, _dev: dev::Running) -> anyhow::Result<()> {
    bail!("not built yet")
}
