//! `boxctl as-of`: an aggregate as it was at a moment of the log.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use domain::root::Context;
use domain::value::Timestamp;
use export::as_of::{as_of, kind};
use export::range::time;
use uuid::Uuid;

use super::FOUND;
use super::site::Site;
use crate::stack;

/// Which aggregate, and when. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct AsOfArgs {
    /// The id of a show, order or payment; tickets have their order's, stock and waiting room their show's.
    id: Uuid,
    /// The moment of the log, such as 2026-11-22T15:00:00Z.
    #[arg(value_parser = time)]
    time: Timestamp,
    /// What it is; without it, everything that has this id.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A show.
    Show,
    /// The stock of a show.
    Inventory,
    /// An order.
    Order,
    /// A payment.
    Payment,
    /// The tickets of an order.
    Tickets,
    /// The waiting room of a show.
    Room,
}

impl Kind {
    fn context(self) -> Context {
        match self {
            Self::Show => Context::Catalog,
            Self::Inventory => Context::Inventory,
            Self::Order => Context::Order,
            Self::Payment => Context::Payment,
            Self::Tickets => Context::Ticket,
            Self::Room => Context::Queue,
        }
    }
}

/// Prints one JSON object for each aggregate; ends with 1 if there was none.
pub(super) async fn run(args: AsOfArgs) -> anyhow::Result<ExitCode> {
    let site = Site::find().await?;
    let log = site.log(1)?;
    let contexts = args.kind.map_or_else(|| Context::ALL.to_vec(), |kind| vec![kind.context()]);
    let (codec, partitions, asked) = (site.codec.clone(), site.partitions, contexts.clone());
    let work = move || as_of(&log, &codec, partitions, &asked, args.id, args.time);
    let found = tokio::task::spawn_blocking(work).await.context("wait for the log")??;
    for it in &found {
        stack::print(&(serde_json::to_string_pretty(it)? + "\n"))?;
    }
    if found.is_empty() {
        let kinds: Vec<&str> = contexts.into_iter().map(kind).collect();
        eprintln!("boxctl: no {} had the id {} at that moment", kinds.join(", "), args.id);
        return Ok(ExitCode::from(FOUND));
    }
    Ok(ExitCode::SUCCESS)
}
