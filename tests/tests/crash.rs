//! What is killed comes back, and nothing that was acknowledged is missing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::ids::OrderId;
use futures::StreamExt as _;
use local_stack::{EphemeralStack, Server};
use ops::topology::Process;
use reqwest::Method;
use serde_json::json;
use system_tests::journal::{Journal, Kind};
use system_tests::purchase::{OnSale, eventually, id, key, link_of};
use system_tests::sums::Sums;
use system_tests::{Installation, Shop, run, world};
use uuid::Uuid;

/// What buyers saw.
#[derive(Default)]
pub struct Seen {
    /// Orders that were answered with 201.
    pub acknowledged: AtomicUsize,
    /// Requests that were not answered, or with 503 and the like: repeated with the same key.
    pub repeated: AtomicUsize,
}

/// Places an order, again and again with one key until it is answered; pays; holds its tickets.
pub async fn purchase(shop: &Shop, sale: &OnSale, seen: &Seen) -> Uuid {
    let (order, key, body) = (id(), key(), sale.order(1));
    let path = format!("/v1/orders/{order}");
    let placed = eventually("the order is answered", async || {
        let request = shop.client.request(Method::PUT, &path).header("idempotency-key", &key).json(&body);
        match shop.client.try_send(request).await {
            Ok(answer) if answer.status == 201 => return Some(answer),
            Ok(answer) => assert!(answer.status.is_server_error(), "{answer:#?}"),
            Err(error) => assert!(!error.is_builder(), "{error}"),
        }
        seen.repeated.fetch_add(1, Ordering::Relaxed);
        None
    })
    .await;
    seen.acknowledged.fetch_add(1, Ordering::Relaxed);
    let holder = shop.client.with(&placed.text("access_token"));
    let link = eventually("there is a page", async || {
        let answer = holder.get_waiting(&format!("{path}?until=awaiting_payment"), 5).await;
        link_of(&answer.body["payments"][0])
    })
    .await;
    shop.pay(&link, &json!({})).await;
    eventually("it completes", async || {
        let answer = holder.get_waiting(&format!("{path}?until=completed"), 5).await;
        (answer.status == 200 && answer.body["status"] == "completed").then_some(())
    })
    .await;
    order
}

/// Waits until so many orders were acknowledged.
pub async fn acknowledged(seen: &Seen, count: usize) {
    eventually("so many orders are acknowledged", async || {
        (seen.acknowledged.load(Ordering::Relaxed) >= count).then_some(())
    })
    .await;
}

/// Everything that was bought is there, once, in the log and in the read models.
pub async fn check(shop: &Shop, journal: &mut Journal, sales: &[OnSale], orders: &[Uuid]) {
    let mut sums = Sums::default();
    eventually("every order is completed in the log", async || {
        sums.add(&journal.news().await);
        let completed: usize = sales.iter().map(|sale| sums.orders_of(sale.show.into(), "completed")).sum();
        (completed == orders.len()).then_some(())
    })
    .await;
    for order in orders {
        let known = |sale: &OnSale| sums.orders.get(&(sale.show.into(), OrderId(*order))) == Some(&"completed");
        assert!(sales.iter().any(known), "{order} was acknowledged");
    }
    sums.check_settled();
    assert!(sums.refunds.is_empty(), "somebody paid twice: {:?}", sums.refunds);
    shop.check_read_models(&sums).await;
}

#[test]
fn the_write_side_is_killed_in_the_middle() {
    const ORDERS: usize = 200;
    run(async {
        let shop = Installation::start(world::stack().await.unwrap(), &[]).await;
        let sale = shop.on_sale(1000, 500, 600).await;
        let seen = Seen::default();
        let buying = futures::stream::iter(0..ORDERS).map(|_| purchase(&shop, &sale, &seen));
        let buying = buying.buffer_unordered(16).collect::<Vec<_>>();
        let killing = async {
            let mut late = Vec::new();
            for after in [30, 90] {
                acknowledged(&seen, after).await;
                shop.kill(Process::CommandApi).await;
                // The others may all be waiting for their tickets: this one comes to a closed door.
                let back = async {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    shop.wait_ready().await;
                };
                late.push(tokio::join!(purchase(&shop, &sale, &seen), back).0);
            }
            late
        };
        let (mut orders, late) = tokio::join!(buying, killing);
        orders.extend(late);
        assert_eq!(shop.running.restarts(Process::CommandApi), 2);
        let repeated = seen.repeated.load(Ordering::Relaxed);
        assert!(repeated > 0, "nobody noticed that the write side was away");

        let mut journal = shop.journal().await;
        let claims = shop.journal().await.news().await.entries.iter().filter(|entry| entry.kind == Kind::Claim).count();
        assert!(claims >= 60, "20 partitions were claimed 3 times: {claims}");
        check(&shop, &mut journal, &[sale], &orders).await;
        println!("{ORDERS} purchases, {repeated} requests repeated, {claims} claims, {} void records", journal.void());
        shop.stop().await;
    });
}

#[test]
fn postgres_restarts_and_a_read_model_is_wiped_in_the_middle() {
    const ORDERS: usize = 120;
    run(async {
        let stack = tokio::task::spawn_blocking(|| EphemeralStack::start(&mut |line| eprintln!("{line}")));
        let stack = stack.await.unwrap().unwrap();
        let shop = Installation::start(stack.endpoints().clone(), &[]).await;
        let sale = shop.on_sale(1000, 500, 600).await;
        let seen = Seen::default();
        let buying = futures::stream::iter(0..ORDERS).map(|_| purchase(&shop, &sale, &seen));
        let buying = buying.buffer_unordered(8).collect::<Vec<_>>();
        let breaking = async {
            acknowledged(&seen, 30).await;
            let config = stack.config().clone();
            let restarted = tokio::task::spawn_blocking(move || local_stack::restart(&config, Server::Postgres));
            restarted.await.unwrap().unwrap();
            acknowledged(&seen, 60).await;
            projectors::wipe(&shop.pool().await, &shop.running.plan().namespace, "orders").await.unwrap();
            acknowledged(&seen, 80).await;
            projectors::wipe(&shop.pool().await, &shop.running.plan().namespace, "inventory").await.unwrap();
        };
        let (orders, ()) = tokio::join!(buying, breaking);
        for process in Process::ALL {
            assert_eq!(shop.running.restarts(process), 0, "{process:?} did not outlive its database's restart");
        }
        let mut journal = shop.journal().await;
        check(&shop, &mut journal, &[sale], &orders).await;
        shop.stop().await;
        tokio::task::spawn_blocking(move || drop(stack)).await.unwrap();
    });
}
