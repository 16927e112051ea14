//! A write side dies at a chosen line of its own program.

use std::cell::Cell;
use std::time::Duration;

use anyhow::ensure;
use domain::root::Context;
use event_log::crash::Point;
use futures::future::LocalBoxFuture;

use crate::fault::{Fault, Must, Place, Play};
use crate::run::Site;

/// It takes so many crashes at most until somebody has waited for that very answer.
const TIMES: u32 = 5;
/// So many come to the queue at once.
const RUSH: u32 = 40;
const SERVICE: Duration = Duration::from_secs(60);

/// Decided, encoded, and not a byte of it sent.
pub static BEFORE_APPEND: Fault = Fault {
    name: "crash-before-append",
    what: "A command-api dies after it has decided on orders and before anything of that is appended.",
    proves: "What was not appended never happened, and is carried out once when it is asked for again.",
    quick: false,
    play: Play::UnderLoad {
        place: || Box::pin(Place::shared()),
        strike: |site| Box::pin(strike(site, Point::BeforeAppend, Context::Inventory, 3)),
        must: Must::TAKEN_OVER,
    },
};

/// In the log, and nobody was told.
pub static AFTER_APPEND: Fault = Fault {
    name: "crash-after-append",
    what: "A command-api dies when orders are in the log and before anybody is answered.",
    proves: "What was appended has happened: asked for again, it is answered and not done twice.",
    quick: true,
    play: Play::UnderLoad {
        place: || Box::pin(Place::shared()),
        strike: |site| Box::pin(strike(site, Point::AfterAppend, Context::Inventory, 3)),
        must: Must::TAKEN_OVER,
    },
};

/// An unfinished frame in the log.
pub static AFTER_RECORD_2: Fault = Fault {
    name: "crash-after-record-2",
    what: "A command-api dies when two records of a command of three or more are in the log (an admission to the queue).",
    proves: "A command counts whole or not at all: the two records are void, and nobody is admitted by them or passed over.",
    quick: true,
    play: Play::UnderLoad {
        place: || Box::pin(Place::shared()),
        strike: |site| Box::pin(after_record_2(site)),
        must: Must { void: true, ..Must::TAKEN_OVER },
    },
};

/// Half a snapshot on the disk.
pub static IN_SNAPSHOT: Fault = Fault {
    name: "crash-in-snapshot",
    what: "A command-api dies in the middle of writing a snapshot of its stock.",
    proves: "Half a snapshot is never begun with, and the one before it serves.",
    quick: false,
    play: Play::UnderLoad {
        // Small enough that several are written meanwhile.
        place: || Box::pin(async { Ok(Place::shared().await?.with("BOXOFFICE_SNAPSHOT_BYTES", "65536")) }),
        strike: |site| Box::pin(strike(site, Point::InSnapshot, Context::Inventory, 2)),
        must: Must::TAKEN_OVER,
    },
};

/// Who comes alone is let in alone: so many come at once that one command lets several in.
fn after_record_2(site: &Site) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let over = Cell::new(false);
        let rushing = async {
            for n in 0.. {
                if over.get() {
                    break;
                }
                site.load().rush(&format!("rush-{n}"), RUSH).await?;
            }
            Ok(())
        };
        let striking = async {
            let struck = strike(site, Point::AfterRecord2, Context::Queue, 1).await;
            over.set(true);
            struck
        };
        let (rushed, struck): (anyhow::Result<()>, _) = tokio::join!(rushing, striking);
        struck.and(rushed)
    })
}

fn strike(site: &Site, point: Point, context: Context, nth: u32) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async move {
        for _ in 0..TIMES {
            let before = site.in_doubt();
            site.crash(point, context, nth).await?;
            site.served(SERVICE).await?;
            if site.in_doubt() > before {
                return Ok(());
            }
        }
        ensure!(site.in_doubt() > 0, "nobody waited for what was decided, {TIMES} times");
        Ok(())
    })
}
