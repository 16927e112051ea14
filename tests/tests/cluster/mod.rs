//! Several command-apis: each answers for all, and one may die, leave or oversleep without anybody being told wrongly.

mod moving;
mod zombie;

use std::time::Duration;

use event_log::partition::partition_of;
use ops::topology::Counts;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::clock;
use system_tests::installation::command_api;
use system_tests::purchase::{OnSale, class_body, eventually, id, key, show_body};
use system_tests::queue::{Visitor, room};
use system_tests::{Answer, Client, Installation, Shop, run, world};
use uuid::Uuid;

const PARTITIONS: u32 = 4;

/// Two write sides, two that fill the read models, and one that reads.
async fn start(settings: &[(&str, &str)]) -> Installation {
    let counts = Counts { query_apis: 1, ..Counts::TWO };
    Installation::with(world::stack().await.unwrap(), counts, settings).await
}

/// A fresh id that lies in this partition.
fn id_in(partition: u32) -> Uuid {
    std::iter::repeat_with(id).find(|id| partition_of(*id, PARTITIONS) == partition).expect("there is no end of ids")
}

/// A show on sale in this partition.
async fn sale_in(shop: &Shop, partition: u32, price: i64, capacity: i64) -> OnSale {
    let (show, class) = (id_in(partition), id());
    let classes = [(class, class_body(price, capacity))];
    shop.published_as(show, show_body(), &classes, &json!({"pay_within_s": 600})).await;
    OnSale { show, class, price }
}

/// A show on sale in every partition.
async fn sale_in_each(shop: &Shop, price: i64, capacity: i64) -> Vec<OnSale> {
    futures::future::join_all((0..PARTITIONS).map(|partition| sale_in(shop, partition, price, capacity))).await
}

/// Waits until every partition answers through this shop; gives how long that took. The question changes nothing.
async fn until_answered(shop: &Shop, sales: &[OnSale], capacity: i64) -> Duration {
    let begun = clock::monotonic();
    for sale in sales {
        let path = format!("/v1/shows/{}/ticket-classes/{}/capacity", sale.show, sale.class);
        eventually("the partition answers", async || {
            let organizer = shop.organizer();
            let asked = organizer.request(Method::POST, &path).json(&json!({"capacity": capacity}));
            organizer.try_send(asked).await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }
    begun.elapsed()
}

/// What two processes must say alike.
fn said(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.apart())
}

#[test]
fn requests_through_either_give_equal_answers() {
    run(async {
        let shop = start(&[]).await;
        let (one, two) = (shop.at(command_api(1)), shop.at(command_api(2)));
        let sales = sale_in_each(&shop, 1000, 10).await;
        let mut journal = shop.journal().await;
        let claims = journal.news().await.claims;
        let owners = (0..PARTITIONS).map(|number| {
            shop.owner(&claims, event_log::log::Partition { context: domain::root::Context::Inventory, number })
        });
        let owners: std::collections::BTreeSet<_> = owners.collect();
        assert_eq!(owners.len(), 2, "each has its part: {owners:?}");
        for sale in &sales {
            orders_alike(&one, &two, sale).await;
            refusals_alike(&one, &two, sale).await;
        }
        queues_alike(&shop, &one, &two).await;
        // A whole purchase, every request through another one than before.
        let (order, holder, _) = sales[0].buy(&one, 1).await;
        let link = eventually("there is a page", async || {
            let seen = shop.client.with(&token_of(&holder)).get(&format!("/v1/orders/{order}")).await;
            system_tests::purchase::link_of(&seen.body["payments"][0])
        })
        .await;
        shop.pay(&link, &json!({})).await;
        shop.until(order, &shop.client.with(&token_of(&holder)), "completed").await;
        shop.stop().await;
    });
}

fn token_of(holder: &Client) -> String {
    holder.token().expect("a holder has a token").to_owned()
}

async fn orders_alike(one: &Shop, two: &Shop, sale: &OnSale) {
    for (first, second) in [(one, two), (two, one)] {
        let (order, order_key, body) = (id(), key(), sale.order(2));
        let path = format!("/v1/orders/{order}");
        let placed = first.client.put_with(&path, &order_key, &body).await.is(201);
        let again = second.client.put_with(&path, &order_key, &body).await.is(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again:#?}");
        for field in ["id", "show", "code", "pay_by", "total", "access_token", "created_at"] {
            assert!(!placed.body[field].is_null() && placed.body[field] == again.body[field], "{field}: {again:#?}");
        }
        let holder = second.client.with(&placed.text("access_token"));
        let ended = holder.post(&format!("{path}/cancel"), &json!({})).await.is(200);
        let again = first.client.with(&placed.text("access_token")).post(&format!("{path}/cancel"), &json!({})).await;
        assert_eq!((again.status, &again.body["status"]), (ended.status, &ended.body["status"]));
        eventually("stock is back", async || (first.stock(sale, 10).await == (0, 0, 10)).then_some(())).await;
        assert_eq!(second.stock(sale, 10).await, (0, 0, 10));
    }
}

async fn refusals_alike(one: &Shop, two: &Shop, sale: &OnSale) {
    let order = format!("/v1/orders/{}", id());
    let dear = OnSale { price: 2000, ..*sale };
    let unknown = OnSale { show: id(), ..*sale };
    for (body, status, name) in [
        (sale.order(11), 409, "limit-exceeded"),
        (dear.order(1), 409, "price-changed"),
        (unknown.order(1), 404, "show-not-found"),
        (sale.order(0), 422, "validation"),
    ] {
        let (here, there) = tokio::join!(one.client.put(&order, &body), two.client.put(&order, &body));
        assert_eq!(said(&here), said(&there));
        here.is_problem(status, name);
    }
    let publish = format!("/v1/shows/{}/publish", sale.show);
    let (here, there) =
        (one.organizer().post(&publish, &json!({})).await, two.organizer().post(&publish, &json!({})).await);
    assert_eq!(said(&here), said(&there));
    here.is_problem(409, "wrong-status");
}

/// Joined through one, entered through the other, ordered through the first.
async fn queues_alike(shop: &Installation, one: &Shop, two: &Shop) {
    let sale = shop.on_sale_with_room(1000, 10, 600, &room(2)).await;
    let guest_key = key();
    let (joined, _) = Visitor::join(&one.client, sale.show, &guest_key).await;
    let (again, _) = Visitor::join(&two.client, sale.show, &guest_key).await;
    assert_eq!((&joined.session, joined.number), (&again.session, again.number));
    let reader = Visitor { client: shop.client.clone(), ..joined.clone() };
    reader.clone().until("admitted").await;
    let [here, there] = [&joined, &again].map(|visitor| async { visitor.try_enter().await.is(200) });
    let (here, there) = tokio::join!(here, there);
    assert_eq!(here.body, there.body);
    let token = here.text("checkout_token");
    sale.buy_with(&one.client, &token, 1).await;
    let [here, there] = [one, two].map(|shop| async { sale.order_with(&shop.client, &token, id(), &key(), 1).await });
    let (here, there) = tokio::join!(here, there);
    here.is_problem(403, "checkout-token-used");
    there.is_problem(403, "checkout-token-used");
}
