//! A record on its way out: where it lies, what it is, and what every reader makes of it.

use bytes::Bytes;
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::{Partition, Record, Traced};
use event_log::validity::{Position, Void};

/// What a record turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Valid,
    /// It never counts.
    Void(Why),
    /// An event of a command whose others had not come.
    Partial,
    /// It cannot be, and everything behind it is unknown.
    Broken(String),
}

/// Why a record never counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// As every reader says.
    Void(Void),
    /// Its command was not complete when the next owner took over.
    Unfinished,
}

impl Standing {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Void(_) => "void",
            Self::Partial => "partial",
            Self::Broken(_) => "broken",
        }
    }

    /// Why it does not count, if it does not.
    pub fn why(&self) -> Option<&str> {
        Some(match self {
            Self::Valid | Self::Partial => return None,
            Self::Void(Why::Void(Void::OldTerm)) => "old_term",
            Self::Void(Why::Void(Void::Duplicate)) => "duplicate",
            Self::Void(Why::Void(Void::AfterHole)) => "after_hole",
            Self::Void(Why::Unfinished) => "unfinished",
            Self::Broken(why) => why,
        })
    }
}

/// The word for a kind of record.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "event",
        Kind::Claim => "claim",
        Kind::Barrier => "barrier",
        Kind::Settled => "settled",
    }
}

/// A record and its verdict.
#[derive(Debug, Clone)]
pub struct Row {
    /// The topic and partition.
    pub at: Partition,
    /// Its place there.
    pub offset: i64,
    /// The broker's clock when it was appended.
    pub log_time: Timestamp,
    /// Its key: an aggregate's id, or `_control`.
    pub key: Bytes,
    /// Its value in Confluent wire format.
    pub value: Bytes,
    /// Its header; none if it has none that can be read.
    pub frame: Option<Frame>,
    /// What it turned out to be.
    pub standing: Standing,
    /// The trace it belongs to, if it was recorded.
    pub trace: Traced,
    /// Where reading can begin again behind it; none in the middle of a command.
    pub after: Option<Position>,
}

impl Row {
    /// A record of a partition.
    pub fn new(at: Partition, record: Record, frame: Option<Frame>, standing: Standing) -> Self {
        let Record { offset, timestamp, key, header: _, value, trace } = record;
        Self { at, offset, log_time: timestamp, key, value, frame, standing, trace, after: None }
    }

    /// The key as text.
    pub fn key_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}
