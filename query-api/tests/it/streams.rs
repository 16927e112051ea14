use std::time::Duration;

use serde_json::json;
use service_kit::clock::monotonic;

use crate::client::As;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_every_change_and_ends_with_the_order() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let who = world.holder(it.order, it.stage.show);
    let path = format!("/v1/orders/{}/events", it.order);
    let mut feed = world.open(&who, &path, &[("last-event-id", "nothing of ours")]).await;
    assert_eq!(feed.status.as_u16(), 200);
    assert_eq!(feed.headers["content-type"], "text/event-stream");
    let first = feed.next().await.unwrap();
    assert_eq!(first.order, world.get(&who, &format!("/v1/orders/{}", it.order)).await.ok());
    assert_eq!((first.event.as_str(), &first.order["status"]), ("order", &json!("reserved")));
    world.await_payment(&it).await;
    let mut statuses = Vec::new();
    while statuses.last() != Some(&json!("awaiting_payment")) {
        let told = feed.next().await.expect("it goes on");
        assert_ne!(told.id, first.id);
        statuses.push(told.order["status"].clone());
    }
    world.complete(&it).await;
    let mut last = None;
    while let Some(told) = feed.next().await {
        statuses.push(told.order["status"].clone());
        last = Some(told);
    }
    statuses.dedup();
    assert_eq!(statuses[statuses.len() - 2..], [json!("awaiting_payment"), json!("completed")]);
    let last = last.unwrap();
    assert_eq!(last.order["tickets"].as_array().unwrap().len(), 2);
    // A browser comes again after the end, and is told not to.
    let again = world.get_with(&who, &path, &[("last-event-id", &last.id)]).await;
    assert_eq!(again.status.as_u16(), 204, "{}", again.text);
    let mut anew = world.open(&who, &path, &[]).await;
    assert_eq!(anew.next().await.unwrap().id, last.id);
    assert!(anew.next().await.is_none());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_is_not_told_again() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let As::Token(token) = world.holder(it.order, it.stage.show) else { unreachable!() };
    // Where no header can be sent, the order's own token may be in the address.
    let path = format!("/v1/orders/{}/events?access_token={token}", it.order);
    let seen = world.open(&As::Nobody, &path, &[]).await.next().await.unwrap();
    let mut feed = world.open(&As::Nobody, &path, &[("last-event-id", &seen.id)]).await;
    world.await_payment(&it).await;
    assert_ne!(feed.next().await.unwrap().id, seen.id);
    // An account's may not.
    let As::Token(account) = world.account("binh", &[]) else { unreachable!() };
    let path = format!("/v1/orders/{}/events?access_token={account}", it.order);
    world.get(&As::Nobody, &path).await.is(401, "unauthorized");
    // Nor is it taken elsewhere.
    let path = format!("/v1/orders/{}?access_token={token}", it.order);
    assert!(world.get(&As::Nobody, &path).await.status.is_client_error());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_in_number_and_life() {
    let world = World::with([("BOXOFFICE_MAX_STREAMS", "2"), ("BOXOFFICE_STREAM_LIFE_S", "2")]).await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let who = world.holder(it.order, it.stage.show);
    let path = format!("/v1/orders/{}/events", it.order);
    let started = monotonic();
    let mut one = world.open(&who, &path, &[]).await;
    let two = world.open(&who, &path, &[]).await;
    let three = world.get(&who, &path).await;
    three.is(503, "overloaded");
    assert!(three.headers.contains_key("retry-after"));
    drop(two);
    assert_eq!(world.open(&who, &path, &[]).await.status.as_u16(), 200);
    assert!(one.next().await.is_some());
    assert!(one.next().await.is_none());
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(12), "{took:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_process() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let mut feed =
        world.open(&world.holder(it.order, it.stage.show), &format!("/v1/orders/{}/events", it.order), &[]).await;
    assert!(feed.next().await.is_some());
    world.shutdown.cancel();
    assert!(feed.next().await.is_none());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wait_for_one_change() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let who = world.holder(it.order, it.stage.show);
    let path = format!("/v1/orders/{}/events", it.order);
    let mut feeds = Vec::new();
    for _ in 0..50 {
        let mut feed = world.open(&who, &path, &[]).await;
        feed.next().await.unwrap();
        feeds.push(feed);
    }
    world.cancel(&it).await;
    for feed in &mut feeds {
        assert_eq!(feed.next().await.unwrap().order["status"], "cancelled");
        assert!(feed.next().await.is_none());
    }
    world.end().await;
}
