//! Read models without a database: for the simulation, which runs the same projections on rows in memory, and for the
//! checker, which compares what Postgres has with what the log folds to.
//!
//! Invariant: after the same batches the rows here are those of Postgres, column by column, but for what Postgres
//! computes by itself ([`GENERATED`]).

mod fill;
mod held;
mod table;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use event_log::log::Partition;
use event_log::validity::Position;
use imbl::OrdMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use crate::model::{Layout, Touched};
use crate::parked::Aside;
use crate::rows::{Cell, Kind, Rows, Wanted};
use crate::store::{RowStore, Transaction};
pub use fill::{Filling, fillings};
pub use held::{Bucket, Held};
use table::Table;

/// Columns that Postgres computes from the others, as (read model, table, column): they are not in memory.
pub const GENERATED: [(&str, &str, &str); 3] =
    [("orders", "orders", "phase"), ("orders", "orders", "known_email"), ("shows", "shows", "search_vector")];

/// What becomes of a transaction that changes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreFault {
    /// Nothing.
    None,
    /// It cannot be begun.
    Begin,
    /// Its commit fails, and nothing of it counts.
    LoseCommit,
    /// Its commit is told to have failed, and all of it counts.
    LoseAnswer,
    /// Its rows are refused for what they hold, as Postgres refuses a NUL character.
    Refuse,
}

/// The rows in memory did as they were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rows in memory were told to fail: {0:?}")]
pub struct ToldToFail(pub StoreFault);

/// The rows and checkpoints of every read model. Cheap to clone: all clones are the same rows.
///
/// One transaction at a time: a second one waits.
#[derive(Debug, Clone, Default)]
pub struct MemoryRows(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    models: BTreeMap<&'static str, Model>,
    only: Option<Bucket>,
    faults: VecDeque<StoreFault>,
}

/// What one read model has; cloned in O(1), so that a transaction works on a copy.
#[derive(Debug, Clone, Default)]
struct Model {
    checkpoints: OrdMap<Partition, Position>,
    tables: OrdMap<&'static str, Table>,
    asides: OrdMap<(Partition, i64), Aside>,
}

/// The rows of one read model.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    rows: MemoryRows,
    name: &'static str,
}

/// A transaction in memory.
#[derive(Debug)]
pub struct MemoryTransaction {
    all: OwnedMutexGuard<All>,
    name: &'static str,
    model: Model,
    merged: bool,
}

impl MemoryRows {
    /// Rows of one bucket of keys; changes of all other rows are dropped.
    ///
    /// # Panics
    /// Never: nobody knows these rows yet.
    pub fn only(bucket: Bucket) -> Self {
        let rows = Self::default();
        rows.now(|all| all.only = Some(bucket));
        rows
    }

    /// A table, to be held against another one.
    ///
    /// # Panics
    /// A transaction is under way.
    pub fn held(&self, layout: &Layout, table: &'static str) -> Held {
        let model = self.now(|all| all.models.get(layout.name).cloned().unwrap_or_default());
        Held::new(layout, table, model.tables.get(table).cloned().unwrap_or_default())
    }

    /// The rows of a read model.
    pub fn store(&self, layout: &Layout) -> MemoryStore {
        MemoryStore { rows: self.clone(), name: layout.name }
    }

    /// What becomes of the next transactions that change rows, one after the other; nothing of those after them, nor of
    /// those that only look or move checkpoints.
    ///
    /// # Panics
    /// A transaction is under way.
    pub fn plan(&self, faults: impl IntoIterator<Item = StoreFault>) {
        self.now(|all| all.faults.extend(faults));
    }

    /// Whatever was planned and did not happen yet is forgotten.
    ///
    /// # Panics
    /// A transaction is under way.
    pub fn forget_plan(&self) {
        self.now(|all| all.faults.clear());
    }

    /// Every row of every table of a read model, in key order, as `select to_jsonb(t)` gives it.
    ///
    /// # Panics
    /// A transaction is under way.
    pub fn tables(&self, layout: &Layout) -> BTreeMap<&'static str, Vec<Value>> {
        let model = self.now(|all| all.models.get(layout.name).cloned().unwrap_or_default());
        let rows = |name: &&'static str| {
            let table = model.tables.get(name).cloned().unwrap_or_default();
            (*name, table.rows(&table::columns(layout, name)))
        };
        layout.table_names.iter().map(rows).collect()
    }

    /// Where a read model stands.
    ///
    /// # Panics
    /// A transaction is under way.
    pub fn positions(&self, layout: &Layout) -> BTreeMap<Partition, Position> {
        self.now(|all| {
            let checkpoints = all.models.get(layout.name).map(|model| model.checkpoints.clone());
            checkpoints.unwrap_or_default().into_iter().collect()
        })
    }

    /// The events of a read model that wait, in the order of their partitions' logs.
    ///
    /// # Panics
    /// A transaction is under way.
    pub fn parked(&self, layout: &Layout) -> Vec<Aside> {
        self.now(|all| all.models.get(layout.name).map(|model| model.asides.values().cloned().collect()))
            .unwrap_or_default()
    }

    /// A read model is emptied, checkpoints too.
    ///
    /// # Panics
    /// A transaction is under way.
    pub fn wipe(&self, layout: &Layout) {
        self.now(|all| all.models.remove(layout.name));
    }

    fn now<T>(&self, ask: impl FnOnce(&mut All) -> T) -> T {
        ask(&mut self.0.try_lock().expect("nobody asks in the middle of a transaction"))
    }
}

impl RowStore for MemoryStore {
    type Error = ToldToFail;
    type Transaction = MemoryTransaction;

    async fn begin(&self) -> Result<MemoryTransaction, ToldToFail> {
        let mut all = Arc::clone(&self.rows.0).lock_owned().await;
        if let Some(fault) = all.faults.pop_front_if(|fault| *fault == StoreFault::Begin) {
            return Err(ToldToFail(fault));
        }
        let model = all.models.get(self.name).cloned().unwrap_or_default();
        Ok(MemoryTransaction { all, name: self.name, model, merged: false })
    }

    fn refusal(ToldToFail(fault): &ToldToFail) -> Option<String> {
        (*fault == StoreFault::Refuse).then(|| "the rows in memory refuse it".to_owned())
    }
}

impl MemoryTransaction {
    /// The events that wait.
    pub(crate) fn asides(&self) -> &OrdMap<(Partition, i64), Aside> {
        &self.model.asides
    }

    /// The same, to be changed.
    pub(crate) fn asides_mut(&mut self) -> &mut OrdMap<(Partition, i64), Aside> {
        &mut self.model.asides
    }
}

/// What Postgres cannot hold either.
fn is_refused(kind: Kind, cell: &Cell) -> bool {
    match cell {
        Cell::Text(text) => text.contains('\0'),
        Cell::Json(value) => value.to_string().contains("\\u0000"),
        Cell::Int(value) => kind == Kind::Int && i32::try_from(*value).is_err(),
        Cell::Null | Cell::Uuid(_) | Cell::Bytes(_) => false,
    }
}

impl Transaction for MemoryTransaction {
    type Error = ToldToFail;

    async fn found(&mut self, places: &[Partition]) -> Result<(), ToldToFail> {
        for place in places {
            self.model.checkpoints.entry(*place).or_default();
        }
        Ok(())
    }

    async fn positions(&mut self, places: &[Partition]) -> Result<Vec<Option<Position>>, ToldToFail> {
        Ok(places.iter().map(|place| self.model.checkpoints.get(place).copied()).collect())
    }

    async fn locked(&mut self, places: &[Partition]) -> Result<Vec<Option<Position>>, ToldToFail> {
        self.positions(places).await
    }

    async fn advance(&mut self, to: &[(Partition, Position)]) -> Result<(), ToldToFail> {
        self.model.checkpoints.extend(to.iter().copied());
        Ok(())
    }

    async fn look_up<T: DeserializeOwned + Send>(&mut self, wanted: &Wanted) -> Result<BTreeMap<Uuid, T>, ToldToFail> {
        let table = self.model.tables.get(wanted.table);
        let found = |key: &Uuid| {
            let value = table?.value(*key, wanted.column)?;
            Some((*key, serde_json::from_value(value).expect("it is what was written")))
        };
        Ok(wanted.keys.iter().filter_map(found).collect())
    }

    async fn merge(&mut self, Rows { merge, mut rows }: Rows) -> Result<u64, ToldToFail> {
        if let Some(only) = self.all.only {
            rows.retain(|row| only.has_row(merge, row));
        }
        self.merged |= !rows.is_empty();
        let cells = rows.iter().flat_map(|row| merge.columns.iter().zip(row));
        if cells.into_iter().any(|(column, cell)| is_refused(column.kind, cell)) {
            return Err(ToldToFail(StoreFault::Refuse));
        }
        let table = self.model.tables.entry(merge.table).or_default();
        Ok(rows.into_iter().map(|row| table.merge(merge, row)).sum())
    }

    async fn tell(&mut self, _touched: &Touched) -> Result<(), ToldToFail> {
        Ok(())
    }

    async fn commit(mut self) -> Result<(), ToldToFail> {
        let fault = self.all.faults.pop_front_if(|_| self.merged).unwrap_or(StoreFault::None);
        if !matches!(fault, StoreFault::LoseCommit | StoreFault::Refuse) {
            self.all.models.insert(self.name, self.model);
        }
        match fault {
            StoreFault::None | StoreFault::Begin => Ok(()),
            StoreFault::LoseCommit | StoreFault::LoseAnswer | StoreFault::Refuse => Err(ToldToFail(fault)),
        }
    }

    async fn rollback(self) -> Result<(), ToldToFail> {
        Ok(())
    }
}
