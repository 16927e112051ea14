//! The classic design: the stock's row is locked, looked at, changed, and the order inserted, in one transaction.
//!
//! Four statements and the commit, each a round trip, and the lock is held from the first to the end of the last.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::Durability;
use crate::postgres::{Schema, TABLES, TALLY};
use crate::store::{Failure, Held, Reserved, Store, Tally, Wish};

/// Connections; more only wait for the lock.
const CONNECTIONS: u32 = 16;
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// The design with what it runs on.
pub struct RowLock {
    schema: Schema,
    pool: PgPool,
    ticket_class: Uuid,
}

impl RowLock {
    /// Makes the tables and opens the pool.
    ///
    /// # Errors
    /// The server failed, or cannot keep what the class of durability promises.
    pub async fn start(url: &str, durability: Durability, ticket_class: Uuid, capacity: i64) -> anyhow::Result<Self> {
        let schema = Schema::create(url, durability, TABLES).await?;
        schema.stock(ticket_class, capacity).await?;
        // A connection that broke fails its request, which is cheaper than asking before each whether it broke.
        let options =
            PgPoolOptions::new().max_connections(CONNECTIONS).min_connections(CONNECTIONS).test_before_acquire(false);
        let pool = options.connect(schema.url()).await.context("opening the pool")?;
        Ok(Self { schema, pool, ticket_class })
    }

    async fn insert(&self, transaction: &mut PgConnection, wish: &Wish) -> Result<bool, sqlx::Error> {
        let insert = sqlx::query(
            "INSERT INTO orders (id, ticket_class, quantity, total, details, principal, fingerprint, command, at_us)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
        );
        let inserted = insert
            .bind(wish.order)
            .bind(self.ticket_class)
            .bind(wish.quantity)
            .bind(wish.total)
            .bind(&wish.details)
            .bind(&wish.held.principal)
            .bind(wish.held.fingerprint)
            .bind(wish.held.command)
            .bind(wish.held.at_us)
            .execute(transaction)
            .await?;
        Ok(inserted.rows_affected() == 1)
    }
}

impl Store for RowLock {
    async fn reserve(&self, wish: Wish) -> Result<Reserved, Failure> {
        let mut transaction = self.pool.begin().await?;
        let (capacity, sold): (i64, i64) =
            sqlx::query_as("SELECT capacity, sold FROM stock WHERE ticket_class = $1 FOR UPDATE")
                .bind(self.ticket_class)
                .fetch_one(&mut *transaction)
                .await?;
        if sold + wish.quantity > capacity {
            let known = known(&mut transaction, wish.order).await?;
            transaction.rollback().await?;
            return Ok(known.map_or(Reserved::SoldOut { available: capacity - sold }, Reserved::Before));
        }
        sqlx::query("UPDATE stock SET sold = sold + $2 WHERE ticket_class = $1")
            .bind(self.ticket_class)
            .bind(wish.quantity)
            .execute(&mut *transaction)
            .await?;
        if self.insert(&mut transaction, &wish).await? {
            transaction.commit().await?;
            return Ok(Reserved::Now);
        }
        let known = known(&mut transaction, wish.order).await?.context("an order is there and is not")?;
        transaction.rollback().await?;
        Ok(Reserved::Before(known))
    }

    async fn tally(&self) -> anyhow::Result<Tally> {
        let (capacity, sold, orders) = sqlx::query_as(TALLY).fetch_one(&self.pool).await?;
        Ok(Tally { capacity, sold, orders })
    }

    async fn close(&self) -> anyhow::Result<()> {
        // A pool waits for connections that it is about to open; the schema goes without them, too.
        let _ = tokio::time::timeout(CLOSES_WITHIN, self.pool.close()).await;
        self.schema.drop().await
    }
}

async fn known(transaction: &mut Transaction<'_, Postgres>, order: Uuid) -> Result<Option<Held>, sqlx::Error> {
    let row: Option<(String, Uuid, Option<Uuid>, i64)> =
        sqlx::query_as("SELECT principal, fingerprint, command, at_us FROM orders WHERE id = $1")
            .bind(order)
            .fetch_optional(&mut **transaction)
            .await?;
    Ok(row.map(|(principal, fingerprint, command, at_us)| Held { principal, fingerprint, command, at_us }))
}
