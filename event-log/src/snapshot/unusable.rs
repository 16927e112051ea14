//! Why a snapshot is not used.

use std::io;

use uuid::Uuid;

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The operating system does not give it.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// Another kind of file.
    #[error("it is no snapshot")]
    NotASnapshot,
    /// Shorter or longer than it says.
    #[error("it has {found} bytes instead of {expected}")]
    Truncated { expected: u64, found: u64 },
    /// Bits have changed.
    #[error("its checksum does not fit")]
    Corrupt,
    /// Written by another version.
    #[error("its layout {0} is not known to this version")]
    Layout(u16),
    /// Written by a version with other rules.
    #[error("it was written by a version with other rules")]
    OtherShape,
    /// A file in the wrong place.
    #[error("it belongs to another partition, or to another count of partitions")]
    OtherPartition,
    /// The log is another one.
    #[error("it belongs to another log: that began with claim {expected}, this one with {found:?}")]
    Foreign { expected: Uuid, found: Option<Uuid> },
    /// The log has lost records.
    #[error("it was taken at offset {offset}, and the log ends at {end}")]
    TooNew { offset: i64, end: i64 },
    /// The log has lost records, and got others since.
    #[error("what the log has below offset {offset} is not what it was taken from")]
    OtherHistory { offset: i64 },
    /// So much lies before it that does not count, that nobody looked further.
    #[error("what the log has below offset {offset} does not tell whether it was taken from it")]
    Unproven { offset: i64 },
    /// It does not say what its name or header says.
    #[error("its body is no state of this partition: {0}")]
    Body(String),
}

impl Unusable {
    /// It with its cause, on one line.
    pub(super) fn chain(&self) -> String {
        match self {
            Self::Unreadable(source) => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}
