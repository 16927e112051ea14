//! Who wrote sees it, through whichever query-api, however slow the projectors are: or is told 504, and never an older state.

use local_stack::Signal;
use ops::topology::{Counts, Instance, Process};
use reqwest::Method;
use serde_json::json;
use system_tests::purchase::{id, show_body};
use system_tests::{Answer, Client, Installation, Shop, run, world};

/// Two that write, two that read, and one projector that takes its time.
async fn start() -> (Installation, [Shop; 2]) {
    let counts = Counts { projectors: 1, ..Counts::TWO };
    let slow = [("BOXOFFICE_PROJECTOR_LINGER_MS", "400"), ("BOXOFFICE_PROJECTOR_BATCH", "7")];
    let shop = Installation::with(world::stack().await.unwrap(), counts, &slow).await;
    let readers = [1, 2].map(|number| shop.at(Instance { process: Process::QueryApi, number }));
    (shop, readers)
}

/// A show that may still be edited, seen by its organizer.
async fn editable(shop: &Installation) -> (String, Client) {
    let (show, organizer) = (format!("/v1/shows/{}", id()), shop.organizer());
    let created = organizer.put(&show, &show_body()).await.is(201);
    organizer.since(&created).get(&show).await.is(200);
    (show, organizer)
}

fn token(answer: &Answer) -> String {
    answer.header("consistency-token").expect("every answer to a write has one").to_owned()
}

/// A write of somebody who has seen or written that before.
async fn after(client: &Client, method: Method, path: &str, body: &serde_json::Value, since: &str) -> Answer {
    client.send(client.request(method, path).header("consistency-token", since).json(body)).await
}

/// What both query-apis say to who does not wait (how often was it 504?) and then to who does.
async fn seen(
    readers: &[Shop; 2],
    of: impl Fn(&Shop) -> Client,
    path: &str,
    since: &str,
    is: impl Fn(&Answer) -> bool,
) -> usize {
    let mut behind = 0;
    for reader in readers {
        for wait in [0, 30] {
            let client = of(reader);
            let asked = client.request(Method::GET, path).header("consistency-token", since);
            let answer = client.send(asked.header("prefer", format!("wait={wait}"))).await;
            if wait == 0 && answer.status == 504 {
                answer.is_problem(504, "not-caught-up");
                behind += 1;
            } else {
                assert!(is(&answer), "an older state: {answer:#?}");
            }
        }
    }
    behind
}

#[test]
fn a_write_is_seen_through_either_query_api_and_tokens_add_up_over_topics() {
    run(async {
        let (shop, readers) = start().await;
        let sale = shop.on_sale(0, 1000, 600).await;
        let (show, organizer) = editable(&shop).await;
        let (mut behind, mut since) = (0, None::<String>);
        for n in 0..6 {
            // One topic, then another: the later token tells of both.
            let name = format!("Night {n}");
            let edited = match &since {
                None => organizer.patch(&show, &json!({"name": name})).await,
                Some(since) => after(&organizer, Method::PATCH, &show, &json!({"name": name}), since).await,
            };
            let edited = edited.is(200);
            let order = id();
            let path = format!("/v1/orders/{order}");
            let placed = after(&shop.client, Method::PUT, &path, &sale.order(1), &token(&edited)).await.is(201);
            let both = token(&placed);
            assert!(both.len() > token(&edited).len() || n > 0, "it covers what the request's covered");
            let access = placed.text("access_token");
            let named = |answer: &Answer| answer.status == 200 && answer.body["name"] == name.as_str();
            behind += seen(&readers, Shop::organizer, &show, &both, named).await;
            let there = |answer: &Answer| answer.status == 200 && answer.body["id"] == order.to_string();
            behind += seen(&readers, |reader| reader.client.with(&access), &path, &both, there).await;
            // A client that keeps them apart sends both.
            let apart = format!("{}, {}", token(&edited), both);
            behind += seen(&readers, Shop::organizer, &show, &apart, named).await;
            since = Some(both);
        }
        assert!(behind > 0, "the projector is not slow, and nothing was waited for");
        shop.stop().await;
    });
}

#[test]
fn a_frozen_projector_makes_readers_say_so_and_nothing_old_is_shown() {
    run(async {
        let (shop, readers) = start().await;
        let sale = shop.on_sale(0, 1000, 600).await;
        let (show, organizer) = editable(&shop).await;
        shop.signal(Process::Projectors, Signal::Stop).await;
        let edited = organizer.patch(&show, &json!({"name": "While nobody looked"})).await.is(200);
        let order = id();
        let placed = shop.client.put(&format!("/v1/orders/{order}"), &sale.order(1)).await.is(201);
        let access = placed.text("access_token");
        for reader in &readers {
            let visitor = reader.organizer().since(&edited);
            visitor.get_waiting(&show, 1).await.is_problem(504, "not-caught-up");
            let buyer = reader.client.with(&access).since(&placed);
            buyer.get_waiting(&format!("/v1/orders/{order}"), 1).await.is_problem(504, "not-caught-up");
            // Who does not insist is told what there is.
            let anybody = reader.organizer().get_waiting(&show, 0).await.is(200);
            assert_ne!(anybody.body["name"], "While nobody looked");
        }
        shop.signal(Process::Projectors, Signal::Continue).await;
        for reader in &readers {
            let seen = reader.organizer().since(&edited).get_waiting(&show, 30).await.is(200);
            assert_eq!(seen.body["name"], "While nobody looked");
            reader.client.with(&access).since(&placed).get_waiting(&format!("/v1/orders/{order}"), 30).await.is(200);
        }
        shop.stop().await;
    });
}
