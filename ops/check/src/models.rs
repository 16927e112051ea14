//! Every row of every read model, held against the fold of the log up to the read model's own checkpoints.
//!
//! The fold is the services' own code on rows in memory: what is found here is what a transaction, a restart or a hand
//! did to the rows, not what a fold means. What a fold means, the sums say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use event_log::log::{Partition, Record};
use event_log::validity::Position;
use projectors::generations::overview;
use projectors::memory::{Filling, MemoryRows, fillings};
use projectors::parked::Aside;
use projectors::rows::Merging;
use projectors::verify::{apart, checkpoints, differences, short};
use projectors::{LAYOUTS, Layout, Names, Written};
use schemas::Codec;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Connection as _, PgPool};

use super::report::{Faults, Law};

/// So many records are folded before they are written into the rows in memory.
const BATCH: usize = 2_000;

/// Every row of every read model is what its events fold to, and every checkpoint is where a reader would stand.
pub const ROWS: &str = "every read model is the log up to its own offset";

/// Rows of a table by their keys.
type Rows = BTreeMap<Vec<String>, Map<String, Value>>;

/// What Postgres has of one read model, as of one moment.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Which one.
    pub layout: &'static Layout,
    /// Where it stands.
    pub checkpoints: BTreeMap<Partition, Position>,
    /// Every row of every table.
    pub tables: BTreeMap<&'static str, Vec<Value>>,
    /// Events that wait because their key is parked, and whether each is the one that cannot be folded.
    pub parked: BTreeMap<(Partition, i64), bool>,
    /// Events that somebody had left out.
    pub skipped: BTreeSet<(Partition, i64)>,
}

/// Reads every row of the read models of events, as they were at one moment; the log is to be read after them.
///
/// # Errors
/// The namespace cannot name schemas, or whatever the database says.
pub async fn from_postgres(pool: &PgPool, namespace: &str) -> anyhow::Result<Vec<Stored>> {
    let names = Names::of(namespace)?;
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    sqlx::query("set transaction isolation level repeatable read read only").execute(&mut *tx).await?;
    let known = overview(&mut *tx, &names).await?;
    let mut all = Vec::new();
    for layout in LAYOUTS.iter().filter(|layout| projectors::READS.iter().any(|(name, _)| *name == layout.name)) {
        let live = known.get(layout.name).with_context(|| format!("there is no read model {}", layout.name))?.live;
        ensure!(
            live.version == layout.version,
            "readers see {live} of {}, and this program knows version {}: use the one of that release",
            layout.name,
            layout.version
        );
        let schema = names.generation(layout.name, live);
        let checkpoints = checkpoints(&mut tx, &schema).await?;
        let mut tables = BTreeMap::new();
        for table in layout.table_names {
            // The text is ours: names of tables, and a name that was checked.
            let sql = AssertSqlSafe(format!("select to_jsonb(t) from {schema}.{table} t"));
            tables.insert(*table, sqlx::query_scalar(sql).fetch_all(&mut *tx).await?);
        }
        let (parked, skipped) = apart(&mut tx, &schema).await?;
        all.push(Stored { layout, checkpoints, tables, parked, skipped });
    }
    tx.commit().await?;
    Ok(all)
}

/// Folds the log beside the facts, each read model as far as it says that it has come.
pub struct Folding {
    stored: Vec<Stored>,
    rows: MemoryRows,
    fillings: Vec<Box<dyn Filling>>,
    waiting: usize,
    records: u64,
    broken: Faults,
}

impl std::fmt::Debug for Folding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folding").field("records", &self.records).finish_non_exhaustive()
    }
}

impl Folding {
    /// Begins with the first record of every partition that a read model has a checkpoint of.
    pub fn of(stored: Vec<Stored>, codec: &Codec) -> Self {
        let rows = MemoryRows::default();
        let mut fillings = fillings(codec, &rows);
        fillings.retain(|filling| stored.iter().any(|known| known.layout.name == filling.layout().name));
        let mut folding = Self { stored, rows, fillings, waiting: 0, records: 0, broken: Faults::default() };
        for at in 0..folding.fillings.len() {
            let places: Vec<Partition> =
                folding.of_filling(at).map(|stored| stored.checkpoints.keys().copied().collect()).unwrap_or_default();
            folding.fillings[at].load(&places).expect("rows in memory fail only when told to");
            let (poison, skipped) = folding.of_filling(at).map(set_apart).unwrap_or_default();
            folding.fillings[at].told(poison, skipped);
        }
        folding
    }

    fn of_filling(&self, at: usize) -> Option<&Stored> {
        let name = self.fillings[at].layout().name;
        self.stored.iter().find(|stored| stored.layout.name == name)
    }

    /// Takes the next record of a partition in; its schema is known.
    pub fn take(&mut self, place: Partition, record: &Record) {
        let mut broken = None;
        for at in 0..self.fillings.len() {
            let next =
                self.of_filling(at).and_then(|stored| stored.checkpoints.get(&place)).map(|position| position.next);
            if next.is_none_or(|next| record.offset >= next) {
                continue;
            }
            self.records += 1;
            self.waiting += 1;
            if let Err(error) = self.fillings[at].read(place, vec![record.clone()]) {
                broken = Some(format!("{place}: the fold of {} stops: {error}", self.fillings[at].layout().name));
            }
        }
        if let Some(broken) = broken {
            self.broken.add(broken);
        }
        if self.waiting >= BATCH {
            self.write();
        }
    }

    fn write(&mut self) {
        self.waiting = 0;
        for filling in self.fillings.iter_mut().filter(|filling| filling.has_moved()) {
            // What the rows refuse here, Postgres would have refused, too.
            if !matches!(filling.write(), Ok(Written::Rows { .. })) {
                self.broken.add(format!("{}: an event cannot be folded that is not parked", filling.layout().name));
            }
        }
    }

    /// Whether every row, and every checkpoint, is what the log makes of it.
    pub fn law(mut self) -> Law {
        self.write();
        let mut faults = self.broken.clone();
        let (mut rows, mut tables) = (0, 0);
        for stored in &self.stored {
            let folded = self.rows.positions(stored.layout);
            positions(stored, &folded, &mut faults);
            waiting(stored, &self.rows.parked(stored.layout), &mut faults);
            let ours = self.rows.tables(stored.layout);
            for (table, theirs) in &stored.tables {
                tables += 1;
                rows += theirs.len();
                let ours = ours.get(table).map(Vec::as_slice).unwrap_or_default();
                compare(stored.layout, table, ours, theirs, &mut faults);
            }
        }
        let parked: usize = self.stored.iter().map(|stored| stored.parked.len()).sum();
        let parked = if parked > 0 { format!(", {parked} events wait in parked keys") } else { String::new() };
        let numbers = format!(
            "{rows} rows in {tables} tables of {} read models, {} records folded{parked}",
            self.stored.len(),
            self.records
        );
        Law::new(ROWS, numbers, faults)
    }
}

/// Where events lie.
type Places = BTreeSet<(Partition, i64)>;

/// Which events could not be folded, and which were left out.
fn set_apart(stored: &Stored) -> (Places, Places) {
    let poison = stored.parked.iter().filter(|(_, poison)| **poison).map(|(at, _)| *at);
    (poison.collect(), stored.skipped.clone())
}

/// From its poison event on, every event of a parked key waits, and no other does.
fn waiting(stored: &Stored, ours: &[Aside], faults: &mut Faults) {
    let ours: BTreeSet<(Partition, i64)> = ours.iter().map(|aside| (aside.place, aside.offset)).collect();
    let theirs: BTreeSet<(Partition, i64)> = stored.parked.keys().copied().collect();
    for (place, offset) in ours.difference(&theirs) {
        faults.add(format!("{}: the event at {offset} of {place} should wait and was folded", stored.layout.name));
    }
    for (place, offset) in theirs.difference(&ours) {
        faults.add(format!("{}: the event at {offset} of {place} waits behind nothing", stored.layout.name));
    }
}

fn positions(stored: &Stored, folded: &BTreeMap<Partition, Position>, faults: &mut Faults) {
    for (place, theirs) in &stored.checkpoints {
        let ours = folded.get(place).copied().unwrap_or_default();
        if ours != *theirs {
            faults.add(format!(
                "{} stands in {place} at {theirs:?}, a reader of the log at {ours:?}",
                stored.layout.name
            ));
        }
    }
}

/// Names every difference: table, key, column, both values.
fn compare(layout: &Layout, table: &str, log: &[Value], postgres: &[Value], faults: &mut Faults) {
    let keys = keys(layout, table);
    let (log, postgres) = (by_key(&keys, log), by_key(&keys, postgres));
    let name = |key: &[String]| format!("{}.{table} [{}]", layout.name, key.join(", "));
    for (key, ours) in &log {
        let Some(theirs) = postgres.get(key) else {
            faults.add(format!("{}: Postgres lacks the row", name(key)));
            continue;
        };
        differences(layout, table, ours, theirs).into_iter().for_each(|fault| faults.add(fault));
    }
    for key in postgres.keys().filter(|key| !log.contains_key(*key)) {
        faults.add(format!("{}: the log gives no such row", name(key)));
    }
}

fn keys(layout: &Layout, table: &str) -> Vec<&'static str> {
    let merge = layout.merges.iter().find(|merge| merge.table == table);
    let columns = merge.into_iter().flat_map(|merge| merge.columns);
    columns.filter(|column| column.merging == Merging::Key).map(|column| column.name).collect()
}

fn by_key(keys: &[&str], rows: &[Value]) -> Rows {
    let row = |row: &Value| {
        let row = row.as_object().cloned().unwrap_or_default();
        let key =
            |name: &&str| row.get(*name).map_or_else(String::new, |value| short(value).trim_matches('"').to_owned());
        (keys.iter().map(key).collect(), row)
    };
    rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests;
