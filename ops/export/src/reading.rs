//! Reads partitions and hands out what is asked for, in order.
//!
//! Invariant: what comes out, and in which order, depends on the log and the marks alone, so that a reading that goes on
//! from marks hands out exactly what was missing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use event_log::log::{Bounds, Followed, Log, Partition};
use event_log::partition::partition_of_key;
use schemas::{Codec, RecordType, schema_id};

use crate::feed::{Feed, lost};
use crate::lane::{Lane, Mark, order};
use crate::range::Wanted;
use crate::row::Row;

/// Batches of all partitions that wait for us, while they are followed.
const WAITING: usize = 16;
/// So often something is said while nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// And after so many records.
const TICK_EVERY: u64 = 100;

/// In which order partitions come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All at once, by the log's clock.
    Merged,
    /// One after the other, which takes the memory of one.
    OneByOne,
}

/// Who gets the rows.
pub trait Taker {
    /// Takes the next row.
    ///
    /// # Errors
    /// It cannot be written.
    fn take(&mut self, row: Row) -> anyhow::Result<()>;

    /// Is told now and then how far everything is; a good moment to make things safe.
    ///
    /// # Errors
    /// They cannot be made safe.
    fn tick(&mut self, lanes: &[Lane]) -> anyhow::Result<()>;
}

/// Partitions to be read.
pub struct Reading {
    log: Arc<dyn Log>,
    codec: Codec,
    types: std::collections::BTreeSet<RecordType>,
    /// The partitions, in the order in which they come out one by one.
    pub lanes: Vec<Lane>,
    stop: Arc<AtomicBool>,
    read: u64,
}

/// The partitions that hold what is asked for.
pub fn places(wanted: &Wanted, partitions: u32) -> Vec<Partition> {
    // Control records have a key of their own, which lies everywhere.
    let key = wanted.key.as_ref().filter(|key| uuid::Uuid::parse_str(key).is_ok());
    let only = key.map(|key| partition_of_key(key.as_bytes(), partitions));
    let all = wanted
        .topics
        .iter()
        .flat_map(|context| (0..partitions).map(move |number| Partition { context: *context, number }));
    all.filter(|at| only.is_none_or(|only| only == at.number)).collect()
}

impl Reading {
    /// Everything that is asked for, from the beginning to where the log ends now. `log` must teach the codec what it
    /// hands over (`event_log::learning`).
    ///
    /// # Errors
    /// The log does not answer.
    pub fn begin(log: Arc<dyn Log>, codec: Codec, wanted: &Wanted, partitions: u32) -> anyhow::Result<Self> {
        let lane = |at| {
            let bounds = bounds(&*log, at)?;
            Ok(Lane::new(at, wanted.slice(at, bounds), Mark::default(), bounds.end))
        };
        let lanes = places(wanted, partitions).into_iter().map(lane).collect::<anyhow::Result<Vec<Lane>>>()?;
        Ok(Self::of(log, codec, wanted, lanes))
    }

    /// Reads these.
    pub fn of(log: Arc<dyn Log>, codec: Codec, wanted: &Wanted, lanes: Vec<Lane>) -> Self {
        Self { log, codec, types: wanted.types.clone(), lanes, stop: Arc::default(), read: 0 }
    }

    /// Set, it ends the reading at the next row.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether it was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// A partition is broken, the log does not answer, or the taker cannot take.
    pub fn run(&mut self, order: Order, taker: &mut dyn Taker) -> anyhow::Result<()> {
        match order {
            Order::Merged => self.merge(0..self.lanes.len(), taker),
            Order::OneByOne => (0..self.lanes.len()).try_for_each(|lane| self.merge(lane..lane + 1, taker)),
        }?;
        taker.tick(&self.lanes)
    }

    fn merge(&mut self, lanes: std::ops::Range<usize>, taker: &mut dyn Taker) -> anyhow::Result<()> {
        let mut feeds: Vec<Option<Feed>> = Vec::new();
        let mut heads = BinaryHeap::new();
        for lane in lanes.clone() {
            let Lane { at, .. } = self.lanes[lane];
            let open = !self.lanes[lane].is_over();
            feeds.push(open.then(|| Feed::open(&*self.log, at, self.lanes[lane].next())));
        }
        for lane in lanes.clone() {
            self.fill(lane, &mut feeds[lane - lanes.start], &mut heads, taker)?;
        }
        while let Some(Reverse((_, lane))) = heads.pop() {
            if self.is_stopped() {
                return Ok(());
            }
            let row = self.lanes[lane].pop().expect("its head was there");
            self.hand_over(row, taker)?;
            self.fill(lane, &mut feeds[lane - lanes.start], &mut heads, taker)?;
        }
        Ok(())
    }

    /// Reads a partition on until its next row is known.
    fn fill(
        &mut self,
        lane: usize,
        feed: &mut Option<Feed>,
        heads: &mut BinaryHeap<Reverse<(OrderOf, usize)>>,
        taker: &mut dyn Taker,
    ) -> anyhow::Result<()> {
        let stop = Arc::clone(&self.stop);
        while self.lanes[lane].head().is_none() && !self.lanes[lane].is_over() {
            let Some(open) = feed else { break };
            let Some(record) = open.next(&|| stop.load(Ordering::Acquire))? else { return Ok(()) };
            let at = self.lanes[lane].at;
            self.lanes[lane].take(record).with_context(|| format!("{at} is broken"))?;
            self.read += 1;
            if self.read.is_multiple_of(TICK_EVERY) {
                taker.tick(&self.lanes)?;
            }
        }
        if self.lanes[lane].is_over() {
            *feed = None;
        }
        if let Some(head) = self.lanes[lane].head() {
            heads.push(Reverse((order(head), lane)));
        }
        Ok(())
    }

    fn hand_over(&self, row: Row, taker: &mut dyn Taker) -> anyhow::Result<()> {
        let record = || schema_id(&row.value).and_then(|id| self.codec.record_type(id));
        if self.types.is_empty() || record().is_some_and(|record| self.types.contains(&record)) {
            taker.take(row)?;
        }
        Ok(())
    }

    /// Goes on with whatever comes, until it is told to stop. Partitions come out as they come in.
    ///
    /// # Errors
    /// As for [`Reading::run`].
    pub fn follow(&mut self, taker: &mut dyn Taker) -> anyhow::Result<()> {
        let (sender, followed) = sync_channel(WAITING);
        let mut followings = Vec::new();
        for (lane, open) in self.lanes.iter_mut().enumerate() {
            open.go_on();
            let sender = sender.clone();
            let follower = Arc::new(move |it| drop(sender.send((lane, it))));
            followings.push(self.log.follow(open.at, open.next(), follower));
        }
        let ended = loop {
            if self.is_stopped() {
                break Ok(());
            }
            let taken = match followed.recv_timeout(TICK) {
                Ok((lane, it)) => self.followed(lane, it, taker),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept here"),
            };
            if let Err(error) = taken.and_then(|()| taker.tick(&self.lanes)) {
                break Err(error);
            }
        };
        drop(followed);
        ended
    }

    fn followed(&mut self, lane: usize, followed: Followed, taker: &mut dyn Taker) -> anyhow::Result<()> {
        let at = self.lanes[lane].at;
        match followed {
            Followed::Records(records) => {
                for record in records {
                    self.lanes[lane].take(record).with_context(|| format!("{at} is broken"))?;
                    while let Some(row) = self.lanes[lane].pop() {
                        self.hand_over(row, taker)?;
                    }
                }
                Ok(())
            }
            Followed::End(_) => Ok(()),
            Followed::Lost { start, end } => bail!(lost(at, start, end)),
        }
    }
}

type OrderOf = (domain::value::Timestamp, Partition);

fn bounds(log: &dyn Log, at: Partition) -> anyhow::Result<Bounds> {
    let bounds = log.bounds(at).with_context(|| format!("ask where {at} ends"))?;
    if bounds.start > 0 {
        bail!(
            "{at} begins at offset {}: what came before is gone, and so nothing behind it can be judged",
            bounds.start
        );
    }
    Ok(bounds)
}
