//! What queue tickets do not do: altered, foreign, stale and used ones, on every route that takes one.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use domain::ids::ShowId;
use domain::value::Role;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::config::{Env, Secrets};
use service_kit::queue_ticket::Place;
use system_tests::purchase::{id, key, show_body};
use system_tests::queue::{Visitor, room, with};
use system_tests::{Answer, Client, World, run};
use uuid::Uuid;

use super::Quiet;

/// Where a queue ticket is shown.
const ROUTES: [&str; 4] = ["status", "events", "enter", "leave"];

/// Shows a ticket for a place on one of the routes; none at all if it is `None`.
pub async fn show(client: &Client, route: &str, path: &str, ticket: Option<&str>) -> Answer {
    let request = match route {
        "status" => client.request(Method::GET, path),
        "events" => {
            let query: Vec<_> = ticket.iter().map(|ticket| ("queue_ticket", *ticket)).collect();
            return client.send(client.request(Method::GET, &format!("{path}/events")).query(&query)).await;
        }
        "enter" => client.request(Method::POST, &format!("{path}/enter")).json(&json!({})),
        _ => client.request(Method::DELETE, path),
    };
    client.send(ticket.into_iter().fold(request, |request, ticket| request.header("queue-ticket", ticket))).await
}

/// A room with one slot: somebody who is admitted, and somebody who waits.
pub async fn admitted_and_waiting(world: &World, changes: &Value) -> (Uuid, Visitor, Visitor) {
    let sale = world.on_sale_with_room(1000, 10, 600, &with(room(1), changes)).await;
    let (mut admitted, mut waiting) = (world.join(sale.show).await, world.join(sale.show).await);
    admitted.until("admitted").await;
    waiting.until("queued").await;
    (sale.show, admitted, waiting)
}

/// Of another installation.
pub fn foreign() -> Secrets {
    let told = [("BOXOFFICE_SECRET", "77".repeat(32)), ("BOXOFFICE_TOKEN_KEY", "44".repeat(32))];
    Env::from_map(told).read(Secrets::read).unwrap()
}

/// The ticket with each of its parts altered, and what merely looks like one.
fn altered(ticket: &str) -> Vec<(String, String)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(ticket).unwrap();
    assert_eq!(bytes.len(), 77);
    let parts = [
        ("layout", 0),
        ("show", 1),
        ("show's end", 16),
        ("session", 17),
        ("session's end", 32),
        ("number", 36),
        ("seen", 37),
    ];
    let parts = parts.into_iter().chain([("seen's end", 44), ("seal", 45), ("seal's end", 76)]);
    let mut all: Vec<(String, String)> = parts
        .map(|(name, at)| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            (format!("another {name}"), BASE64_URL_SAFE_NO_PAD.encode(bytes))
        })
        .collect();
    let mut longer = bytes.clone();
    longer.push(0);
    all.extend([
        ("one byte less".to_owned(), BASE64_URL_SAFE_NO_PAD.encode(&bytes[..76])),
        ("one byte more".to_owned(), BASE64_URL_SAFE_NO_PAD.encode(longer)),
        ("padded".to_owned(), format!("{ticket}=")),
        ("bare of its seal".to_owned(), BASE64_URL_SAFE_NO_PAD.encode(&bytes[..45])),
        ("nothing".to_owned(), String::new()),
        ("something else".to_owned(), "ticket".to_owned()),
        ("long".to_owned(), "A".repeat(5000)),
    ]);
    // Only some tickets have a letter that differs.
    let other_alphabet = BASE64_STANDARD_NO_PAD.encode(&bytes);
    all.extend((other_alphabet != ticket).then(|| ("in another alphabet".to_owned(), other_alphabet)));
    all
}

#[test]
fn tickets_that_are_altered_or_foreign() {
    run(async {
        let mut quiet = Quiet::start().await;
        let world = &quiet.world;
        let (show_id, admitted, waiting) = admitted_and_waiting(world, &json!({"enter_s": 3600})).await;
        let (_, elsewhere, _) = admitted_and_waiting(world, &json!({"enter_s": 3600})).await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, placed) = sale.buy(world, 1).await;
        world.payment_page(order, &holder).await;
        let place = Place {
            show: ShowId(show_id),
            session: admitted.session.parse().unwrap(),
            number: 1,
            seen: world.secrets().auth().now(),
        };
        let mut bad = altered(&admitted.ticket);
        bad.extend([
            ("of another session".to_owned(), waiting.ticket.clone()),
            ("of another show".to_owned(), elsewhere.ticket.clone()),
            ("by another key".to_owned(), foreign().auth().queue_tickets().sign(&place)),
            ("an access token".to_owned(), placed.text("access_token")),
            ("an account's token".to_owned(), world.token("organizer-1", &[Role::Organizer], 60)),
            ("the session's name".to_owned(), admitted.session.clone()),
        ]);
        let nobodys = format!("/v1/shows/{show_id}/queue/{}", id());
        let no_show = format!("/v1/shows/{}/queue/{}", id(), admitted.session);
        let client = world.client.clone();
        quiet.settle().await;
        for route in ROUTES {
            for (name, ticket) in &bad {
                let answer = quiet.of(show(&client, route, &admitted.path(), Some(ticket))).await;
                assert_eq!(answer.status, 403, "{route} with a ticket that is {name}: {answer:#?}");
                answer.is_problem(403, "queue-ticket-invalid");
            }
            for (path, ticket) in [
                (admitted.path(), None),
                (nobodys.clone(), Some(admitted.ticket.as_str())),
                (no_show.clone(), Some(admitted.ticket.as_str())),
            ] {
                quiet.of(show(&client, route, &path, ticket)).await.is_problem(403, "queue-ticket-invalid");
            }
            let path = format!("/v1/shows/{show_id}/queue/first");
            quiet.of(show(&client, route, &path, Some(&admitted.ticket))).await.is_problem(400, "bad-parameter");
        }
        // Two tickets are none.
        let two = admitted.request(Method::GET, "").header("queue-ticket", &admitted.ticket);
        quiet.of(client.send(two)).await.is_problem(403, "queue-ticket-invalid");
        // The right ones still do what they did before.
        for visitor in [&admitted, &waiting, &elsewhere] {
            visitor.look().await.is(200);
        }
        admitted.enter().await;
        quiet.world.stop().await;
    });
}

#[test]
fn tickets_that_are_stale_used_or_early() {
    run(async {
        let mut quiet = Quiet::start().await;
        let world = &quiet.world;
        let (show_id, mut admitted, waiting) =
            admitted_and_waiting(world, &json!({"away_grace_s": 30, "enter_s": 3600})).await;
        let auth = world.secrets().auth();
        let stale = |visitor: &Visitor, number: u32| {
            let seen = auth.now().plus_s(-31);
            auth.queue_tickets().sign(&Place {
                show: ShowId(show_id),
                session: visitor.session.parse().unwrap(),
                number,
                seen,
            })
        };
        let client = world.client.clone();
        quiet.settle().await;
        for route in ["status", "events", "enter"] {
            let ticket = stale(&admitted, 1);
            quiet.of(show(&client, route, &admitted.path(), Some(&ticket))).await.is_problem(410, "queue-place-lost");
        }
        for route in ["status", "events"] {
            let ticket = stale(&waiting, 2);
            quiet.of(show(&client, route, &waiting.path(), Some(&ticket))).await.is_problem(410, "queue-place-lost");
        }
        quiet.of(waiting.try_enter()).await.is_problem(409, "not-admitted");
        // In its last second a ticket is as good as any.
        let fresh = stale(&Visitor { session: waiting.session.clone(), ..waiting.clone() }, 2);
        assert_ne!(fresh, waiting.ticket);
        admitted.until("admitted").await;

        // An order is placed: leaving would leave it alone.
        let sale =
            system_tests::purchase::OnSale { show: show_id, class: class_of(&client, show_id).await, price: 1000 };
        let token = admitted.enter().await;
        let (order, holder, _) = sale.buy_with(&client, &token, 1).await;
        let link = quiet.world.payment_page(order, &holder).await;
        quiet.settle().await;
        quiet.of(admitted.try_leave()).await.is_problem(409, "wrong-status");
        quiet.world.pay(&link, &json!({})).await;
        quiet.world.until(order, &holder, "completed").await;
        admitted.until("completed").await;

        // Who is through, has left, or did not come, enters no more; and leaves no more, which is no mistake.
        let mut left = waiting.clone();
        left.until("admitted").await;
        left.leave().await;
        left.until("left").await;
        quiet.settle().await;
        for gone in [&admitted, &left] {
            quiet.of(gone.try_enter()).await.is_problem(410, "queue-place-lost");
            quiet.of(gone.try_leave()).await.is(204);
        }
        quiet.world.stop().await;
    });
}

async fn class_of(client: &Client, show: Uuid) -> Uuid {
    let answer = client.get(&format!("/v1/shows/{show}")).await.is(200);
    answer.body["ticket_classes"][0]["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn places_that_nobody_gets() {
    run(async {
        let mut quiet = Quiet::start().await;
        let (organizer, draft) = (quiet.world.organizer(), id());
        organizer.put(&format!("/v1/shows/{draft}"), &show_body()).await.is(201);
        organizer.post(&format!("/v1/shows/{draft}/configure"), &json!({"waiting_room": room(1)})).await.is(200);
        let (with_room, _, _) = admitted_and_waiting(&quiet.world, &json!({"enter_s": 3600})).await;
        let without = quiet.world.on_sale(0, 5, 600).await;
        let (order, holder, _) = without.buy(&quiet.world, 1).await;
        quiet.world.until(order, &holder, "completed").await;
        quiet.settle().await;
        let client = quiet.world.client.clone();
        let path = |show: Uuid| format!("/v1/shows/{show}/queue");
        let unknown = quiet.of(client.post_with(&path(id()), &key(), &json!({}))).await;
        let hidden = quiet.of(client.post_with(&path(draft), &key(), &json!({}))).await;
        let (unknown, hidden) = (unknown.is_problem(404, "show-not-found"), hidden.is_problem(404, "show-not-found"));
        assert_eq!(unknown.apart(), hidden.apart(), "a draft is told apart from nothing");
        quiet.of(client.post_with(&path(without.show), &key(), &json!({}))).await.is_problem(404, "not-found");
        quiet.of(client.post(&path(with_room), &json!({}))).await.is_problem(400, "idempotency-key-missing");
        quiet.of(client.post_with(&path(with_room), "me", &json!({}))).await.is_problem(400, "idempotency-key-invalid");
        quiet.of(holder.post_with(&path(with_room), &key(), &json!({}))).await.is_problem(403, "forbidden");
        let ahead = json!({"place": 1});
        let pushing = quiet.of(client.post_with(&path(with_room), &key(), &ahead)).await;
        pushing.is_problem(400, "unknown-field").points_at("/place");
        quiet
            .of(client.with("nonsense").post_with(&path(with_room), &key(), &json!({})))
            .await
            .is_problem(401, "unauthorized");
        quiet.world.stop().await;
    });
}
