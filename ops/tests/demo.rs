//! A whole sell-out in small, with the writer killed in the middle; and a check that sees what is wrong afterwards.

use std::sync::Arc;
use std::time::Duration;

use check::Checker;
use ops::demo::{self, Args, Room};
use ops::dev::{self, DevOptions, Running};
use service_kit::random;
use sqlx::PgPool;

use crate::support::stack;

const READY: Duration = Duration::from_secs(120);

async fn up(folder: &std::path::Path) -> Running {
    let id = random::opaque_id().simple().to_string();
    let mut options = DevOptions::new(stack().await, format!("demo-{}", &id[..8]), folder);
    options.overrides = demo::SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    options.counts = demo::COUNTS;
    options.say = Arc::new(|line| eprintln!("{line}"));
    let running = dev::start(options).await.unwrap();
    running.wait_ready(READY).await.unwrap();
    running
}

fn small() -> Args {
    Args {
        exit: true,
        show_tickets: 60,
        buyers: 80,
        seed: Some(42),
        over: 12,
        pay_within: 15,
        at_once: 50,
        room: Room { slots: 20, admission_batch: 5, tick: 200, enter_within: 5, token_ttl: 20, opens_after: 6 },
        kill: vec!["command-api-1@3s".parse().unwrap()],
        term: vec!["command-api-2@9s".parse().unwrap()],
    }
}

async fn faults(checker: &Checker) -> Vec<String> {
    let (report, _) = checker.check(None).await.unwrap();
    report.laws.into_iter().filter(|law| !law.holds()).flat_map(|law| law.faults.first).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_sell_out_survives_a_killed_writer_and_the_check_sees_a_changed_row() {
    let folder = tempfile::tempdir().unwrap();
    let running = up(folder.path()).await;
    let demonstrated = demo::run(small(), running.clone()).await;
    let plan = running.plan();
    let sandbox = running.sandbox_url();
    let checked = async {
        demonstrated?;
        let checker = Checker::connect(running.endpoints(), &plan.namespace, plan.partitions, Some(&sandbox)).await?;
        assert_eq!(faults(&checker).await, [""; 0]);
        let pool = PgPool::connect(&running.endpoints().postgres).await?;
        let tables = format!("\"{}_orders_v2_g1\"", plan.namespace);
        let change = format!("update {tables}.orders set total = total + 1 where fact = 'completed'");
        assert!(sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&pool).await?.rows_affected() > 0);
        let seen = faults(&checker).await;
        let total = |fault: &&String| fault.contains(".total: Postgres has") || fault.starts_with("orders (");
        assert!(!seen.is_empty() && seen.iter().all(|fault| total(&fault)), "{seen:?}");
        anyhow::Ok(())
    };
    let checked = checked.await;
    running.stop().await;
    checked.unwrap();
}
