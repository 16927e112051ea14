//! Orders: the same again, all at once, and their ends without money.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use system_tests::purchase::{by_payos, id, key, link_of};
use system_tests::sums::{Stock, Sums};
use system_tests::{Answer, World, run};

/// What must be the same in every answer to the same request.
fn lasting(answer: &Answer) -> Value {
    let body = &answer.body;
    let kept = ["id", "show", "lines", "total", "buyer", "pay_by", "code", "created_at", "access_token"];
    assert!(kept.iter().all(|field| !body[field].is_null()), "{answer:#?}");
    json!(kept.map(|field| &body[field]))
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

#[test]
fn the_same_order_20_times_at_once() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(150_000, 10, 600).await;
        let (order, key, body) = (id(), key(), sale.order(2));
        let path = format!("/v1/orders/{order}");
        let answers = join_all((0..20).map(|_| world.client.put_with(&path, &key, &body))).await;
        let first = lasting(&answers[0]);
        for answer in &answers {
            assert_eq!(answer.status, 201, "{answer:#?}");
            assert_eq!(lasting(answer), first);
            assert!(answer.header("consistency-token").is_some());
        }
        assert_eq!(answers.iter().filter(|answer| !replayed(answer)).count(), 1);
        assert_eq!(world.stock(&sale, 10).await, (2, 0, 8));

        // Later, too, and with what has become of it meanwhile.
        let holder = world.client.with(&answers[0].text("access_token")).since(&answers[0]);
        world.payment_page(order, &holder).await;
        let again = world.client.put_with(&path, &key, &body).await.is(201);
        assert!(
            replayed(&again) && lasting(&again) == first && again.body["status"] == "awaiting_payment",
            "{again:#?}"
        );
        let reserved = world.journal().news().await.of(sale.show);
        assert_eq!(reserved.iter().filter(|name| **name == "TicketsReserved").count(), 1, "{reserved:?}");
    });
}

#[test]
fn the_same_order_without_a_key() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(150_000, 10, 600).await;
        for client in [world.client.clone(), world.buyer("keyless")] {
            let path = format!("/v1/orders/{}", id());
            let first = client.put(&path, &sale.order(1)).await.is(201);
            let again = client.put(&path, &sale.order(1)).await.is(200);
            for field in ["id", "code", "pay_by", "total", "access_token"] {
                assert_eq!(first.body[field], again.body[field], "{field}");
            }
            client.put(&path, &sale.order(2)).await.is_problem(409, "already-exists");
        }
        assert_eq!(world.stock(&sale, 10).await, (2, 0, 8));
        // A key names a request to one place: another order is another request.
        let key = key();
        for _ in 0..2 {
            let answer = world.client.put_with(&format!("/v1/orders/{}", id()), &key, &sale.order(1)).await.is(201);
            assert!(!replayed(&answer));
        }
        assert_eq!(world.stock(&sale, 10).await, (4, 0, 6));
    });
}

#[test]
fn the_same_body_in_another_spelling() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 10, 600).await;
        let (path, key, body) = (format!("/v1/orders/{}", id()), key(), sale.order(1));
        let first = world.client.put_with(&path, &key, &body).await.is(201);
        let spaced = serde_json::to_string_pretty(&body).unwrap();
        let request = world.client.request(reqwest::Method::PUT, &path).header("idempotency-key", &key);
        let request = request.header("content-type", "application/json").body(spaced);
        let again = world.client.send(request).await.is(201);
        assert!(replayed(&again));
        assert_eq!(lasting(&again), lasting(&first));
    });
}

#[test]
fn the_same_payment_again() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 10, 600).await;
        let (order, holder, _) = sale.buy_to_page(world, 1).await;
        let (path, key) = (format!("/v1/orders/{order}/payments"), key());
        let answers = join_all((0..10).map(async |_| holder.post_with(&path, &key, &by_payos()).await.is(201))).await;
        let ids: BTreeSet<String> = answers.iter().map(|answer| answer.body["payments"][1]["id"].to_string()).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(answers.iter().filter(|answer| !replayed(answer)).count(), 1);
        let other = json!({"provider": "payos", "return_url": "https://shop.test/elsewhere"});
        holder.post_with(&path, &key, &other).await.is_problem(422, "idempotency-key-reused");
        let seen =
            world.order_when(order, &holder, "two pages", |order| link_of(&order["payments"][1]).is_some()).await;
        assert_eq!(seen["payments"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn fifty_for_the_last_ten() {
    run(async {
        let world = World::start().await;
        let (paid, free) = (world.on_sale(1000, 10, 600).await, world.on_sale(0, 10, 600).await);
        for sale in [&paid, &free] {
            let answers = join_all((0..50).map(|_| async {
                let (path, body) = (format!("/v1/orders/{}", id()), sale.order(1));
                world.client.put_with(&path, &key(), &body).await
            }))
            .await;
            let (sold, refused): (Vec<Answer>, Vec<Answer>) =
                answers.into_iter().partition(|answer| answer.status == 201);
            assert_eq!((sold.len(), refused.len()), (10, 40));
            for answer in refused {
                let answer = answer.is_problem(409, "sold-out");
                assert_eq!(answer.body["available"], json!([{"ticket_class": sale.class, "available": 0}]));
            }
            let codes: BTreeSet<String> = sold.iter().map(|answer| answer.text("code")).collect();
            assert_eq!(codes.len(), 10);
        }
        let mut journal = world.journal();
        let mut sums = Sums::default();
        system_tests::purchase::eventually("all free orders complete", async || {
            sums.add(&journal.news().await);
            (sums.orders_of(free.show.into(), "completed") == 10).then_some(())
        })
        .await;
        let stock = |sale: &system_tests::purchase::OnSale| sums.stock[&(sale.show.into(), sale.class.into())];
        assert_eq!(stock(&paid), Stock { capacity: 10, held: 10, sold: 0 });
        assert_eq!(stock(&free), Stock { capacity: 10, held: 0, sold: 10 });
        assert_eq!(sums.valid_tickets.values().sum::<usize>(), 10);
        assert_eq!(world.stock(&paid, 10).await, (10, 0, 0));
        assert_eq!(world.stock(&free, 10).await, (0, 10, 0));
        world.check_read_models(&sums).await;
        world.stop().await;
    });
}

#[test]
fn a_free_order_needs_no_payment() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(0, 5, 600).await;
        let (order, holder, _) = sale.buy(world, 2).await;
        let done = world.until(order, &holder, "completed").await;
        assert_eq!(done.body["payments"], json!([]));
        assert_eq!(done.body["tickets"].as_array().unwrap().len(), 2);
        assert_eq!(world.stock(&sale, 5).await, (0, 2, 3));
    });
}

#[test]
fn an_order_that_nobody_pays() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 2).await;
        let (order, holder, link) = sale.buy_to_page(world, 2).await;
        world.until(order, &holder, "cancelled").await;
        let closed = |order: &Value| order["payments"][0]["status"] == "expired";
        let ended = world.order_when(order, &holder, "its payment ends", closed).await;
        assert_eq!(ended["reason"], "expired");
        assert_eq!(ended["payments"][0]["url"], Value::Null, "a page that is closed is shown");
        assert_eq!(ended["refund"], Value::Null);
        system_tests::purchase::eventually("stock is back", async || {
            (world.stock(&sale, 5).await == (0, 0, 5)).then_some(())
        })
        .await;
        let status = world.at_provider(&link).await["status"].clone();
        assert!(status == "CANCELLED" || status == "EXPIRED", "the page can still be paid: {status}");
    });
}

#[test]
fn an_order_that_its_buyer_gives_up() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(world, 2).await;
        let path = format!("/v1/orders/{order}/cancel");
        let ended = holder.post(&path, &json!({})).await.is(200);
        assert_eq!((ended.text("status"), ended.text("reason")), ("cancelled".to_owned(), "by_buyer".to_owned()));
        let seen = holder.since(&ended).get(&format!("/v1/orders/{order}")).await.is(200);
        assert_eq!((seen.text("status"), seen.text("reason")), ("cancelled".to_owned(), "by_buyer".to_owned()));
        system_tests::purchase::eventually("stock is back and the page is closed", async || {
            let closed = world.at_provider(&link).await["status"] == "CANCELLED";
            (closed && world.stock(&sale, 5).await == (0, 0, 5)).then_some(())
        })
        .await;
        let another = holder.post(&path, &json!({})).await.is(200);
        assert_eq!(another.body["status"], "cancelled");
    });
}

#[test]
fn an_id_that_two_shows_know() {
    run(async {
        let world = World::shared().await;
        let (one, two) = (world.on_sale(1000, 5, 600).await, world.on_sale(1000, 5, 600).await);
        let (order, first, link) = one.buy_to_page(world, 1).await;
        let path = format!("/v1/orders/{order}");
        let second = world.client.put_with(&path, &key(), &two.order(2)).await.is(201);
        let second = world.client.with(&second.text("access_token")).since(&second);
        let taken = world.until(order, &second, "failed").await;
        assert_eq!(taken.body["reason"], "order_id_taken");
        assert_eq!(taken.body["show"], json!(two.show));
        system_tests::purchase::eventually("its stock is back", async || {
            (world.stock(&two, 5).await == (0, 0, 5)).then_some(())
        })
        .await;
        let unharmed = first.get(&path).await.is(200);
        assert_eq!(
            (unharmed.text("status"), &unharmed.body["show"]),
            ("awaiting_payment".to_owned(), &json!(one.show))
        );
        second.post(&format!("{path}/cancel"), &json!({})).await.is_problem(404, "not-found");
        world.pay(&link, &json!({})).await;
        let done = world.until(order, &first, "completed").await;
        assert_eq!(done.body["tickets"].as_array().unwrap().len(), 1);
        assert_eq!(second.get(&path).await.is(200).body["status"], "failed");
    });
}

#[test]
fn a_show_that_is_called_off() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 10, 600).await;
        let (paid, payer, link) = sale.buy_to_page(world, 2).await;
        world.pay(&link, &json!({})).await;
        let done = world.until(paid, &payer, "completed").await;
        let ticket = done.body["tickets"][0]["qr_svg_url"].as_str().unwrap().to_owned();
        payer.get(&ticket).await.is(200);
        let (open, waiter, page) = sale.buy_to_page(world, 3).await;

        world.organizer().post(&format!("/v1/shows/{}/cancel", sale.show), &json!({})).await.is(200);
        let back = world.order_when(paid, &payer, "its money goes back", |order| order["refund"].is_object()).await;
        assert_eq!((&back["status"], &back["reason"]), (&json!("cancelled"), &json!("show_cancelled")));
        let due = json!({"status": "due", "amount": {"amount": 2000, "currency": "VND"}, "why": "show_cancelled"});
        assert_eq!(back["refund"], due);
        let dead = world
            .order_when(paid, &payer, "its tickets die", |order| {
                let tickets = order["tickets"].as_array().unwrap();
                tickets.len() == 2 && tickets.iter().all(|ticket| ticket["status"] == "revoked")
            })
            .await;
        assert_eq!(dead["refund"], due);
        payer.get(&ticket).await.is_problem(404, "not-found");

        let freed = world.until(open, &waiter, "cancelled").await;
        assert_eq!((&freed.body["reason"], &freed.body["refund"]), (&json!("show_cancelled"), &Value::Null));
        system_tests::purchase::eventually("its page is closed", async || {
            (world.at_provider(&page).await["status"] == "CANCELLED").then_some(())
        })
        .await;
        let left = world.client.get(&format!("/v1/shows/{}/availability", sale.show)).await.is(200);
        let class = &left.body["classes"][0];
        assert_eq!((&class["reserved"], &class["sold"], &class["status"]), (&json!(0), &json!(0), &json!("closed")));
        world.client.put(&format!("/v1/orders/{}", id()), &sale.order(1)).await.is_problem(409, "not-on-sale");
    });
}
