//! Somebody has cut into the log, or into what was kept of it: who can know it refuses, names the partition, and skips
//! nothing.
//!
//! Kafka's own tools do not cut the end of a log off; so the topic is made anew, and all but the lost records put back.

mod knife;
mod patient;

use anyhow::ensure;
use domain::root::Context;
use event_log::log::Partition;
use futures::future::LocalBoxFuture;
use ops::topology::Process;

use crate::fault::{Fault, Play};
use crate::run::Alone;
use patient::Patient;

/// So many records are lost.
const LOST: usize = 10;

/// The end of one partition is gone.
static CUT: Fault = Fault {
    name: "log-cut",
    what: "Everything is stopped; the last 10 records of a partition of inventory-events are lost; everything is started.",
    proves: "command-api and projectors refuse that partition by name, append nothing to it and read on nowhere; others are \
             served.",
    quick: false,
    play: Play::Alone(|alone| cut(alone)),
};

/// A topic is another one.
static RECREATED: Fault = Fault {
    name: "topic-recreated",
    what: "Everything is stopped; inventory-events is deleted and made anew, empty; everything is started.",
    proves: "Nobody takes an empty topic for the beginning of a new shop: command-api and projectors refuse every partition \
             of it.",
    quick: false,
    play: Play::Alone(|alone| recreated(alone)),
};

/// Only a snapshot knows of what is lost.
static SNAPSHOT: Fault = Fault {
    name: "snapshot-ahead",
    what: "The last 10 records of a partition are lost, and the read models wiped: only a snapshot is ahead of the log.",
    proves: "A snapshot that knows more than the log stops its partition, every time it is started.",
    quick: false,
    play: Play::Alone(|alone| snapshot(alone)),
};

/// A read model claims to have read what is not there.
static CHECKPOINT: Fault = Fault {
    name: "checkpoint-ahead",
    what: "The checkpoint of a read model is set 10 records behind the end of a partition's log.",
    proves: "The projectors refuse to go on there and name it; the log is whole, so the write side serves.",
    quick: false,
    play: Play::Alone(|alone| checkpoint(alone)),
};

/// Every one.
pub static ALL: &[Fault] = &[CUT, RECREATED, SNAPSHOT, CHECKPOINT];

fn cut(alone: &Alone) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let patient = Patient::stopped(alone).await?;
        let at = patient.lose(LOST).await?;
        for _ in 0..2 {
            let started = patient.started().await?;
            started.refuses(Process::CommandApi, &[at]).await?;
            started.refuses(Process::Projectors, &[at]).await?;
            started.skips_nothing(&[at]).await?;
            started.takes_no_orders(at).await?;
            started.serves_others(at).await?;
            started.stop().await;
        }
        patient.forget(alone).await;
        Ok(())
    })
}

fn recreated(alone: &Alone) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let patient = Patient::stopped(alone).await?;
        patient.recreate().await?;
        let all: Vec<Partition> = patient.partitions(Context::Inventory);
        let started = patient.started().await?;
        started.refuses(Process::CommandApi, &all).await?;
        // It ends with the first one that it finds.
        let found = started.refused(Process::Projectors, &all).await?;
        ensure!(!found.is_empty(), "the projectors do not name the topic that was made anew");
        started.skips_nothing(&all).await?;
        started.takes_no_orders(all[0]).await?;
        started.stop().await;
        patient.forget(alone).await;
        Ok(())
    })
}

fn snapshot(alone: &Alone) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let patient = Patient::stopped(alone).await?;
        let at = patient.lose(LOST).await?;
        patient.wipe_read_models().await?;
        for _ in 0..2 {
            let started = patient.started().await?;
            started.refuses(Process::CommandApi, &[at]).await?;
            started.ready(Process::Projectors).await?;
            started.appends_nothing(&[at]).await?;
            started.takes_no_orders(at).await?;
            started.serves_others(at).await?;
            started.stop().await;
        }
        patient.forget(alone).await;
        Ok(())
    })
}

fn checkpoint(alone: &Alone) -> LocalBoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let patient = Patient::stopped(alone).await?;
        let at = patient.advance_checkpoint(LOST).await?;
        let started = patient.started().await?;
        started.refuses(Process::Projectors, &[at]).await?;
        started.reads_nothing(&[at]).await?;
        started.ready(Process::CommandApi).await?;
        started.stop().await;
        patient.forget(alone).await;
        Ok(())
    })
}
