//! What a reading of the write side against the contract turned up.

use serde_json::json;
use system_tests::purchase::{by_payos, class_body, id, key, show_body, vnd};
use system_tests::{World, run};

#[test]
fn nobody_counts_through_the_way_back() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(world, 1).await;
        let serial = world.at_provider(&link).await["orderCode"].as_i64().unwrap();
        let payment = holder.get(&format!("/v1/orders/{order}")).await.is(200).body["payments"][0]["id"].clone();
        let payment = payment.as_str().unwrap();
        let way_back =
            |query: String| async move { world.client.get(&format!("/v1/payments/payos/return?{query}")).await };
        way_back(format!("orderCode={serial}")).await.is_problem(404, "not-found");
        way_back(format!("orderCode={serial}&id={link}")).await.is_problem(404, "not-found");
        let another = id();
        let stranger = way_back(format!("payment={another}&orderCode={serial}")).await.is_problem(404, "not-found");
        let nothing = way_back(format!("payment={another}&orderCode=1")).await.is_problem(404, "not-found");
        assert_eq!(stranger.apart(), nothing.apart());
        // Only the payment's own name tells, which nobody counts through; and only where it was collected.
        let elsewhere = world.client.get(&format!("/v1/payments/stripe/return?payment={payment}")).await;
        elsewhere.is_problem(404, "not-found");
        let back = way_back(format!("payment={payment}&code=00&id={link}&status=PENDING")).await.is(303);
        let location = back.header("location").unwrap();
        assert_eq!(location, format!("https://shop.test/back?order={order}&status=awaiting_payment"));
        holder.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.is(200);
    });
}

#[test]
fn a_stranger_learns_no_currency() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let stranger = world.as_account("organizer-2", &[domain::value::Role::Organizer]);
        let dollars = json!({"amount": 1, "currency": "USD"});
        let mut class = class_body(1, 1);
        class["price"] = dollars.clone();
        for show in [sale.show, id()] {
            let at = format!("/v1/shows/{show}/ticket-classes");
            stranger.put(&format!("{at}/{}", id()), &class).await.is_problem(404, "show-not-found");
            let price = json!({"price": dollars});
            stranger.post(&format!("{at}/{}/price", sale.class), &price).await.is_problem(404, "show-not-found");
        }
        let show = id();
        world.organizer().put(&format!("/v1/shows/{show}"), &show_body()).await.is(201);
        let wrong = world.organizer().put(&format!("/v1/shows/{show}/ticket-classes/{}", id()), &class).await;
        wrong.is_problem(422, "validation").points_at("/price/currency");
    });
}

#[test]
fn an_order_paid_in_part_still_awaits_payment() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(world, 1).await;
        world.pay(&link, &json!({"amount": 400})).await;
        let partly = |body: &serde_json::Value| body["payments"][0]["status"] == "partially_received";
        world.order_when(order, &holder, "a part came", partly).await;
        let path = format!("/v1/orders/{order}/payments");
        let answer = holder.post_with(&path, &key(), &by_payos()).await.is(201);
        assert_eq!(answer.body["status"], "awaiting_payment", "{answer:#?}");
        let read = holder.since(&answer).get(&format!("/v1/orders/{order}")).await.is(200);
        assert_eq!(read.body["status"], answer.body["status"]);
    });
}

#[test]
fn a_guest_without_a_key_and_an_order_id_of_two_shows() {
    run(async {
        let world = World::shared().await;
        let (one, two) = (world.on_sale(0, 5, 600).await, world.on_sale(1000, 5, 600).await);
        let order = id();
        let path = format!("/v1/orders/{order}");
        let first = world.client.put(&path, &one.order(1)).await.is(201);
        let again = world.client.put(&path, &one.order(1)).await.is(200);
        assert_eq!(again.body["code"], first.body["code"]);
        assert!(again.header("idempotency-replayed").is_none() && again.body["access_token"].is_string());
        world.client.put(&path, &one.order(2)).await.is_problem(409, "already-exists");
        let account = world.buyer("buyer-1").put(&path, &one.order(1)).await.is_problem(409, "already-exists");
        assert!(account.header("consistency-token").is_none());
        // The same id at another show: reserved there, then given back, and never mixed up with the first one.
        let guest = key();
        let other = world.client.put_with(&path, &guest, &two.order(1)).await.is(201);
        let holder = world.client.with(&other.text("access_token")).since(&other);
        let failed = |body: &serde_json::Value| body["status"] == "failed" && body["reason"] == "order_id_taken";
        world.order_when(order, &holder, "the id is taken", failed).await;
        let replayed = world.client.put_with(&path, &guest, &two.order(1)).await.is(201);
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
        assert!(failed(&replayed.body), "{replayed:#?}");
        assert_eq!(world.stock(&two, 5).await, (0, 0, 5));
        // A holder of the one has no hand on the other.
        holder.post(&format!("{path}/cancel"), &json!({})).await.is_problem(404, "not-found");
        holder.post_with(&format!("{path}/payments"), &key(), &by_payos()).await.is_problem(404, "not-found");
        assert_eq!(vnd(0), first.body["total"]);
    });
}
