//! The database of the read side dies in the middle of a batch, or loses everything.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::future::{BoxFuture, join_all};
use local_stack::Server;
use reqwest::Method;
use service_kit::clock;
use sqlx::{AssertSqlSafe, PgPool};
use system_tests::purchase::{OnSale, id, key};
use tokio::time::sleep;

use super::own;
use crate::client::Ask;
use crate::fault::{Fault, Must, Play};
use crate::run::Site;

/// A batch comes within so long.
const BATCH: Duration = Duration::from_secs(20);
const GONE: Duration = Duration::from_secs(3);
/// The read side is back within so long.
const READS: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);
/// The write side never reads Postgres: nobody who buys is left in doubt, and nobody superseded.
const MUST: Must = Must { fence: false, doubt: false, void: false, smooth: false };

/// In the middle of a transaction.
pub static POSTGRES_KILLED: Fault = Fault {
    name: "postgres-killed",
    what: "kill -9 of Postgres while projectors are in the middle of a batch (checkpoint moved, rows waiting for a lock); \
           it is started again 3 s later.",
    proves: "Rows and checkpoint move together: the batch counts once, and buying goes on without Postgres.",
    quick: false,
    play: Play::UnderLoad { place: || Box::pin(own::stack(|_| {})), strike: |site| killed(site), must: MUST },
};

/// An empty database.
pub static POSTGRES_WIPED: Fault = Fault {
    name: "postgres-wiped",
    what: "kill -9 of Postgres, and all its data are deleted; an empty one is started 3 s later.",
    proves: "Postgres holds nothing that the log does not: the read side comes back by itself, row by row the same.",
    quick: false,
    play: Play::UnderLoad { place: || Box::pin(own::stack(|_| {})), strike: |site| wiped(site), must: MUST },
};

fn killed(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let since = in_mid_batch(site).await?;
        away(site, since).await
    })
}

/// Kills it while a batch has moved its checkpoint and waits to write rows.
async fn in_mid_batch(site: &Site) -> anyhow::Result<Instant> {
    let pool = site.shop().pool().await;
    let table = table(site, &pool, "orders").await?;
    let mut blocking = pool.begin().await?;
    sqlx::query(AssertSqlSafe(format!("lock table {table} in share mode"))).execute(&mut *blocking).await?;
    let begun = clock::monotonic();
    loop {
        // Whoever waits for the rows has written the checkpoint before, in the same transaction.
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and backend_xid is not null",
        )
        .fetch_one(&mut *blocking)
        .await?;
        if waiting > 0 {
            break;
        }
        ensure!(begun.elapsed() < BATCH, "void: no batch is written");
        sleep(Duration::from_millis(10)).await;
    }
    let since = clock::monotonic();
    own::kill(site, Server::Postgres).await?;
    drop(blocking);
    Ok(since)
}

fn wiped(site: &Site) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(async {
        let pool = site.shop().pool().await;
        ensure!(rows(site, &pool).await? > 0, "void: there was nothing to lose");
        drop(pool);
        let since = clock::monotonic();
        site.struck();
        own::to(site, |config| local_stack::lose(config, Server::Postgres)).await?;
        away(site, since).await
    })
}

/// Buying goes on; then Postgres comes back, and reading with it.
async fn away(site: &Site, since: Instant) -> anyhow::Result<()> {
    let before = site.load().counts().now();
    sleep(GONE).await;
    let meanwhile = site.load().counts().now();
    ensure!(meanwhile.acknowledged > before.acknowledged, "nothing is acknowledged without Postgres");
    ensure!(meanwhile.in_doubt == before.in_doubt, "somebody who buys is left in doubt without Postgres");
    own::start(site, Server::Postgres).await?;
    let free = site.load().shows().free.clone();
    let reads = join_all(free.into_iter().map(|sale| read_back(site, sale, since))).await;
    let longest = reads.into_iter().collect::<anyhow::Result<Vec<Duration>>>()?.into_iter().max();
    site.note(format!("orders are seen again {} ms after the fault", longest.context("there are shows")?.as_millis()));
    Ok(())
}

/// Places an order and waits until the read side shows it completed.
async fn read_back(site: &Site, sale: OnSale, since: Instant) -> anyhow::Result<Duration> {
    let caller = site.load().caller("reader");
    let (order, key, body) = (id(), key(), sale.order(1));
    let path = format!("/v1/orders/{order}");
    let answer = caller.insist(Ask::write(Method::PUT, &path, &key, &body)).await?;
    ensure!(matches!(answer.status.as_u16(), 200 | 201), "an order is refused: {answer:?}");
    let key = (domain::ids::OrderId(order), domain::ids::ShowId(sale.show));
    site.load().promised(key);
    let holder = caller.with(answer.body["access_token"].as_str().context("a guest gets a token")?);
    loop {
        let seen = holder.ask(&Ask::get(&path)).await;
        if seen.as_ref().is_some_and(|seen| seen.status == 200 && seen.body["status"] == "completed") {
            return Ok(since.elapsed());
        }
        ensure!(since.elapsed() < READS, "{order} is not seen {} s after the fault: {seen:?}", READS.as_secs());
        sleep(LOOK).await;
    }
}

/// The full name of a table of this run's read model of orders.
async fn table(site: &Site, pool: &PgPool, name: &str) -> anyhow::Result<String> {
    let namespace = &site.shop().running.plan().namespace;
    let named = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname like $1 and tablename = $2",
    );
    let pattern = format!("{namespace}\\_orders\\_v%");
    named.bind(pattern).bind(name).fetch_optional(pool).await?.context("there is a read model of orders")
}

async fn rows(site: &Site, pool: &PgPool) -> anyhow::Result<i64> {
    let table = table(site, pool, "orders").await?;
    Ok(sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}"))).fetch_one(pool).await?)
}
