//! Money around the deadline: whatever the moment, there is one set of tickets or one refund.

use std::time::Duration;

use serde_json::{Value, json};
use system_tests::purchase::key;
use system_tests::{World, run};

use super::{PRICE, Purchase, Sale, opened, page};

/// How long after now a moment of an order comes; zero if it is past.
fn until(moment: &Value, later_ms: i64) -> Duration {
    let moment: jiff::Timestamp = moment.as_str().unwrap().parse().unwrap();
    let left = moment.as_microsecond() + later_ms * 1000 - service_kit::clock::now().0;
    Duration::from_micros(u64::try_from(left).unwrap_or(0))
}

/// Waits until the order and its money are at rest, and checks that there are tickets or a refund, never both or none.
async fn at_rest(world: &World, purchase: &Purchase, what: &str) -> &'static str {
    let price = json!({"amount": PRICE, "currency": "VND"});
    let rest = |order: &Value| {
        let refund = &order["refund"];
        let ended = matches!(order["status"].as_str(), Some("completed" | "cancelled" | "failed"));
        let valid = order["tickets"].as_array().unwrap().iter().filter(|it| it["status"] == "valid").count();
        let served = order["status"] == "completed" && valid == 1 && refund.is_null();
        let back = order["status"] != "completed" && valid == 0 && refund["amount"] == price;
        ended && (served || back)
    };
    let seen = purchase.when(world, what, rest).await;
    if seen["status"] == "completed" { "served" } else { "back" }
}

#[test]
fn money_at_the_very_deadline_is_one_set_of_tickets_or_one_refund() {
    run(async {
        let world = World::start().await;
        let sale = Sale::open(&world, "VND", 100, 5).await;
        let cases = ["payos", "stripe", "vnpay", "zalopay"].into_iter().flat_map(|it| [-1, 1, 40].map(|ms| (it, ms)));
        let purchases = cases.map(async |(provider, late_ms)| {
            let purchase = sale.buy(&world, provider, 1).await;
            let at = opened(&purchase.payment).await;
            let order = purchase.holder.get(&purchase.path()).await.is(200).body;
            tokio::time::sleep(until(&order["pay_by"], late_ms)).await;
            let pay = json!({"force": true});
            let paid = world.sandbox.post(&format!("/_control/payments/{at}/pay"), &pay).await;
            (provider, late_ms, purchase, paid)
        });
        let purchases = futures::future::join_all(purchases).await;
        let mut ends = Vec::new();
        for (provider, late_ms, purchase, paid) in purchases {
            assert_eq!(paid.status, 200, "{provider} takes money {late_ms} ms late: {paid:#?}");
            ends.push(at_rest(&world, &purchase, &format!("{provider}, {late_ms} ms late")).await);
        }
        assert_eq!(ends.len(), 12);
        world.stop().await;
    });
}

#[test]
fn late_money_takes_free_stock_and_goes_back_where_it_was_sold_again() {
    run(async {
        let world = World::start().await;
        for resold in [false, true] {
            let sale = Sale::open(&world, "VND", 1, 3).await;
            let late = sale.buy(&world, "stripe", 1).await;
            let at = opened(&late.payment).await;
            let over = |order: &Value| matches!(order["status"].as_str(), Some("cancelled" | "failed"));
            late.when(&world, "its time is over", over).await;
            if resold {
                sale.buy(&world, "payos", 1).await.is_paid(&world).await;
            }
            world.sandbox.post(&format!("/_control/payments/{at}/pay"), &json!({"force": true})).await.is(200);
            let end = at_rest(&world, &late, "late money").await;
            assert_eq!(end, if resold { "back" } else { "served" }, "resold: {resold}");
            let seen = late.holder.get(&late.path()).await.is(200).body;
            let why = if resold { json!("paid_too_late") } else { Value::Null };
            assert_eq!(seen["refund"]["why"], why, "the buyer sees why");
        }
        world.stop().await;
    });
}

#[test]
fn two_providers_at_the_deadline_make_one_order_and_one_refund() {
    run(async {
        let world = World::start().await;
        let sale = Sale::open(&world, "VND", 5, 5).await;
        let purchase = sale.buy(&world, "vnpay", 1).await;
        let other = json!({"provider": "stripe", "return_url": "https://shop.test/back"});
        purchase.holder.post_with(&format!("{}/payments", purchase.path()), &key(), &other).await.is(201);
        let second = page(&world, purchase.order, &purchase.holder, 1).await;
        let (first, second) = (opened(&purchase.payment).await, opened(&second).await);
        let order = purchase.holder.get(&purchase.path()).await.is(200).body;
        let pay = async |at: &str, late_ms: i64| {
            tokio::time::sleep(until(&order["pay_by"], late_ms)).await;
            world.sandbox.post(&format!("/_control/payments/{at}/pay"), &json!({"force": true})).await.is(200);
        };
        tokio::join!(pay(&first, -1), pay(&second, 1));
        let price = json!({"amount": PRICE, "currency": "VND"});
        let one = |order: &Value| order["status"] == "completed" && order["refund"]["amount"] == price;
        let seen = purchase.when(&world, "one pays, the other goes back", one).await;
        assert_eq!(seen["refund"]["why"], "paid_twice");
        world.stop().await;
    });
}
