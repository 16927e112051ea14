//! The life cycle: leaving and coming back without anybody noticing.

use std::time::Duration;

use domain::root::Context;
use event_log::log::Partition;
use futures::future::LocalBoxFuture;
use local_stack::Signal;
use ops::topology::Instance;
use service_kit::clock;

use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

const SERVICE: Duration = Duration::from_secs(60);
/// Whoever was told to leave is started again within so long.
const BACK: Duration = Duration::from_secs(60);
/// Writes between two that leave.
const BETWEEN: u64 = 40;
const SMOOTH: Must = Must { fence: true, smooth: true, void: false, doubt: false };

/// One leaves.
static LEAVE: Fault = Fault {
    name: "leave",
    what: "SIGTERM of a command-api that serves half of the partitions, under load; it is started again.",
    proves: "Nothing is lost, nobody is left in doubt, and nothing is refused that could have been served.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(Place::shared()),
        strike: |site| {
            Box::pin(async {
                let leaving = site.owner(Partition { context: Context::Inventory, number: 0 }).await;
                restart(site, leaving).await
            })
        },
        must: SMOOTH,
    },
};

/// One after the other.
static ROLLING: Fault = Fault {
    name: "rolling-restart",
    what: "Both command-apis are restarted by SIGTERM, one after the other, under load.",
    proves: "An ordinary client that honours Retry-After sees no failed request: none in doubt, no connection broken.",
    quick: true,
    play: Play::UnderLoad { place: || Box::pin(Place::shared()), strike: |site| rolling(site), must: SMOOTH },
};

/// Every one.
pub static ALL: &[Fault] = &[LEAVE, ROLLING];

fn rolling(site: &Site) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        for leaving in site.command_apis() {
            restart(site, leaving).await?;
            site.load().busy(BETWEEN).await?;
        }
        Ok(())
    })
}

/// Has a process end in order, and waits until it is back and everything is served.
async fn restart(site: &Site, leaving: Instance) -> anyhow::Result<()> {
    let (begun, restarts) = (clock::monotonic(), site.shop().running.restarts(leaving));
    site.struck();
    site.signal(leaving, Signal::Terminate).await;
    site.served(SERVICE).await?;
    while site.shop().running.restarts(leaving) == restarts {
        anyhow::ensure!(begun.elapsed() < BACK, "{leaving} does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.shop().wait_ready().await;
    Ok(())
}
