//! `boxctl projection drop|pause|resume`.

use std::process::ExitCode;

use anyhow::Context as _;
use projectors::generations::{Paused, State, drop_kept, pause as pause_it};
use projectors::rebuild::Alone;
use serde_json::json;

use super::list::bytes;
use super::{DropArgs, NameArgs, Office};
use crate::{ask, stack};

/// Drops a generation that readers do not see.
pub(super) async fn drop(args: DropArgs) -> anyhow::Result<ExitCode> {
    let office = Office::of(args.at.namespace.as_deref())?;
    let standing = office.standing(&args.name).await?;
    let known = standing.numbered(args.generation);
    let known = known.with_context(|| format!("{} has no generation {}", args.name, args.generation))?;
    anyhow::ensure!(known.state != State::Live, "readers see {} of {}; it is not dropped", known.generation, args.name);
    let size = super::list::size(&office, &args.name, known.generation).await?;
    let way_back = match known.state {
        State::Kept => "There is no way back to it then but to rebuild.",
        State::Filling | State::Ready | State::Live => "What was filled of it is lost; readers do not see it.",
    };
    let what =
        format!("This deletes {} of {} with all its tables: {}. {way_back}", known.generation, args.name, bytes(size));
    if !args.yes && !ask::agreed(&what, &args.name)? {
        return Ok(ExitCode::from(ask::REFUSED));
    }
    // Whoever fills it just now would go on with nothing.
    let alone = Alone::take(&office.pool, &office.names, &args.name).await?;
    let _alone = alone.context("nothing was deleted")?;
    let dropped = drop_kept(&office.pool, &office.names, &args.name, args.generation).await?;
    office.done("drop", json!({"projection": args.name, "generation": dropped.number, "bytes": size})).await?;
    let text = match args.at.json {
        true => format!("{}\n", json!({"projection": args.name, "dropped": dropped.number, "bytes": size})),
        false => format!("{dropped} of {} is deleted\n", args.name),
    };
    stack::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Has projectors stop filling it.
pub(super) async fn pause(args: NameArgs) -> anyhow::Result<ExitCode> {
    set(args, Paused::Yes).await
}

/// Has projectors fill it.
pub(super) async fn resume(args: NameArgs) -> anyhow::Result<ExitCode> {
    set(args, Paused::No).await
}

async fn set(args: NameArgs, paused: Paused) -> anyhow::Result<ExitCode> {
    let office = Office::of(args.at.namespace.as_deref())?;
    office.standing(&args.name).await?;
    let changed = pause_it(&office.pool, &office.names, &args.name, paused).await?;
    let (command, text) = match (paused, changed) {
        (Paused::Yes, true) => (
            "pause",
            "is paused: projectors stop filling it within a second. Reads with a newer Consistency-Token answer 504.",
        ),
        (Paused::Yes, false) => ("pause", "was paused already"),
        (Paused::No, true) => ("resume", "is filled again"),
        (Paused::No, false) => ("resume", "was not paused"),
    };
    if changed {
        office.done(command, json!({"projection": args.name})).await?;
    }
    let text = match args.at.json {
        true => format!("{}\n", json!({"projection": args.name, "paused": paused == Paused::Yes, "changed": changed})),
        false => format!("{} {text}\n", args.name),
    };
    stack::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
