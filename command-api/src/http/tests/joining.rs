//! What keeps a queue clean: shares of addresses and visitors, proofs of work, and keys that change.

use domain::queue::session;
use domain::{ids::ShowId, value::Timestamp};
use http::Method;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use service_kit::clock;
use service_kit::queue_ticket::Place;

use super::world::{Answer, Call, Stage, World, call, post, uuid};

fn room() -> Value {
    json!({"enabled": true, "slots": 1, "admission_batch": 1, "tick_ms": 100})
}

/// A guest who comes through proxies that say so.
fn through(stage: &Stage, forwarded: &str, key: &str) -> Call {
    post(&stage.queue()).key(key).with("x-forwarded-for", forwarded)
}

fn retry_after(answer: &Answer) -> u32 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

/// A nonce that shows so many bits of work, found as a browser finds it.
fn proof(challenge: &Value, key: &str) -> String {
    let (token, bits) = (challenge["token"].as_str().unwrap(), challenge["bits"].as_u64().unwrap());
    assert_eq!(challenge["algorithm"], "sha-256");
    assert!(challenge["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let shows = |nonce: &u32| {
        let hash = digest(&SHA256, format!("{token}.{key}.{nonce}").as_bytes());
        u128::from_be_bytes(*hash.as_ref().first_chunk().unwrap()).leading_zeros() >= u32::try_from(bits).unwrap()
    };
    format!("{token}.{}", (0..).find(shows).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_share_of_joins_and_takes_nothing_from_others() {
    let world = World::set(&[("BOXOFFICE_JOINS_PER_ADDRESS_PER_MIN", "3"), ("BOXOFFICE_TRUSTED_PROXIES", "1")]);
    let stage = world.publish(room()).await;
    world.join(&stage).await;
    let mine = uuid();
    let first = world.send(through(&stage, "2.2.2.2", &mine)).await.is(201);
    for _ in 0..2 {
        world.send(through(&stage, "2.2.2.2", &uuid())).await.is(201);
    }
    let refused = world.send(through(&stage, "2.2.2.2", &uuid())).await.problem(429, "too-many-requests");
    assert!((1..=20).contains(&retry_after(&refused)), "{refused:?}");
    // The next one is told another moment, and whoever makes up an address is counted where they come from.
    let next = world.send(through(&stage, "6.6.6.6, 2.2.2.2", &uuid())).await.problem(429, "too-many-requests");
    assert!(retry_after(&next) >= retry_after(&refused) + 19, "{next:?}");
    world.send(through(&stage, "3.3.3.3", &uuid())).await.is(201);
    world.send(through(&stage, "2001:db8::1:0:0:1", &uuid())).await.is(201);
    // Nobody loses a place by it.
    let again = world.send(through(&stage, "4.4.4.4", &mine)).await.is(201);
    assert_eq!(again.body["session"], first.body["session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_asks_so_often_and_keeps_the_place() {
    let world = World::set(&[("BOXOFFICE_JOINS_PER_VISITOR_PER_MIN", "40")]);
    let stage = world.publish(room()).await;
    let (visitor, account) = (world.join(&stage).await, world.buyer("an"));
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(world.send(post(&visitor.path).key(&visitor.key)).await);
    }
    let refused = answers.pop().unwrap().problem(429, "too-many-requests");
    assert!(retry_after(&refused) >= 1);
    assert!(answers.iter().filter(|it| it.status == 201).all(|it| it.body["number"] == 1));
    // An account is the same visitor whatever the key.
    for _ in 0..40 {
        let answer = world.send(post(&visitor.path).bearer(&account).key(&uuid())).await;
        assert!(matches!(answer.status.as_u16(), 200 | 201), "{answer:?}");
    }
    world.send(post(&visitor.path).bearer(&account).key(&uuid())).await.problem(429, "too-many-requests");
    world.join(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_costs_work_where_the_organizer_wants_that() {
    let world = World::start();
    let mut hard = room();
    hard["challenge_bits"] = json!(10);
    let stage = world.publish(hard).await;
    let (path, key) = (stage.queue(), uuid());
    let ask = || async { world.send(post(&path).key(&key)).await };
    let asked = world.until(ask, |it| it.header("retry-after").is_none()).await.problem(403, "challenge-required");
    assert_eq!(asked.body["challenge"]["bits"], 10);
    let proof = proof(&asked.body["challenge"], &key);
    let prove = |key: &str, proof: &str| world.send(post(&path).key(key).with("queue-proof", proof));
    for wrong in ["", "x", &proof[..proof.len() - 1], &format!("B{}", &proof[1..])] {
        prove(&key, wrong).await.problem(403, "challenge-required");
    }
    prove(&uuid(), &proof).await.problem(403, "challenge-required");
    let joined = prove(&key, &proof).await.is(201);
    assert_eq!(joined.body["number"], 1);
    // A place that is there costs nothing more.
    assert_eq!(ask().await.is(201).body["session"], joined.body["session"]);

    let mode = format!("{path}/mode");
    let switch = |bits: Value| world.organize(Method::POST, &mode, json!({"challenge_bits": bits}));
    let off = switch(Value::Null).await.is(200);
    assert_eq!(off.body, json!({"show": stage.show, "mode": "queue", "inflow_per_min": null, "challenge_bits": null}));
    world.send(post(&path).key(&uuid())).await.is(201);
    switch(json!(24)).await.is(200);
    let harder = prove(&uuid(), &proof).await.problem(403, "challenge-required");
    assert_eq!(harder.body["challenge"]["bits"], 24);
    for bits in [7, 25] {
        let refused = switch(json!(bits)).await.problem(422, "validation");
        assert_eq!(refused.body["errors"][0]["pointer"], "/challenge_bits");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_good_while_keys_overlap_and_no_longer() {
    let (old, new) = ("05".repeat(32), "06".repeat(32));
    let before = World::set(&[("BOXOFFICE_ACCESS_SECRET", &old)]);
    let both = World::set(&[("BOXOFFICE_ACCESS_SECRET", &new), ("BOXOFFICE_ACCESS_SECRET_PREVIOUS", &old)]);
    let after = World::set(&[("BOXOFFICE_ACCESS_SECRET", &new)]);
    for (world, good) in [(&before, true), (&both, true), (&after, false)] {
        let stage = world.publish(room()).await;
        let visitor = world.join(&stage).await;
        world.standing(&visitor, "admitted").await;
        let (show, number) = (ShowId(stage.show), 1);
        let seen = Timestamp(clock::now().0);
        let place = Place { show, session: session(show, number), number, seen };
        let ticket = before.auth.queue_tickets().sign(&place);
        let enter = || call(Method::POST, &format!("{}/enter", visitor.place));
        let entered = world.send(enter().with("queue-ticket", &ticket)).await;
        match good {
            true => drop(entered.is(200)),
            false => drop(entered.problem(403, "queue-ticket-invalid")),
        }
        // What is signed now is good in any case.
        world.enter(&visitor).await.is(200);
    }
}
