//! The read models' database: connections with limits, and what its failures are answered with.

use std::io;
use std::str::FromStr as _;
use std::time::Duration;

use projectors::generations::overview;
use projectors::{LAYOUTS, Names};
use service_kit::health::Check;
use service_kit::problem::{Kind, Problem};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Whoever waits longer for a connection is told to come again.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(2);
/// Postgres gives up a statement after so long.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);
/// We do after so long: a database that does not answer at all keeps no limit of its own.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);
/// A connection that nobody used for so long is asked whether it is still there; one that was used just now is taken at its
/// word, because the question costs as much as a small read.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How often readiness looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the views are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    options: PgConnectOptions,
    names: Names,
}

/// The database did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("the read models did not answer")]
pub struct Failed(#[from] pub sqlx::Error);

impl Database {
    /// Connects when it is first asked.
    ///
    /// # Errors
    /// The URL is none, or the namespace cannot name schemas.
    pub fn new(url: &str, namespace: &str, connections: u32) -> anyhow::Result<Self> {
        let names = Names::of(namespace)?;
        // The error would show the URL with its password.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| anyhow::anyhow!("BOXOFFICE_POSTGRES is no usable postgres:// URL"))?;
        let options = options.application_name("query-api").options([
            ("search_path", names.views()),
            ("statement_timeout", STATEMENT_LIMIT.as_millis().to_string()),
            ("default_transaction_read_only", "on".to_owned()),
            // Small reads are done before they would be compiled.
            ("jit", "off".to_owned()),
            // A plan made while a table was small is kept: it must not walk through all of it when it is large.
            ("enable_seqscan", "off".to_owned()),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_LIMIT)
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for >= TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.clone());
        Ok(Self { pool, options, names })
    }

    /// The connections; the views are found by their bare names.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How schemas and channels are called.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A connection of its own, for listening: it would not come back to the others.
    pub fn lone_pool(&self) -> PgPool {
        let options = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        options.acquire_timeout(ACQUIRE_LIMIT).connect_lazy_with(self.options.clone())
    }

    /// Waits for a query, not for ever.
    ///
    /// # Errors
    /// Whatever the database says, or nothing in time.
    pub async fn ask<T>(&self, query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Failed> {
        match timeout(ANSWER_LIMIT, query).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failed(io::Error::from(io::ErrorKind::TimedOut).into())),
        }
    }

    /// Keeps the light of readiness: the database answers, and has every read model in the version that we read.
    pub async fn watch(self, check: Check, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match self.missing().await {
                Ok(None) => check.ready(),
                Ok(Some(missing)) => check.not_ready(format!("the read models lack {missing}; projectors create it")),
                Err(_) => check.not_ready("Postgres does not answer"),
            }
        }
    }

    /// A read model, table or view that should be there and is not.
    async fn missing(&self) -> Result<Option<String>, Failed> {
        let all = match self.ask(overview(&self.pool, &self.names)).await {
            Ok(all) => all,
            Err(Failed(error)) if is_unmade(&error) => return Ok(Some(self.names.control())),
            Err(failed) => return Err(failed),
        };
        for layout in LAYOUTS {
            let live = all.get(layout.name).map(|standing| standing.live);
            if live.is_none_or(|live| live.version < layout.version) {
                return Ok(Some(format!("version {} of {}", layout.version, layout.name)));
            }
        }
        let tables = all.values().map(|it| format!("{}.checkpoints", self.names.generation(&it.name, it.live)));
        let views =
            LAYOUTS.iter().flat_map(|layout| layout.views).map(|view| view.name).chain(["checkpoints", "parked"]);
        let views = views.map(|name| format!("{}.{name}", self.names.views()));
        let needed: Vec<String> = tables.chain(views).collect();
        let query = "select name from unnest($1::text[]) as t (name) where to_regclass(name) is null limit 1";
        self.ask(sqlx::query_scalar(query).bind(needed).fetch_optional(&self.pool)).await
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        let error = failed.0;
        metrics::counter!("boxoffice_reads_failed_total").increment(1);
        if is_bug(&error) {
            tracing::error!(%error, "a query does not fit the read models");
            return Self::new(Kind::Internal);
        }
        tracing::warn!(%error, "the read models did not answer");
        Self::new(Kind::NotReady).retry_after_s(2)
    }
}

/// Whether it is something that the projectors have not created yet: a table, a column or a schema.
fn is_unmade(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["42P01", "42703", "3F000"].contains(&code.as_ref()))
}

/// Whether no waiting would help.
fn is_bug(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_) => true,
        // Class 42 is wrong SQL, but for what the projectors have not created yet: tables, columns, schemas.
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("42") && !["42P01", "42703", "42501"].contains(&code.as_ref())),
        _ => false,
    }
}
