//! What the read models know of an id. They only help to find: what they do not know, the log still tells.

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use domain::value::Timestamp;
use projectors::Names;

use crate::site::Site;

/// Where a purchase is to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hint {
    /// Which order.
    pub(super) order: Uuid,
    /// When it was made; what belongs to it is younger, but for the waiting room.
    pub(super) made_at: Option<Timestamp>,
}

/// The order that an id belongs to, if Postgres answers and knows.
pub(super) async fn hint(site: &Site, id: Uuid) -> Option<Hint> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(std::time::Duration::from_secs(2));
    let pool = pool.connect(site.postgres.as_ref()?).await.ok()?;
    let schema = Names::of(&site.namespace).ok()?.views();
    ask(&pool, &schema, id).await.ok().flatten()
}

async fn ask(pool: &PgPool, schema: &str, id: Uuid) -> Result<Option<Hint>, sqlx::Error> {
    let sql = format!(
        "select order_id, created_at_us from {schema}.orders
         where order_id = $1 or session_id = $1
            or order_id in (select order_id from {schema}.payments where payment_id = $1)
            or order_id in (select order_id from {schema}.tickets where ticket_id = $1)
         order by order_id = $1 desc, created_at_us limit 1"
    );
    let found: Option<(Uuid, Option<i64>)> = sqlx::query_as(AssertSqlSafe(sql)).bind(id).fetch_optional(pool).await?;
    Ok(found.map(|(order, at_us)| Hint { order, made_at: at_us.map(Timestamp) }))
}
