//! Row changes and checkpoints in Postgres: one statement for each sort of change, however many rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use event_log::log::Partition;
use event_log::validity::Position;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};
use uuid::Uuid;

use crate::checkpoints;
use crate::model::{ReadModel, Touched};
use crate::rows::{Cell, Column, Kind, Merge, Merging, Missing, Rows, Wanted};
use crate::store::{self, RowStore, Store, Transaction};

/// A transaction of one read model.
pub(crate) struct PgTransaction {
    store: Store,
    tx: sqlx::Transaction<'static, Postgres>,
}

impl RowStore for Store {
    type Error = sqlx::Error;
    type Transaction = PgTransaction;

    async fn begin(&self) -> Result<PgTransaction, sqlx::Error> {
        Ok(PgTransaction { store: self.clone(), tx: self.begin_raw().await? })
    }

    fn refusal(error: &sqlx::Error) -> Option<String> {
        store::refusal(error)
    }
}

impl PgTransaction {
    /// Where names are those of this read model.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl Transaction for PgTransaction {
    type Error = sqlx::Error;

    async fn found(&mut self, places: &[Partition]) -> Result<(), sqlx::Error> {
        checkpoints::found(&mut self.tx, places).await
    }

    async fn positions(&mut self, places: &[Partition]) -> Result<Vec<Option<Position>>, sqlx::Error> {
        checkpoints::stored(&mut self.tx, places).await
    }

    async fn locked(&mut self, places: &[Partition]) -> Result<Vec<Option<Position>>, sqlx::Error> {
        checkpoints::locked(&mut self.tx, places).await
    }

    async fn advance(&mut self, to: &[(Partition, Position)]) -> Result<(), sqlx::Error> {
        checkpoints::advance(&mut self.tx, to).await
    }

    async fn look_up<T: DeserializeOwned + Send>(&mut self, wanted: &Wanted) -> Result<BTreeMap<Uuid, T>, sqlx::Error> {
        look_up(&mut self.tx, wanted).await
    }

    async fn merge(&mut self, rows: Rows) -> Result<u64, sqlx::Error> {
        merge(&mut self.tx, rows).await
    }

    async fn tell(&mut self, touched: &Touched) -> Result<(), sqlx::Error> {
        self.store.tell(&mut self.tx, touched).await
    }

    async fn commit(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }

    async fn rollback(self) -> Result<(), sqlx::Error> {
        self.tx.rollback().await
    }
}

/// Writes the changes of a read model, whose schema is the search path. Returns how many rows.
pub(crate) async fn write<M: ReadModel>(changes: &mut M::Changes, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
    if let Some(wanted) = M::wanted(changes) {
        let found = look_up(&mut *tx, &wanted).await?;
        M::found(changes, found);
    }
    let mut written = 0;
    for rows in M::rows(changes) {
        written += merge(&mut *tx, rows).await?;
    }
    Ok(written)
}

async fn look_up<T: DeserializeOwned + Send>(
    tx: &mut PgConnection,
    wanted: &Wanted,
) -> Result<BTreeMap<Uuid, T>, sqlx::Error> {
    let Wanted { table, key, column, keys } = wanted;
    let sql = format!("select {key}, {column}::text from {table} where {key} = any($1)");
    let rows: Vec<(Uuid, String)> = sqlx::query_as(AssertSqlSafe(sql)).bind(keys).fetch_all(tx).await?;
    let decoded = |(key, text): (Uuid, String)| {
        let value = serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok((key, value))
    };
    rows.into_iter().map(decoded).collect()
}

async fn merge(tx: &mut PgConnection, Rows { merge, rows }: Rows) -> Result<u64, sqlx::Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let mut columns: Vec<Vec<Cell>> = merge.columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    let mut query = sqlx::query(AssertSqlSafe(statement(merge)));
    for (column, cells) in merge.columns.iter().zip(columns) {
        query = bind(query, column, cells);
    }
    Ok(query.execute(tx).await?.rows_affected())
}

/// The statement of a merge; `$1` and so on are its columns as arrays.
fn statement(merge: &Merge) -> String {
    let table = merge.table;
    let names = listed(merge.columns.iter().map(|column| column.name.to_owned()));
    let cast = listed(merge.columns.iter().map(|column| match column.kind {
        Kind::Json => format!("{}::jsonb", column.name),
        _ => column.name.to_owned(),
    }));
    let arrays = listed((1..).zip(merge.columns).map(|(n, column)| format!("${n}::{}[]", array(column.kind))));
    let changes = format!("select {cast} from unnest({arrays}) as a ({names})");
    let merged = |from: &str| {
        let columns = merge.columns.iter().filter(|column| column.merging != Merging::Key);
        listed(columns.map(|column| format!("{} = {}", column.name, value(column, from))))
    };
    match merge.missing {
        Missing::Insert => {
            let keys = listed(merge.keys().map(|column| column.name.to_owned()));
            let merged = merged("excluded");
            format!("insert into {table} as t ({names}) {changes} on conflict ({keys}) do update set {merged}")
        }
        Missing::Skip => {
            let mut same = String::new();
            for column in merge.keys() {
                let and = if same.is_empty() { "" } else { " and " };
                write!(same, "{and}t.{0} = c.{0}", column.name).expect("writing to a string never fails");
            }
            format!("update {table} t set {} from ({changes}) c where {same}", merged("c"))
        }
    }
}

/// What a column becomes.
fn value(column: &Column, from: &str) -> String {
    let name = column.name;
    match column.merging {
        Merging::Key | Merging::Set => format!("{from}.{name}"),
        Merging::Keep => format!("coalesce({from}.{name}, t.{name})"),
        Merging::With(other) => format!("case when {from}.{other} is null then t.{name} else {from}.{name} end"),
        Merging::Add => {
            format!("case when {from}.{name} is null then t.{name} else coalesce(t.{name}, 0) + {from}.{name} end")
        }
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// JSON travels as text.
fn array(kind: Kind) -> &'static str {
    match kind {
        Kind::Uuid => "uuid",
        Kind::Text | Kind::Json => "text",
        Kind::Int => "int",
        Kind::Big => "bigint",
        Kind::Bytes => "bytea",
    }
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

fn bind<'q>(query: Bound<'q>, column: &Column, cells: Vec<Cell>) -> Bound<'q> {
    let wrong = |cell: &Cell| -> ! { unreachable!("{cell:?} is no value of the column {}", column.name) };
    match column.kind {
        Kind::Uuid => query.bind(of(cells, |cell| match cell {
            Cell::Uuid(value) => value,
            other => wrong(&other),
        })),
        Kind::Text => query.bind(of(cells, |cell| match cell {
            Cell::Text(value) => value,
            other => wrong(&other),
        })),
        Kind::Json => query.bind(of(cells, |cell| match cell {
            Cell::Json(value) => value.to_string(),
            other => wrong(&other),
        })),
        Kind::Int => query.bind(of(cells, |cell| match cell {
            Cell::Int(value) => i32::try_from(value).expect("it came from 32 bits"),
            other => wrong(&other),
        })),
        Kind::Big => query.bind(of(cells, |cell| match cell {
            Cell::Int(value) => value,
            other => wrong(&other),
        })),
        Kind::Bytes => query.bind(of(cells, |cell| match cell {
            Cell::Bytes(value) => value,
            other => wrong(&other),
        })),
    }
}

fn of<T>(cells: Vec<Cell>, value: impl Fn(Cell) -> T) -> Vec<Option<T>> {
    cells.into_iter().map(|cell| if cell == Cell::Null { None } else { Some(value(cell)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{add, keep, key, set};

    const UPSERT: Merge = Merge::upsert(
        "things",
        &[key("id", Kind::Uuid), set("name", Kind::Text), keep("data", Kind::Json), add("count")],
    );
    const UPDATE: Merge =
        Merge::update("things", &[key("id", Kind::Uuid), key("at", Kind::Text), keep("n", Kind::Int)]);

    #[test]
    fn a_merge_is_one_statement() {
        assert_eq!(
            statement(&UPSERT),
            "insert into things as t (id, name, data, count) select id, name, data::jsonb, count \
             from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) as a (id, name, data, count) \
             on conflict (id) do update set name = excluded.name, data = coalesce(excluded.data, t.data), \
             count = case when excluded.count is null then t.count else coalesce(t.count, 0) + excluded.count end"
        );
        assert_eq!(
            statement(&UPDATE),
            "update things t set n = coalesce(c.n, t.n) from (select id, at, n \
             from unnest($1::uuid[], $2::text[], $3::int[]) as a (id, at, n)) c where t.id = c.id and t.at = c.at"
        );
    }
}
