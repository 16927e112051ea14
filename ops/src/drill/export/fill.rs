//! Writes made purchases into the log, as the owners of its partitions would.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use event_log::log::{Delivered, Log, Partition};
use event_log::validity::Position;
use mixes::{START, Writer};
use schemas::Codec;

use super::purchases::{CONTEXTS, Part, purchases};

/// Records of one append.
const BATCH: usize = 500;
/// Appends under way.
const UNDER_WAY: usize = 16;
/// The broker says something within so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Appends so many purchases, and says how many events they are. The topics must be empty.
pub(super) fn fill(log: &dyn Log, codec: &Codec, partitions: u32, count: u64) -> anyhow::Result<u64> {
    let all = purchases(count);
    let mut events = 0;
    for context in CONTEXTS {
        for number in 0..partitions {
            let at = Partition { context, number };
            let part = Part::of(at, partitions, &all);
            events += append(log, codec, at, part).with_context(|| format!("fill {at}"))?;
        }
    }
    Ok(events)
}

fn append(log: &dyn Log, codec: &Codec, at: Partition, part: Part) -> anyhow::Result<u64> {
    let mut writer = Writer::new(codec.clone(), part, &Position::default(), HashMap::new(), START);
    let (told, reports) = sync_channel(UNDER_WAY * 2);
    let (mut sent, mut open) = (0, 0);
    loop {
        let mut batch: Vec<_> = writer.by_ref().take(BATCH).collect();
        let over = batch.is_empty();
        if over {
            // Whoever reads the partition knows by that where everything is done.
            writer.settle();
            batch = writer.rest();
        }
        let (first, length) = (sent, batch.len() as u64);
        let told = told.clone();
        log.append(at, writer.claim(), first, batch, Arc::new(move |delivered| drop(told.send(delivered))));
        (sent, open) = (sent + length, open + 1);
        while open >= UNDER_WAY || (over && open > 0) {
            check(&reports)?;
            open -= 1;
        }
        if over {
            return Ok(writer.events);
        }
    }
}

/// Every record must lie where it would if nobody else wrote.
fn check(reports: &Receiver<Vec<Delivered>>) -> anyhow::Result<()> {
    for Delivered { seq, result, .. } in reports.recv_timeout(PATIENCE).context("the log does not acknowledge")? {
        match result {
            Ok(offset) if u64::try_from(offset) == Ok(seq) => {}
            Ok(offset) => bail!("a record lies at offset {offset} instead of {seq}: somebody else writes"),
            Err(error) => bail!("a record was not appended: {error}"),
        }
    }
    Ok(())
}
