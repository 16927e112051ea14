//! One run of one fault: bring it up, load it, strike, wait for service, let it drain, and check everything.

mod alone;
mod site;

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use check::history::Margins;
use check::{Checker, Facts, Report};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use service_kit::random;
use system_tests::Installation;
use tokio::time::timeout;

use crate::client::Counted;
use crate::fault::{Fault, Must, Place, Play};
use crate::load::{Ended, Load};
use crate::table::Run;
pub use alone::Alone;
pub use site::Site;

/// Writes that are promised before the fault, so that there is something to lose.
const BEFORE: u64 = 80;
/// And after it.
const AFTER: u64 = 80;
/// A partition that is not served so long after a fault is not served.
const SERVICE: Duration = Duration::from_secs(90);
/// The longest fault strikes ten times.
const STRIKE: Duration = Duration::from_secs(600);
/// Everything is at rest so long after the load at the latest.
const REST: Duration = Duration::from_secs(90);

/// Plays one fault once. What goes wrong is in the run.
pub async fn once(fault: &'static Fault) -> Run {
    let play = async {
        let folder = folder(fault.name)?;
        let run = match fault.play {
            Play::UnderLoad { place, strike, must } => {
                let place = place().await.context("set the fault up")?;
                under_load(fault, place, strike, must, &folder).await
            }
            Play::Alone(play) => {
                let alone = Alone::new(folder.clone());
                play(&alone).await.map(|()| alone.run())
            }
        };
        match &run {
            Ok(run) if run.wrong.is_empty() => drop(fs::remove_dir_all(&folder)),
            _ => eprintln!("{}: what is left of the run is in {}", fault.name, folder.display()),
        }
        run
    };
    // A panic on the way is a failed run, and the next one begins from anew.
    match AssertUnwindSafe(play).catch_unwind().await {
        Ok(Ok(run)) => run,
        Ok(Err(error)) => Run::failed(format!("{error:#}")),
        Err(panicked) => {
            let text = panicked.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Run::failed(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let id = random::opaque_id().simple().to_string();
    let folder = local_stack::find_root()?.join("target/tmp/faults").join(format!("{name}-{}", &id[..8]));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

type Strike = for<'a> fn(&'a Site) -> LocalBoxFuture<'a, anyhow::Result<()>>;

async fn under_load(
    fault: &'static Fault,
    place: Place,
    strike: Strike,
    must: Must,
    folder: &Path,
) -> anyhow::Result<Run> {
    let shop = installation(&place, folder).await;
    let load = Load::start(&shop, &folder.join("history.jsonl")).await?;
    load.busy(BEFORE).await?;
    let site = Site::new(shop, load, place, folder.to_owned()).await;
    let struck = timeout(STRIKE, strike(&site)).await.context("it does not come to an end").flatten();
    let struck = struck.with_context(|| format!("{}: strike", fault.name));
    let mut run = Run { took_ms: Vec::new(), ..Run::default() };
    match &struck {
        Ok(()) => match site.served(SERVICE).await {
            Ok(()) => site.load().busy(AFTER).await.unwrap_or_else(|error| run.wrong.push(format!("{error:#}"))),
            Err(error) => run.wrong.push(format!("{error:#}")),
        },
        Err(error) => run.wrong.push(format!("{error:#}")),
    }
    run.notes = site.notes();
    let (shop, load, before, took, kept) = site.over();
    let counts = std::sync::Arc::clone(load.shared_counts());
    let ended = load.end().await;
    let counted = counts.now();
    let checked = check(&shop, &ended).await;
    run.took_ms = took.iter().map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)).collect();
    judge(&mut run, must, before, (counted, &ended), checked);
    match run.wrong.is_empty() {
        true => shop.stop().await,
        false => {
            let folder = shop.running.plan().folder.clone();
            eprintln!("{}: the processes' logs are in {}", fault.name, folder.display());
            shop.running.stop().await;
        }
    }
    // Servers of its own end after those that use them, and off the runtime's threads.
    tokio::task::spawn_blocking(move || drop(kept)).await.context("end what the fault kept")?;
    Ok(run)
}

/// Brings an installation up that can be told to crash and to be wrong about the time.
pub(crate) async fn installation(place: &Place, folder: &Path) -> Installation {
    let (crash, clock) = (Site::crash_file(folder), Site::clock_folder(folder));
    fs::create_dir_all(&clock).expect("a folder can be made");
    let (crash, clock) = (crash.display().to_string(), clock.display().to_string());
    let mut settings = vec![("BOXOFFICE_CRASH_FILE", crash.as_str()), ("BOXOFFICE_CLOCK_DIR", clock.as_str())];
    settings.extend(place.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Installation::with(place.endpoints.clone(), place.counts, &settings).await
}

/// What the checker says once everything is at rest.
pub(crate) async fn check(shop: &Installation, ended: &Ended) -> anyhow::Result<(Report, Facts)> {
    let (plan, sandbox) = (shop.running.plan(), shop.running.sandbox_url());
    let checker = Checker::connect(&plan.endpoints, &plan.namespace, plan.partitions, Some(&sandbox)).await?;
    let mut calls = check::history::read(&ended.history)?;
    calls.retain(|call| !call.problem().is_some_and(|problem| ended.tolerated.contains(&problem)));
    let checker = checker.with_history(calls, Margins::default());
    checker.settle(Some(&ended.promised), REST, |_| true).await
}

/// What was in the log before the strike.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    pub(crate) claims: u64,
    pub(crate) counted: Counted,
}

fn judge(
    run: &mut Run,
    must: Must,
    before: Before,
    (counted, ended): (Counted, &Ended),
    checked: anyhow::Result<(Report, Facts)>,
) {
    run.acknowledged = counted.acknowledged;
    run.in_doubt = counted.in_doubt;
    run.broken_connections = counted.broken;
    run.turned_away = counted.turned_away;
    run.done = ended.done.iter().map(|(act, count)| ((*act).to_owned(), *count)).collect();
    run.wrong.extend(ended.wrong.iter().cloned());
    match checked {
        Ok((report, facts)) => {
            let all = facts.counts();
            run.fenced = all.claims.saturating_sub(before.claims);
            run.void = all.void();
            run.lost = check::promised(&facts, &ended.promised.orders, &ended.promised.tickets).faults.count;
            if !report.holds() {
                run.wrong.push(format!("the checker:\n{}", report.text()));
            }
        }
        Err(error) => run.wrong.push(format!("the checker could not look: {error:#}")),
    }
    let seen = [
        (must.fence && run.fenced == 0, "void: nobody was superseded"),
        (must.void && run.void == 0, "void: nothing in the log was written in vain"),
        (must.doubt && run.in_doubt == 0, "void: nobody was in doubt"),
        (must.smooth && counted.in_doubt > before.counted.in_doubt, "somebody was left in doubt"),
        (must.smooth && counted.turned_away > before.counted.turned_away, "somebody was turned away"),
        (run.lost > 0, "something acknowledged is lost"),
        (run.took_ms.is_empty(), "the fault was never timed: it struck nothing"),
    ];
    run.wrong.extend(seen.into_iter().filter(|(broken, _)| *broken).map(|(_, what)| what.to_owned()));
}

/// Plays a fault so often.
///
/// # Errors
/// There is no such fault.
pub async fn named(name: &str, runs: u32) -> anyhow::Result<crate::table::Row> {
    let Some(fault) = crate::all().into_iter().find(|fault| fault.name == name) else {
        bail!("there is no fault {name}; --list shows them");
    };
    let mut row = crate::table::Row::of(fault);
    for n in 1..=runs {
        eprintln!("== {name}, run {n} of {runs}: {}", fault.what);
        let run = once(fault).await;
        eprintln!("{}", run.line());
        row.runs.push(run);
    }
    Ok(row)
}
