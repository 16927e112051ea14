//! The organizer's hand on a queue that is open.

use domain::value::Role;
use http::Method;
use serde_json::{Value, json};

use super::world::{Answer, Stage, World, call, post, uuid};

fn room() -> Value {
    json!({"enabled": true, "slots": 1, "admission_batch": 1, "tick_ms": 100})
}

async fn set(world: &World, stage: &Stage, body: Value) -> Answer {
    world.organize(Method::POST, &format!("{}/mode", stage.queue()), body).await
}

/// Longer than several rounds.
async fn some_rounds() {
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_admits_nobody_and_takes_nobodys_place() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let first = world.join(&stage).await;
    world.standing(&first, "admitted").await;
    let second = world.join(&stage).await;

    let paused = set(&world, &stage, json!({"mode": "pause"})).await.is(200);
    assert_eq!(
        paused.body,
        json!({"show": stage.show, "mode": "pause", "inflow_per_min": null, "challenge_bits": null})
    );
    assert!(paused.header("consistency-token").is_some());
    world.leave(&first).await.is(204);
    let third = world.join(&stage).await;
    some_rounds().await;
    assert_eq!(world.look(&second).await.body["status"], "queued");
    assert_eq!(world.look(&third).await.body["ahead"], 1);

    set(&world, &stage, json!({"mode": "queue"})).await.is(200);
    world.standing(&second, "admitted").await;
    assert_eq!(world.look(&third).await.body["status"], "queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_passes_through_is_counted_and_waits_for_no_slot() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let before = [world.join(&stage).await, world.join(&stage).await, world.join(&stage).await];
    set(&world, &stage, json!({"mode": "pass_through", "inflow_per_min": 1})).await.is(200);
    for visitor in &before {
        world.standing(visitor, "admitted").await;
    }
    let after = world.join(&stage).await;
    assert_eq!((&after.joined.body["status"], &after.joined.body["number"]), (&json!("admitted"), &json!(4)));
    world.enter(&after).await.is(200).text("checkout_token");

    // Four slots are live, where one is allowed: nobody follows until that is so again.
    set(&world, &stage, json!({"mode": "queue", "inflow_per_min": null})).await.is(200);
    let late = world.join(&stage).await;
    for visitor in &before {
        world.leave(visitor).await.is(204);
    }
    some_rounds().await;
    assert_eq!(world.look(&late).await.body["status"], "queued");
    world.leave(&after).await.is(204);
    world.standing(&late, "admitted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_takes_nobody_serves_those_who_are_there() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let (first, second) = (world.join(&stage).await, world.join(&stage).await);
    set(&world, &stage, json!({"mode": "reject"})).await.is(200);
    let refused = world.send(post(&stage.queue()).key(&uuid())).await.problem(409, "not-on-sale");
    assert_eq!(refused.body["detail"], "Nobody may join the queue now.");
    assert!(refused.header("retry-after").is_none());
    // A retry is no new place.
    assert_eq!(world.look(&second).await.is(201).body["number"], 2);
    world.standing(&first, "admitted").await;
    world.leave(&first).await.is(204);
    world.standing(&second, "admitted").await;
    // Who has left has no place to come back to.
    world.send(post(&stage.queue()).key(&uuid())).await.problem(409, "not-on-sale");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inflow_spaces_people_whatever_slots_are_free() {
    let world = World::start();
    let room = json!({"enabled": true, "slots": 100, "admission_batch": 100, "tick_ms": 100, "inflow_per_min": 1});
    let stage = world.publish(room).await;
    let (first, second) = (world.join(&stage).await, world.join(&stage).await);
    world.standing(&first, "admitted").await;
    some_rounds().await;
    assert_eq!(world.look(&second).await.body["status"], "queued");
    // What is left out stays.
    let kept = set(&world, &stage, json!({"mode": "queue"})).await.is(200);
    assert_eq!(kept.body["inflow_per_min"], 1);
    let faster = set(&world, &stage, json!({"inflow_per_min": 6000})).await.is(200);
    assert_eq!((&faster.body["mode"], &faster.body["inflow_per_min"]), (&json!("queue"), &json!(6000)));
    world.standing(&second, "admitted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_runs_the_show_has_a_hand_on_its_queue() {
    let world = World::start();
    let stage = world.publish(room()).await;
    world.join(&stage).await;
    let path = format!("{}/mode", stage.queue());
    let ask = |token: &str, body: Value| world.send(post(&path).bearer(token).key(&uuid()).body(body));
    let pause = json!({"mode": "pause"});
    ask(&world.token("another", Role::Organizer), pause.clone()).await.problem(404, "not-found");
    ask(&world.buyer("an"), pause.clone()).await.problem(404, "not-found");
    world.send(post(&path).key(&uuid()).body(pause.clone())).await.problem(401, "unauthorized");
    ask(&world.token("admin", Role::Admin), pause).await.is(200);

    let nowhere = format!("/v1/shows/{}/queue/mode", uuid());
    world.organize(Method::POST, &nowhere, json!({"mode": "queue"})).await.problem(404, "not-found");
    world.send(call(Method::GET, &path)).await.problem(405, "method-not-allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_named() {
    let world = World::start();
    let stage = world.publish(room()).await;
    world.join(&stage).await;
    let wrong = [
        (json!({}), ""),
        (json!({"mode": "stop"}), "/mode"),
        (json!({"inflow_per_min": 0}), "/inflow_per_min"),
        (json!({"inflow_per_min": 1_000_001}), "/inflow_per_min"),
        (json!({"inflow_per_min": "many"}), "/inflow_per_min"),
    ];
    for (body, pointer) in wrong {
        let refused = set(&world, &stage, body.clone()).await.problem(422, "validation");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}");
    }
    set(&world, &stage, json!({"speed": 1})).await.problem(400, "unknown-field");
}
