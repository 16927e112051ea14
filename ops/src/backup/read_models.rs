//! Read models that outlived the log they were filled from.

use anyhow::Context as _;
use backup::read::Ends;
use domain::root::Context;
use projectors::{Names, context_name};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Which schemas there are, and which of them have read further than the log goes now.
///
/// # Errors
/// Postgres does not answer.
pub(super) async fn beyond(postgres: &str, namespace: &str, ends: &Ends) -> anyhow::Result<(usize, Vec<String>)> {
    let mut database = PgConnection::connect(postgres).await.context("ask Postgres for read models")?;
    let schemas = projectors::schemas(&mut database, &Names::of(namespace)?).await?;
    let mut beyond = Vec::new();
    for schema in &schemas {
        let there: bool = sqlx::query_scalar("select to_regclass($1 || '.checkpoints') is not null")
            .bind(schema)
            .fetch_one(&mut database)
            .await?;
        if !there {
            continue;
        }
        // The text is ours: a name that the database has quoted.
        let sql = AssertSqlSafe(format!("select context, partition, next_offset from {schema}.checkpoints"));
        let rows: Vec<(String, i32, i64)> = sqlx::query_as(sql).fetch_all(&mut database).await?;
        if rows.iter().any(|(context, partition, next)| end(ends, context, *partition).is_some_and(|end| *next > end)) {
            beyond.push(schema.clone());
        }
    }
    Ok((schemas.len(), beyond))
}

fn end(ends: &Ends, context: &str, partition: i32) -> Option<i64> {
    let context = Context::ALL.into_iter().find(|it| context_name(*it) == context)?;
    ends.get(context.topic())?.get(usize::try_from(partition).ok()?).copied()
}

/// Drops all of them; projectors fill them again.
///
/// # Errors
/// Postgres does not answer.
pub(super) async fn drop_all(postgres: &str, namespace: &str) -> anyhow::Result<()> {
    let mut database = PgConnection::connect(postgres).await.context("drop the read models")?;
    Ok(projectors::forget(&mut database, &Names::of(namespace)?).await?)
}
