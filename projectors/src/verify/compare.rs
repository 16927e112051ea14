//! Rows of the database and rows of the fold, side by side.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use event_log::partition::partition_of;
use futures::TryStreamExt as _;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::memory::{Bucket, GENERATED, Held};
use crate::model::Layout;

/// So many faults are told in words.
const TOLD: usize = 20;
/// A value is shown up to so many characters.
const SHOWN: usize = 80;

/// What is not as it should be: all are counted, the first ones are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// How many.
    pub count: u64,
    /// The first ones.
    pub first: Vec<String>,
}

/// Rows whose key falls into one partition, as the database has them and as the log gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionSums {
    /// Rows of the database.
    pub rows: u64,
    /// Rows that the log gives.
    pub expected_rows: u64,
    /// Sum of the hashes of the database's rows.
    pub checksum: u64,
    /// Sum of the hashes of the rows that the log gives.
    pub expected_checksum: u64,
}

/// What was found in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableVerified {
    /// Its name.
    pub table: &'static str,
    /// By the partition that a row's key falls into.
    pub partitions: Vec<PartitionSums>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: String) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(fault);
        }
    }

    /// Sums that differ although no row did would be a bug here: they are told all the same.
    pub(super) fn sums(&mut self, layout: &Layout, tables: &[TableVerified]) {
        for table in tables {
            for (number, it) in table.partitions.iter().enumerate().filter(|(_, it)| !it.agree()) {
                self.add(format!(
                    "{}.{} partition {number}: {} rows with checksum {:016x}, the log gives {} with {:016x}",
                    layout.name, table.table, it.rows, it.checksum, it.expected_rows, it.expected_checksum
                ));
            }
        }
    }
}

impl PartitionSums {
    /// Whether both are the same.
    pub fn agree(&self) -> bool {
        (self.rows, self.checksum) == (self.expected_rows, self.expected_checksum)
    }
}

impl TableVerified {
    pub(super) fn new(table: &'static str, partitions: u32) -> Self {
        Self { table, partitions: vec![PartitionSums::default(); partitions as usize] }
    }

    /// Rows of the database.
    pub fn rows(&self) -> u64 {
        self.partitions.iter().map(|it| it.rows).sum()
    }

    /// Rows that the log gives.
    pub fn expected_rows(&self) -> u64 {
        self.partitions.iter().map(|it| it.expected_rows).sum()
    }

    /// The sum of all rows' hashes.
    pub fn checksum(&self) -> u64 {
        self.partitions.iter().fold(0, |sum, it| sum.wrapping_add(it.checksum))
    }
}

/// Holds one table against what was folded of this bucket.
pub(super) async fn table(
    tx: &mut PgConnection,
    (schema, layout): (&str, &Layout),
    (into, faults): (&mut TableVerified, &mut Faults),
    (mut held, bucket): (Held, Bucket),
) -> Result<(), sqlx::Error> {
    let name = into.table;
    let sql = format!("select to_jsonb(t) from {schema}.{name} t");
    let mut rows = sqlx::query_scalar::<_, Value>(AssertSqlSafe(sql)).fetch(tx);
    while let Some(row) = rows.try_next().await? {
        let Value::Object(theirs) = row else { continue };
        if !held.is_in(bucket, &theirs) {
            continue;
        }
        let number = partition(&held, &theirs, into.partitions.len());
        let sums = &mut into.partitions[number];
        sums.rows += 1;
        sums.checksum = sums.checksum.wrapping_add(checksum(&held, &theirs));
        match held.take(&theirs) {
            Some(ours) => {
                sums.expected_rows += 1;
                sums.expected_checksum = sums.expected_checksum.wrapping_add(checksum(&held, &ours));
                differences(layout, name, &ours, &theirs).into_iter().for_each(|fault| faults.add(fault));
            }
            None => faults.add(format!("{}: the log gives no such row", named(layout, name, &theirs))),
        }
    }
    drop(rows);
    for ours in held.rest() {
        let number = partition(&held, &ours, into.partitions.len());
        let sums = &mut into.partitions[number];
        sums.expected_rows += 1;
        sums.expected_checksum = sums.expected_checksum.wrapping_add(checksum(&held, &ours));
        faults.add(format!("{}: Postgres lacks the row", named(layout, name, &ours)));
    }
    Ok(())
}

/// Every column in which a row of the database is not what the log gives.
pub fn differences(
    layout: &Layout,
    table: &str,
    log: &Map<String, Value>,
    database: &Map<String, Value>,
) -> Vec<String> {
    let name = || named(layout, table, log);
    let mut all = Vec::new();
    for (column, value) in log {
        let found = database.get(column).unwrap_or(&Value::Null);
        if found != value {
            let (found, value) = (short(found), short(value));
            all.push(format!("{}.{column}: Postgres has {found}, the log gives {value}", name()));
        }
    }
    let strange =
        |column: &&String| !log.contains_key(*column) && !GENERATED.contains(&(layout.name, table, column.as_str()));
    let strange = database.keys().filter(strange);
    all.extend(strange.map(|column| format!("{}.{column}: no event writes this column", name())));
    all
}

/// A row by its read model, table and key.
fn named(layout: &Layout, table: &str, row: &Map<String, Value>) -> String {
    let merge = layout.merges.iter().find(|merge| merge.table == table);
    let keys = merge.into_iter().flat_map(|merge| merge.keys());
    let value = |name: &str| row.get(name).map_or_else(String::new, |value| short(value).trim_matches('"').to_owned());
    let key: Vec<String> = keys.map(|column| value(column.name)).collect();
    format!("{}.{table} [{}]", layout.name, key.join(", "))
}

/// A value as it is shown.
pub fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The partition that its key falls into.
fn partition(held: &Held, row: &Map<String, Value>, count: usize) -> usize {
    let count = u32::try_from(count).expect("there are few partitions");
    held.first(row).map_or(0, |id| partition_of(id, count) as usize)
}

/// Of the columns that events write, in the order of their names.
fn checksum(held: &Held, row: &Map<String, Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for column in held.columns() {
        column.hash(&mut hasher);
        row.get(*column).unwrap_or(&Value::Null).to_string().hash(&mut hasher);
    }
    hasher.finish()
}
