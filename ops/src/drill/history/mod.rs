//! A long log for the drills: made purchases in valid frames, appended as the owners of the partitions would have.

mod purchases;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::event::Event;
use domain::root::Context;
use domain::value::Timestamp;
use event_log::log::{Delivered, Log, NewRecord, Partition};
use event_log::partition::partition_of;
use event_log::validity::Position;
use mixes::{Mix, STEP_US, Writer};
use schemas::Codec;

pub(super) use purchases::Part;
use purchases::Purchases;

/// Records of one append.
const BATCH: usize = 500;
/// Appends under way.
const UNDER_WAY: usize = 16;
/// The broker says something within so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    /// Events of each topic.
    pub(super) topics: BTreeMap<&'static str, u64>,
}

impl Written {
    /// Of all topics.
    pub(super) fn events(&self) -> u64 {
        self.topics.values().sum()
    }
}

/// What one partition is to write next.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<VecDeque<Event>>>);

impl Mix for Feed {
    fn next(&mut self, _at: Timestamp) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().into_iter().collect()
    }
}

struct Lane {
    feed: Feed,
    writer: Writer<Feed>,
    batch: Vec<NewRecord>,
    sent: u64,
}

struct Lanes<'a> {
    log: &'a dyn Log,
    lanes: BTreeMap<Partition, Lane>,
    told: SyncSender<(Partition, Vec<Delivered>)>,
    reports: Receiver<(Partition, Vec<Delivered>)>,
    open: usize,
}

/// Writes so many events, and those that end what they began. Nobody may own a partition meanwhile. Blocks.
///
/// # Errors
/// The log does not answer, or somebody else writes.
pub(super) fn write(
    log: &dyn Log,
    codec: &Codec,
    partitions: u32,
    (events, part): (u64, Part),
    seed: u64,
) -> anyhow::Result<Written> {
    let mut purchases = Purchases::new(seed, part);
    let begin = service_kit::clock::now().0 - i64::try_from(events)? * STEP_US;
    let mut lanes = Lanes::open(log, codec, (partitions, part), Timestamp(begin));
    let mut written = Written::default();
    let mut count = 0;
    while let Some(event) = purchases.next(Timestamp(begin + i64::try_from(count)? * STEP_US), count >= events) {
        count += 1;
        let (context, key) = (event.context(), event.aggregate());
        *written.topics.entry(context.topic()).or_default() += 1;
        lanes.take(Partition { context, number: partition_of(key, partitions) }, event)?;
    }
    lanes.end()?;
    Ok(written)
}

impl<'a> Lanes<'a> {
    fn open(log: &'a dyn Log, codec: &Codec, (partitions, part): (u32, Part), at: Timestamp) -> Self {
        let (told, reports) = sync_channel(UNDER_WAY * 2);
        let of = |context: &'static Context| (0..partitions).map(|number| Partition { context: *context, number });
        let places = part.contexts().iter().flat_map(of);
        let lane = |place| {
            let feed = Feed::default();
            let writer = Writer::new(codec.clone(), feed.clone(), &Position::default(), HashMap::new(), at);
            (place, Lane { feed, writer, batch: Vec::with_capacity(BATCH), sent: 0 })
        };
        Self { log, lanes: places.map(lane).collect(), told, reports, open: 0 }
    }

    fn take(&mut self, at: Partition, event: Event) -> anyhow::Result<()> {
        let lane = self.lanes.get_mut(&at).with_context(|| format!("nothing is written to {at}"))?;
        lane.feed.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        lane.batch.extend(lane.writer.by_ref());
        if lane.batch.len() >= BATCH { self.send(at) } else { Ok(()) }
    }

    fn send(&mut self, at: Partition) -> anyhow::Result<()> {
        let lane = self.lanes.get_mut(&at).with_context(|| format!("nothing is written to {at}"))?;
        let batch = std::mem::replace(&mut lane.batch, Vec::with_capacity(BATCH));
        let (first, length) = (lane.sent, batch.len() as u64);
        lane.sent += length;
        let told = self.told.clone();
        let report = move |delivered: Vec<Delivered>| drop(told.send((at, delivered)));
        self.log.append(at, lane.writer.claim(), first, batch, Arc::new(report));
        self.open += 1;
        while self.open >= UNDER_WAY {
            self.check()?;
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<()> {
        for at in self.lanes.keys().copied().collect::<Vec<_>>() {
            if let Some(lane) = self.lanes.get_mut(&at) {
                // Everything that any of it caused is in the log, too.
                lane.writer.settle();
                lane.batch.extend(lane.writer.rest());
            }
            self.send(at)?;
        }
        while self.open > 0 {
            self.check()?;
        }
        Ok(())
    }

    /// Every record must lie where it would if nobody else wrote.
    fn check(&mut self) -> anyhow::Result<()> {
        let (at, delivered) = self.reports.recv_timeout(PATIENCE).context("the log does not acknowledge")?;
        self.open -= 1;
        for Delivered { seq, result, .. } in delivered {
            match result {
                Ok(offset) if i64::try_from(seq) == Ok(offset) => {}
                Ok(offset) => bail!("record {seq} of {at} lies at offset {offset}: somebody else writes"),
                Err(error) => bail!("a record of {at} was not appended: {error}"),
            }
        }
        Ok(())
    }
}
