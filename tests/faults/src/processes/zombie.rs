//! An owner that oversleeps, and decides by what it knew before it hears of its loss.
//!
//! Whoever wakes usually hears of its loss before it has read a request. So it falls asleep with calls to the payment
//! provider under way, which does not answer: it waits a moment for them to end before it gives anything up, and in that
//! moment it decides for whoever waits in its sockets.

use std::time::Duration;

use domain::root::Context;
use event_log::log::Partition;
use futures::future::{LocalBoxFuture, join_all};
use local_stack::Signal;
use ops::topology::Process;

use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

/// On a machine that does other things it may decide nothing when it wakes: then it sleeps once more.
const SLEEPS: u32 = 3;
/// So many requests wait in its sockets.
const WAITING: u32 = 60;
/// Calls to a provider that does not answer are under way by then.
const UNDER_WAY: Duration = Duration::from_millis(1500);
const SERVICE: Duration = Duration::from_secs(60);
const MUST: Must = Must { void: true, ..Must::TAKEN_OVER };

/// Asleep for longer than its session.
pub static ZOMBIE: Fault = Fault {
    name: "zombie",
    what: "SIGSTOP of an owner for longer than its session, with requests in its sockets; a successor sells; SIGCONT.",
    proves: "What it decides when it wakes is void, and nobody gets an answer by it: neither a stale yes nor a stale no.",
    quick: true,
    play: Play::UnderLoad { place, strike: |site| strike(site, Wakes::AndServes), must: MUST },
};

/// Two believe to be the owner, and the wrong one leaves in order.
pub static TWO_OWNERS: Fault = Fault {
    name: "two-owners-one-leaves",
    what: "Two command-apis hold a partition for theirs, because one has overslept; that one is told to leave by SIGTERM.",
    proves: "Whoever leaves in order answers, writes and snapshots nothing as an owner that it is no more.",
    quick: false,
    play: Play::UnderLoad { place, strike: |site| strike(site, Wakes::ToLeave), must: MUST },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wakes {
    AndServes,
    ToLeave,
}

fn place() -> LocalBoxFuture<'static, anyhow::Result<Place>> {
    Box::pin(async {
        let shared = Place::shared().await?;
        Ok(shared.with("BOXOFFICE_KEY_POOL", "256").with("BOXOFFICE_PROVIDER_TIMEOUT_MS", "60000"))
    })
}

fn strike(site: &Site, wakes: Wakes) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async move {
        for sleep in 1..=SLEEPS {
            oversleep(site, sleep, wakes).await?;
            let mut journal = site.shop().journal().await;
            drop(journal.news().await);
            if journal.void() > 0 && site.in_doubt() > 0 {
                return Ok(());
            }
        }
        // The harness calls this run void.
        Ok(())
    })
}

async fn oversleep(site: &Site, sleep: u32, wakes: Wakes) -> anyhow::Result<()> {
    let sleeper = site.owner(Partition { context: Context::Inventory, number: 0 }).await;
    let direct = site.shop().running.url(sleeper);
    site.signal(Process::Sandbox.into(), Signal::Stop).await;
    tokio::time::sleep(UNDER_WAY).await;
    site.struck();
    site.signal(sleeper, Signal::Stop).await;
    let sale = site.load().shows().free[0];
    let names: Vec<String> = (0..WAITING).map(|n| format!("late-{sleep}-{n}")).collect();
    let asking = join_all(names.iter().map(|name| site.load().take_free_at(name, &direct, sale)));
    let waking = async {
        let served = site.served(SERVICE).await;
        // The successor has something to be overwritten.
        tokio::time::sleep(Duration::from_millis(700)).await;
        if wakes == Wakes::ToLeave {
            site.signal(sleeper, Signal::Terminate).await;
        }
        site.signal(sleeper, Signal::Continue).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        site.signal(Process::Sandbox.into(), Signal::Continue).await;
        served
    };
    let (answers, served) = tokio::join!(asking, waking);
    served?;
    answers.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    site.shop().wait_ready().await;
    Ok(())
}
