//! A process whose wall clock is wrong by an hour while tickets are held.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::root::Context;
use event_log::log::Partition;
use futures::future::{LocalBoxFuture, join_all};

use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

const HOUR_S: i64 = 3600;
/// So long a clock stays wrong: many rounds of timers.
const WRONG: Duration = Duration::from_secs(5);
const SERVICE: Duration = Duration::from_secs(60);

/// An hour ahead, an hour behind, and wrong from the start.
pub static CLOCK: Fault = Fault {
    name: "clock",
    what: "An owner's wall clock jumps an hour ahead, then an hour behind, while tickets are held; then it is killed and \
           started with a clock an hour ahead, until that is put right.",
    proves: "No hold ends early or late by a jump, and whoever starts with a wrong clock serves nothing until it is right.",
    quick: false,
    play: Play::UnderLoad { place: || Box::pin(Place::shared()), strike: |site| strike(site), must: Must::TAKEN_OVER },
};

fn strike(site: &Site) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let (load, wrong) = (site.load(), site.owner(Partition { context: Context::Inventory, number: 0 }).await);
        // By a clock that is an hour ahead every token of a quarter of an hour has expired.
        load.counts().tolerate("checkout-token-invalid");
        load.counts().tolerate("unauthenticated");
        // A queue ticket that was handed out by a clock an hour behind has not been shown for an hour.
        load.counts().excuse("queue-place-lost");
        let names: Vec<String> = (0..8).map(|n| format!("holder-{n}")).collect();
        let sales = load.shows().open.iter().cycle();
        let holds = join_all(names.iter().zip(sales).map(|(name, sale)| load.hold(name, *sale))).await;
        let holds = holds.into_iter().collect::<anyhow::Result<Vec<_>>>().context("hold tickets")?;
        for by_s in [HOUR_S, -HOUR_S] {
            site.struck();
            site.wrong_clock(wrong, by_s)?;
            tokio::time::sleep(WRONG).await;
            site.served(SERVICE).await?;
        }
        site.wrong_clock(wrong, HOUR_S)?;
        site.kill(wrong).await;
        tokio::time::sleep(WRONG).await;
        let serving = site.shop().metric(wrong, "boxoffice_partition_serving").await;
        ensure!(serving < 0.5, "{serving} partitions are served by a clock that is an hour ahead of the broker's");
        site.struck();
        site.wrong_clock(wrong, 0)?;
        site.served(SERVICE).await?;
        site.shop().wait_ready().await;
        let paid = join_all(holds.iter().map(|hold| load.pay_held(hold))).await;
        paid.into_iter().collect::<anyhow::Result<Vec<()>>>().context("what was held is not held any more")?;
        Ok(())
    })
}
