//! A whole sell-out in small, with the writer killed in the middle; and a check that sees what is wrong afterwards.

use check::Checker;
use ops::demo::{self, Args};
use sqlx::PgPool;

use crate::support::{installation, small_sale};

async fn faults(checker: &Checker) -> Vec<String> {
    let (report, _) = checker.check(None).await.unwrap();
    report.laws.into_iter().filter(|law| !law.holds()).flat_map(|law| law.faults.first).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_sell_out_survives_a_killed_writer_and_the_check_sees_a_changed_row() {
    let folder = tempfile::tempdir().unwrap();
    let running = installation("demo", demo::COUNTS, folder.path()).await;
    let (kill, term) = (vec!["command-api-1@3s".parse().unwrap()], vec!["command-api-2@9s".parse().unwrap()]);
    let demonstrated = demo::run(Args { kill, term, ..small_sale() }, running.clone()).await;
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
