//! The broker refuses records, and a producer that takes it for the end.

use std::time::Duration;

use anyhow::ensure;
use domain::root::Context;
use futures::future::BoxFuture;
use ops::topology::Process;
use tokio::time::sleep;

use super::cluster::Topics;
use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

const LIMIT: &str = "max.message.bytes";
/// Smaller than any batch with an order in it, and larger than a claim.
const TOO_SMALL: &str = "600";
const REFUSED: Duration = Duration::from_secs(10);
/// Somebody is refused within so long.
const NOTICED: Duration = Duration::from_secs(20);
const REPLACED: &str = "boxoffice_producers_replaced_total";

/// The broker takes no record of an order's size.
pub static RECORD_TOO_LARGE: Fault = Fault {
    name: "record-too-large",
    what: "Somebody sets max.message.bytes of the stock's topic so low that the broker refuses orders, for 10 s.",
    proves: "A record that the broker refuses for good is not acknowledged, stops nobody for ever, and is not skipped over.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(Place::shared()),
        strike: |site| too_large(site),
        must: Must::TAKEN_OVER,
    },
};

/// librdkafka gives a producer up for good.
pub static PRODUCER_FATAL: Fault = Fault {
    name: "producer-fatal",
    what: "The producer fails for good (librdkafka's fatal error, provoked by a refused record and its gapless guarantee).",
    proves: "It is replaced while the process runs, and every partition is claimed anew and goes on.",
    quick: false,
    play: Play::UnderLoad {
        place: || {
            Box::pin(async {
                let place = Place::shared().await?;
                Ok(place.with("BOXOFFICE_PRODUCER_PROPERTIES", "enable.gapless.guarantee=true"))
            })
        },
        strike: |site| fatal(site),
        must: Must::TAKEN_OVER,
    },
};

fn too_large(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let (topics, doubted) = (Topics::of(site), site.in_doubt());
        let before = topics.set(Context::Inventory, LIMIT, TOO_SMALL).await?;
        sleep(REFUSED).await;
        let noticed = site.in_doubt() > doubted;
        topics.set(Context::Inventory, LIMIT, &before).await?;
        // Small records were taken all the time: what is measured is the way back.
        site.struck();
        ensure!(noticed, "void: no order was refused");
        Ok(())
    })
}

fn fatal(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let topics = Topics::of(site);
        let before = topics.set(Context::Inventory, LIMIT, TOO_SMALL).await?;
        let mut replaced = 0.0;
        let step = Duration::from_millis(100);
        for _ in 0..NOTICED.as_millis() / step.as_millis() {
            sleep(step).await;
            replaced = replacements(site).await;
            if replaced > 0.0 {
                break;
            }
        }
        topics.set(Context::Inventory, LIMIT, &before).await?;
        site.struck();
        ensure!(replaced > 0.0, "void: no producer failed for good: were the services built with the switches?");
        Ok(())
    })
}

async fn replacements(site: &Site) -> f64 {
    let of = |instance| site.shop().metric(instance, REPLACED);
    futures::future::join_all(site.shop().running.plan().counts.instances(Process::CommandApi).map(of))
        .await
        .iter()
        .sum()
}
