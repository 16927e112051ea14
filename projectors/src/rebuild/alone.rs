//! One at a time: who rebuilds or rolls back a read model holds a lock as long as its connection lives.

use sqlx::{Connection as _, PgConnection, PgPool};

use crate::names::Names;

/// Nobody else rebuilds or rolls back this read model until this is dropped.
#[derive(Debug)]
pub struct Alone(#[allow(dead_code, reason = "its end lets the lock go")] PgConnection);

/// Somebody else does.
#[derive(Debug, thiserror::Error)]
#[error("the read model {name} is being rebuilt or rolled back already, since {since} (connection {pid} from {from})")]
pub struct Elsewhere {
    /// Which read model.
    pub name: String,
    /// When that began.
    pub since: String,
    /// The process of the database that serves who does it.
    pub pid: i32,
    /// Where who does it is.
    pub from: String,
}

impl Alone {
    /// Takes the lock, or tells who has it.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn take(pool: &PgPool, names: &Names, name: &str) -> Result<Result<Self, Elsewhere>, sqlx::Error> {
        let key = format!("{}/rebuild/{name}", names.base());
        let options = pool.connect_options().as_ref().clone().application_name("boxoffice-rebuild");
        let mut connection = PgConnection::connect_with(&options).await?;
        let take = "select pg_try_advisory_lock(hashtextextended($1, 0))";
        if sqlx::query_scalar(take).bind(&key).fetch_one(&mut connection).await? {
            return Ok(Ok(Self(connection)));
        }
        let holder = "select l.pid, coalesce(host(a.client_addr), 'here'), to_char(a.backend_start, 'HH24:MI:SS')
            from pg_locks l join pg_stat_activity a using (pid)
            where l.locktype = 'advisory' and l.granted and l.objsubid = 1
                and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)";
        let holder: Option<(i32, String, String)> =
            sqlx::query_as(holder).bind(&key).fetch_optional(&mut connection).await?;
        // It may have ended meanwhile; then the next attempt succeeds.
        let (pid, from, since) = holder.unwrap_or_else(|| (0, "?".to_owned(), "just now".to_owned()));
        Ok(Err(Elsewhere { name: name.to_owned(), since, pid, from }))
    }
}
