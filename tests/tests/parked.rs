//! A key that Postgres refuses waits alone, its readers are told so, and an operator lets it go on.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use system_tests::purchase::{eventually, id, key};
use system_tests::{World, run};

#[test]
fn an_operator_sees_a_parked_order_and_lets_it_go_on() {
    run(async {
        let world = World::start().await;
        let sale = world.on_sale(0, 100, 600).await;
        let (order, pool) = (id(), world.pool().await.unwrap());
        let names = projectors::Names::of(&world.namespace).unwrap();
        let orders = projectors::LAYOUTS.iter().find(|layout| layout.name == "orders").unwrap();
        let table = format!("{}.orders", names.first(orders));
        let run = async |sql: String| {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        };
        // Nothing but the rows of this one order is refused.
        run(format!("alter table {table} add constraint mishap check (order_id <> '{order}')")).await;
        let path = format!("/v1/orders/{order}");
        let placed = world.client.put_with(&path, &key(), &sale.order(1)).await.is(201);
        let holder = world.client.with(&placed.text("access_token"));
        // Who wrote it waits for it, and is told why it does not come.
        holder.since(&placed).get(&path).await.is_problem(503, "stale");
        let (other, other_holder, _) = {
            let other = world.on_sale(0, 100, 600).await;
            other.buy(&world, 1).await
        };
        world.until(other, &other_holder, "completed").await;
        let listed = eventually("everything of the order waits", async || {
            let (ended_well, text) = world.boxctl(&["parked", "list", "--json"]).await;
            let keys: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            (!ended_well && keys.len() == 2).then_some(keys)
        })
        .await;
        let of = |context: &str| listed.iter().find(|key| key["context"] == context).expect("it is parked");
        let (stock, own) = (of("inventory"), of("order"));
        assert_eq!((&stock["projection"], &stock["key"]), (&"orders".into(), &sale.show.to_string().into()));
        assert_eq!(own["key"], order.to_string());
        assert!(own["reason"].as_str().unwrap().contains("SQLSTATE 23514"), "{own}");
        let (_, shown) = world.boxctl(&["parked", "show", &order.to_string()]).await;
        assert!(shown.contains("OrderCreated") && shown.contains("POISON") && shown.contains("event_id"), "{shown}");
        let (ended_well, still) = world.boxctl(&["parked", "retry", &order.to_string()]).await;
        assert!(!ended_well && still.contains("still parked"), "{still}");
        // Nothing is left out without a person who says yes, or of what is not poison.
        let offset = own["offset"].to_string();
        let skip = ["parked", "skip", &order.to_string(), "--offset", &offset, "--why", "a test"];
        let (ended_well, refused) = world.boxctl(&skip).await;
        assert!(!ended_well && refused.contains("--yes"), "{refused}");
        run(format!("alter table {table} drop constraint mishap")).await;
        let (ended_well, retried) = world.boxctl(&["parked", "retry", "--all"]).await;
        assert!(ended_well && retried.matches("unparked").count() == 2, "{retried}");
        let (ended_well, none) = world.boxctl(&["parked", "list"]).await;
        assert!(ended_well && none.starts_with("0 keys parked"), "{none}");
        let seen =
            eventually("the order is shown", async || Some(holder.get(&path).await).filter(|it| it.status == 200))
                .await;
        assert_eq!(seen.body["id"], order.to_string());
        world.until(order, &holder, "completed").await;
        println!("{shown}\n{retried}");
        world.stop().await;
    });
}
