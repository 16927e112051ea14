//! Every row of every read model, before and after.

use std::collections::BTreeMap;

use anyhow::Context as _;
use check::models::{Stored, from_postgres};
use check::{Faults, Law};
use projectors::memory::GENERATED;
use serde_json::Value;
use sqlx::PgPool;

/// Rows of every table, sorted; what the database makes up itself is left out.
pub type Rows = BTreeMap<String, Vec<String>>;

/// As they are now.
///
/// # Errors
/// Postgres does not answer, or has no read models.
pub async fn read(postgres: &str, namespace: &str) -> anyhow::Result<Rows> {
    let pool = PgPool::connect(postgres).await.context("ask Postgres for its rows")?;
    let stored = from_postgres(&pool, namespace).await.context("ask Postgres for its rows")?;
    pool.close().await;
    Ok(stored.iter().flat_map(tables).collect())
}

fn tables(stored: &Stored) -> Vec<(String, Vec<String>)> {
    let name = stored.layout.name;
    let bare = |table: &str, row: &Value| {
        let mut row = row.clone();
        if let Some(columns) = row.as_object_mut() {
            columns.retain(|column, _| !GENERATED.contains(&(name, table, column.as_str())));
        }
        row.to_string()
    };
    let table = |(table, rows): (&&str, &Vec<Value>)| {
        let mut rows: Vec<String> = rows.iter().map(|row| bare(table, row)).collect();
        rows.sort_unstable();
        (format!("{name}.{table}"), rows)
    };
    stored.tables.iter().map(table).collect()
}

/// Whether they are the same.
pub fn law(before: &Rows, after: &Rows) -> Law {
    let mut faults = Faults::default();
    for (table, rows) in before {
        let now = after.get(table).map(Vec::as_slice).unwrap_or_default();
        rows.iter()
            .filter(|row| now.binary_search(row).is_err())
            .for_each(|row| faults.add(format!("{table} lacks {row}")));
        let new = now.iter().filter(|row| rows.binary_search(row).is_err());
        new.for_each(|row| faults.add(format!("{table} has, and had not, {row}")));
    }
    let (count, tables) = (before.values().map(Vec::len).sum::<usize>(), before.len());
    Law::new("every read model is as it was, row by row", format!("{count} rows in {tables} tables"), faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[&str]) -> Rows {
        [("orders.orders".to_owned(), of.iter().map(|row| (*row).to_owned()).collect())].into()
    }

    #[test]
    fn a_row_that_is_gone_new_or_different_is_told() {
        assert!(law(&rows(&["a", "b"]), &rows(&["a", "b"])).holds());
        assert_eq!(law(&rows(&["a", "b"]), &rows(&["a"])).faults.count, 1);
        assert_eq!(law(&rows(&["a", "b"]), &rows(&["a", "c"])).faults.count, 2);
        assert_eq!(law(&rows(&["a"]), &Rows::new()).faults.count, 1);
    }
}
