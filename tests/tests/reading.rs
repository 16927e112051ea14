//! Reading: what one wrote, what one waits for, what one may see, page by page.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::value::Role;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use service_kit::problem::Kind;
use system_tests::purchase::{class_body, eventually, id, key, show_body};
use system_tests::{Client, World, run};
use uuid::Uuid;

#[test]
fn who_wrote_sees_it() {
    run(async {
        let world = World::shared().await;
        let organizer = world.organizer();
        for _ in 0..20 {
            let path = format!("/v1/shows/{}", id());
            let created = organizer.put(&path, &show_body()).await.is(201);
            let seen = organizer.since(&created).get(&path).await.is(200);
            assert_eq!(seen.body, created.body, "both sides show the same show");
            let edited = organizer.patch(&path, &json!({"name": "Another", "ends_at": null})).await.is(200);
            let seen = organizer.since(&edited).get(&path).await.is(200);
            assert_eq!(
                (&seen.body, &seen.body["name"], &seen.body["ends_at"]),
                (&edited.body, &json!("Another"), &Value::Null)
            );
            let class = format!("{path}/ticket-classes/{}", id());
            let defined = organizer.put(&class, &class_body(1000, 5)).await.is(201);
            let seen = organizer.since(&defined).get(&path).await.is(200);
            assert_eq!(seen.body["ticket_classes"], json!([defined.body]));
        }
        // A refusal and a repeat answer with a token, too.
        let path = format!("/v1/shows/{}", id());
        organizer.put(&path, &show_body()).await.is(201);
        let again = organizer.put(&path, &show_body()).await.is(200);
        organizer.since(&again).get(&path).await.is(200);
    });
}

#[test]
fn what_is_not_there_yet_is_said_to_be_missing() {
    run(async {
        let mut world = World::start().await;
        world.stop_projectors().await;
        let organizer = world.organizer();
        let path = format!("/v1/shows/{}", id());
        let created = organizer.put(&path, &show_body()).await.is(201);
        let begun = service_kit::clock::monotonic();
        let late = organizer.since(&created).get_waiting(&path, 1).await.is_problem(504, "not-caught-up");
        assert!(begun.elapsed() >= Duration::from_millis(900), "it did not wait: {late:#?}");
        // Who does not insist gets what there is.
        organizer.get_waiting(&path, 0).await.is_problem(404, "show-not-found");
        world.start_projectors().await.unwrap();
        organizer.since(&created).get_waiting(&path, 30).await.is(200);
        world.stop().await;
    });
}

#[test]
fn waiting_for_a_status() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, _) = sale.buy(world, 1).await;
        let link = world.payment_page(order, &holder).await;
        // As it is when time is over.
        let begun = service_kit::clock::monotonic();
        let path = format!("/v1/orders/{order}?until=completed");
        let still = holder.get_waiting(&path, 1).await.is(200);
        assert_eq!(still.body["status"], "awaiting_payment");
        assert!(begun.elapsed() >= Duration::from_millis(900));
        // As soon as it has come so far.
        let (paid, done) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                world.pay(&link, &json!({})).await;
            },
            holder.get_waiting(&path, 30)
        );
        let () = paid;
        assert_eq!(done.is(200).body["status"], "completed");
        // A final status ends every waiting.
        let begun = service_kit::clock::monotonic();
        let other = holder.get_waiting(&format!("/v1/orders/{order}?until=cancelled"), 20).await.is(200);
        assert_eq!(other.body["status"], "completed");
        assert!(begun.elapsed() < Duration::from_secs(15));
    });
}

#[test]
fn waiting_for_what_is_about_to_be() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(0, 50, 600).await;
        for _ in 0..20 {
            // Without the token of the write: a client that waits for a status need not know of it.
            let (order, path) = (id(), "?until=completed");
            let placed = world.client.put(&format!("/v1/orders/{order}"), &sale.order(1)).await.is(201);
            let holder = world.client.with(&placed.text("access_token"));
            let done = holder.get_waiting(&format!("/v1/orders/{order}{path}"), 30).await.is(200);
            assert_eq!(done.body["status"], "completed");
        }
        let begun = service_kit::clock::monotonic();
        let nobody = world.buyer("nobody");
        nobody.get_waiting(&format!("/v1/orders/{}?until=completed", id()), 30).await.is_problem(404, "not-found");
        assert!((Duration::from_secs(2)..Duration::from_secs(15)).contains(&begun.elapsed()));
    });
}

/// The next event of a stream: its name and its data.
pub async fn next_event(response: &mut Response, buffer: &mut String) -> Option<(String, Value)> {
    loop {
        if let Some((event, rest)) = buffer.split_once("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            let found = field("event")
                .zip(field("data"))
                .map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap()));
            *buffer = rest.to_owned();
            match found {
                Some(found) => return Some(found),
                None => continue,
            }
        }
        let chunk = tokio::time::timeout(Duration::from_secs(30), response.chunk()).await.expect("something comes");
        buffer.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
    }
}

#[test]
fn an_orders_life_as_a_stream() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, placed) = sale.buy(world, 1).await;
        let link = world.payment_page(order, &holder).await;
        let path = format!("/v1/orders/{order}/events?access_token={}", placed.text("access_token"));
        // As a browser does: no header.
        let mut stream = world.client.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(
            (stream.status().as_u16(), &stream.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        let mut buffer = String::new();
        let (name, first) = next_event(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(
            (name.as_str(), &first["id"], &first["status"]),
            ("order", &json!(order), &json!("awaiting_payment"))
        );
        world.pay(&link, &json!({"amount": 300})).await;
        let mut seen = Vec::new();
        let mut paid = false;
        while let Some((_, event)) = next_event(&mut stream, &mut buffer).await {
            let payment = event["payments"][0]["status"].as_str().unwrap().to_owned();
            if payment == "partially_received" && !paid {
                paid = true;
                world.pay(&link, &json!({})).await;
            }
            seen.push((event["status"].as_str().unwrap().to_owned(), payment));
        }
        // It ends by itself when the order has ended.
        assert!(seen.contains(&("awaiting_payment".to_owned(), "partially_received".to_owned())), "{seen:?}");
        assert_eq!(seen.last().unwrap(), &("completed".to_owned(), "completed".to_owned()), "{seen:?}");
        let distinct: BTreeSet<_> = seen.iter().collect();
        assert!(distinct.len() + 3 >= seen.len(), "the same again and again: {seen:?}");

        // Whoever has seen the end is told not to come again.
        let mut again = holder.request(Method::GET, &format!("/v1/orders/{order}/events")).send().await.unwrap();
        let mut text = String::new();
        while let Some(chunk) = again.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let last = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
        let request = holder.request(Method::GET, &format!("/v1/orders/{order}/events")).header("last-event-id", last);
        assert_eq!(request.send().await.unwrap().status(), 204);
    });
}

/// A list read page by page, which must have the same things in the same order as the list read at once. Between the two
/// reads a thing may go on, such as a payment that is being closed.
async fn paged(client: &Client, path: &str) -> Vec<Value> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let pages = client.all(&format!("{path}{joint}limit=2")).await.expect("every page is there");
    let whole = client.get(&format!("{path}{joint}limit=200")).await.is(200).body;
    assert_eq!(whole["next_cursor"], Value::Null);
    assert_eq!(ids(&pages), ids(whole["items"].as_array().unwrap()));
    pages
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn shows_by_word_status_and_page() {
    run(async {
        let world = World::shared().await;
        let word = format!("Zither{}", &id().simple().to_string()[20..]);
        let mut published = Vec::new();
        for day in 1..=5 {
            let mut body = show_body();
            body["name"] = json!(format!("{word} Đêm {day}"));
            body["starts_at"] = json!(format!("2027-07-0{day}T12:00:00Z"));
            body["ends_at"] = Value::Null;
            published.push(world.on_sale_with(body, &[(id(), class_body(1000, 5))], 60).await.to_string());
        }
        let mut draft = show_body();
        draft["name"] = json!(format!("{word} hidden"));
        let hidden = id();
        let created = world.organizer().put(&format!("/v1/shows/{hidden}"), &draft).await.is(201);
        let organizer = world.organizer().since(&created);

        let path = format!("/v1/shows?q={word}");
        let everybody = world.client.since(&created);
        eventually("the published ones are listed", async || {
            (everybody.get(&path).await.is(200).body["items"].as_array().unwrap().len() == 5).then_some(())
        })
        .await;
        assert_eq!(
            ids(&paged(&everybody, &path).await),
            published,
            "the public sees what is on sale, by when it begins"
        );
        assert_eq!(paged(&organizer, &path).await.len(), 6, "its organizer sees the draft");
        assert_eq!(paged(&organizer, &format!("{path}&status=published")).await.len(), 5);
        assert_eq!(ids(&paged(&organizer, &format!("{path}&status=draft")).await), [hidden.to_string()]);
        let rival = world.as_account("organizer-2", &[Role::Organizer]);
        assert_eq!(paged(&rival, &path).await.len(), 5);
        assert_eq!(paged(&world.admin().since(&created), &path).await.len(), 6);
        let narrow = format!("/v1/shows?q={}%20dem%203", word.to_lowercase());
        let found = everybody.get(&narrow).await.is(200).body;
        let accents =
            everybody.get(&format!("/v1/shows?q={}%20%C4%91%C3%AAm%203", word.to_lowercase())).await.is(200).body;
        assert_eq!(ids(accents["items"].as_array().unwrap()), [published[2].clone()], "without accents: {found}");
        let later = everybody.get(&format!("{path}&starts_after=2027-07-04T00:00:00Z")).await.is(200).body;
        assert_eq!(ids(later["items"].as_array().unwrap()), published[3..]);
        // A cursor belongs to its list.
        let page = everybody.get(&format!("{path}&limit=2")).await.is(200).text("next_cursor");
        everybody.get(&format!("/v1/shows?cursor={page}")).await.is_problem(400, "bad-parameter");

        let show = format!("/v1/shows/{hidden}");
        everybody.get(&show).await.is_problem(404, "show-not-found");
        rival.since(&created).get(&show).await.is_problem(404, "show-not-found");
        for eyes in [&organizer, &world.admin(), &world.as_account("helper", &[Role::Support])] {
            eyes.since(&created).get(&show).await.is(200);
        }
        let methods = everybody.get(&format!("/v1/shows/{}/payment-methods", published[0])).await.is(200);
        let offered = methods.body["items"].as_array().unwrap();
        let names: Vec<_> = offered.iter().map(|it| it["provider"].as_str().unwrap()).collect();
        assert_eq!(names, ["payos", "stripe", "vnpay", "zalopay"], "PayPal collects no dong");
        assert_eq!(offered[0], json!({"provider": "payos", "currencies": ["VND"]}));
    });
}

#[test]
fn an_organizers_list_of_orders() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 50, 600).await;
        let free = world.on_sale(0, 50, 600).await;
        let mut orders: Vec<(Uuid, Client, String)> = Vec::new();
        for n in 0..5 {
            let (order, mut body) = (id(), sale.order(1));
            body["buyer"]["email"] = json!(format!("buyer{}@example.com", n % 2));
            let placed = world.client.put_with(&format!("/v1/orders/{order}"), &key(), &body).await.is(201);
            let holder = world.client.with(&placed.text("access_token")).since(&placed);
            world.payment_page(order, &holder).await;
            orders.push((order, holder, placed.text("code")));
        }
        let cancelled = orders[0].1.post(&format!("/v1/orders/{}/cancel", orders[0].0), &json!({})).await.is(200);
        let organizer = world.organizer().since(&cancelled);
        let path = format!("/v1/shows/{}/orders", sale.show);
        let newest_first: Vec<String> = orders.iter().rev().map(|(order, ..)| order.to_string()).collect();
        for eyes in [&organizer, &world.admin(), &world.as_account("helper", &[Role::Support])] {
            assert_eq!(ids(&paged(eyes, &path).await), newest_first);
        }
        assert_eq!(ids(&paged(&organizer, &format!("{path}?status=cancelled")).await), [orders[0].0.to_string()]);
        assert_eq!(paged(&organizer, &format!("{path}?status=awaiting_payment")).await.len(), 4);
        assert_eq!(paged(&organizer, &format!("{path}?status=completed")).await.len(), 0);
        assert_eq!(paged(&organizer, &format!("{path}?email=BUYER1@Example.com")).await.len(), 2);
        assert_eq!(
            paged(&organizer, &format!("{path}?email=buyer0@example.com&status=awaiting_payment")).await.len(),
            2
        );
        let by_code = paged(&organizer, &format!("{path}?code={}", orders[3].2.to_lowercase())).await;
        assert_eq!(ids(&by_code), [orders[3].0.to_string()]);
        assert_eq!(
            (&by_code[0]["buyer"]["email"], &by_code[0]["code"]),
            (&json!("buyer1@example.com"), &json!(orders[3].2))
        );
        let elsewhere = format!("/v1/shows/{}/orders?code={}", free.show, orders[3].2);
        assert_eq!(paged(&organizer, &elsewhere).await.len(), 0);
    });
}

#[test]
fn a_buyers_own_orders() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(0, 50, 600).await;
        let name = format!("fan-{}", id());
        let mut buyer = world.buyer(&name);
        let mut placed = Vec::new();
        for _ in 0..3 {
            let order = id();
            let answer = buyer.put(&format!("/v1/orders/{order}"), &sale.order(1)).await.is(201);
            assert_eq!(answer.body["access_token"], Value::Null, "an account needs no token of an order");
            buyer = buyer.since(&answer);
            world.until(order, &buyer, "completed").await;
            placed.insert(0, order.to_string());
        }
        let mine = paged(&buyer, "/v1/me/orders").await;
        assert_eq!(ids(&mine), placed);
        assert!(mine.iter().all(|order| order["status"] == "completed" && order["ticket_count"] == 1));
        assert_eq!(paged(&world.buyer(&format!("{name}-2")), "/v1/me/orders").await.len(), 0);
        // The holder of a token has one order.
        let (order, holder, _) = sale.buy(world, 1).await;
        world.until(order, &holder, "completed").await;
        assert_eq!(ids(&paged(&holder, "/v1/me/orders").await), [order.to_string()]);
    });
}

#[test]
fn availability_follows_the_stock() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 3, 600).await;
        let path = format!("/v1/shows/{}/availability", sale.show);
        let class = async |client: &Client| client.get(&path).await.is(200).body["classes"][0].clone();
        let (order, holder, _) = sale.buy(world, 3).await;
        eventually("the show is seen", async || (world.client.get(&path).await.status == 200).then_some(())).await;
        let seen = class(&holder).await;
        assert_eq!(
            (&seen["reserved"], &seen["available"], &seen["status"]),
            (&json!(3), &json!(0), &json!("sold_out"))
        );
        let own = format!("/v1/shows/{}/ticket-classes/{}", sale.show, sale.class);
        let more = world.organizer().post(&format!("{own}/capacity"), &json!({"capacity": 5})).await.is(200);
        let seen = class(&world.organizer().since(&more)).await;
        assert_eq!((&seen["capacity"], &seen["available"], &seen["status"]), (&json!(5), &json!(2), &json!("on_sale")));
        let price = json!({"price": {"amount": 2000, "currency": "VND"}});
        let dearer = world.organizer().post(&format!("{own}/price"), &price).await.is(200);
        assert_eq!(class(&world.organizer().since(&dearer)).await["price"]["amount"], 2000);
        // A price holds for new reservations.
        assert_eq!(holder.get(&format!("/v1/orders/{order}")).await.is(200).body["total"]["amount"], 3000);
        let as_of = |body: &Value| body["as_of"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert!(
            as_of(&world.client.get(&path).await.is(200).body) > jiff::Timestamp::from_second(1_700_000_000).unwrap()
        );
    });
}

#[test]
fn heads_documents_and_problems() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 3, 600).await;
        eventually("it is seen", async || {
            (world.client.get(&format!("/v1/shows/{}", sale.show)).await.status == 200).then_some(())
        })
        .await;
        for path in [
            format!("/v1/shows/{}", sale.show),
            "/v1/shows".to_owned(),
            "/livez".to_owned(),
            "/openapi.json".to_owned(),
        ] {
            let head = world.client.request(Method::HEAD, &path).send().await.unwrap();
            assert_eq!(head.status(), 200, "{path}");
            assert_eq!(head.bytes().await.unwrap().len(), 0, "{path}");
        }
        for kind in Kind::ALL {
            let page = world.client.get(&kind.path()).await.is(200).body;
            assert_eq!((&page["name"], &page["status"]), (&json!(kind.name()), &json!(kind.status().as_u16())));
            let text = page["explanation"].as_str().unwrap();
            assert!(
                text.len() > 10 && page["advice"].is_string() && page["retry_with_same_key"].is_boolean(),
                "{page:#}"
            );
        }
        world.client.get("/problems/nothing-like-it").await.is_problem(404, "not-found");

        let document = world.client.get("/openapi.json").await.is(200).body;
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        for (method, path) in ROUTES {
            assert!(document["paths"][path][method].is_object(), "{method} {path} is not in the document");
        }
        let docs = world.client.request(Method::GET, "/docs/").send().await.unwrap();
        assert_eq!(docs.status(), 200);
        assert_eq!(world.client.get("/livez").await.is(200).body["status"], "live");
        world.client.get("/readyz").await.is(200);
        assert_eq!(world.client.request(Method::GET, "/metrics").send().await.unwrap().status(), 200);
        let named = world.client.request(Method::GET, "/v1/shows").header("x-request-id", "mine-7");
        assert_eq!(world.client.send(named).await.header("x-request-id"), Some("mine-7"));
        assert!(world.client.get("/v1/shows").await.header("x-request-id").is_some_and(|id| id.len() > 8));
    });
}

/// Every route of the contract.
const ROUTES: [(&str, &str); 29] = [
    ("put", "/v1/shows/{show}"),
    ("patch", "/v1/shows/{show}"),
    ("get", "/v1/shows/{show}"),
    ("get", "/v1/shows"),
    ("put", "/v1/shows/{show}/ticket-classes/{class}"),
    ("patch", "/v1/shows/{show}/ticket-classes/{class}"),
    ("post", "/v1/shows/{show}/configure"),
    ("post", "/v1/shows/{show}/approve"),
    ("post", "/v1/shows/{show}/publish"),
    ("post", "/v1/shows/{show}/cancel"),
    ("post", "/v1/shows/{show}/ticket-classes/{class}/capacity"),
    ("post", "/v1/shows/{show}/ticket-classes/{class}/price"),
    ("get", "/v1/shows/{show}/payment-methods"),
    ("get", "/v1/shows/{show}/orders"),
    ("get", "/v1/shows/{show}/availability"),
    ("post", "/v1/shows/{show}/queue"),
    ("get", "/v1/shows/{show}/queue/{session}"),
    ("get", "/v1/shows/{show}/queue/{session}/events"),
    ("post", "/v1/shows/{show}/queue/{session}/enter"),
    ("delete", "/v1/shows/{show}/queue/{session}"),
    ("put", "/v1/orders/{order}"),
    ("get", "/v1/orders/{order}"),
    ("get", "/v1/orders/{order}/events"),
    ("post", "/v1/orders/{order}/payments"),
    ("post", "/v1/orders/{order}/cancel"),
    ("get", "/v1/orders/{order}/tickets"),
    ("get", "/v1/me/orders"),
    ("post", "/v1/payments/{provider}/notify"),
    ("get", "/v1/payments/{provider}/return"),
];
