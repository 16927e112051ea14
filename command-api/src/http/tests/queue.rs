use domain::ids::{SessionId, ShowId};
use domain::queue::Draw;
use http::Method;
use serde_json::{Value, json};
use service_kit::clock;
use service_kit::keys::{Keys, Secret32};
use service_kit::queue_ticket::Place;
use uuid::Uuid;

use super::world::{World, call, post, uuid};

/// One visitor at a time, admitted soon.
fn narrow() -> Value {
    json!({"enabled": true, "slots": 1, "admission_batch": 1, "tick_ms": 100})
}

/// A place of a ticket, for tickets that nobody was given.
fn place(world: &World, ticket: &str) -> Place {
    world.auth.queue_tickets().read(ticket).unwrap()
}

fn id(path: &str) -> Uuid {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_has_one_place_by_one_key() {
    let world = World::start();
    let stage = world.publish(narrow()).await;
    let first = world.join(&stage).await;
    assert_eq!((&first.joined.body["number"], &first.joined.body["place"]), (&json!(1), &json!(1)));
    assert!(first.joined.header("consistency-token").is_some());
    world.standing(&first, "admitted").await;

    let second = world.join(&stage).await;
    let body = &second.joined.body;
    assert_eq!((&body["status"], &body["number"], &body["place"]), (&json!("queued"), &json!(2), &json!(2)));
    assert_eq!((&body["ahead"], &body["position"]), (&json!(0), &json!(1)));
    assert_eq!(body["poll_after_ms"], 1000);
    assert!(body.get("enter_by").is_none() && body.get("opens_at").is_none() && body.get("draw_hash").is_none());
    let third = world.join(&stage).await;
    assert_eq!((&third.joined.body["ahead"], &third.joined.body["position"]), (&json!(1), &json!(2)));

    let again = world.look(&second).await.is(201);
    assert!(again.replayed() && !second.joined.replayed());
    assert_eq!(again.body["session"], second.joined.body["session"]);
    let ticket = place(&world, &again.text("queue_ticket"));
    assert_eq!((ticket.show, ticket.number), (ShowId(stage.show), 2));
    assert_eq!(ticket.session, SessionId(id(&second.place)));

    let admitted = world.look(&first).await;
    assert!(admitted.body["ahead"].is_null() && admitted.body["position"].is_null());
    assert_eq!(admitted.body["place"], 1);
    admitted.text("enter_by").parse::<jiff::Timestamp>().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_one_place_whatever_its_key() {
    let world = World::start();
    let stage = world.publish(narrow()).await;
    world.join(&stage).await;
    let token = world.buyer("an");
    let join = |key: String, token: String| {
        let call = post(&stage.queue()).bearer(&token).key(&key);
        world.send(call)
    };
    let first = join("order-of-the-day".to_owned(), token.clone()).await.is(201);
    let other_key = join(uuid(), token.clone()).await.is(200);
    let same_key = join("order-of-the-day".to_owned(), token).await.is(201);
    assert!(!other_key.replayed() && same_key.replayed());
    for again in [&other_key, &same_key] {
        assert_eq!((&again.body["session"], &again.body["number"]), (&first.body["session"], &json!(2)));
    }
    let somebody = join("order-of-the-day".to_owned(), world.buyer("binh")).await.is(201);
    assert_eq!((&somebody.body["number"], somebody.replayed()), (&json!(3), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_needs_a_key_and_nobody_in_particular() {
    let world = World::start();
    let stage = world.publish(narrow()).await;
    world.join(&stage).await;
    let join = || post(&stage.queue());
    world.send(join()).await.problem(400, "idempotency-key-missing");
    world.send(join().bearer(&world.buyer("an"))).await.problem(400, "idempotency-key-missing");
    world.send(join().key("not-a-uuid")).await.problem(400, "idempotency-key-invalid");
    world.send(join().key("two").key("two")).await.problem(400, "idempotency-key-invalid");
    world.send(join().key(&uuid()).bearer("forged")).await.problem(401, "unauthorized");
    let holder = world.auth.mint_access(domain::ids::OrderId(Uuid::from_u128(1)), ShowId(stage.show), None);
    world.send(join().key(&uuid()).bearer(&holder)).await.problem(403, "forbidden");
    world.send(join().key(&uuid()).body(json!({"place": 1}))).await.problem(400, "unknown-field");
    let spelt = stage.queue().replace(&stage.show.to_string(), &stage.show.to_string().to_uppercase());
    world.send(post(&spelt).key(&uuid())).await.problem(400, "bad-parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_open_waiting_room_is_joined() {
    let world = World::start();
    let join = |path: String| async move { (post(&path).key(&uuid()), path) };
    let nowhere = world.send(join(format!("/v1/shows/{}/queue", uuid())).await.0).await.problem(404, "show-not-found");
    let draft = world.draft(narrow()).await;
    let unseen = world.send(join(draft.queue()).await.0).await.problem(404, "show-not-found");
    assert_eq!(nowhere.body["detail"], unseen.body["detail"]);

    let without = world.publish(Value::Null).await;
    let none = world.send(join(without.queue()).await.0).await.problem(404, "not-found");
    assert_eq!(none.body["detail"], "This show has no waiting room.");

    let stage = world.publish(narrow()).await;
    let visitor = world.join(&stage).await;
    world.standing(&visitor, "admitted").await;
    world.organize(Method::POST, &format!("/v1/shows/{}/cancel", stage.show), Value::Null).await.is(200);
    let ask = || world.send(post(&stage.queue()).key("6ba7b810-9dad-41d1-80b4-00c04fd430c8"));
    let closed = world.until(ask, |it| it.status != 201).await.problem(409, "not-on-sale");
    assert_eq!(
        (closed.body["detail"].as_str(), closed.header("retry-after")),
        (Some("The waiting room is closed."), None)
    );
    world.enter(&visitor).await.problem(409, "not-on-sale");
    world.look(&visitor).await.problem(409, "not-on-sale");
    world.leave(&visitor).await.is(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_room_about_to_open_says_when_to_come_again() {
    let world = World::without_sagas();
    let stage = world.publish(narrow()).await;
    let join = || post(&stage.queue()).key("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
    let soon = world.send(join()).await.problem(409, "not-on-sale");
    assert_eq!(soon.header("retry-after"), Some("1"));
    world.organize(Method::POST, &format!("/v1/shows/{}/cancel", stage.show), Value::Null).await.is(200);
    let never = world.send(join()).await.problem(409, "not-on-sale");
    assert_eq!(never.header("retry-after"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_early_are_drawn_by_the_seed_that_was_promised() {
    let world = World::start();
    let opens_at = jiff::Timestamp::from_microsecond(clock::now().plus_s(3).0).unwrap();
    let room = json!({"enabled": true, "opens_at": opens_at, "slots": 2, "admission_batch": 1, "tick_ms": 100});
    let stage = world.publish(room).await;
    let mut early = Vec::new();
    for _ in 0..5 {
        early.push(world.join(&stage).await);
    }
    let seed = Keys::new(&Secret32::new([1; 32])).draw_seed(ShowId(stage.show));
    for visitor in &early {
        let body = &visitor.joined.body;
        assert_eq!((&body["status"], &body["draw_hash"]), (&json!("waiting_to_open"), &json!(seed.hash())));
        assert_eq!(body["opens_at"], json!(opens_at));
        assert!(body["place"].is_null() && body["ahead"].is_null() && body["position"].is_null());
    }
    world.enter(&early[0]).await.problem(409, "not-admitted");

    let drawn = Draw::new(seed, 5);
    let place = |number| drawn.place(number);
    for (number, visitor) in (1..).zip(&early) {
        let known = world.until(|| world.look(visitor), |it| it.body["status"] != "waiting_to_open").await;
        assert_eq!(known.body["place"], place(number), "{known:#?}");
    }
    let late = world.join(&stage).await;
    assert_eq!((&late.joined.body["number"], &late.joined.body["place"]), (&json!(6), &json!(6)));
    let first = (1..=5).find(|number| place(*number) == 1).unwrap();
    world.standing(&early[first as usize - 1], "admitted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entering_gives_the_same_token_again() {
    let world = World::start();
    let stage = world.publish(narrow()).await;
    let visitor = world.join(&stage).await;
    world.standing(&visitor, "admitted").await;
    let entered = world.enter(&visitor).await.is(200);
    assert_eq!(entered.body["checkout_url"], "https://shop.test/checkout");
    assert!(entered.header("consistency-token").is_some());
    let token = world.auth.checkout_tokens().read(&entered.text("checkout_token")).unwrap();
    assert_eq!((token.show, token.session), (ShowId(stage.show), SessionId(id(&visitor.place))));
    let told: jiff::Timestamp = entered.text("checkout_expires_at").parse().unwrap();
    let good = token.expires_at.0 - told.as_microsecond();
    assert!((0..1_000_000).contains(&good), "{good}");

    assert_eq!(world.enter(&visitor).await.is(200).body, entered.body);
    let with_key =
        || post(&format!("{}/enter", visitor.place)).with("queue-ticket", &visitor.ticket).key("any-key-will-do");
    assert_eq!(world.send(with_key()).await.is(200).body, entered.body);
    // An account may use it as well: the ticket alone tells whose place it is.
    assert_eq!(world.send(with_key().bearer(&world.buyer("an"))).await.is(200).body, entered.body);
    let standing = world.look(&visitor).await;
    assert_eq!(standing.body["status"], "in_checkout");
    assert_eq!(standing.body["checkout_expires_at"], entered.body["checkout_expires_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_not_of_this_place_opens_nothing() {
    let world = World::start();
    let (stage, elsewhere) = (world.publish(narrow()).await, world.publish(narrow()).await);
    let visitor = world.join(&stage).await;
    let (waiting, stranger) = (world.join(&stage).await, world.join(&elsewhere).await);
    world.standing(&visitor, "admitted").await;
    let mut altered = visitor.ticket.clone();
    altered.replace_range(60..61, if &altered[60..61] == "A" { "B" } else { "A" });
    let forged = service_kit::auth::Auth::new(&service_kit::auth::Settings {
        accounts: Vec::new(),
        rules: Default::default(),
        access: Secret32::new([9; 32]),
        access_previous: None,
    });
    let forged = forged.queue_tickets().sign(&place(&world, &visitor.ticket));
    for ticket in [None, Some(""), Some(&*altered), Some(&*forged), Some(&*waiting.ticket), Some(&*stranger.ticket)] {
        for request in [post(&format!("{}/enter", visitor.place)), call(Method::DELETE, &visitor.place)] {
            let request = match ticket {
                Some(ticket) => request.with("queue-ticket", ticket),
                None => request,
            };
            world.send(request).await.problem(403, "queue-ticket-invalid");
        }
    }
    // The right ticket under another show's path is as foreign.
    let moved = visitor.place.replace(&stage.show.to_string(), &elsewhere.show.to_string());
    let twice = post(&format!("{}/enter", visitor.place));
    let twice = twice.with("queue-ticket", &visitor.ticket).with("queue-ticket", &visitor.ticket);
    world.send(twice).await.problem(403, "queue-ticket-invalid");
    let moved = post(&format!("{moved}/enter")).with("queue-ticket", &visitor.ticket);
    world.send(moved).await.problem(403, "queue-ticket-invalid");
    world.enter(&visitor).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_was_away_too_long_has_lost_the_place() {
    let world = World::start();
    let stage = world.publish(narrow()).await;
    let visitor = world.join(&stage).await;
    world.standing(&visitor, "admitted").await;
    let enter = |seen| {
        let ticket = world.auth.queue_tickets().sign(&Place { seen, ..place(&world, &visitor.ticket) });
        world.send(post(&format!("{}/enter", visitor.place)).with("queue-ticket", &ticket))
    };
    enter(clock::now().plus_s(-301)).await.problem(410, "queue-place-lost");
    enter(clock::now().plus_s(-290)).await.is(200);
    // Once in, the answer is the same for whoever still has a ticket.
    enter(clock::now().plus_s(-301)).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_enter_in_time_makes_way() {
    let world = World::start();
    let mut room = narrow();
    room["enter_s"] = json!(1);
    let stage = world.publish(room).await;
    let (first, second) = (world.join(&stage).await, world.join(&stage).await);
    world.enter(&second).await.problem(409, "not-admitted");
    world.standing(&first, "expired").await;
    world.enter(&first).await.problem(410, "queue-place-lost");
    world.standing(&second, "admitted").await;
    world.enter(&second).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_frees_the_place_and_a_new_one_is_at_the_end() {
    let world = World::start();
    let stage = world.publish(narrow()).await;
    let token = world.buyer("an");
    let (first, second) = (world.join(&stage).await, world.join(&stage).await);
    let join = || world.send(post(&stage.queue()).bearer(&token).key(&uuid()));
    let third = join().await.is(201);
    world.standing(&first, "admitted").await;

    let left = world.leave(&first).await.is(204);
    assert!(left.header("consistency-token").is_some() && left.body.is_null());
    world.leave(&first).await.is(204);
    assert_eq!(world.look(&first).await.is(201).body["status"], "left");
    world.enter(&first).await.problem(410, "queue-place-lost");
    world.standing(&second, "admitted").await;

    let path = format!("{}/{}", stage.queue(), third.text("session"));
    let leave = || call(Method::DELETE, &path).with("queue-ticket", &third.text("queue_ticket")).key("leaving");
    assert!(!world.send(leave()).await.is(204).replayed());
    assert!(world.send(leave()).await.is(204).replayed());
    let anew = join().await.is(201);
    assert_eq!(anew.body["number"], 4);
    assert_ne!(anew.body["session"], third.body["session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_lists_the_routes_with_their_answers() {
    let world = World::start();
    let document = world.send(call(Method::GET, "/openapi.json")).await.is(200).body;
    let answers = |path: &str, method: &str| -> Vec<String> {
        let responses = &document["paths"][path][method]["responses"];
        responses.as_object().unwrap_or_else(|| panic!("no {method} {path}")).keys().cloned().collect()
    };
    let place = "/v1/shows/{show}/queue/{session}";
    assert_eq!(answers("/v1/shows/{show}/queue", "post"), ["200", "201", "403", "404", "409", "429", "default"]);
    assert_eq!(answers(&format!("{place}/enter"), "post"), ["200", "403", "409", "410", "default"]);
    assert_eq!(answers(place, "delete"), ["204", "403", "409", "default"]);
    let parameters = document["paths"]["/v1/orders/{order}"]["put"]["parameters"].to_string();
    assert!(parameters.contains("Checkout-Token"), "{parameters}");
    for name in ["QueuePlace", "QueueEntered", "NewWaitingRoom", "WaitingRoom"] {
        assert!(document["components"]["schemas"][name].is_object(), "no {name}");
    }
}
