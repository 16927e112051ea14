use domain::ids::{OrderId, SessionId, ShowId};
use http::Method;
use serde_json::{Value, json};
use service_kit::checkout_token::Admitted;
use service_kit::clock;
use uuid::Uuid;

use super::world::{Answer, Call, Stage, World, call, post, uuid};

fn room() -> Value {
    json!({"enabled": true, "slots": 1, "admission_batch": 1, "tick_ms": 100})
}

fn buyer() -> Value {
    json!({"name": "An", "email": "an@example.org"})
}

/// Costs nothing, so it is completed by itself.
fn free(stage: &Stage) -> Value {
    let line = json!({"ticket_class": stage.free, "quantity": 1, "unit_price": {"amount": 0, "currency": "VND"}});
    json!({"show": stage.show, "lines": [line], "buyer": buyer()})
}

/// Waits for a payment that does not come.
fn paid(stage: &Stage) -> Value {
    let line = json!({"ticket_class": stage.paid, "quantity": 1, "unit_price": {"amount": 1000, "currency": "VND"}});
    let payment = json!({"provider": "payos", "return_url": "https://shop.test/back"});
    json!({"show": stage.show, "lines": [line], "buyer": buyer(), "payment": payment})
}

fn order(id: &str, token: Option<&str>, body: Value) -> Call {
    let order = call(Method::PUT, &format!("/v1/orders/{id}")).body(body);
    match token {
        Some(token) => order.with("checkout-token", token),
        None => order,
    }
}

async fn place(world: &World, id: &str, token: Option<&str>, body: Value) -> Answer {
    world.send(order(id, token, body)).await
}

fn minted(world: &World, show: Uuid, session: Uuid, in_s: i64) -> String {
    let expires_at = clock::now().plus_s(in_s);
    let admitted = Admitted { show: ShowId(show), session: SessionId(session), expires_at };
    world.auth.checkout_tokens().mint(&admitted)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_needs_the_token_of_its_show() {
    let world = World::start();
    let (stage, elsewhere) = (world.publish(room()).await, world.publish(room()).await);
    let (_, token) = world.admitted(&stage).await;
    let (_, foreign) = world.admitted(&elsewhere).await;
    let id = uuid();
    let refused = place(&world, &id, None, free(&stage)).await.problem(401, "checkout-token-missing");
    assert!(refused.header("www-authenticate").is_some());
    for (at, _) in token.char_indices().step_by(11) {
        let mut altered = token.clone();
        altered.replace_range(at..=at, if &token[at..=at] == "A" { "B" } else { "A" });
        place(&world, &id, Some(&altered), free(&stage)).await.problem(403, "checkout-token-invalid");
    }
    let access = world.auth.mint_access(OrderId(Uuid::from_u128(1)), ShowId(stage.show), None);
    for bad in ["", "x", &foreign, &access] {
        place(&world, &id, Some(bad), free(&stage)).await.problem(403, "checkout-token-invalid");
    }
    let twice = order(&id, Some(&token), free(&stage)).with("checkout-token", &token);
    world.send(twice).await.problem(403, "checkout-token-invalid");
    // None of these has used the token, nor has an order that is refused for what it asks.
    let mut other_price = free(&stage);
    other_price["lines"][0]["ticket_class"] = json!(stage.paid);
    place(&world, &id, Some(&token), other_price).await.problem(409, "price-changed");
    place(&world, &id, Some(&token), free(&stage)).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_without_a_waiting_room_asks_for_no_token_and_believes_no_false_one() {
    let world = World::start();
    let stage = world.publish(Value::Null).await;
    let ask = || async { place(&world, &uuid(), None, free(&stage)).await };
    world.until(ask, |it| it.status == 201).await;
    place(&world, &uuid(), Some("false"), free(&stage)).await.problem(403, "checkout-token-invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_is_good_for_one_order() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let (visitor, token) = world.admitted(&stage).await;
    let (id, key) = (uuid(), uuid());
    let first = || order(&id, Some(&token), free(&stage)).key(&key);
    let placed = world.send(first()).await.is(201);
    place(&world, &uuid(), Some(&token), free(&stage)).await.problem(403, "checkout-token-used");
    place(&world, &uuid(), Some(&token), paid(&stage)).await.problem(403, "checkout-token-used");
    let again = world.send(first()).await.is(201);
    assert!(again.replayed());
    assert_eq!((&again.body["id"], &again.body["code"]), (&placed.body["id"], &placed.body["code"]));
    // It cost nothing, so it is complete: the slot is free, and the token stays used.
    world.standing(&visitor, "completed").await;
    world.enter(&visitor).await.problem(410, "queue-place-lost");
    world.leave(&visitor).await.is(204);
    place(&world, &uuid(), Some(&token), free(&stage)).await.problem(403, "checkout-token-used");
    world.admitted(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_known_whatever_became_of_the_token() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let (visitor, token) = world.admitted(&stage).await;
    let session: Uuid = visitor.place.rsplit('/').next().unwrap().parse().unwrap();
    let (id, expired) = (uuid(), minted(&world, stage.show, session, -2));
    let refused = place(&world, &id, Some(&expired), paid(&stage)).await.problem(403, "checkout-token-invalid");
    assert!(refused.text("detail").contains("expired"), "{refused:#?}");
    assert!(refused.body["expired_at"].is_string());

    let key = uuid();
    let by = |token: Option<&str>, body: Value| world.send(order(&id, token, body).key(&key));
    let placed = by(Some(&token), paid(&stage)).await.is(201);
    // The token is no part of what tells one order from another.
    for repeat in [Some(&*expired), None, Some(&*token)] {
        let again = by(repeat, paid(&stage)).await.is(201);
        assert!(again.replayed());
        assert_eq!(again.body["code"], placed.body["code"]);
    }
    by(Some(&token), free(&stage)).await.problem(422, "idempotency-key-reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_repeats_by_the_id_alone_with_an_expired_token() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let (visitor, token) = world.admitted(&stage).await;
    let session: Uuid = visitor.place.rsplit('/').next().unwrap().parse().unwrap();
    let (id, bearer) = (uuid(), world.buyer("an"));
    let by = |token: &str, body: Value| world.send(order(&id, Some(token), body).bearer(&bearer));
    by(&token, paid(&stage)).await.is(201);
    let expired = minted(&world, stage.show, session, -2);
    by(&expired, paid(&stage)).await.is(200);
    by(&expired, free(&stage)).await.problem(409, "already-exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_ordered_cancels_the_order_and_not_the_place() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let (visitor, token) = world.admitted(&stage).await;
    let (id, next) = (uuid(), world.join(&stage).await);
    let placed = place(&world, &id, Some(&token), paid(&stage)).await.is(201);
    world.tied(&visitor).await;
    let tied = world.leave(&visitor).await.problem(409, "wrong-status");
    assert_eq!(tied.body["detail"], "an order was placed from this place");
    assert_eq!(world.look(&next).await.body["status"], "queued");
    let cancel = post(&format!("/v1/orders/{id}/cancel")).bearer(&placed.text("access_token"));
    world.send(cancel).await.is(200);
    world.standing(&visitor, "expired").await;
    world.standing(&next, "admitted").await;
    place(&world, &uuid(), Some(&token), free(&stage)).await.problem(403, "checkout-token-used");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_place_that_was_left_is_worthless() {
    let world = World::start();
    let stage = world.publish(room()).await;
    let (visitor, token) = world.admitted(&stage).await;
    world.leave(&visitor).await.is(204);
    world.enter(&visitor).await.problem(410, "queue-place-lost");
    // A saga makes it so: an order that asks for too much is not placed even before.
    let mut too_many = free(&stage);
    too_many["lines"][0]["quantity"] = json!(100);
    let ask = || async { place(&world, &uuid(), Some(&token), too_many.clone()).await };
    world.until(ask, |it| it.body["type"] == "/problems/checkout-token-used").await.is(403);
    place(&world, &uuid(), Some(&token), free(&stage)).await.problem(403, "checkout-token-used");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_promised_an_order_is_told_to_come_again_until_it_is_there() {
    let world = World::without_sagas();
    let (id, other) = (uuid(), uuid());
    let holder = world.auth.mint_access(id.parse().unwrap(), ShowId(Uuid::nil()), None);
    let cancel = |order: &str, token: &str| world.send(post(&format!("/v1/orders/{order}/cancel")).bearer(token));
    let (stranger, missing) = (world.buyer("ann"), "not-found");
    let (promised, elsewhere, by_stranger) =
        tokio::join!(cancel(&id, &holder), cancel(&other, &holder), cancel(&id, &stranger));
    assert!(promised.problem(503, "not-ready").header("retry-after").is_some());
    elsewhere.problem(404, missing);
    by_stranger.problem(404, missing);
}
