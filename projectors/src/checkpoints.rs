//! How far a read model has come in each partition: a `validity::Position` a row, moved by compare-and-set.

use domain::root::Context;
use event_log::log::Partition;
use event_log::validity::Position;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _};

use crate::model::column;
use crate::schema::{LAYOUTS, Names};

/// A step of one partition's checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) place: Partition,
    pub(crate) from: Position,
    pub(crate) to: Position,
}

/// The context as the column `context` has it: `catalog`, `inventory`, `order`, `payment`, `ticket`, `queue`.
pub fn context_name(context: Context) -> &'static str {
    context.topic().trim_end_matches("-events")
}

/// Where a read model stands in a partition: what it shows includes everything below `next`. `None` if it never ran,
/// or is not known.
///
/// # Errors
/// Whatever the database says.
pub async fn position(
    pool: &PgPool,
    names: &Names,
    name: &str,
    at: Partition,
) -> Result<Option<Position>, sqlx::Error> {
    let Some(layout) = LAYOUTS.iter().find(|layout| layout.name == name) else {
        return Ok(None);
    };
    let sql = format!(
        "select next_offset, identity, term, claim, seq, hole from {}.checkpoints where context = $1 and partition = $2",
        names.tables(layout)
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(context_name(at.context)).bind(number(at));
    query.fetch_optional(pool).await?.as_ref().map(read).transpose()
}

/// The positions of these partitions; those that have none begin at the start of the log.
pub(crate) async fn load(tx: &mut PgConnection, places: &[Partition]) -> Result<Vec<Position>, sqlx::Error> {
    let insert = sqlx::query(
        "insert into checkpoints (context, partition, next_offset, term, claim, seq, hole, updated_at)
         select context, partition, 0, 0, '00000000-0000-0000-0000-000000000000', 0, false, now()
         from unnest($1::text[], $2::int[]) as k (context, partition)
         order by context, partition
         on conflict do nothing",
    );
    let insert = insert.bind(column(places, |at| context_name(at.context))).bind(column(places, |at| number(*at)));
    insert.execute(&mut *tx).await?;
    stored(tx, places).await
}

/// The positions of these partitions, in their order; shorter if some are missing.
pub(crate) async fn stored(tx: &mut PgConnection, places: &[Partition]) -> Result<Vec<Position>, sqlx::Error> {
    let query = sqlx::query(
        "select c.next_offset, c.identity, c.term, c.claim, c.seq, c.hole
         from unnest($1::text[], $2::int[]) with ordinality as k (context, partition, n)
         join checkpoints c using (context, partition)
         order by k.n",
    );
    let query = query.bind(column(places, |at| context_name(at.context))).bind(column(places, |at| number(*at)));
    query.fetch_all(tx).await?.iter().map(read).collect()
}

/// Moves checkpoints, if all of them still stand where they are expected: otherwise somebody else is ahead, or the
/// read model was emptied, and the transaction has to be rolled back.
pub(crate) async fn advance(tx: &mut PgConnection, steps: &[Step]) -> Result<bool, sqlx::Error> {
    let contexts = column(steps, |step| context_name(step.place.context));
    let partitions = column(steps, |step| number(step.place));
    // Locked in key order first, because an update from a list takes its own order, and two processes could deadlock.
    let lock = sqlx::query(
        "select 1 from checkpoints c join unnest($1::text[], $2::int[]) as k (context, partition)
            using (context, partition)
         order by c.context, c.partition for update of c",
    );
    lock.bind(&contexts).bind(&partitions).execute(&mut *tx).await?;
    let update = sqlx::query(
        "update checkpoints c set next_offset = s.next_offset, identity = s.identity, term = s.term, claim = s.claim,
            seq = s.seq, hole = s.hole, updated_at = now()
         from unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[], $5::bigint[], $6::uuid[], $7::bigint[],
            $8::uuid[], $9::bigint[], $10::bool[])
            as s (context, partition, old_offset, old_identity, next_offset, identity, term, claim, seq, hole)
         where c.context = s.context and c.partition = s.partition and c.next_offset = s.old_offset
            and c.identity is not distinct from s.old_identity",
    );
    let update = update
        .bind(&contexts)
        .bind(&partitions)
        .bind(column(steps, |step| step.from.next))
        .bind(column(steps, |step| step.from.identity))
        .bind(column(steps, |step| step.to.next))
        .bind(column(steps, |step| step.to.identity))
        .bind(column(steps, |step| i64::from(step.to.term)))
        .bind(column(steps, |step| step.to.claim))
        .bind(column(steps, |step| step.to.seq.cast_signed()))
        .bind(column(steps, |step| step.to.hole));
    Ok(update.execute(tx).await?.rows_affected() == steps.len() as u64)
}

fn number(at: Partition) -> i32 {
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
