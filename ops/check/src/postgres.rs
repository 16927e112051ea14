//! The sums of the read models, by their views.

use domain::ids::{ShowId, TicketClassId};
use projectors::Names;
use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::sums::{ClassSums, CountSums, PaymentSums, Sums, status};

#[derive(FromRow)]
struct ClassRow {
    show_id: Uuid,
    ticket_class_id: Uuid,
    capacity: i64,
    reserved: i64,
    sold: i64,
}

#[derive(FromRow)]
struct OrderRow {
    show_id: Uuid,
    phase: String,
    reason: Option<String>,
    currency: String,
    count: i64,
    amount: i64,
}

#[derive(FromRow)]
struct PaymentRow {
    status: String,
    currency: String,
    count: i64,
    amount: i64,
    received: i64,
    refund: i64,
}

#[derive(FromRow)]
struct TicketRow {
    show_id: Uuid,
    ticket_class_id: Uuid,
    status: String,
    count: i64,
}

#[derive(FromRow)]
struct QuarantineRow {
    currency: String,
    count: i64,
    amount: i64,
}

const CLASSES: &str = "select show_id, ticket_class_id, capacity, reserved, sold from {views}.availability";
const ORDERS: &str = "select show_id, phase, reason, currency, count(*) as count, sum(total)::bigint as amount
    from {views}.orders group by show_id, phase, reason, currency";
const PAYMENTS: &str = "select status, currency, count(*) as count, sum(amount)::bigint as amount,
    sum(received)::bigint as received, coalesce(sum(refund_amount), 0)::bigint as refund
    from {views}.payments group by status, currency";
const TICKETS: &str = "select show_id, ticket_class_id, status, count(*) as count
    from {views}.tickets group by show_id, ticket_class_id, status";
const QUARANTINED: &str = "select currency, count(*) as count, sum(amount)::bigint as amount
    from {views}.quarantined_money group by currency";

/// Adds the views of a namespace up, as they were at one moment.
///
/// # Errors
/// The namespace cannot name schemas, or whatever the database says.
pub async fn from_postgres(pool: &PgPool, namespace: &str) -> anyhow::Result<Sums> {
    let views = Names::of(namespace)?.views();
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    sqlx::query("set transaction isolation level repeatable read read only").execute(&mut *tx).await?;
    let mut sums = Sums::default();
    for row in rows::<ClassRow>(&mut tx, CLASSES, &views).await? {
        let of = ClassSums { capacity: row.capacity, held: row.reserved, sold: row.sold };
        sums.classes.insert((ShowId(row.show_id), TicketClassId(row.ticket_class_id)), of);
    }
    for row in rows::<OrderRow>(&mut tx, ORDERS, &views).await? {
        let of = CountSums { count: row.count, amount: row.amount };
        sums.orders.insert((ShowId(row.show_id), status(row.phase, row.reason), row.currency), of);
    }
    for row in rows::<PaymentRow>(&mut tx, PAYMENTS, &views).await? {
        let PaymentRow { count, amount, received, refund, .. } = row;
        sums.payments.insert((row.status, row.currency), PaymentSums { count, amount, received, refund });
    }
    for row in rows::<TicketRow>(&mut tx, TICKETS, &views).await? {
        sums.tickets.insert((ShowId(row.show_id), TicketClassId(row.ticket_class_id), row.status), row.count);
    }
    for row in rows::<QuarantineRow>(&mut tx, QUARANTINED, &views).await? {
        sums.quarantined.insert(row.currency, CountSums { count: row.count, amount: row.amount });
    }
    tx.commit().await?;
    Ok(sums)
}

/// The texts are ours: constants, and names that [`Names::of`] has checked.
async fn rows<R>(tx: &mut PgConnection, query: &str, views: &str) -> Result<Vec<R>, sqlx::Error>
where
    R: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    sqlx::query_as(AssertSqlSafe(query.replace("{views}", views))).fetch_all(tx).await
}
