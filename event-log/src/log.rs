//! The seam between the protocol and what carries it: Kafka in production, memory in tests and simulation.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use domain::root::Context;
use domain::trace::TraceContext;
use domain::value::Timestamp;
use uuid::Uuid;

use crate::frame::LENGTH;

/// About how many bytes the header of a trace takes.
const TRACED: usize = 70;

/// One partition of one event topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Which topic.
    pub context: Context,
    /// Which partition of it.
    pub number: u32,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.context.topic(), self.number)
    }
}

/// The recorded trace that something belongs to; none for nearly everything, and then it costs nothing.
pub type Traced = Option<Arc<TraceContext>>;

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The aggregate's id as 36 lower-case characters, or `_control`.
    pub key: String,
    /// The `frame` header.
    pub header: [u8; LENGTH],
    /// The value in Confluent wire format.
    pub value: Vec<u8>,
    /// The `traceparent` header, if it has one.
    pub trace: Traced,
}

impl NewRecord {
    /// About how many bytes it takes on the wire.
    pub fn size(&self) -> usize {
        let traced = if self.trace.is_some() { TRACED } else { 0 };
        self.key.len() + LENGTH + self.value.len() + 32 + traced
    }
}

/// A record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub offset: i64,
    /// The broker's clock when it was appended.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Bytes,
    /// The `frame` header; empty if it has none.
    pub header: Bytes,
    /// The value in Confluent wire format.
    pub value: Bytes,
    /// The `traceparent` header, if it has a sound one.
    pub trace: Traced,
}

/// What became of one appended record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The claim it was appended under.
    pub claim: Uuid,
    /// Its sequence number.
    pub seq: u64,
    /// The offset it got, or why that is not known. After an error the record may still be in the log.
    pub result: Result<i64, String>,
}

/// Gets the delivery reports, in order of `seq`, from a thread of the log's.
pub type Reports = Arc<dyn Fn(Vec<Delivered>) + Send + Sync>;

/// What following a partition yields.
#[derive(Debug, Clone)]
pub enum Followed {
    /// The next records, without a gap.
    Records(Vec<Record>),
    /// Everything below this offset, the log's end at some moment, has been handed over.
    End(i64),
    /// It cannot be followed: the position is outside the log. Nothing more comes.
    Lost {
        /// The log's first offset.
        start: i64,
        /// The log's end.
        end: i64,
    },
}

/// Gets what following yields, from a thread of the log's; may block to slow it down.
pub type Follower = Arc<dyn Fn(Followed) + Send + Sync>;

/// Following goes on until this is dropped.
pub trait Following: Send + Sync {}

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset there is.
    pub start: i64,
    /// The offset that the next record gets.
    pub end: i64,
}

/// Why the log did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}: {detail}")]
pub struct LogError {
    /// What was attempted.
    pub attempted: &'static str,
    /// What the client library says.
    pub detail: String,
}

/// A log of partitions. Appends of one partition keep their order.
pub trait Log: Send + Sync + 'static {
    /// Appends records in order, without waiting. `first_seq` numbers the first one in the reports;
    /// every record is reported exactly once, an error too.
    fn append(&self, to: Partition, claim: Uuid, first_seq: u64, records: Vec<NewRecord>, reports: Reports);

    /// Hands over every record from an offset on, and tells each time the end is reached.
    fn follow(&self, at: Partition, from: i64, follower: Follower) -> Box<dyn Following>;

    /// Where the partition begins and ends now. May block for seconds.
    ///
    /// # Errors
    /// The log does not answer.
    fn bounds(&self, at: Partition) -> Result<Bounds, LogError>;

    /// The record at an offset; none if the log has none there (any more, or yet). May block for seconds.
    ///
    /// # Errors
    /// The log does not answer.
    fn record(&self, at: Partition, offset: i64) -> Result<Option<Record>, LogError>;
}
