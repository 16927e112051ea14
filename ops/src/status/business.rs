//! What is sold, held, owed and waited for, from the read models.

use std::collections::BTreeMap;

use anyhow::Context as _;
use domain::queue::{Board, Stage};
use projectors::Names;
use serde::Serialize;
use service_kit::clock;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// So many of the stuck orders and waiting rooms are named.
const NAMED: i64 = 10;

/// Everything about sales.
#[derive(Debug, Serialize)]
pub struct Business {
    /// How many orders are in which status.
    pub orders: BTreeMap<String, i64>,
    /// Orders that a person has to look at, the oldest first; not all if there are many.
    pub stuck: Vec<Stuck>,
    /// Refunds that are not done.
    pub refunds: Refunds,
    /// What is held for orders that are not paid.
    pub holds: Holds,
    /// Waiting rooms that are not closed; not all if there are many.
    pub rooms: Vec<Room>,
    /// Payments by status.
    pub money: Vec<Money>,
    /// Movements of money that fit nothing.
    pub quarantined: i64,
}

/// An order that does not get on.
#[derive(Debug, Serialize)]
pub struct Stuck {
    /// Which.
    pub order: Uuid,
    /// At which step.
    pub step: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When something last happened to it, UTC.
    pub since: String,
}

/// Refunds that are not done.
#[derive(Debug, Default, Serialize)]
pub struct Refunds {
    /// A person has to do them.
    pub due: i64,
    /// The provider is asked.
    pub pending: i64,
    /// When the oldest that is due was asked for, UTC.
    pub oldest_due: Option<String>,
}

/// What is held.
#[derive(Debug, Serialize)]
pub struct Holds {
    /// Orders that are not paid yet.
    pub orders: i64,
    /// Tickets held for them.
    pub tickets: i64,
}

/// A waiting room.
#[derive(Debug, Serialize)]
pub struct Room {
    /// Of which show.
    pub show: Uuid,
    /// Whether people are admitted: `pre_queue` or `open`.
    pub stage: &'static str,
    /// How people are let through.
    pub mode: String,
    /// How many wait.
    pub waiting: u32,
    /// Slots that are taken.
    pub slots_in_use: usize,
    /// Slots there are.
    pub slots: i32,
    /// How many were admitted in a minute.
    pub outflow_per_min: i64,
}

/// Payments of one provider, currency and status.
#[derive(Debug, Serialize)]
pub struct Money {
    /// Which provider.
    pub provider: String,
    /// ISO 4217.
    pub currency: String,
    /// How they stand.
    pub status: String,
    /// How many.
    pub payments: i64,
    /// Asked for, minor units.
    pub amount: i64,
    /// Come, minor units.
    pub received: i64,
}

/// Looks at all of it.
pub(super) async fn look(pool: &PgPool, namespace: &str) -> anyhow::Result<Business> {
    let schema = Names::of(namespace)?.views();
    all(pool, &schema).await.context("read sales and money from Postgres")
}

async fn all(pool: &PgPool, schema: &str) -> Result<Business, sqlx::Error> {
    let sql = |text: &str| AssertSqlSafe(text.replace("{s}", schema));
    let orders: Vec<(String, i64)> =
        sqlx::query_as(sql("select status, count(*) from {s}.orders group by status")).fetch_all(pool).await?;
    let tickets: i64 = sqlx::query_scalar(sql("select coalesce(sum(reserved), 0)::bigint from {s}.availability"))
        .fetch_one(pool)
        .await?;
    let quarantined = sqlx::query_scalar(sql("select count(*) from {s}.quarantined_money")).fetch_one(pool).await?;
    let open = orders.iter().filter(|(status, _)| ["reserved", "awaiting_payment"].contains(&status.as_str()));
    let holds = Holds { orders: open.map(|(_, count)| count).sum(), tickets };
    Ok(Business {
        stuck: stuck(pool, schema).await?,
        refunds: refunds(pool, schema).await?,
        holds,
        rooms: rooms(pool, schema).await?,
        money: money(pool, schema).await?,
        quarantined,
        orders: orders.into_iter().collect(),
    })
}

/// An order, at which step and why it is stuck, and since when.
type StuckRow = (Uuid, Option<String>, Option<String>, Option<i64>);

async fn stuck(pool: &PgPool, schema: &str) -> Result<Vec<Stuck>, sqlx::Error> {
    let text = format!(
        "select order_id, stuck_step, stuck_reason, updated_at_us from {schema}.orders where status = 'stuck'
         order by updated_at_us, order_id limit $1"
    );
    let rows: Vec<StuckRow> = sqlx::query_as(AssertSqlSafe(text)).bind(NAMED).fetch_all(pool).await?;
    let one = |(order, step, reason, at_us): StuckRow| Stuck {
        order,
        step,
        reason,
        since: at_us.map(crate::table::moment).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(one).collect())
}

async fn refunds(pool: &PgPool, schema: &str) -> Result<Refunds, sqlx::Error> {
    let text = format!(
        "select count(*) filter (where status = 'due'), count(*) filter (where status = 'pending'),
            min(requested_at_us) filter (where status = 'due')
         from {schema}.refunds where status <> 'done'"
    );
    let (due, pending, oldest): (i64, i64, Option<i64>) = sqlx::query_as(AssertSqlSafe(text)).fetch_one(pool).await?;
    Ok(Refunds { due, pending, oldest_due: oldest.map(crate::table::moment) })
}

async fn money(pool: &PgPool, schema: &str) -> Result<Vec<Money>, sqlx::Error> {
    let text = format!(
        "select provider, currency, status, count(*), sum(amount)::bigint, sum(received)::bigint
         from {schema}.payments group by 1, 2, 3 order by 1, 2, 3"
    );
    let rows: Vec<(String, String, String, i64, i64, i64)> =
        sqlx::query_as(AssertSqlSafe(text)).fetch_all(pool).await?;
    let one = |(provider, currency, status, payments, amount, received)| Money {
        provider,
        currency,
        status,
        payments,
        amount,
        received,
    };
    Ok(rows.into_iter().map(one).collect())
}

async fn rooms(pool: &PgPool, schema: &str) -> Result<Vec<Room>, sqlx::Error> {
    let text = format!("select show_id, board from {schema}.queues order by updated_at_us desc limit 200");
    let rows: Vec<(Uuid, sqlx::types::Json<Board>)> = sqlx::query_as(AssertSqlSafe(text)).fetch_all(pool).await?;
    let open = rows.into_iter().filter(|(_, board)| board.stage() != Stage::Closed);
    let one = |(show, board): (Uuid, sqlx::types::Json<Board>)| Room {
        show,
        stage: if board.stage() == Stage::PreQueue { "pre_queue" } else { "open" },
        mode: word(&board),
        waiting: board.waiting(),
        slots_in_use: board.slots().len(),
        slots: board.terms().map_or(0, |terms| terms.slots),
        outflow_per_min: board.outflow_per_min(clock::now()),
    };
    Ok(open.take(usize::try_from(NAMED).unwrap_or(10)).map(one).collect())
}

fn word(board: &Board) -> String {
    let word = serde_json::to_value(board.mode());
    word.ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_else(|| "unknown".to_owned())
}
