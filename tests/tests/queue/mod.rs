//! The waiting room: from joining to tickets, and every way in which a place ends.

mod crash;
mod draw;
mod endings;
mod hand;
mod order_of_service;

use std::collections::BTreeSet;

use domain::event::Event;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::purchase::{id, key};
use system_tests::queue::{Visitor, room};
use system_tests::room::Room;
use system_tests::{World, run};
use uuid::Uuid;

use crate::reading::next_event;

/// What the log says of one room, names of events in their order.
async fn told(world: &World, show: Uuid) -> Vec<&'static str> {
    let news = world.journal().news().await;
    let of_room = news.events.iter().filter(|event| matches!(event, Event::Queue(_)) && event.aggregate() == show);
    of_room.map(Event::name).collect()
}

/// What the log says of one room, added up.
async fn added_up(world: &World, show: Uuid) -> Room {
    let mut sum = Room::default();
    sum.add(show, &world.journal().news().await);
    sum
}

#[test]
fn a_purchase_through_the_queue() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale_with_room(1000, 10, 600, &room(5)).await;
        let buyer = world.buyer("in-the-queue");
        let (mut visitor, joined) = Visitor::join(&buyer, sale.show, "first").await;
        assert_eq!(
            [
                &joined.body["status"],
                &joined.body["number"],
                &joined.body["place"],
                &joined.body["ahead"],
                &joined.body["position"]
            ],
            [&json!("queued"), &json!(1), &json!(1), &json!(0), &json!(1)],
            "{joined:#?}"
        );
        assert!(joined.body["poll_after_ms"].as_i64().is_some_and(|ms| ms > 0), "{joined:#?}");
        let shown = world.client.since(&joined).get(&format!("/v1/shows/{}", sale.show)).await.is(200);
        assert_eq!(
            (&shown.body["waiting_room"]["enabled"], &shown.body["waiting_room"]["slots"]),
            (&json!(true), &json!(5))
        );

        let admitted = visitor.until("admitted").await;
        assert!(admitted.body["enter_by"].is_string() && admitted.body["ahead"].is_null(), "{admitted:#?}");
        let entered = visitor.try_enter().await.is(200);
        let (token, expires) = (entered.text("checkout_token"), entered.text("checkout_expires_at"));
        let again = visitor.try_enter().await.is(200);
        assert_eq!((again.text("checkout_token"), again.text("checkout_expires_at")), (token.clone(), expires));
        visitor.until("in_checkout").await;

        let (order, order_key) = (id(), key());
        let placed = sale.order_with(&buyer, &token, order, &order_key, 2).await.is(201);
        let holder = buyer.since(&placed);
        let link = world.payment_page(order, &holder).await;
        world.pay(&link, &json!({})).await;
        let done = world.until(order, &holder, "completed").await;
        assert_eq!(done.body["tickets"].as_array().map(Vec::len), Some(2));
        visitor.until("completed").await;
        // A repeat is recognised for ever.
        let repeated = sale.order_with(&buyer, &token, order, &order_key, 2).await.is(201);
        assert_eq!((repeated.header("idempotency-replayed"), &repeated.body["id"]), (Some("true"), &json!(order)));
        let life =
            ["WaitingRoomOpened", "QueueJoined", "QueueReady", "CheckoutStarted", "CheckoutTied", "CheckoutCompleted"];
        assert_eq!(told(world, sale.show).await, life);
        assert_eq!(world.stock(&sale, 10).await, (0, 2, 8));
    });
}

#[test]
fn a_repeat_keeps_its_place() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale_with_room(1000, 10, 600, &room(1)).await;
        let first = world.join(sale.show).await;
        let guest_key = key();
        let joining = join_all((0..20).map(|_| Visitor::join(&world.client, sale.show, &guest_key))).await;
        let sessions: BTreeSet<&str> = joining.iter().map(|(visitor, _)| visitor.session.as_str()).collect();
        assert_eq!((sessions.len(), joining[0].0.number), (1, 2), "a guest's key is one guest");
        let fresh = joining.iter().filter(|(_, answer)| answer.header("idempotency-replayed").is_none());
        assert_eq!(fresh.count(), 1);

        // An account has one place, whatever its keys; everybody else has another one.
        let account = world.buyer("twice-in-the-queue");
        let keys = ["a", "b", "c", "b"];
        let joining = join_all(keys.map(|key| Visitor::join(&account, sale.show, key))).await;
        let numbers: BTreeSet<i64> = joining.iter().map(|(visitor, _)| visitor.number).collect();
        assert_eq!(numbers, BTreeSet::from([3]));
        let mut mine = joining[0].0.clone();
        assert_eq!(world.join(sale.show).await.number, 4);

        // Who gave the place up stands at the end again.
        mine.leave().await;
        mine.leave().await;
        assert_eq!(mine.until("left").await.body["place"], 3);
        let (again, _) = Visitor::join(&account, sale.show, "d").await;
        assert_eq!(again.number, 5);
        assert_ne!(again.session, mine.session);
        assert_eq!(first.number, 1);
        let joins = told(world, sale.show).await.iter().filter(|name| **name == "QueueJoined").count();
        assert_eq!(joins, 5);
    });
}

#[test]
fn a_place_as_a_stream() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale_with_room(1000, 10, 600, &room(1)).await;
        let mut first = world.join(sale.show).await;
        let second = world.join(sale.show).await;
        first.until("admitted").await;
        // As a browser does: no header.
        let path = format!("{}/events?queue_ticket={}", second.path(), second.ticket);
        let mut stream = second.client.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        let mut buffer = String::new();
        let (mut seen, mut steps) = (Vec::<String>::new(), 0);
        let mut visitor = second.clone();
        while let Some((name, event)) = next_event(&mut stream, &mut buffer).await {
            assert_eq!(
                (name.as_str(), &event["session"], &event["number"]),
                ("status", &json!(second.session), &json!(2))
            );
            visitor.ticket = event["queue_ticket"].as_str().expect("every event has a fresh ticket").to_owned();
            let status = event["status"].as_str().unwrap().to_owned();
            match (steps, status.as_str()) {
                (0, "queued") => first.leave().await,
                (1, "admitted") => drop(visitor.enter().await),
                (2, "in_checkout") => visitor.leave().await,
                (3, "left") => assert_eq!(event["place"], 2),
                // The same status again with another ticket or estimate.
                _ => {
                    assert_eq!(seen.last(), Some(&status), "after {seen:?}");
                    continue;
                }
            }
            steps += 1;
            seen.push(status);
        }
        // It ends by itself with the place.
        assert_eq!(seen, ["queued", "admitted", "in_checkout", "left"]);
    });
}

#[test]
fn a_show_that_is_called_off_ends_its_room() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale_with_room(1000, 10, 600, &room(2)).await;
        let mut visitors = Vec::new();
        for _ in 0..4 {
            visitors.push(world.join(sale.show).await);
        }
        let token = visitors[0].enter_in_turn().await;
        visitors[1].until("admitted").await;
        let cancelled = world.organizer().post(&format!("/v1/shows/{}/cancel", sale.show), &json!({})).await.is(200);
        assert_eq!(cancelled.body["status"], "cancelled");
        for visitor in &mut visitors {
            let ended = visitor.until("expired").await;
            assert_eq!((&ended.body["ahead"], &ended.body["enter_by"]), (&Value::Null, &Value::Null));
        }
        sale.order_with(&world.client, &token, id(), &key(), 1).await.is_problem(409, "not-on-sale");
        visitors[1].try_enter().await.is_problem(409, "not-on-sale");
        // There is nothing left to give up, and that is no mistake.
        visitors[2].leave().await;
        let late = world.client.post_with(&format!("/v1/shows/{}/queue", sale.show), &key(), &json!({})).await;
        assert_eq!(late.is_problem(409, "not-on-sale").header("retry-after"), None);
        let room = added_up(world, sale.show).await;
        assert_eq!((room.joined.len(), room.live.len()), (4, 0));
    });
}
