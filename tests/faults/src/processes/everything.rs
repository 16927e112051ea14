//! Everything dies at once, again and again.

use std::time::Duration;

use futures::future::{LocalBoxFuture, join_all};
use ops::topology::{Instance, Process};

use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

const TIMES: u32 = 10;
const SERVICE: Duration = Duration::from_secs(90);
/// Writes between two deaths.
const BETWEEN: u64 = 25;

/// Every process is killed, ten times.
pub static EVERYTHING: Fault = Fault {
    name: "everything-10-times",
    what: "kill -9 of every command-api, projector and query-api at once; they are started again; ten times.",
    proves: "The log alone brings everything back, however often, and whatever was under way is ended by it.",
    quick: false,
    play: Play::UnderLoad { place: || Box::pin(Place::shared()), strike: |site| strike(site), must: Must::TAKEN_OVER },
};

fn strike(site: &Site) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        for _ in 0..TIMES {
            let counts = site.shop().running.plan().counts;
            let all: Vec<Instance> = counts.all().filter(|it| it.process != Process::Sandbox).collect();
            site.struck();
            join_all(all.into_iter().map(|instance| site.shop().kill(instance))).await;
            site.served(SERVICE).await?;
            site.shop().wait_ready().await;
            site.load().busy(BETWEEN).await?;
        }
        Ok(())
    })
}
