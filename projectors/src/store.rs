//! Where the rows of a read model are: the seam between what is done with them, and who keeps them.

use std::collections::BTreeMap;
use std::time::Duration;

use event_log::log::Partition;
use event_log::validity::Position;
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, PgPool, Postgres};
use uuid::Uuid;

use crate::generations::Generation;
use crate::model::{Layout, Touched};
use crate::names::Names;
use crate::parked::Parking;
use crate::rows::{Rows, Wanted};
use crate::schema;

/// The payload of a notification stays below Postgres's limit of 8000 bytes.
const IDS_A_MESSAGE: usize = 239;
/// A statement that takes longer is given up and tried again.
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);

/// Where rows and checkpoints of one read model are kept: Postgres, or memory.
pub trait RowStore: Send + Sync {
    /// Why it does not answer.
    type Error: std::error::Error + Send + Sync + 'static;
    /// What it does at once, or not at all.
    type Transaction: Parking<Error = Self::Error>;

    /// Why it refuses rows for what they hold, whoever writes them and when; `None` for any other error. Holds nothing of
    /// the rows themselves.
    fn refusal(error: &Self::Error) -> Option<String>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// It does not answer.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, Self::Error>> + Send;
}

/// A transaction of one read model. Nothing of it counts before it is committed; an error of `commit` may come although
/// it was. Everything else may fail because the store does not answer, or not as it should.
#[allow(clippy::missing_errors_doc, reason = "said above, once for all of them")]
pub trait Transaction: Send {
    /// Why it does not answer.
    type Error;

    /// Lets those of these partitions that have no checkpoint begin at the start of the log.
    fn found(&mut self, places: &[Partition]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The checkpoints of these partitions, in their order.
    fn positions(
        &mut self,
        places: &[Partition],
    ) -> impl Future<Output = Result<Vec<Option<Position>>, Self::Error>> + Send;

    /// The same, and nobody else changes them until the end.
    fn locked(
        &mut self,
        places: &[Partition],
    ) -> impl Future<Output = Result<Vec<Option<Position>>, Self::Error>> + Send;

    /// Moves checkpoints, which are locked.
    fn advance(&mut self, to: &[(Partition, Position)]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Looks up what rows hold.
    fn look_up<T: DeserializeOwned + Send>(
        &mut self,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<BTreeMap<Uuid, T>, Self::Error>> + Send;

    /// Merges changes into rows, and tells how many rows there were.
    fn merge(&mut self, rows: Rows) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Listeners hear of it once it is committed.
    fn tell(&mut self, touched: &Touched) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Lets it count.
    fn commit(self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Lets nothing of it count.
    fn rollback(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Where the generations of one read model are.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) server: PgPool,
    pub(crate) names: Names,
    pub(crate) layout: Layout,
}

/// One generation in Postgres.
#[derive(Clone)]
pub(crate) struct Store {
    stores: Stores,
    generation: Generation,
    pool: PgPool,
}

impl Stores {
    /// With connections of its own: a name means the same table in all their statements, so that Postgres plans each of
    /// them once.
    pub(crate) fn of(&self, generation: Generation) -> Store {
        let Self { server, names, layout } = self;
        let settings = [
            // A name is looked up as it is written in the search path: quoted.
            ("search_path", names.generation(layout.name, generation)),
            // What a crash of the database loses with its last commits is read from the log again: no commit waits for it.
            ("synchronous_commit", "off".to_owned()),
            ("statement_timeout", STATEMENT_LIMIT.as_millis().to_string()),
            // A plan made while a table was small is kept: it must not walk through all of it when it is large.
            ("enable_seqscan", "off".to_owned()),
        ];
        let options = server.connect_options().as_ref().clone().options(settings);
        // A transaction that fails is tried again: none asks before whether its connection is still there.
        let pool = server.options().clone().test_before_acquire(false).connect_lazy_with(options);
        Store { stores: self.clone(), generation, pool }
    }
}

impl Store {
    /// Which one.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Creates what is missing.
    pub(crate) async fn ensure(&self) -> Result<(), sqlx::Error> {
        schema::ensure(&self.stores.server, &self.stores.names).await
    }

    /// A transaction in which this read model's tables are found by their bare names.
    pub(crate) async fn begin_raw(&self) -> Result<sqlx::Transaction<'static, Postgres>, sqlx::Error> {
        self.pool.begin().await
    }

    /// Listeners hear of it when the transaction commits, and so read what is there.
    pub(crate) async fn tell(&self, tx: &mut PgConnection, touched: &Touched) -> Result<(), sqlx::Error> {
        let orders = messages(touched.orders.iter().map(|id| id.0));
        let shows = messages(touched.shows.iter().map(|id| id.0));
        let queues = messages(touched.queues.iter().map(|id| id.0));
        let Stores { names, layout, .. } = &self.stores;
        let mut told: Vec<(String, String)> = Vec::new();
        told.extend(orders.into_iter().map(|message| (names.orders_channel(), message)));
        told.extend(shows.into_iter().map(|message| (names.shows_channel(), message)));
        told.extend(queues.into_iter().map(|message| (names.queues_channel(), message)));
        told.push((names.checkpoints_channel(), layout.name.to_owned()));
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

/// Whether the database refuses what rows hold: data exceptions (class 22), integrity constraints (class 23), and values
/// beyond a limit (54000). Its own words may quote the rows.
pub(crate) fn refusal(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    let code = error.code()?;
    let what = match code.as_ref() {
        "22021" | "22P05" => "a character that it cannot hold",
        "22003" => "a number out of range",
        "22001" => "a text that is too long",
        "54000" => "a value beyond a limit",
        code if code.starts_with("22") => "a value that does not fit",
        code if code.starts_with("23") => "a constraint",
        _ => return None,
    };
    let named = |kind: &str, name: Option<&str>| name.map(|name| format!(", {kind} {name}")).unwrap_or_default();
    let (table, constraint) = (named("table", error.table()), named("constraint", error.constraint()));
    Some(format!("Postgres refuses its rows: {what} (SQLSTATE {code}{table}{constraint})"))
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
