//! What people see of parked keys, and how they ask for something: the projector itself does it, so that there is one writer.

use sqlx::{AssertSqlSafe, FromRow, PgPool};
use uuid::Uuid;

use crate::generations::Generation;
use crate::names::Names;

/// A key that waits.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ParkedKey {
    /// In which read model.
    pub projection: String,
    /// Of which topic.
    pub context: String,
    /// In which of its partitions.
    pub partition: i32,
    /// The aggregate's id.
    pub key: String,
    /// The offset of the event that cannot be folded.
    pub offset: i64,
    /// Its type, as far as known.
    pub event_type: String,
    /// Why it cannot be.
    pub reason: String,
    /// How many events wait, this one too.
    pub waiting: i64,
    /// Since when, microseconds since 1970, UTC.
    pub since_us: i64,
}

/// An event that waits.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ParkedEvent {
    /// Its offset.
    pub offset: i64,
    /// Its type, as far as known.
    pub event_type: String,
    /// Why it cannot be folded; none if it waits behind another.
    pub reason: Option<String>,
    /// The `frame` header.
    pub header: Vec<u8>,
    /// The value in Confluent wire format; personal data in it is ciphertext.
    pub value: Vec<u8>,
    /// When it was appended, by the broker's clock.
    pub appended_at_us: i64,
    /// When it was put aside.
    pub since_us: i64,
}

/// Every key that waits, by read model.
///
/// # Errors
/// Whatever the database says.
pub async fn list(pool: &PgPool, names: &Names) -> Result<Vec<ParkedKey>, sqlx::Error> {
    let sql = format!(
        "select projection, context, partition, key, min(\"offset\") filter (where poison) as \"offset\",
            (array_agg(event_type order by \"offset\") filter (where poison))[1] as event_type,
            (array_agg(reason order by \"offset\") filter (where poison))[1] as reason,
            count(*) as waiting, (extract(epoch from min(since)) * 1000000)::bigint as since_us
         from {}.parked group by projection, context, partition, key
         order by min(since), projection, context, partition, key",
        names.views()
    );
    // A key whose last poison event was skipped a moment ago has none until it is tried again.
    let sql = format!(
        "select projection, context, partition, key, coalesce(\"offset\", -1) as \"offset\",
            coalesce(event_type, '-') as event_type, coalesce(reason, 'about to be tried again') as reason, waiting, since_us
         from ({sql}) k"
    );
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await
}

/// The first events of a key, at most so many, in order.
///
/// # Errors
/// Whatever the database says.
pub async fn events(pool: &PgPool, names: &Names, key: &ParkedKey, most: i64) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    let Some(schema) = schema(pool, names, &key.projection).await? else { return Ok(Vec::new()) };
    let sql = format!(
        "select \"offset\", event_type, reason, header, value, appended_at_us,
            (extract(epoch from since) * 1000000)::bigint as since_us
         from {schema}.parked where context = $1 and partition = $2 and key = $3 order by \"offset\" limit $4"
    );
    let query = sqlx::query_as(AssertSqlSafe(sql)).bind(&key.context).bind(key.partition).bind(&key.key).bind(most);
    query.fetch_all(pool).await
}

/// Asks the read model's projector to try a key again, or to leave out an event of it. [`outcome`] tells what became of it.
///
/// # Errors
/// Whatever the database says.
pub async fn wish(
    pool: &PgPool,
    names: &Names,
    key: &ParkedKey,
    skip: Option<(i64, &str)>,
) -> Result<Uuid, sqlx::Error> {
    let id = service_kit::random::id();
    let Some(schema) = schema(pool, names, &key.projection).await? else { return Err(sqlx::Error::RowNotFound) };
    let sql = format!(
        "insert into {schema}.parked_wishes (wish_id, context, partition, key, skip, why) values ($1, $2, $3, $4, $5, $6)"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(&key.context).bind(key.partition).bind(&key.key);
    query.bind(skip.map(|(offset, _)| offset)).bind(skip.map(|(_, why)| why)).execute(pool).await?;
    Ok(id)
}

/// What became of a wish; none as long as nobody took it up.
///
/// # Errors
/// Whatever the database says.
pub async fn outcome(pool: &PgPool, names: &Names, key: &ParkedKey, wish: Uuid) -> Result<Option<String>, sqlx::Error> {
    let Some(schema) = schema(pool, names, &key.projection).await? else { return Ok(None) };
    let sql = format!("select outcome from {schema}.parked_wishes where wish_id = $1");
    let found: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(wish).fetch_optional(pool).await?;
    Ok(found.flatten())
}

/// Takes a wish away. False if it was granted meanwhile.
///
/// # Errors
/// Whatever the database says.
pub async fn withdraw(pool: &PgPool, names: &Names, key: &ParkedKey, wish: Uuid) -> Result<bool, sqlx::Error> {
    let Some(schema) = schema(pool, names, &key.projection).await? else { return Ok(true) };
    let sql = format!("delete from {schema}.parked_wishes where wish_id = $1 and done_at is null");
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(wish).execute(pool).await?.rows_affected() > 0)
}

/// Where the tables of the read model are that readers see; none if there is none of this name.
async fn schema(pool: &PgPool, names: &Names, projection: &str) -> Result<Option<String>, sqlx::Error> {
    let sql = format!("select version, generation from {}.projections where projection = $1", names.views());
    let live: Option<(i32, i32)> = sqlx::query_as(AssertSqlSafe(sql)).bind(projection).fetch_optional(pool).await?;
    Ok(live.and_then(|(version, number)| {
        let (version, number) = (u32::try_from(version).ok()?, u32::try_from(number).ok()?);
        Some(names.generation(projection, Generation { version, number }))
    }))
}
