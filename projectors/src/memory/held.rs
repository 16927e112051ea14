//! A table in memory held against another one, row by row; in buckets of keys, so that a table need not fit into memory.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::table::{KeyPart, Table, columns, key_columns, part};
use crate::model::Layout;
use crate::rows::{Cell, Column, Merge};

/// One of so many parts of all keys: those whose first column falls into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Which, from 0.
    pub number: u64,
    /// Of how many.
    pub of: u64,
}

impl Bucket {
    fn has(self, first: &KeyPart) -> bool {
        let mut hasher = DefaultHasher::new();
        first.hash(&mut hasher);
        hasher.finish() % self.of == self.number
    }

    pub(super) fn has_row(self, merge: &Merge, cells: &[Cell]) -> bool {
        let mut parts = merge.columns.iter().zip(cells).filter_map(|(column, cell)| part(column, cell));
        parts.next().is_none_or(|first| self.has(&first))
    }
}

/// The rows of a table that no row of the other one was found for yet.
#[derive(Debug)]
pub struct Held {
    keys: Vec<&'static Column>,
    columns: BTreeSet<&'static str>,
    table: Table,
}

impl Held {
    pub(super) fn new(layout: &Layout, table: &'static str, rows: Table) -> Self {
        Self { keys: key_columns(layout, table), columns: columns(layout, table), table: rows }
    }

    /// The columns that events write.
    pub fn columns(&self) -> &BTreeSet<&'static str> {
        &self.columns
    }

    /// The first column of a row's key, if it is an id.
    pub fn first(&self, row: &Map<String, Value>) -> Option<Uuid> {
        row.get(self.keys.first()?.name)?.as_str()?.parse().ok()
    }

    /// Whether a row of the other table belongs to this bucket.
    pub fn is_in(&self, bucket: Bucket, row: &Map<String, Value>) -> bool {
        self.key(row).and_then(|key| key.into_iter().next()).is_none_or(|first| bucket.has(&first))
    }

    /// Takes out the row with the same key as this one.
    pub fn take(&mut self, row: &Map<String, Value>) -> Option<Map<String, Value>> {
        let key = self.key(row)?;
        self.table.take(&key, &self.columns)
    }

    /// What is left.
    pub fn rest(&self) -> Vec<Map<String, Value>> {
        self.table.objects(&self.columns).collect()
    }

    fn key(&self, row: &Map<String, Value>) -> Option<Vec<KeyPart>> {
        let part = |column: &&Column| {
            let text = row.get(column.name)?.as_str()?;
            Some(match column.kind {
                crate::rows::Kind::Uuid => KeyPart::Uuid(text.parse().ok()?),
                _ => KeyPart::Text(text.into()),
            })
        };
        self.keys.iter().map(part).collect()
    }
}
