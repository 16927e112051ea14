//! `boxctl projection rollback`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use projectors::generations::{Known, NotSwitched, Served, Standing, switch};
use projectors::rebuild::{Alone, News, catch_up, hand_over};
use serde_json::json;

use super::bar::Bar;
use super::rebuild::{failed, tell};
use super::{Office, RollbackArgs};
use crate::ask;

/// Readers of long statements, and what is still on its way, are waited for so long.
const WITHIN: Duration = Duration::from_secs(60);
/// What nobody can fill here has to stand there by itself.
const STANDS_WITHIN: Duration = Duration::from_secs(5);
/// Of the rebuilding that it undoes.
const BATCH_AND_LANES: (u32, u32) = (20_000, 4);

/// Fills the kept generation up and shows it.
pub(super) async fn run(args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let layout = Office::layout(&args.name)?;
    let office = Office::of(args.at.namespace.as_deref())?;
    let standing = office.standing(&args.name).await?;
    let kept = standing.kept().with_context(|| format!("{} has no generation to go back to", args.name))?;
    let ours = kept.generation.version == layout.version;
    if !args.yes && !ask::agreed(&question(&standing, kept, ours), &args.name)? {
        return Ok(ExitCode::from(ask::REFUSED));
    }
    let alone = Alone::take(&office.pool, &office.names, &args.name).await?;
    let _alone = alone.context("nothing was done")?;
    let mut bar = Bar::new(args.at.json);
    let served = match ours {
        true => filled(&office, &args.name, kept, &mut bar).await?,
        false => shown(&office, &args.name, kept, STANDS_WITHIN).await,
    };
    match served {
        Ok(served) => {
            let what = json!({"projection": args.name, "before": served.before.number, "now": served.now.number});
            office.done("rollback", what).await?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => failed(&mut bar, error.into()),
    }
}

fn question(standing: &Standing, kept: &Known, ours: bool) -> String {
    let (name, live, kept) = (&standing.name, standing.live, kept.generation);
    let how = match ours {
        true => "It is filled up here first, so that they see nothing older than now.",
        false => "Only its own version of the code can fill it: it has to be filled by projectors of that release.",
    };
    format!("Readers of {name} see {live}; they would see {kept} again. {how}\n{live} is kept.")
}

async fn filled(
    office: &Office,
    name: &str,
    kept: &Known,
    bar: &mut Bar,
) -> anyhow::Result<Result<Served, NotSwitched>> {
    let job = office.job(Office::layout(name)?, BATCH_AND_LANES).await?;
    let (fill, _) = catch_up(&job, kept.generation, &mut |news| tell(bar, name, news)).await?;
    let served = shown(office, name, kept, WITHIN).await;
    if let Ok(served) = &served {
        tell(bar, name, News::Switched(*served));
        let whom = (name, kept.generation, office.partitions);
        tell(bar, name, News::HandedOver(hand_over(&office.pool, &office.names, whom, WITHIN).await?));
    }
    fill.stop().await;
    Ok(served)
}

async fn shown(office: &Office, name: &str, kept: &Known, within: Duration) -> Result<Served, NotSwitched> {
    switch(&office.pool, &office.names, name, kept.generation.number, within).await
}
