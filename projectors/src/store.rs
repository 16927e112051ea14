//! One read model's side of the database: load where it stands, write a batch, look whether it still stands there.

use std::io;
use std::time::Duration;

use event_log::log::Partition;
use event_log::validity::Position;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::time::timeout;
use uuid::Uuid;

use crate::checkpoints::{self, Step};
use crate::model::{Layout, ReadModel, Touched};
use crate::schema::{self, Names};

/// The payload of a notification stays below Postgres's limit of 8000 bytes.
const IDS_A_MESSAGE: usize = 239;
/// A statement that takes longer is given up and tried again.
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);
/// So does a database that does not answer at all.
const WRITE_LIMIT: Duration = Duration::from_secs(90);

/// A batch, folded.
pub(crate) struct Batch<C> {
    pub(crate) changes: C,
    pub(crate) steps: Vec<Step>,
    pub(crate) events: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// So many rows.
    Rows(u64),
    /// Nothing: the checkpoints are not where they were left.
    Overtaken,
}

#[derive(Clone)]
pub(crate) struct Store {
    pool: PgPool,
    names: Names,
    layout: Layout,
    schema: String,
}

impl Store {
    pub(crate) fn new(pool: PgPool, names: Names, layout: Layout) -> Self {
        // A name is looked up as it is written in the search path: quoted.
        let schema = names.tables(&layout);
        Self { pool, names, layout, schema }
    }

    /// Creates what is missing.
    pub(crate) async fn ensure(&self) -> Result<(), sqlx::Error> {
        schema::ensure(&self.pool, &self.names).await
    }

    /// The positions to go on from.
    pub(crate) async fn load(&self, places: &[Partition]) -> Result<Vec<Position>, sqlx::Error> {
        let mut tx = self.begin().await?;
        let positions = checkpoints::load(&mut tx, places).await?;
        tx.commit().await?;
        Ok(positions)
    }

    /// The positions as they are stored now.
    pub(crate) async fn look(&self, places: &[Partition]) -> Result<Vec<Position>, sqlx::Error> {
        let mut tx = self.begin().await?;
        let positions = checkpoints::stored(&mut tx, places).await?;
        tx.rollback().await?;
        Ok(positions)
    }

    /// Checkpoints, rows and notifications in one transaction. An error may come although it was committed.
    pub(crate) async fn write<M: ReadModel>(&self, batch: &mut Batch<M::Changes>) -> Result<Written, sqlx::Error> {
        let written = timeout(WRITE_LIMIT, self.try_write::<M>(batch)).await;
        written.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn try_write<M: ReadModel>(&self, batch: &mut Batch<M::Changes>) -> Result<Written, sqlx::Error> {
        let mut tx = self.begin().await?;
        if !checkpoints::advance(&mut tx, &batch.steps).await? {
            tx.rollback().await?;
            return Ok(Written::Overtaken);
        }
        let rows = M::write(&mut batch.changes, &mut tx).await?;
        self.tell(&mut tx, &M::touched(&batch.changes)).await?;
        tx.commit().await?;
        Ok(Written::Rows(rows))
    }

    /// A transaction in which this read model's tables are found by their bare names.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        // What a crash of the database loses with its last commits is read from the log again: no commit waits for it.
        let settings = sqlx::query(
            "select set_config('search_path', $1, true), set_config('synchronous_commit', 'off', true),
                set_config('statement_timeout', $2, true)",
        );
        let limit_ms = STATEMENT_LIMIT.as_millis().to_string();
        settings.bind(&self.schema).bind(limit_ms).execute(&mut *tx).await?;
        Ok(tx)
    }

    /// Listeners hear of it when the transaction commits, and so read what is there.
    pub(crate) async fn tell(&self, tx: &mut PgConnection, touched: &Touched) -> Result<(), sqlx::Error> {
        let orders = messages(touched.orders.iter().map(|id| id.0));
        let shows = messages(touched.shows.iter().map(|id| id.0));
        let queues = messages(touched.queues.iter().map(|id| id.0));
        let mut told: Vec<(String, String)> = Vec::new();
        told.extend(orders.into_iter().map(|message| (self.names.orders_channel(), message)));
        told.extend(shows.into_iter().map(|message| (self.names.shows_channel(), message)));
        told.extend(queues.into_iter().map(|message| (self.names.queues_channel(), message)));
        told.push((self.names.checkpoints_channel(), self.layout.name.to_owned()));
        let (channels, messages): (Vec<String>, Vec<String>) = told.into_iter().unzip();
        sqlx::query("select pg_notify(channel, message) from unnest($1::text[], $2::text[]) as t (channel, message)")
            .bind(channels)
            .bind(messages)
            .execute(tx)
            .await?;
        Ok(())
    }
}

/// Whether the database answered that something is not there which [`schema::ensure`] would make.
pub(crate) fn is_missing(error: &sqlx::Error) -> bool {
    // undefined_table, undefined_column, invalid_schema_name
    let codes = ["42P01", "42703", "3F000"];
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| codes.contains(&code.as_ref()))
}

/// Ids as 32 hex digits each, comma between, in as many messages as it takes.
fn messages(ids: impl Iterator<Item = Uuid>) -> Vec<String> {
    let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
    ids.chunks(IDS_A_MESSAGE).map(|ids| ids.join(",")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_below_the_limit() {
        let all = messages((0..500).map(Uuid::from_u128));
        assert_eq!(all.iter().map(|message| message.split(',').count()).collect::<Vec<_>>(), [239, 239, 22]);
        assert!(all.iter().all(|message| message.len() < 7900));
        assert!(messages(std::iter::empty()).is_empty());
    }
}
