//! What comes too late in an order's life.

use serde_json::{Value, json};
use system_tests::purchase::{by_payos, key};
use system_tests::{Client, run};
use uuid::Uuid;

use super::Quiet;

async fn refuse_all(quiet: &mut Quiet, order: Uuid, holder: &Client, name: &str) {
    let before = holder.get(&format!("/v1/orders/{order}")).await.is(200).body;
    quiet
        .of(holder.post_with(&format!("/v1/orders/{order}/payments"), &key(), &by_payos()))
        .await
        .is_problem(409, name);
    quiet.of(holder.post(&format!("/v1/orders/{order}/cancel"), &json!({}))).await.is_problem(409, name);
    assert_eq!(holder.get(&format!("/v1/orders/{order}")).await.body, before);
}

#[test]
fn a_paid_order_is_paid() {
    run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(&quiet.world, 1).await;
        quiet.world.pay(&link, &json!({})).await;
        quiet.world.until(order, &holder, "completed").await;
        quiet.settle().await;
        refuse_all(&mut quiet, order, &holder, "already-paid").await;

        // A free one has nothing to pay.
        let free = quiet.world.on_sale(0, 5, 600).await;
        let (order, holder, _) = free.buy(&quiet.world, 1).await;
        quiet.world.until(order, &holder, "completed").await;
        quiet.settle().await;
        let pay = quiet.of(holder.post_with(&format!("/v1/orders/{order}/payments"), &key(), &by_payos())).await;
        pay.is_problem(422, "validation");
        quiet.of(holder.post(&format!("/v1/orders/{order}/cancel"), &json!({}))).await.is_problem(409, "already-paid");
        quiet.world.stop().await;
    });
}

#[test]
fn an_order_that_ended_is_over() {
    run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(1000, 5, 3).await;
        let (order, holder, _) = sale.buy(&quiet.world, 1).await;
        let ended = quiet.world.until(order, &holder, "cancelled").await;
        assert_eq!(ended.body["reason"], "expired");
        quiet.settle().await;
        refuse_all(&mut quiet, order, &holder, "order-over").await;

        let sale = quiet.world.on_sale(1000, 5, 600).await;
        let (order, holder, _) = sale.buy(&quiet.world, 1).await;
        holder.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.is(200);
        quiet.settle().await;
        let pay = quiet.of(holder.post_with(&format!("/v1/orders/{order}/payments"), &key(), &by_payos())).await;
        pay.is_problem(409, "order-over");
        // Once more is no refusal.
        quiet.of(holder.post(&format!("/v1/orders/{order}/cancel"), &json!({}))).await.is(200);
        quiet.world.stop().await;
    });
}

#[test]
fn an_order_takes_five_attempts() {
    run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(1000, 5, 600).await;
        let (order, holder, _) = sale.buy_to_page(&quiet.world, 1).await;
        let path = format!("/v1/orders/{order}/payments");
        for attempt in 2..=5 {
            let answer = holder.post_with(&path, &key(), &by_payos()).await.is(201);
            assert_eq!(answer.body["payments"].as_array().map_or(0, Vec::len), attempt, "{answer:#?}");
        }
        quiet
            .world
            .order_when(order, &holder, "five pages", |order| {
                let payments: Vec<&Value> = order["payments"].as_array().into_iter().flatten().collect();
                payments.len() == 5 && payments.iter().all(|payment| payment["status"] == "open")
            })
            .await;
        quiet.settle().await;
        quiet.of(holder.post_with(&path, &key(), &by_payos())).await.is_problem(409, "too-many-payments");

        let mut other = by_payos();
        other["provider"] = json!("cash");
        let unknown = quiet.of(holder.post_with(&path, &key(), &other)).await;
        unknown.is_problem(422, "provider-unavailable").points_at("/provider");
        other["provider"] = json!("payos");
        other["return_url"] = json!("nowhere");
        quiet.of(holder.post_with(&path, &key(), &other)).await.is_problem(422, "validation").points_at("/return_url");
        quiet.world.stop().await;
    });
}
