use std::time::Duration;

use domain::root::Context;
use service_kit::clock::monotonic;
use service_kit::consistency::Token;
use uuid::Uuid;

use crate::client::As;
use crate::story::id;
use crate::world::{LOG, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_until_the_order_has_come_so_far() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let who = world.holder(it.order, it.stage.show);
    let until = |status: &str| format!("/v1/orders/{}?until={status}", it.order);
    let wait = [("prefer", "wait=20")];
    // Reached already.
    assert_eq!(world.get_with(&who, &until("reserved"), &wait).await.ok()["status"], "reserved");
    let (path, started) = (until("awaiting_payment"), monotonic());
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.await_payment(&it).await;
    };
    let (answer, ()) = tokio::join!(world.get_with(&who, &path, &wait), later);
    assert_eq!(answer.ok()["status"], "awaiting_payment");
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(12), "woken by the change: {took:?}");
    // Any end is an end.
    let path = until("completed");
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.cancel(&it).await;
    };
    let (answer, ()) = tokio::join!(world.get_with(&who, &path, &wait), later);
    assert_eq!(answer.ok()["status"], "cancelled");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_at_its_time_or_with_the_process() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let who = world.holder(it.order, it.stage.show);
    let path = format!("/v1/orders/{}?until=completed", it.order);
    let timed = async |wait: &str| {
        let started = monotonic();
        assert_eq!(world.get_with(&who, &path, &[("prefer", wait)]).await.ok()["status"], "reserved");
        started.elapsed()
    };
    let took = timed("wait=1").await;
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(12), "{took:?}");
    assert!(timed("wait=0").await < Duration::from_secs(12));
    world.get(&who, &format!("/v1/orders/{}?until=paid", it.order)).await.is(400, "bad-parameter");
    let unknown = world.get_with(&world.account("x", &[]), &path, &[("prefer", "wait=20")]).await;
    unknown.is(404, "not-found");
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.shutdown.cancel();
    };
    let (took, ()) = tokio::join!(timed("wait=20"), stop);
    assert!(took < Duration::from_secs(12), "{took:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_until_it_sees_what_was_written() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let order = domain::ids::OrderId(id("order", 1));
    let who = world.holder(order, stage.show);
    let token = Token::at(Context::Inventory, 3, 41, LOG).to_string();
    let path = format!("/v1/orders/{order}");
    let headers = [("consistency-token", token.as_str()), ("prefer", "wait=20")];
    // Without a token nobody waits.
    world.get(&who, &path).await.is(404, "not-found");
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.passed("orders", Context::Inventory, 3, 41, LOG).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.reserve(stage, 1, "guest:1").await;
        world.passed("orders", Context::Inventory, 3, 42, LOG).await;
    };
    let started = monotonic();
    let (answer, ()) = tokio::join!(world.get_with(&who, &path, &headers), later);
    assert_eq!(answer.ok()["status"], "reserved");
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(12), "{took:?}");
    // Seen once, it is seen at once.
    let started = monotonic();
    world.get_with(&who, &path, &headers).await.ok();
    assert!(started.elapsed() < Duration::from_secs(12));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_seen_in_time_is_not_caught_up() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let show = format!("/v1/shows/{}", stage.show);
    let get = async |path: &str, token: &Token, wait: &str| {
        let headers = [("consistency-token", &*token.to_string()), ("prefer", wait)];
        world.get_with(&As::Nobody, path, &headers).await
    };
    let (catalog, log) = (Token::at(Context::Catalog, 1, 5, LOG), LOG);
    // Never folded, behind, and of another log.
    let started = monotonic();
    get(&show, &catalog, "wait=1").await.is(504, "not-caught-up");
    assert!(started.elapsed() >= Duration::from_secs(1));
    world.passed("shows", Context::Catalog, 1, 5, log).await;
    get(&show, &catalog, "wait=0").await.is(504, "not-caught-up");
    world.passed("shows", Context::Catalog, 1, 9, Uuid::from_u128(7)).await;
    get(&show, &catalog, "wait=0").await.is(504, "not-caught-up");
    world.passed("shows", Context::Catalog, 1, 6, log).await;
    get(&show, &catalog, "wait=5").await.ok();
    get("/v1/shows", &catalog, "wait=5").await.ok();
    // The same offset in another partition is another write.
    get(&show, &Token::at(Context::Catalog, 2, 5, LOG), "wait=0").await.is(504, "not-caught-up");
    // What a view does not show is not waited for.
    get(&show, &Token::at(Context::Ticket, 1, 5, LOG), "wait=0").await.ok();
    // Every read model behind a view counts: classes have their price from the stock.
    let stock = Token::at(Context::Inventory, 1, 5, LOG);
    for path in [show.clone(), format!("{show}/availability"), "/v1/shows".to_owned()] {
        get(&path, &stock, "wait=0").await.is(504, "not-caught-up");
    }
    let bad = world.get_with(&As::Nobody, &show, &[("consistency-token", "AAAA")]).await;
    bad.is(400, "consistency-token-invalid");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_an_order_waits_for_what_was_written() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "account:binh").await;
    let ticket = world.complete(&it).await[0];
    let who = world.account("help", &[domain::value::Role::Support]);
    let order = format!("/v1/orders/{}", it.order);
    let token = Token::at(Context::Order, 0, 5, LOG).to_string();
    let routes = [
        order.clone(),
        format!("{order}/events"),
        format!("{order}/tickets"),
        format!("{order}/tickets/{ticket}/qr.svg"),
        "/v1/me/orders".to_owned(),
        format!("/v1/shows/{}/orders", it.stage.show),
    ];
    let headers = [("consistency-token", token.as_str()), ("prefer", "wait=0")];
    for path in &routes {
        world.get_with(&who, path, &headers).await.is(504, "not-caught-up");
    }
    world.passed("orders", Context::Order, 0, 6, LOG).await;
    for path in &routes {
        let answer = world.get_with(&who, path, &[headers[0], ("prefer", "wait=5")]).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_completed_only_together_with_its_tickets() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let who = world.holder(it.order, it.stage.show);
    world.await_payment(&it).await;
    world.mark_completed(&it).await;
    // The tickets' read model is behind the orders'.
    let path = format!("/v1/orders/{}", it.order);
    assert_eq!(world.get(&who, &path).await.ok()["status"], "awaiting_payment");
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.issue(&it).await;
    };
    let until = format!("{path}?until=completed");
    let (answer, ()) = tokio::join!(world.get_with(&who, &until, &[("prefer", "wait=20")]), later);
    let order = answer.ok();
    assert_eq!(order["status"], "completed");
    assert_eq!(order["tickets"].as_array().unwrap().len(), 2);
    world.end().await;
}
