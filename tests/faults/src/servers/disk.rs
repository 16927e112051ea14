//! The broker's disk is full.

use std::time::Duration;

use anyhow::ensure;
use futures::future::BoxFuture;
use local_stack::Server;
use service_kit::clock;
use tokio::time::sleep;

use super::own;
use crate::fault::{Fault, Must, Play};
use crate::run::Site;

const DISK_BYTES: u64 = 512 << 20;
/// A broker without room ends by itself within so long.
const ENDS: Duration = Duration::from_secs(60);
/// So long nobody makes room.
const FULL: Duration = Duration::from_secs(3);

/// Nothing more can be appended.
pub static DISK_FULL: Fault = Fault {
    name: "disk-full",
    what: "The only broker's disk (512 MiB of its own) is filled to the last byte; the broker ends by itself, somebody \
           makes room and starts it again. Takes root, to mount the disk.",
    proves: "A record of which half fitted on the disk is none, and all that was acknowledged before it is there.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(own::stack(|config| config.kafka_disk_bytes = Some(DISK_BYTES))),
        strike: |site| strike(site),
        must: Must::TAKEN_OVER,
    },
};

fn strike(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let since = clock::monotonic();
        let ballast = own::to(site, local_stack::fill).await?;
        let begun = clock::monotonic();
        while runs(site).await? {
            ensure!(begun.elapsed() < ENDS, "void: the broker lives on with a full disk after {} s", ENDS.as_secs());
            sleep(Duration::from_millis(100)).await;
        }
        // What still fitted was served until here.
        site.struck();
        site.note(format!("the broker ended by itself {} ms after its disk was full", since.elapsed().as_millis()));
        sleep(FULL).await;
        tokio::task::spawn_blocking(move || drop(ballast)).await?;
        own::start(site, Server::Kafka).await?;
        site.note(format!("the broker itself answers again {} ms after the fault", since.elapsed().as_millis()));
        Ok(())
    })
}

async fn runs(site: &Site) -> anyhow::Result<bool> {
    let status = own::to(site, local_stack::status).await?;
    Ok(status.iter().any(|it| it.name == Server::Kafka && it.pid.is_some()))
}
