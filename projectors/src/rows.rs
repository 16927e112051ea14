//! Row changes as data: which row a change is for, and what becomes of each column. What a merge means is said once
//! here, and carried out by `postgres` and by `memory`.

use serde_json::Value;
use uuid::Uuid;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `uuid`
    Uuid,
    /// `text`
    Text,
    /// `integer`
    Int,
    /// `bigint`
    Big,
    /// `bytea`
    Bytes,
    /// `jsonb`
    Json,
}

/// What becomes of a column of a row that exists. In a row that does not, every column is what the change says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// It tells which row is meant.
    Key,
    /// It becomes what the change says, null too.
    Set,
    /// It becomes what the change says, unless that is null.
    Keep,
    /// It becomes what the change says, null too, if the change says something of this other column; else it is kept.
    With(&'static str),
    /// What the change says is added to it; null adds nothing, and to null it is added as to 0.
    Add,
}

/// A column of a change.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name in the table.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What becomes of it.
    pub merging: Merging,
}

/// What happens if there is no such row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made.
    Insert,
    /// Nothing.
    Skip,
}

/// How one sort of change is merged into a table.
#[derive(Debug, Clone, Copy)]
pub struct Merge {
    /// The table.
    pub table: &'static str,
    /// What happens without a row.
    pub missing: Missing,
    /// The columns, in the order of a change's cells.
    pub columns: &'static [Column],
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Of any kind.
    Null,
    /// Of `uuid`.
    Uuid(Uuid),
    /// Of `text`.
    Text(String),
    /// Of `integer` and `bigint`.
    Int(i64),
    /// Of `bytea`.
    Bytes(Vec<u8>),
    /// Of `jsonb`.
    Json(Value),
}

/// Changes of one sort, at most one for a row, in key order. Rows that several partitions write have one sort of change
/// alone: so all who write them lock them in one order.
#[derive(Debug, Clone)]
pub struct Rows {
    /// How they are merged.
    pub merge: &'static Merge,
    /// The changes; cells in the order of the merge's columns.
    pub rows: Vec<Vec<Cell>>,
}

/// What has to be looked up before a batch can be written.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// In which table.
    pub table: &'static str,
    /// By which column, a `uuid`.
    pub key: &'static str,
    /// What of it, a `jsonb`.
    pub column: &'static str,
    /// Of which rows.
    pub keys: Vec<Uuid>,
}

/// A column that tells which row is meant.
pub(crate) const fn key(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, merging: Merging::Key }
}

/// A column that becomes what the change says.
pub(crate) const fn set(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, merging: Merging::Set }
}

/// A column that becomes what the change says wherever the change has `other`.
pub(crate) const fn with(name: &'static str, kind: Kind, other: &'static str) -> Column {
    Column { name, kind, merging: Merging::With(other) }
}

/// A column that becomes what the change says, unless that is null.
pub(crate) const fn keep(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, merging: Merging::Keep }
}

/// A `bigint` to which the change is added.
pub(crate) const fn add(name: &'static str) -> Column {
    Column { name, kind: Kind::Big, merging: Merging::Add }
}

impl Merge {
    /// Changes that make the row if there is none.
    pub(crate) const fn upsert(table: &'static str, columns: &'static [Column]) -> Self {
        Self { table, missing: Missing::Insert, columns }
    }

    /// Changes of rows that are there already.
    pub(crate) const fn update(table: &'static str, columns: &'static [Column]) -> Self {
        Self { table, missing: Missing::Skip, columns }
    }

    /// The changes of a batch.
    pub(crate) fn rows<const N: usize>(&'static self, rows: impl Iterator<Item = [Cell; N]>) -> Rows {
        assert_eq!(N, self.columns.len(), "a cell for every column of {}", self.table);
        Rows { merge: self, rows: rows.map(Vec::from).collect() }
    }

    /// The columns that tell which row is meant.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| column.merging == Merging::Key)
    }
}

impl From<Uuid> for Cell {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Vec<u8>> for Cell {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
