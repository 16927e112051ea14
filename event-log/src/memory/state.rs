//! What lies in a log in memory, and what is under way to and from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use domain::value::Timestamp;

use super::Fault;
use crate::batch::Batch;
use crate::log::{Followed, Follower, NewRecord, Partition, Record};

/// Records handed to a follower at once, at most.
const RECORDS: usize = 512;

/// Everything, under one lock.
#[derive(Default)]
pub(super) struct State {
    /// Something may have to be done.
    pub(super) dirty: bool,
    pub(super) lanes: BTreeMap<Partition, Lane>,
    pub(super) writers: BTreeMap<(u64, Partition), Writer>,
    pub(super) followers: BTreeMap<u64, Follow>,
}

/// What lies in a partition.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) start: i64,
    pub(super) records: VecDeque<Record>,
}

/// What a writer has under way to a partition.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) plan: VecDeque<Fault>,
    pub(super) queued: VecDeque<Queued>,
    pub(super) delayed: VecDeque<Queued>,
    pub(super) unreported: VecDeque<(Arc<Batch>, usize, Result<i64, String>)>,
}

pub(super) struct Queued {
    pub(super) record: NewRecord,
    pub(super) batch: Arc<Batch>,
    pub(super) index: usize,
}

/// A follower and how far it has come.
pub(super) struct Follow {
    pub(super) writer: u64,
    pub(super) at: Partition,
    pub(super) next: i64,
    pub(super) ended: Option<i64>,
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) follower: Follower,
}

impl Lane {
    pub(super) fn end(&self) -> i64 {
        self.records.back().map_or(self.start, |last| last.offset + 1)
    }

    pub(super) fn push(&mut self, record: &NewRecord, timestamp: Timestamp) -> i64 {
        let offset = self.end();
        self.records.push_back(Record {
            offset,
            timestamp,
            key: Bytes::copy_from_slice(record.key.as_bytes()),
            header: Bytes::copy_from_slice(&record.header),
            value: Bytes::copy_from_slice(&record.value),
            trace: record.trace.clone(),
        });
        offset
    }
}

impl State {
    /// What the next follower that has not everything is to get; those that stopped are forgotten.
    pub(super) fn next_followed(
        &mut self,
        writer: u64,
        at: Partition,
    ) -> Option<(Follower, Arc<AtomicBool>, Followed)> {
        self.followers.retain(|_, following| !following.stopped.load(Ordering::Acquire));
        let lane = self.lanes.entry(at).or_default();
        let (start, end) = (lane.start, lane.end());
        let own = self.followers.iter_mut().filter(|(_, it)| it.writer == writer && it.at == at);
        for (id, following) in own {
            let to = (Arc::clone(&following.follower), Arc::clone(&following.stopped));
            if following.next < start || following.next > end {
                let id = *id;
                self.followers.remove(&id);
                return Some((to.0, to.1, Followed::Lost { start, end }));
            }
            if following.next < end {
                let skipped = usize::try_from(following.next - start).expect("a position in memory");
                let records: Vec<Record> = lane.records.iter().skip(skipped).take(RECORDS).cloned().collect();
                following.next = records.last().expect("the end is further on").offset + 1;
                return Some((to.0, to.1, Followed::Records(records)));
            }
            if following.ended != Some(end) {
                following.ended = Some(end);
                return Some((to.0, to.1, Followed::End(end)));
            }
        }
        None
    }
}
