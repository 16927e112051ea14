//! How an owner stands: for readiness, for whoever asks, and as metrics of its partition.

use std::collections::VecDeque;
use std::time::Duration;

use domain::value::Timestamp;
use imbl::OrdSet;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use uuid::Uuid;

use crate::log::{Delivered, Partition};
use crate::snapshot::SnapshotTaken;

/// Batches whose acknowledgement is waited for; an owner has at most as many records under way.
const MOST_UNDER_WAY: usize = 500;

/// How an owner stands, for readiness, metrics and whoever asks about open things.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Whether it serves.
    pub serving: bool,
    /// Why it stopped for good, if it did.
    pub broken: Option<String>,
    /// The current term.
    pub term: u32,
    /// The claim of that term, whoever made it; nil before the first.
    pub claim: Uuid,
    /// The next offset of the acknowledged state.
    pub next: i64,
    /// How many records it still has to read before it can serve; 0 while it serves.
    pub lag: i64,
    /// Whether it knows where the log ends and has read so far, or will never.
    pub caught_up: bool,
    /// How many commands wait.
    pub waiting: usize,
    /// How many events have something in the outbox.
    pub outbox: usize,
    /// How many outgoing commands were sent and wait for their answer.
    pub open_sends: usize,
    /// What something outside has to be asked about.
    pub watched: OrdSet<Uuid>,
    /// How many records did not count.
    pub void: u64,
    /// How many callers were left in doubt.
    pub in_doubt: u64,
    /// The newest snapshot that this owner began with or that was written since.
    pub snapshot: Option<SnapshotTaken>,
    /// How long the last recovery took, from the start (or the doubt) to serving, milliseconds; none before the first.
    pub recovery_ms: Option<u64>,
    /// How many records were read since that start or doubt.
    pub replayed: u64,
}

/// The metrics of one partition; made once, because looking them up costs more than setting them.
pub(super) struct Meters {
    serving: Gauge,
    term: Gauge,
    next_offset: Gauge,
    lag: Gauge,
    snapshot_age: Gauge,
    outbox: Gauge,
    open_sends: Gauge,
    waiting: Gauge,
    broken: Gauge,
    recovery: Gauge,
    pub(super) void: Counter,
    pub(super) in_doubt: Counter,
    pub(super) appends: Appends,
}

/// The metrics of appending, of all partitions together.
pub(super) struct Appends {
    records: Counter,
    bytes: Counter,
    batch_records: Histogram,
    took: Histogram,
    /// Batches that are not acknowledged: the last sequence number of each, and when it was sent.
    under_way: VecDeque<(Uuid, u64, Duration)>,
}

impl Appends {
    fn new() -> Self {
        Self {
            records: counter!("boxoffice_appended_records_total"),
            bytes: counter!("boxoffice_appended_bytes_total"),
            batch_records: histogram!("boxoffice_batch_records"),
            took: histogram!("boxoffice_append_seconds"),
            under_way: VecDeque::new(),
        }
    }

    /// A batch is sent.
    pub(super) fn sent(&mut self, claim: Uuid, first_seq: u64, records: usize, bytes: usize, now: Duration) {
        let records = records as u64;
        self.records.increment(records);
        self.bytes.increment(bytes as u64);
        self.batch_records.record(records as f64);
        if self.under_way.len() < MOST_UNDER_WAY {
            self.under_way.push_back((claim, (first_seq + records).saturating_sub(1), now));
        }
    }

    /// Reports came, in order. What failed, or is of an earlier claim, is not timed.
    pub(super) fn delivered(&mut self, reports: &[Delivered], now: Duration) {
        let Some(last) = reports.last() else { return };
        if last.result.is_err() {
            self.under_way.clear();
        }
        let over = |(claim, seq, _): &mut (Uuid, u64, Duration)| *claim != last.claim || *seq <= last.seq;
        while let Some((claim, _, sent)) = self.under_way.pop_front_if(over) {
            if claim == last.claim {
                self.took.record(now.saturating_sub(sent).as_secs_f64());
            }
        }
    }
}

impl Meters {
    pub(super) fn of(partition: Partition) -> Self {
        let labels = [("topic", partition.context.topic().to_owned()), ("partition", partition.number.to_string())];
        Self {
            serving: gauge!("boxoffice_partition_serving", &labels),
            term: gauge!("boxoffice_partition_term", &labels),
            next_offset: gauge!("boxoffice_partition_next_offset", &labels),
            lag: gauge!("boxoffice_partition_lag", &labels),
            snapshot_age: gauge!("boxoffice_partition_snapshot_age_seconds", &labels),
            outbox: gauge!("boxoffice_partition_outbox", &labels),
            open_sends: gauge!("boxoffice_partition_open_sends", &labels),
            waiting: gauge!("boxoffice_partition_waiting", &labels),
            broken: gauge!("boxoffice_partition_broken", &labels),
            recovery: gauge!("boxoffice_partition_recovery_seconds", &labels),
            void: counter!("boxoffice_partition_void_total", &labels),
            in_doubt: counter!("boxoffice_partition_in_doubt_total", &labels),
            appends: Appends::new(),
        }
    }

    /// Shows a status. The age is that of the snapshot, in seconds; without a snapshot it is not a number.
    pub(super) fn show(&self, status: &Status, now: Timestamp) {
        self.serving.set(f64::from(u8::from(status.serving)));
        self.term.set(f64::from(status.term));
        self.next_offset.set(status.next as f64);
        self.lag.set(status.lag as f64);
        self.snapshot_age.set(status.snapshot.map_or(f64::NAN, |taken| (now.0 - taken.at.0) as f64 / 1e6));
        self.outbox.set(status.outbox as f64);
        self.open_sends.set(status.open_sends as f64);
        self.waiting.set(status.waiting as f64);
        self.broken.set(f64::from(u8::from(status.broken.is_some())));
        self.recovery.set(status.recovery_ms.map_or(f64::NAN, |ms| ms as f64 / 1e3));
    }

    /// What was given up is not shown as if it still went on here.
    pub(super) fn clear(&self) {
        for gauge in [&self.serving, &self.lag, &self.outbox, &self.open_sends, &self.waiting, &self.broken] {
            gauge.set(0.0);
        }
        self.snapshot_age.set(f64::NAN);
        self.recovery.set(f64::NAN);
    }
}
