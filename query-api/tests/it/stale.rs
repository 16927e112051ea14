use domain::root::Context;
use domain::value::Role;
use projectors::{LAYOUTS, context_name};
use service_kit::clock::monotonic;
use service_kit::consistency::Token;
use sqlx::AssertSqlSafe;
use std::time::Duration;
use uuid::Uuid;

use crate::client::{Answer, As};
use crate::story::id;
use crate::world::{LOG, World};

impl World {
    /// As a projector does that cannot fold an event of this key.
    async fn park(&self, model: &str, context: Context, key: Uuid) {
        let layout = LAYOUTS.iter().find(|layout| layout.name == model).unwrap();
        let sql = format!(
            "insert into {}.parked (context, partition, \"offset\", key, event_type, reason, header, value, appended_at_us)
             values ($1, 0, 5, $2, 'Any', 'broken', '', '', 0)",
            self.names.first(layout)
        );
        let parked = sqlx::query(AssertSqlSafe(sql)).bind(context_name(context)).bind(key.to_string());
        parked.execute(&self.pool).await.unwrap();
    }

    async fn unpark(&self, model: &str) {
        let layout = LAYOUTS.iter().find(|layout| layout.name == model).unwrap();
        self.execute(format!("delete from {}.parked", self.names.first(layout))).await;
    }

    /// The answer once it is of this status.
    async fn until(&self, who: &As, path: &str, status: u16) -> Answer {
        let started = monotonic();
        loop {
            let answer = self.get(who, path).await;
            if answer.status.as_u16() == status {
                return answer;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{path} is never {status}: {}", answer.text);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn is_stale(&self, who: &As, path: &str) {
        let answer = self.until(who, path, 503).await;
        answer.is(503, "stale");
        assert_eq!(answer.headers["retry-after"], "30");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_answers_stale_and_everything_else_goes_on() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let (one, two) = (world.reserve(stage, 1, "account:binh").await, world.reserve(stage, 2, "account:binh").await);
    world.await_payment(&one).await;
    let (first, second) = (format!("/v1/orders/{}", one.order), format!("/v1/orders/{}", two.order));
    let who = world.account("binh", &[Role::Buyer]);
    let listed = async || {
        let page = world.get(&who, "/v1/me/orders").await.ok();
        let of = |it: &serde_json::Value| (it["id"].as_str().unwrap().to_owned(), it["stale"] == true);
        page["items"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let in_list = |of_one| [(two.order.to_string(), false), (one.order.to_string(), of_one)];
    assert_eq!(listed().await, in_list(false));
    for (model, context, key) in [
        ("orders", Context::Order, one.order.0),
        ("tickets", Context::Ticket, one.order.0),
        ("payments", Context::Payment, one.payment.0),
    ] {
        world.park(model, context, key).await;
        world.is_stale(&who, &first).await;
        world.is_stale(&who, &format!("{first}/tickets")).await;
        world.is_stale(&who, &format!("{first}/events")).await;
        world.get(&who, &second).await.ok();
        // Lists show what there is, and say of which it is not all; a list of orders shows no tickets.
        assert_eq!(listed().await, in_list(model != "tickets"), "{model}");
        // Whoever may not see it learns nothing.
        world.get(&world.account("chi", &[]), &first).await.is(404, "not-found");
        world.unpark(model).await;
        world.until(&who, &first, 200).await;
    }
    assert_eq!(listed().await, in_list(false));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_shows_stock_is_parked_orders_may_be_hidden() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let other = world.on_sale(2).await;
    let it = world.reserve(other, 2, "account:binh").await;
    let (help, order) = (world.account("help", &[Role::Support]), domain::ids::OrderId(id("order", 9)));
    let of_show = format!("/v1/shows/{}/orders", stage.show);
    world.get(&help, &of_show).await.ok();
    let holder = world.holder(order, stage.show);
    let path = format!("/v1/orders/{order}");
    world.get(&holder, &path).await.is(404, "not-found");
    world.park("orders", Context::Inventory, stage.show.0).await;
    // It may well be there.
    world.is_stale(&holder, &path).await;
    world.is_stale(&help, &of_show).await;
    world.get(&world.holder(order, other.show), &path).await.is(404, "not-found");
    world.get(&help, &format!("/v1/orders/{}", it.order)).await.ok();
    world.get(&help, &format!("/v1/shows/{}/orders", other.show)).await.ok();
    // Another read model of the same topic has no trouble.
    world.get(&As::Nobody, &format!("/v1/shows/{}/availability", stage.show)).await.ok();
    world.park("inventory", Context::Inventory, stage.show.0).await;
    world.is_stale(&As::Nobody, &format!("/v1/shows/{}/availability", stage.show)).await;
    let shows = world.get(&As::Nobody, "/v1/shows").await.ok();
    let stale = |n: usize| (shows["items"][n]["id"].clone(), shows["items"][n]["stale"] == true);
    let known = [stale(0), stale(1)];
    assert!(known.contains(&(stage.show.0.to_string().into(), true)), "{shows}");
    assert!(known.contains(&(other.show.0.to_string().into(), false)), "{shows}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waited_for_a_write_is_never_told_an_older_state() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let (who, path) = (world.holder(it.order, it.stage.show), format!("/v1/orders/{}", it.order));
    for n in 0..20 {
        let token = Token::at(Context::Order, 0, n, LOG).to_string();
        let headers = [("consistency-token", token.as_str()), ("prefer", "wait=20")];
        // The write is passed in the very moment in which it is parked.
        let parking = async {
            world.park("orders", Context::Order, it.order.0).await;
            world.passed("orders", Context::Order, 0, n + 1, LOG).await;
        };
        let (answer, ()) = tokio::join!(world.get_with(&who, &path, &headers), parking);
        answer.is(503, "stale");
        world.unpark("orders").await;
        world.until(&who, &path, 200).await;
    }
    world.end().await;
}
