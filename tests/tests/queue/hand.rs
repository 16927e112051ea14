//! The organizer's hand on a queue in which people wait.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use system_tests::client::Answer;
use system_tests::purchase::key;
use system_tests::queue::{Visitor, room, with};
use system_tests::{World, run};
use uuid::Uuid;

use super::told;

async fn set(world: &World, show: Uuid, body: Value) -> Answer {
    world.organizer().post(&format!("/v1/shows/{show}/queue/mode"), &body).await.is(200)
}

/// A nonce that shows so many bits of work, found as a browser finds it.
fn proof(challenge: &Value, key: &str) -> String {
    let (token, bits) = (challenge["token"].as_str().unwrap(), challenge["bits"].as_u64().unwrap());
    let shows = |nonce: &u32| {
        let hash = digest(&SHA256, format!("{token}.{key}.{nonce}").as_bytes());
        u64::from(u128::from_be_bytes(*hash.as_ref().first_chunk().unwrap()).leading_zeros()) >= bits
    };
    format!("{token}.{}", (0..).find(shows).unwrap())
}

#[test]
fn people_see_a_pause_and_keep_their_places() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale_with_room(0, 10, 600, &room(1)).await;
        let mut first = world.join(sale.show).await;
        first.until("admitted").await;
        let mut second = world.join(sale.show).await;
        assert!(second.status().await.body.get("paused").is_none());

        let paused = set(world, sale.show, json!({"mode": "pause"})).await;
        let seen = world.client.since(&paused);
        second.client = seen.clone();
        assert_eq!(second.status().await.body["paused"], true);
        first.leave().await;
        let mut third = world.join(sale.show).await;
        let waits = third.status().await;
        assert_eq!((&waits.body["ahead"], &waits.body["paused"]), (&json!(1), &json!(true)));
        assert!(waits.body["estimated_wait_s"].is_null(), "{waits:#?}");

        set(world, sale.show, json!({"mode": "pass_through"})).await;
        second.until("admitted").await;
        third.until("admitted").await;
        let life = told(world, sale.show).await;
        assert_eq!(life.iter().filter(|name| **name == "QueueModeSet").count(), 2, "{life:?}");
    });
}

#[test]
fn a_place_costs_work_once_the_organizer_says_so() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale_with_room(0, 10, 600, &with(room(1), &json!({"challenge_bits": 8}))).await;
        let (path, guest) = (format!("/v1/shows/{}/queue", sale.show), key());
        let asked = loop {
            let answer = world.client.post_with(&path, &guest, &json!({})).await;
            if answer.header("retry-after").is_none() {
                break answer.is_problem(403, "challenge-required");
            }
        };
        let proof = proof(&asked.body["challenge"], &guest);
        let join = |key: &str| {
            let request = world.client.request(reqwest::Method::POST, &path).header("idempotency-key", key);
            world.client.send(request.header("queue-proof", &proof).json(&json!({})))
        };
        join(&key()).await.is_problem(403, "challenge-required");
        let joined = join(&guest).await.is(201);
        assert_eq!(joined.body["number"], 1);
        let shown = world.client.since(&joined).get(&format!("/v1/shows/{}", sale.show)).await.is(200);
        assert_eq!(shown.body["waiting_room"]["challenge_bits"], 8);
        set(world, sale.show, json!({"challenge_bits": null})).await;
        assert_eq!(Visitor::join(&world.client, sale.show, &key()).await.0.number, 2);
    });
}
