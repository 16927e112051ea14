use domain::event::Event;
use domain::inventory::{self, CloseReason};
use domain::show;
use domain::value::{Role, Timestamp};
use http::Method;
use serde_json::json;

use crate::client::As;
use crate::story::{ORGANIZER, STARTS, T0, details, stage, terms, vnd};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_show_is_answered_with_its_classes() {
    let world = World::new().await;
    let it = world.on_sale(1).await;
    let show = world.get(&As::Nobody, &format!("/v1/shows/{}", it.show)).await.ok();
    let expected = json!({
        "id": it.show, "name": "Concert 1", "description": null, "starts_at": "2030-03-17T17:46:40Z", "ends_at": null,
        "time_zone": "Asia/Ho_Chi_Minh", "venue": {"name": "Opera House", "city": "Hà Nội"}, "currency": "VND",
        "categories": ["Jazz"], "status": "published", "pay_within_s": null, "checkout_url": null, "waiting_room": null,
        "ticket_classes": [{"id": it.class, "name": "Stalls", "price": {"amount": 150_000, "currency": "VND"},
            "capacity": 10, "sale_starts_at": null, "sale_ends_at": null, "max_per_order": 4}],
    });
    assert_eq!(show, expected);
    let head = world.send(Method::HEAD, &As::Nobody, &format!("/v1/shows/{}", it.show), &[]).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    world.get(&As::Nobody, &format!("/v1/shows/{}", stage(9).show)).await.is(404, "show-not-found");
    world.get(&As::Nobody, "/v1/shows/x").await.is(400, "bad-parameter");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_seen_by_who_runs_it_admins_and_support() {
    let world = World::new().await;
    let it = world.draft(1, ORGANIZER, details("Secret")).await;
    let sees = [
        (As::Nobody, false),
        (world.account(ORGANIZER, &[Role::Organizer]), true),
        (world.account(ORGANIZER, &[Role::Buyer]), false),
        (world.account("other", &[Role::Organizer]), false),
        (world.account("gate", &[Role::Staff]), false),
        (world.account("boss", &[Role::Admin]), true),
        (world.account("help", &[Role::Support]), true),
        (world.holder(domain::ids::OrderId::default(), it.show), false),
    ];
    for (n, (who, seen)) in sees.iter().enumerate() {
        for route in ["", "/availability", "/payment-methods"] {
            let answer = world.get(who, &format!("/v1/shows/{}{route}", it.show)).await;
            assert_eq!(answer.status.as_u16(), if *seen { 200 } else { 404 }, "{n} {route}: {}", answer.text);
        }
        let listed = world.get(who, "/v1/shows").await.ok()["items"].as_array().unwrap().len();
        assert_eq!(listed, usize::from(*seen), "{n}");
        let drafts = world.get(who, "/v1/shows?status=draft").await.ok()["items"].as_array().unwrap().len();
        assert_eq!(drafts, usize::from(*seen), "{n}");
        assert_eq!(world.get(who, "/v1/shows?status=published").await.ok()["items"], json!([]));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_show_stays_visible_if_it_was_on_sale() {
    let world = World::new().await;
    let sold = world.on_sale(1).await;
    let never = world.draft(2, ORGANIZER, details("Never")).await;
    for (it, published) in [(sold, true), (never, false)] {
        let cancelled = show::ShowCancelled { show: it.show, published, waiting_room: false };
        world.tell(T0 + 1, Event::Show(show::Event::ShowCancelled(cancelled))).await;
    }
    let reason = CloseReason::ShowCancelled;
    let closed = inventory::SalesClosed { show: sold.show, reason };
    world.tell(T0 + 2, Event::Inventory(inventory::Event::SalesClosed(closed))).await;
    let show = world.get(&As::Nobody, &format!("/v1/shows/{}", sold.show)).await.ok();
    assert_eq!(show["status"], "cancelled");
    let left = world.get(&As::Nobody, &format!("/v1/shows/{}/availability", sold.show)).await.ok();
    assert_eq!(left["classes"][0]["status"], "closed");
    world.get(&As::Nobody, &format!("/v1/shows/{}", never.show)).await.is(404, "show-not-found");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_are_found_by_beginnings_of_words_and_paged() {
    let world = World::new().await;
    for n in 1..=7 {
        world.on_sale(n).await;
    }
    let get = async |path: &str| world.get(&As::Nobody, path).await.ok();
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&get("/v1/shows?q=CONC%203").await), ["Concert 3"]);
    assert_eq!(names(&get("/v1/shows?q=h%C3%A0%20jaz%20op").await).len(), 7);
    assert!(names(&get("/v1/shows?q=blues").await).is_empty());
    assert!(names(&get("/v1/shows?q=%27%29%3B--").await).is_empty());

    let mut all = Vec::new();
    let mut path = "/v1/shows?limit=3".to_owned();
    let mut pages = 0;
    loop {
        let page = get(&path).await;
        all.extend(names(&page));
        pages += 1;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/shows?limit=3&cursor={cursor}");
        // A cursor is of the list with these very filters.
        world.get(&As::Nobody, &format!("{path}&q=concert")).await.is(400, "bad-parameter");
    }
    let distinct: std::collections::BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!((pages, all.len(), distinct.len()), (3, 7, 7), "{all:?}");
    for bad in ["limit=0", "limit=201", "limit=x", "cursor=AAAA", "status=over", "unknown=1", "starts_after=now"] {
        world.get(&As::Nobody, &format!("/v1/shows?{bad}")).await.is(400, "bad-parameter");
    }
    assert!(names(&get("/v1/shows?starts_after=2031-01-01T00:00:00Z").await).is_empty());
    assert_eq!(names(&get("/v1/shows?starts_after=2030-03-17T17:46:40Z").await).len(), 7);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn availability_counts_what_is_held_and_sold() {
    let world = World::new().await;
    let it = world.on_sale(1).await;
    world.reserve(it, 1, "guest:1").await;
    let sold = world.reserve(it, 2, "guest:2").await;
    world.await_payment(&sold).await;
    world.complete(&sold).await;
    let changed = inventory::PriceChanged { show: it.show, ticket_class: it.class, price: 200_000 };
    world.tell(T0 + 9_000_000, Event::Inventory(inventory::Event::PriceChanged(changed))).await;
    let left = world.get(&As::Nobody, &format!("/v1/shows/{}/availability", it.show)).await.ok();
    let expected = json!({"show": it.show, "as_of": "2023-11-14T22:13:29Z", "classes": [{
        "id": it.class, "name": "Stalls", "price": {"amount": 200_000, "currency": "VND"}, "capacity": 10,
        "reserved": 2, "sold": 2, "available": 6, "status": "on_sale"}]});
    assert_eq!(left, expected);
    // The show tells the same price.
    let show = world.get(&As::Nobody, &format!("/v1/shows/{}", it.show)).await.ok();
    assert_eq!(show["ticket_classes"][0]["price"]["amount"], 200_000);
    let changed = inventory::CapacityChanged { show: it.show, ticket_class: it.class, capacity: 4 };
    world.tell(T0 + 10_000_000, Event::Inventory(inventory::Event::CapacityChanged(changed))).await;
    let left = world.get(&As::Nobody, &format!("/v1/shows/{}/availability", it.show)).await.ok();
    assert_eq!((&left["classes"][0]["available"], &left["classes"][0]["status"]), (&json!(0), &json!("sold_out")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_waits_for_its_window_and_for_sales_to_open() {
    let world = World::new().await;
    let it = world.draft(1, ORGANIZER, details("Soon")).await;
    world.publish(it).await;
    let path = format!("/v1/shows/{}/availability", it.show);
    let left = world.get(&As::Nobody, &path).await.ok();
    assert_eq!((&left["classes"][0]["status"], &left["classes"][0]["available"]), (&json!("not_yet"), &json!(10)));
    let later = domain::show::ClassTerms { sale_starts_at: Some(Timestamp(STARTS)), ..terms(it.class) };
    let edited = show::TicketClassEdited { show: it.show, terms: later.clone() };
    world.tell(T0 + 1, Event::Show(show::Event::TicketClassEdited(edited))).await;
    world.open_sales(it, vec![later]).await;
    assert_eq!(world.get(&As::Nobody, &path).await.ok()["classes"][0]["status"], "not_yet");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_methods_are_those_that_collect_the_shows_currency() {
    let world = World::new().await;
    let dong = world.on_sale(1).await;
    let mut dollars = details("Dollars");
    dollars.currency = "USD".parse().unwrap();
    let dollars = world.draft(2, ORGANIZER, dollars).await;
    world.publish(dollars).await;
    let methods = async |show| world.get(&As::Nobody, &format!("/v1/shows/{show}/payment-methods")).await.ok();
    let payos = json!({"items": [{"provider": "payos", "currencies": [vnd().to_string()]}], "next_cursor": null});
    assert_eq!(methods(dong.show).await, payos);
    assert_eq!(methods(dollars.show).await["items"], json!([]));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_has_every_route() {
    let world = World::new().await;
    let paths: Vec<&String> = world.openapi.paths.paths.keys().collect();
    let expected = [
        "/v1/me/orders",
        "/v1/orders/{order}",
        "/v1/orders/{order}/events",
        "/v1/orders/{order}/tickets",
        "/v1/orders/{order}/tickets/{ticket}/qr.svg",
        "/v1/persons",
        "/v1/refunds",
        "/v1/shows",
        "/v1/shows/{show}",
        "/v1/shows/{show}/availability",
        "/v1/shows/{show}/live",
        "/v1/shows/{show}/orders",
        "/v1/shows/{show}/payment-methods",
        "/v1/shows/{show}/queue/{session}",
        "/v1/shows/{show}/queue/{session}/events",
        "/v1/shows/{show}/refunds",
    ];
    assert_eq!(paths.len(), expected.len());
    for path in expected {
        let get = world.openapi.paths.paths[path].get.as_ref().unwrap_or_else(|| panic!("{path}"));
        let parameters = serde_json::to_value(get.parameters.as_ref().unwrap()).unwrap();
        for header in ["consistency-token", "prefer"] {
            assert!(parameters.as_array().unwrap().iter().any(|it| it["name"] == header), "{path} {header}");
        }
        for name in path.split(['{', '}']).skip(1).step_by(2) {
            let named = parameters.as_array().unwrap().iter().find(|it| it["name"] == name);
            assert_eq!(named.unwrap_or_else(|| panic!("{path} {name}"))["in"], "path");
        }
    }
    let document = world.openapi.to_json().unwrap();
    assert!(document.contains("OrderEntry") && document.contains("until") && document.contains("starts_after"));
    assert!(document.contains("QueuePlace") && document.contains("queue_ticket") && document.contains("draw_hash"));
    world.end().await;
}
