//! How the partitions of an instance stand, as it tells operators and other instances.

use event_log::driver::Status;
use event_log::log::Partition;
use serde::{Deserialize, Serialize};
use service_kit::clock;
use uuid::Uuid;

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub instance: String,
    /// Where it is reached.
    pub url: String,
    /// The store of its snapshots.
    pub store: Uuid,
    /// Whether the group that hands out partitions knows it.
    pub member: bool,
    /// What it owns.
    pub partitions: Vec<Row>,
}

/// One partition of one event topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The topic without its namespace.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
    /// Whether it is served.
    pub serving: bool,
    /// Why it is not, if a person has to look.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub broken: Option<String>,
    /// The term of the current claim.
    pub term: u32,
    /// The next offset of the acknowledged state.
    pub next_offset: i64,
    /// How many records are still to be read before it is served.
    pub lag: i64,
    /// The offset of the newest snapshot.
    pub snapshot_offset: Option<i64>,
    /// How old that is, seconds.
    pub snapshot_age_s: Option<i64>,
    /// Events that have something in the outbox.
    pub outbox: usize,
    /// Outgoing commands that wait for their answer.
    pub open_sends: usize,
    /// Commands that wait.
    pub waiting: usize,
    /// Records that did not count, since this instance owns the partition.
    pub void: u64,
    /// Callers that were left in doubt, since this instance owns the partition.
    pub in_doubt: u64,
    /// How long the last recovery took.
    pub recovery_ms: Option<u64>,
}

impl Row {
    /// How a partition stands.
    pub fn of(partition: Partition, status: &Status) -> Self {
        let age_s = |at: domain::value::Timestamp| (clock::now().0 - at.0) / 1_000_000;
        Self {
            topic: partition.context.topic().to_owned(),
            partition: partition.number,
            serving: status.serving,
            broken: status.broken.clone(),
            term: status.term,
            next_offset: status.next,
            lag: status.lag,
            snapshot_offset: status.snapshot.map(|taken| taken.offset),
            snapshot_age_s: status.snapshot.map(|taken| age_s(taken.at)),
            outbox: status.outbox,
            open_sends: status.open_sends,
            waiting: status.waiting,
            void: status.void,
            in_doubt: status.in_doubt,
            recovery_ms: status.recovery_ms,
        }
    }
}
