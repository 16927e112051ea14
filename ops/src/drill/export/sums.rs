//! The revenue of every currency, as Postgres and as the Parquet files have it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, PgPool};

/// Minor units by currency.
pub(super) type Sums = BTreeMap<String, i64>;

/// From the view of orders.
pub(super) async fn orders(pool: &PgPool, schema: &str) -> anyhow::Result<Sums> {
    let query = format!(
        "select currency, sum(total)::bigint from {schema}.orders where status = 'completed' group by currency"
    );
    sums(pool, query).await.context("sum orders in Postgres")
}

/// From the view of all movements of money.
pub(super) async fn ledger(pool: &PgPool, schema: &str) -> anyhow::Result<Sums> {
    let query = format!(
        "select currency, -sum(amount)::bigint from {schema}.ledger where account = 'sales' and kind = 'captured' \
         group by currency"
    );
    sums(pool, query).await.context("sum the ledger in Postgres")
}

async fn sums(pool: &PgPool, query: String) -> anyhow::Result<Sums> {
    let rows: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(query)).fetch_all(pool).await?;
    Ok(rows.into_iter().collect())
}

/// By DuckDB, from the files; none if this Python does not have it.
pub(super) fn duckdb(python: &str, folder: &Path) -> anyhow::Result<Option<Sums>> {
    let has = Command::new(python).args(["-c", "import duckdb"]).output();
    if !has.is_ok_and(|it| it.status.success()) {
        return Ok(None);
    }
    let script = "import duckdb, json, sys\n\
        rows = duckdb.sql(f\"select currency, sum(total)::bigint from '{sys.argv[1]}/OrderPaid.parquet' group by 1\")\n\
        print(json.dumps(dict(rows.fetchall())))";
    let ran = Command::new(python).args(["-c", script]).arg(folder).output().context("run DuckDB")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "DuckDB cannot read the files: {}", said.trim());
    serde_json::from_slice(&ran.stdout).context("read what DuckDB says").map(Some)
}

/// By our own reader, from the files.
pub(super) fn files(folder: &Path) -> anyhow::Result<Sums> {
    ::export::parquet_sums(&folder.join("OrderPaid.parquet"), "currency", "total")
}
