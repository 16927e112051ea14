//! Where a generation says that it stands.

use std::collections::{BTreeMap, BTreeSet};

use event_log::log::Partition;
use event_log::validity::Position;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use super::{VerifyError, place_of};

/// Nobody wrote a checkpoint, or put an event aside, like this.
#[derive(Debug, thiserror::Error)]
#[error("what is stored of {context}/{partition} makes no sense")]
pub struct BadCheckpoint {
    context: String,
    partition: i32,
}

#[derive(FromRow)]
struct Row {
    context: String,
    partition: i32,
    next_offset: i64,
    identity: Option<Uuid>,
    term: i64,
    claim: Uuid,
    seq: i64,
    hole: bool,
}

/// The checkpoints of a generation of events, by the schema it is in.
///
/// # Errors
/// Whatever the database says, or a checkpoint that makes no sense.
pub async fn checkpoints(tx: &mut PgConnection, schema: &str) -> Result<BTreeMap<Partition, Position>, VerifyError> {
    let sql =
        format!("select context, partition, next_offset, identity, term, claim, seq, hole from {schema}.checkpoints");
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(tx).await?;
    let position = |row: Row| {
        let place = place_of(&row.context, row.partition);
        let (term, seq) = (u32::try_from(row.term).ok(), u64::try_from(row.seq).ok());
        let Row { next_offset: next, identity, claim, hole, .. } = row;
        let position = place.zip(term.zip(seq));
        let position =
            position.map(|(place, (term, seq))| (place, Position { next, identity, term, claim, seq, hole }));
        position.ok_or_else(|| BadCheckpoint { context: row.context, partition: row.partition }.into())
    };
    rows.into_iter().map(position).collect()
}

/// Events that wait because their key is parked, and whether each is one that cannot be folded; and those that somebody
/// had left out.
pub type Apart = (BTreeMap<(Partition, i64), bool>, BTreeSet<(Partition, i64)>);

/// What of the log is not in the rows of a generation, by the schema it is in.
///
/// # Errors
/// Whatever the database says, or an event that lies nowhere.
pub async fn apart(tx: &mut PgConnection, schema: &str) -> Result<Apart, VerifyError> {
    let parked = events(tx, &format!("{schema}.parked"), "reason is not null").await?;
    let skipped = events(tx, &format!("{schema}.skipped"), "true").await?;
    Ok((parked, skipped.into_keys().collect()))
}

/// Where the events of a table lie, with what else is asked of them.
async fn events(
    tx: &mut PgConnection,
    table: &str,
    what: &str,
) -> Result<BTreeMap<(Partition, i64), bool>, VerifyError> {
    let sql = format!("select context, partition, \"offset\", {what} from {table}");
    let rows: Vec<(String, i32, i64, bool)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(tx).await?;
    let event = |(context, partition, offset, what): (String, i32, i64, bool)| match place_of(&context, partition) {
        Some(place) => Ok(((place, offset), what)),
        None => Err(BadCheckpoint { context, partition }.into()),
    };
    rows.into_iter().map(event).collect()
}
