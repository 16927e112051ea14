//! Where rows go: a terminal, lines of JSON, CSV or Parquet.

pub mod csv;
pub mod jsonl;
pub mod lines;
pub mod parquet;

use std::borrow::Cow;

use event_log::log::Partition;
use schemas::{Codec, DecodeError, RecordType};
use serde::{Deserialize, Serialize};

use crate::row::Row;
use crate::tree::{Tree, tree};

/// The file of what lies in the log and cannot be read.
pub const UNREADABLE: &str = "Unreadable";

/// A file, or a part of one, that is safe on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The type of its records, such as `OrderPaid`; `*` for all of them.
    #[serde(rename = "type")]
    pub of: String,
    /// Its name below the export's folder.
    pub file: String,
    /// So many records.
    pub rows: u64,
    /// So many bytes of it count.
    pub bytes: u64,
}

/// Takes rows, and keeps them.
pub trait Sink: Send {
    /// Takes a row.
    ///
    /// # Errors
    /// It cannot be read or written.
    fn take(&mut self, row: &Row) -> anyhow::Result<()>;

    /// Makes everything safe that was taken, and says where it is.
    ///
    /// # Errors
    /// It cannot be written.
    fn keep(&mut self) -> anyhow::Result<Vec<Piece>>;

    /// Leaves everything as it is to stay. May be done again.
    ///
    /// # Errors
    /// It cannot be written.
    fn finish(&mut self) -> anyhow::Result<Vec<Piece>> {
        self.keep()
    }

    /// Takes away what is not needed any more, once it is known for good where everything is.
    ///
    /// # Errors
    /// It cannot be deleted.
    fn tidy(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Shows what was taken to whoever looks, if that is not expensive.
    ///
    /// # Errors
    /// It cannot be written.
    fn show(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A record, read as far as its type.
pub struct Read<'r> {
    /// What it is.
    pub record: RecordType,
    /// Its schema.
    pub tree: &'static Tree,
    /// Its fields as this version writes them.
    pub datum: Cow<'r, [u8]>,
}

/// Reads a record as far as its type.
///
/// # Errors
/// It is none that this version knows.
pub fn read<'r>(codec: &Codec, row: &'r Row) -> Result<Read<'r>, DecodeError> {
    let (record, datum) = codec.datum(&row.value)?;
    Ok(Read { record, tree: tree(record), datum })
}

/// A type's name without its namespace.
pub fn short(record: RecordType) -> &'static str {
    let name = record.full_name();
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

/// A record that counts cannot be read, and nothing may be left out.
#[derive(Debug, thiserror::Error)]
#[error("the record at offset {offset} of {at} counts and cannot be read")]
pub struct Unreadable {
    at: Partition,
    offset: i64,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// That a row cannot be read, where nothing may be left out.
pub fn unreadable(row: &Row, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Unreadable {
    Unreadable { at: row.at, offset: row.offset, source: error.into() }
}
