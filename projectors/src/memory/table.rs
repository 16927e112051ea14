//! A table in memory: what a merge means, done by hand.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use imbl::OrdMap;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::model::Layout;
use crate::rows::{Cell, Column, Merge, Merging, Missing};

/// What columns hold, in the order of their names: a whole table of rows has to fit, so it is kept small.
type Row = Vec<(&'static str, Kept)>;

/// What a column holds.
#[derive(Debug, Clone)]
enum Kept {
    Cell(Cell),
    /// JSON as text takes a tenth of what a tree of it takes.
    Json(Box<str>),
}

/// Rows by their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(OrdMap<Arc<[KeyPart]>, Arc<Row>>);

/// A part of what tells a row from the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum KeyPart {
    Uuid(Uuid),
    Text(Box<str>),
}

impl Table {
    /// Merges one change, and tells how many rows there were.
    pub(super) fn merge(&mut self, merge: &Merge, cells: Vec<Cell>) -> u64 {
        let columns = merge.columns;
        let key: Arc<[KeyPart]> = columns.iter().zip(&cells).filter_map(|(column, cell)| part(column, cell)).collect();
        match (self.0.get_mut(&key), merge.missing) {
            (Some(row), _) => {
                let row = Arc::make_mut(row);
                let said = |name| columns.iter().zip(&cells).any(|(it, cell)| it.name == name && *cell != Cell::Null);
                let told = |column: &Column| match column.merging {
                    Merging::With(other) => said(other),
                    Merging::Key | Merging::Set | Merging::Keep | Merging::Add => true,
                };
                let told: Vec<bool> = columns.iter().map(told).collect();
                let changes = columns.iter().zip(cells).zip(told).filter(|(_, told)| *told);
                for ((column, cell), _) in changes {
                    match row.binary_search_by_key(&column.name, |(name, _)| name) {
                        Ok(at) => {
                            let old = std::mem::replace(&mut row[at].1, Kept::Cell(Cell::Null));
                            row[at].1 = Kept::from(merged(column, old.into(), cell));
                        }
                        Err(at) => row.insert(at, (column.name, Kept::from(merged(column, Cell::Null, cell)))),
                    }
                }
                1
            }
            (None, Missing::Insert) => {
                let cells = cells.into_iter().map(Kept::from);
                let mut row: Row = columns.iter().map(|column| column.name).zip(cells).collect();
                row.sort_unstable_by_key(|(name, _)| *name);
                self.0.insert(key, Arc::new(row));
                1
            }
            (None, Missing::Skip) => 0,
        }
    }

    /// The JSON in a column of the row with this key.
    pub(super) fn value(&self, key: Uuid, column: &str) -> Option<Value> {
        match find(self.0.get([KeyPart::Uuid(key)].as_slice())?, column)? {
            Kept::Json(text) => Some(parse(text)),
            Kept::Cell(_) => None,
        }
    }

    /// Every row with all of these columns, in key order.
    pub(super) fn rows(&self, columns: &BTreeSet<&'static str>) -> Vec<Value> {
        self.objects(columns).map(Value::Object).collect()
    }

    /// The same as objects.
    pub(super) fn objects(&self, columns: &BTreeSet<&'static str>) -> impl Iterator<Item = Map<String, Value>> {
        self.0.values().map(|row| object(row, columns))
    }

    /// Takes a row out, with all of these columns.
    pub(super) fn take(&mut self, key: &[KeyPart], columns: &BTreeSet<&'static str>) -> Option<Map<String, Value>> {
        self.0.remove(key).map(|row| object(&row, columns))
    }
}

fn object(row: &Row, columns: &BTreeSet<&'static str>) -> Map<String, Value> {
    let value = |name: &&'static str| ((*name).to_owned(), find(row, name).map_or(Value::Null, json));
    columns.iter().map(value).collect()
}

fn find<'a>(row: &'a Row, column: &str) -> Option<&'a Kept> {
    row.binary_search_by_key(&column, |(name, _)| name).ok().map(|at| &row[at].1)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("it was written here")
}

impl From<Cell> for Kept {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Json(value) => Self::Json(value.to_string().into()),
            cell => Self::Cell(cell),
        }
    }
}

impl From<Kept> for Cell {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Json(text) => Self::Json(parse(&text)),
            Kept::Cell(cell) => cell,
        }
    }
}

/// The columns that tell which row of a table is meant, in the order of the changes.
pub(super) fn key_columns(layout: &Layout, table: &str) -> Vec<&'static Column> {
    layout.merges.iter().find(|merge| merge.table == table).into_iter().flat_map(|merge| merge.keys()).collect()
}

/// The columns of a table.
pub(super) fn columns(layout: &Layout, table: &str) -> BTreeSet<&'static str> {
    let merges = layout.merges.iter().filter(|merge| merge.table == table);
    merges.flat_map(|merge| merge.columns).map(|column| column.name).collect()
}

/// What becomes of a column of a row that exists.
fn merged(column: &Column, old: Cell, new: Cell) -> Cell {
    match (column.merging, old, new) {
        (Merging::Key | Merging::Set | Merging::With(_), _, new) => new,
        (Merging::Keep | Merging::Add, old, Cell::Null) => old,
        (Merging::Add, Cell::Int(old), Cell::Int(new)) => Cell::Int(old + new),
        (Merging::Keep | Merging::Add, _, new) => new,
    }
}

pub(super) fn part(column: &Column, cell: &Cell) -> Option<KeyPart> {
    match (column.merging, cell) {
        (Merging::Key, Cell::Uuid(id)) => Some(KeyPart::Uuid(*id)),
        (Merging::Key, Cell::Text(text)) => Some(KeyPart::Text(text.as_str().into())),
        (Merging::Key, other) => unreachable!("{other:?} is no key"),
        (Merging::Set | Merging::With(_) | Merging::Keep | Merging::Add, _) => None,
    }
}

/// As `to_jsonb` writes it.
fn json(kept: &Kept) -> Value {
    match kept {
        Kept::Json(text) => parse(text),
        Kept::Cell(Cell::Null) => Value::Null,
        Kept::Cell(Cell::Uuid(id)) => Value::String(id.hyphenated().to_string()),
        Kept::Cell(Cell::Text(text)) => Value::String(text.clone()),
        Kept::Cell(Cell::Int(value)) => Value::from(*value),
        Kept::Cell(Cell::Bytes(bytes)) => Value::String(hex(bytes)),
        Kept::Cell(Cell::Json(value)) => value.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::from("\\x");
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string never fails");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Kind, add, keep, key, set, with};

    static UPSERT: Merge = Merge::upsert(
        "things",
        &[key("id", Kind::Uuid), set("name", Kind::Text), keep("note", Kind::Text), add("count")],
    );
    static UPDATE: Merge = Merge::update("things", &[key("id", Kind::Uuid), add("more")]);

    #[test]
    fn a_change_makes_a_row_or_is_merged_into_it() {
        let mut table = Table::default();
        let id = Uuid::from_u128(1);
        let row = |name: &str, note: Option<&str>, count: Option<i64>| {
            vec![id.into(), name.into(), note.into(), count.into()]
        };
        assert_eq!(table.merge(&UPDATE, vec![id.into(), 1_i64.into()]), 0);
        assert_eq!(table.merge(&UPSERT, row("a", Some("x"), Some(2))), 1);
        assert_eq!(table.merge(&UPSERT, row("b", None, Some(3))), 1);
        assert_eq!(table.merge(&UPSERT, row("c", None, None)), 1);
        assert_eq!(table.merge(&UPDATE, vec![id.into(), 7_i64.into()]), 1);
        let columns = BTreeSet::from(["id", "name", "note", "count", "more", "never"]);
        let expected = serde_json::json!({
            "id": id, "name": "c", "note": "x", "count": 5, "more": 7, "never": null
        });
        assert_eq!(table.rows(&columns), [expected]);
    }

    #[test]
    fn what_belongs_together_changes_together_or_not_at_all() {
        static PARTS: Merge = Merge::upsert(
            "things",
            &[key("id", Kind::Uuid), with("name", Kind::Text, "name"), with("note", Kind::Text, "name"), add("count")],
        );
        let mut table = Table::default();
        let id = Uuid::from_u128(1);
        let mut merge = |name: Option<&str>, note: Option<&str>| {
            table.merge(&PARTS, vec![id.into(), name.into(), note.into(), Cell::Null]);
            let rows = table.rows(&BTreeSet::from(["name", "note"]));
            (rows[0]["name"].clone(), rows[0]["note"].clone())
        };
        assert_eq!(merge(None, Some("early")), (Value::Null, "early".into()), "a new row is what the change says");
        assert_eq!(merge(Some("a"), Some("x")), ("a".into(), "x".into()));
        assert_eq!(merge(None, Some("y")), ("a".into(), "x".into()));
        assert_eq!(merge(Some("b"), None), ("b".into(), Value::Null));
    }

    #[test]
    fn bytes_are_written_as_postgres_does() {
        assert_eq!(json(&Cell::Bytes(vec![0, 171]).into()), "\\x00ab");
    }
}
