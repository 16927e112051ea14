//! How far a read model has come in each partition: a `validity::Position` a row, in Postgres.

use domain::root::Context;
use event_log::log::Partition;
use event_log::validity::Position;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _};

use crate::model::column;
use crate::names::Names;

/// The context as the column `context` has it: `catalog`, `inventory`, `order`, `payment`, `ticket`, `queue`.
pub fn context_name(context: Context) -> &'static str {
    context.topic().trim_end_matches("-events")
}

/// Where what readers see of a read model stands in a partition: it includes everything below `next`. `None` if it never
/// ran, or is not known.
///
/// # Errors
/// Whatever the database says.
pub async fn position(
    pool: &PgPool,
    names: &Names,
    name: &str,
    at: Partition,
) -> Result<Option<Position>, sqlx::Error> {
    let sql = format!(
        "select next_offset, identity, term, claim, seq, hole from {}.checkpoints
         where projection = $1 and context = $2 and partition = $3",
        names.views()
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(name).bind(context_name(at.context)).bind(number(at));
    query.fetch_optional(pool).await?.as_ref().map(read).transpose()
}

/// Lets those of these partitions that have no position begin at the start of the log.
pub(crate) async fn found(tx: &mut PgConnection, places: &[Partition]) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "insert into checkpoints (context, partition, next_offset, term, claim, seq, hole, updated_at)
         select context, partition, 0, 0, '00000000-0000-0000-0000-000000000000', 0, false, now()
         from unnest($1::text[], $2::int[]) as k (context, partition)
         order by context, partition
         on conflict do nothing",
    );
    let insert = insert.bind(column(places, |at| context_name(at.context))).bind(column(places, |at| number(*at)));
    insert.execute(&mut *tx).await?;
    Ok(())
}

/// The positions of these partitions, in their order.
pub(crate) async fn stored(tx: &mut PgConnection, places: &[Partition]) -> Result<Vec<Option<Position>>, sqlx::Error> {
    select(tx, places, "").await
}

/// The same, and nobody else changes them until the transaction ends. They are locked in key order, because two
/// processes could deadlock in any other.
pub(crate) async fn locked(tx: &mut PgConnection, places: &[Partition]) -> Result<Vec<Option<Position>>, sqlx::Error> {
    select(tx, places, "order by c.context, c.partition for update of c").await
}

async fn select(tx: &mut PgConnection, places: &[Partition], how: &str) -> Result<Vec<Option<Position>>, sqlx::Error> {
    let sql = format!(
        "select k.n, c.next_offset, c.identity, c.term, c.claim, c.seq, c.hole
         from unnest($1::text[], $2::int[]) with ordinality as k (context, partition, n)
         join checkpoints c using (context, partition) {how}"
    );
    let query = sqlx::query(AssertSqlSafe(sql));
    let query = query.bind(column(places, |at| context_name(at.context))).bind(column(places, |at| number(*at)));
    let mut positions = vec![None; places.len()];
    for row in query.fetch_all(tx).await? {
        let n: i64 = row.try_get("n")?;
        let n = usize::try_from(n - 1).expect("it counts the places from 1");
        positions[n] = Some(read(&row)?);
    }
    Ok(positions)
}

/// Moves checkpoints, which are locked.
pub(crate) async fn advance(tx: &mut PgConnection, to: &[(Partition, Position)]) -> Result<(), sqlx::Error> {
    let update = sqlx::query(
        "update checkpoints c set next_offset = s.next_offset, identity = s.identity, term = s.term, claim = s.claim,
            seq = s.seq, hole = s.hole, updated_at = now()
         from unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[], $5::bigint[], $6::uuid[], $7::bigint[],
            $8::bool[]) as s (context, partition, next_offset, identity, term, claim, seq, hole)
         where c.context = s.context and c.partition = s.partition",
    );
    let update = update
        .bind(column(to, |(place, _)| context_name(place.context)))
        .bind(column(to, |(place, _)| number(*place)))
        .bind(column(to, |(_, to)| to.next))
        .bind(column(to, |(_, to)| to.identity))
        .bind(column(to, |(_, to)| i64::from(to.term)))
        .bind(column(to, |(_, to)| to.claim))
        .bind(column(to, |(_, to)| to.seq.cast_signed()))
        .bind(column(to, |(_, to)| to.hole));
    update.execute(tx).await?;
    Ok(())
}

pub(crate) fn number(at: Partition) -> i32 {
    i32::try_from(at.number).expect("partitions are numbered with 31 bits")
}

fn read(row: &PgRow) -> Result<Position, sqlx::Error> {
    let term: i64 = row.try_get("term")?;
    let seq: i64 = row.try_get("seq")?;
    Ok(Position {
        next: row.try_get("next_offset")?,
        identity: row.try_get("identity")?,
        term: u32::try_from(term).map_err(|error| sqlx::Error::Decode(error.into()))?,
        claim: row.try_get("claim")?,
        seq: seq.cast_unsigned(),
        hole: row.try_get("hole")?,
    })
}
