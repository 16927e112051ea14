//! What the ledger has of one provider.

use anyhow::Context as _;
use projectors::Names;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, FromRow};

/// A movement of money at a provider, in ours or in its own books.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct Movement {
    /// `capture` or `refund`.
    pub kind: String,
    /// The provider's own name of it.
    pub reference: String,
    /// Minor units; below 0 for what went back.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// What the provider kept of it, as far as it was told.
    pub fee: i64,
}

const MOVEMENTS: &str = "
select case when l.kind = 'refunded' then 'refund' else 'capture' end as kind, l.reference, l.amount, l.currency,
    coalesce(f.amount, 0) as fee
from {views}.ledger l
left join {views}.ledger f on f.event_id = l.event_id and f.account = 'fees'
where l.provider = $1 and l.account = 'provider'
order by l.at_us, l.reference";

/// Every movement at this provider, the oldest first.
///
/// # Errors
/// Postgres does not answer, or has no ledger yet.
pub(super) async fn read(postgres: &str, namespace: &str, provider: &str) -> anyhow::Result<Vec<Movement>> {
    let views = Names::of(namespace)?.views();
    let pool = PgPoolOptions::new().max_connections(1).connect(postgres).await.context("connect to Postgres")?;
    // The text is ours: a constant, and a name that has been checked.
    let query = sqlx::query_as(AssertSqlSafe(MOVEMENTS.replace("{views}", &views))).bind(provider);
    query.fetch_all(&pool).await.context("read the view ledger")
}
