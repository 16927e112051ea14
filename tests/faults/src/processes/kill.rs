//! The plainest fault: one of two write sides is killed.

use domain::root::Context;
use event_log::log::Partition;
use futures::future::LocalBoxFuture;

use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

/// `kill -9` of one of two write sides.
pub static KILL: Fault = Fault {
    name: "kill",
    what: "kill -9 of a command-api that serves half of the partitions; it is started again.",
    proves: "Its successor goes on where it stopped: whoever was in doubt learns it with the same key.",
    quick: false,
    play: Play::UnderLoad { place: || Box::pin(Place::shared()), strike: |site| strike(site), must: Must::TAKEN_OVER },
};

fn strike(site: &Site) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let victim = site.owner(Partition { context: Context::Inventory, number: 0 }).await;
        site.kill(victim).await;
        Ok(())
    })
}
