//! What the log costs, and what it is good for.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::root::Context;
use futures::StreamExt as _;
use local_stack::{StackConfig, find_root};
use serde_json::json;
use system_tests::journal::Kind;
use system_tests::purchase::{eventually, id, key};
use system_tests::sums::Sums;
use system_tests::{World, run};

/// Bytes of the segment files of this world's topics whose names begin so.
fn segments(world: &World, topics: &str) -> u64 {
    let config = StackConfig::for_tests(&find_root().unwrap());
    let prefix = format!("{}.{topics}", world.namespace);
    let folders = fs::read_dir(config.folder.join("kafka").join("data")).unwrap();
    let folders: Vec<PathBuf> = folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    assert!(folders.len() >= 4, "the topic has a folder for each partition");
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let logs = files.map(|entry| entry.unwrap()).filter(|entry| entry.path().extension().is_some_and(|it| it == "log"));
    logs.map(|entry| entry.metadata().unwrap().len()).sum()
}

#[test]
fn ten_thousand_refusals_cost_next_to_nothing() {
    const REFUSED: usize = 10_000;
    const AT_ONCE: usize = 200;
    run(async {
        let world = World::start().await;
        let sale = world.on_sale(0, 2, 600).await;
        let (order, holder, _) = sale.buy(&world, 2).await;
        world.until(order, &holder, "completed").await;
        let mut journal = world.journal();
        eventually("all is quiet", async || {
            journal.news().await;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            journal.news().await.entries.is_empty().then_some(())
        })
        .await;
        let (before, all_before) = (segments(&world, "inventory-events-"), segments(&world, ""));
        let refused = Arc::new(AtomicUsize::new(0));
        let begun = service_kit::clock::monotonic();
        futures::stream::iter(0..REFUSED)
            .for_each_concurrent(AT_ONCE, |_| async {
                let path = format!("/v1/orders/{}", id());
                let answer = world.client.put_with(&path, &key(), &sale.order(1)).await;
                answer.is_problem(409, "sold-out");
                refused.fetch_add(1, Ordering::Relaxed);
            })
            .await;
        let took = begun.elapsed();
        assert_eq!(refused.load(Ordering::Relaxed), REFUSED);
        let news = journal.news().await;
        assert_eq!(news.written(), 0);
        let (on_disk, all) = (segments(&world, "inventory-events-") - before, segments(&world, "") - all_before);
        let inventory = news.entries.iter().filter(|entry| entry.partition.context == Context::Inventory);
        let (records, bytes) =
            inventory.fold((0, 0), |(records, bytes), entry| (records + 1, bytes + entry.bytes.len()));
        assert!(news.entries.iter().all(|entry| matches!(entry.kind, Kind::Barrier | Kind::Settled)));
        let each = on_disk as f64 / REFUSED as f64;
        println!(
            "{REFUSED} refusals in {:.1} s ({:.0}/s): {records} records of {bytes} bytes, {on_disk} bytes of segments ({all} of all topics), {each:.1} bytes each",
            took.as_secs_f64(),
            REFUSED as f64 / took.as_secs_f64()
        );
        assert!(records > 0 && on_disk > 0, "something has to answer for the refusals");
        assert!(each < 50.0, "{each} bytes of log for each refusal");
        assert!(all < 50 * REFUSED as u64, "{all} bytes of all topics, the keys of personal data too");
        assert_eq!(world.stock(&sale, 2).await, (0, 2, 0));
        world.stop().await;
    });
}

/// Places so many orders; every third buyer gives up, the others pay. The read models are not asked: they may be away.
async fn trade(world: &World, sale: &system_tests::purchase::OnSale, orders: usize) {
    futures::stream::iter(0..orders)
        .for_each_concurrent(8, |n| async move {
            let (order, holder, _) = sale.buy(world, 1).await;
            if n % 3 == 2 {
                holder.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.is(200);
            }
        })
        .await;
    pay_all(world).await;
}

/// Pays every page that is open at the provider.
async fn pay_all(world: &World) {
    let listed = world.sandbox.get("/_control/payments?status=PENDING&limit=1000").await.is(200).body;
    for payment in listed["payments"].as_array().unwrap() {
        let code = &payment["orderCode"];
        // One that is being closed at this moment may refuse.
        world.sandbox.post(&format!("/_control/payments/{code}/pay"), &json!({})).await;
    }
}

#[test]
fn read_models_come_back_from_anything() {
    run(async {
        let mut world = World::start().await;
        let sale = world.on_sale(1000, 500, 30).await;
        trade(&world, &sale, 20).await;
        // Stopped while orders go on.
        world.stop_projectors().await;
        trade(&world, &sale, 20).await;
        let mut ahead = Sums::default();
        ahead.add(&world.journal().news().await);
        assert!(!world.differences(&ahead).await.is_empty(), "read models that stand still must differ from the log");
        world.start_projectors().await.unwrap();
        trade(&world, &sale, 20).await;
        // Emptied, one after the other, while orders go on.
        let pool = world.pool().await.unwrap();
        let names: Vec<&str> = projectors::LAYOUTS.iter().map(|layout| layout.name).collect();
        for name in &names {
            projectors::wipe(&pool, &world.namespace, name).await.unwrap();
            trade(&world, &sale, 5).await;
        }
        // Gone altogether, with everything that was stored about how far they had come.
        world.stop_projectors().await;
        for layout in projectors::LAYOUTS {
            let schema = projectors::Names::of(&world.namespace).unwrap().first(&layout);
            let drop = format!("drop schema {schema} cascade");
            sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&pool).await.unwrap();
        }
        trade(&world, &sale, 20).await;
        world.start_projectors().await.unwrap();
        trade(&world, &sale, 20).await;

        let mut journal = world.journal();
        let mut sums = Sums::default();
        eventually("every order ends", async || {
            pay_all(&world).await;
            sums.add(&journal.news().await);
            let open = sums.orders_of(sale.show.into(), "open");
            (open == 0).then_some(())
        })
        .await;
        sums.add(&journal.news().await);
        sums.check_settled();
        assert!(sums.orders_of(sale.show.into(), "completed") >= 60, "{:?}", sums.stock);
        world.check_read_models(&sums).await;
        world.stop().await;
    });
}
