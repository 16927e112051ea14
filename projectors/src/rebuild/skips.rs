//! What a person had left out of what readers see is left out of the new generation, too: it is not asked for again.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::{Instant, sleep};

use crate::generations::{Generation, overview};
use crate::names::Names;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// What was not left out by then is seen in the list of parked keys.
const WITHIN: Duration = Duration::from_secs(30);

/// Wishes for the same, which whoever fills the generation carries out.
pub(super) async fn carry_over(
    pool: &PgPool,
    names: &Names,
    (name, to): (&str, Generation),
) -> Result<(), sqlx::Error> {
    let Some(live) = overview(pool, names).await?.get(name).map(|standing| standing.live) else {
        return Ok(());
    };
    let (from, to) = (names.generation(name, live), names.generation(name, to));
    let same = "s.context = p.context and s.partition = p.partition and s.\"offset\" = p.\"offset\"";
    let left = format!("{from}.skipped s join {to}.parked p on {same} and p.reason is not null");
    let open = format!(
        "select 1 from {to}.parked_wishes w where w.context = s.context and w.partition = s.partition
            and w.key = s.key and w.done_at is null"
    );
    let wish = format!(
        "insert into {to}.parked_wishes (wish_id, context, partition, key, skip, why)
         select gen_random_uuid(), s.context, s.partition, s.key, s.\"offset\", s.why from {left} where not exists ({open})"
    );
    let count = format!("select count(*) from {left}");
    let until = Instant::now() + WITHIN;
    loop {
        let waiting: i64 = sqlx::query_scalar(AssertSqlSafe(count.clone())).fetch_one(pool).await?;
        if waiting == 0 || Instant::now() >= until {
            return Ok(());
        }
        sqlx::query(AssertSqlSafe(wish.clone())).execute(pool).await?;
        sleep(LOOK).await;
    }
}
