//! One reading of the log, up to where a generation stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use event_log::log::{Followed, Log, Partition, Record};
use event_log::validity::Position;
use schemas::{Codec, schema_id};
use tokio::runtime::Handle;

use super::{Apart, VerifyError};
use crate::decoding::learn;
use crate::memory::{Filling, MemoryRows, fillings};
use crate::projection::Written;

/// So many records are folded before they are written into the rows in memory.
const BATCH: usize = 10_000;
/// Messages of the log that wait for us.
const WAITING: usize = 16;
/// The log says something within so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Folds every partition from its beginning, and tells which ones cannot be read on. Blocks.
pub(super) fn fold(
    log: &dyn Log,
    codec: &Codec,
    handle: &Handle,
    (name, rows): (&str, &MemoryRows),
    (positions, (parked, skipped)): (&BTreeMap<Partition, Position>, Apart),
    done: &AtomicU64,
) -> Result<Vec<String>, VerifyError> {
    let filling = fillings(codec, rows).into_iter().find(|filling| filling.layout().name == name);
    let mut filling = filling.expect("every read model of events can be filled in memory");
    let places: Vec<Partition> = positions.keys().copied().collect();
    filling.load(&places).expect("rows in memory fail only when told to");
    let poison = parked.into_iter().filter(|(_, poison)| *poison).map(|(at, _)| at);
    filling.told(poison.collect(), skipped);
    let mut broken = Vec::new();
    for (place, position) in positions.iter().filter(|(_, position)| position.next > 0) {
        let mut reading = Reading { codec, handle, filling: &mut *filling, done, waiting: 0 };
        if let Some(fault) = reading.partition(log, *place, position.next)? {
            broken.push(fault);
        }
    }
    Ok(broken)
}

struct Reading<'a> {
    codec: &'a Codec,
    handle: &'a Handle,
    filling: &'a mut dyn Filling,
    done: &'a AtomicU64,
    waiting: usize,
}

impl Reading<'_> {
    /// Reads up to this offset; tells why if it cannot be read so far.
    fn partition(&mut self, log: &dyn Log, place: Partition, end: i64) -> Result<Option<String>, VerifyError> {
        let (sender, received) = sync_channel(WAITING);
        // Nobody takes it any more once enough was read.
        let following = log.follow(place, 0, Arc::new(move |followed| drop(sender.send(followed))));
        let mut next = 0;
        let mut fault = None;
        while next < end && fault.is_none() {
            let followed = received.recv_timeout(PATIENCE);
            match followed.map_err(|_| VerifyError::Log(format!("{place} does not answer")))? {
                Followed::Records(mut records) => {
                    records.retain(|record| record.offset < end);
                    next = records.last().map_or(next, |last| last.offset + 1);
                    fault = self.take(place, records);
                }
                Followed::End(at) if at < end => fault = Some(format!("{place} ends at {at}, before {end}")),
                Followed::End(_) => {}
                Followed::Lost { start, .. } => fault = Some(format!("{place} begins at {start} only")),
            }
        }
        // First the receiver: whoever waits to hand something over then returns.
        drop(received);
        drop(following);
        let unwritten = self.write();
        Ok(fault.or(unwritten))
    }

    fn take(&mut self, place: Partition, records: Vec<Record>) -> Option<String> {
        let count = records.len();
        for id in records.iter().filter_map(|record| schema_id(&record.value)) {
            if !self.codec.knows(id) {
                // What does not help is found out by decoding.
                let _ = self.handle.block_on(learn(self.codec, id));
            }
        }
        let fault = self.filling.read(place, records).err().map(|why| format!("{place} cannot be read on: {why}"));
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        self.waiting += count;
        let unwritten = if self.waiting >= BATCH { self.write() } else { None };
        fault.or(unwritten)
    }

    fn write(&mut self) -> Option<String> {
        self.waiting = 0;
        if !self.filling.has_moved() {
            return None;
        }
        // What the rows refuse here, Postgres would have refused, too.
        let written = self.filling.write().expect("rows in memory fail only when told to");
        let whole = matches!(written, Written::Rows { .. });
        (!whole).then(|| "an event cannot be folded that is not parked".to_owned())
    }
}
