//! Money comes, at every provider, in every way; and all of it can go back.

use serde_json::{Value, json};
use system_tests::purchase::{eventually, key};
use system_tests::{World, run};

use super::{PRICE, Sale, TILLS, opened, page, pay, script, statement};

#[test]
fn every_provider_collects_and_every_ticket_and_order_goes_back() {
    run(async {
        let world = World::start().await;
        for till in TILLS {
            let sale = Sale::open(&world, till.currency, 10, 600).await;
            let purchase = sale.buy(&world, till.provider, 3).await;
            let done = purchase.is_paid(&world).await;
            assert_eq!((done["tickets"].as_array().unwrap().len(), &done["refund"]), (3, &Value::Null), "{till:?}");

            // One ticket, by staff: it dies, and its money goes back.
            let tickets = purchase.holder.get(&format!("{}/tickets", purchase.path())).await.is(200).body;
            let first = tickets["items"][0]["id"].clone();
            purchase.refund(&world, &json!({"tickets": [first]})).await.is(201);
            let status = if till.gives_back { "done" } else { "due" };
            let back = json!({"status": status, "amount": sale.price(1), "why": "by_staff"});
            let seen = purchase.when(&world, "a ticket's money is back", |order| order["refund"] == back).await;
            assert_eq!(seen["status"], "completed", "{till:?}");
            let dead = async || {
                let tickets = purchase.holder.get(&format!("{}/tickets", purchase.path())).await.is(200).body;
                let words: Vec<_> =
                    tickets["items"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
                (words == ["revoked", "valid", "valid"]).then_some(())
            };
            eventually("one ticket dies", dead).await;

            // Then the rest: the order is over.
            purchase.refund(&world, &json!({})).await.is(201);
            let all = json!({"status": status, "amount": sale.price(3), "why": "by_staff"});
            let over = |order: &Value| order["refund"] == all && order["status"] == "cancelled";
            let seen = purchase.when(&world, "all money is back", over).await;
            let dead = |order: &Value| order["tickets"].as_array().unwrap().iter().all(|it| it["status"] == "revoked");
            assert_eq!(seen["reason"], "refunded", "{till:?}");
            purchase.when(&world, "every ticket is dead", dead).await;
            purchase.refund(&world, &json!({})).await.is_problem(409, "order-over");

            let moved = statement(&world, till.provider).await;
            let came = ("capture".to_owned(), 3 * PRICE);
            let parts = [("refund".to_owned(), -PRICE), ("refund".to_owned(), -2 * PRICE)];
            let expected = if till.gives_back { [vec![came], parts.to_vec()].concat() } else { vec![came] };
            assert_eq!(moved, expected, "{till:?}");
        }
        world.stop().await;
    });
}

#[test]
fn two_tabs_at_two_providers_are_one_order_and_one_refund() {
    run(async {
        let world = World::start().await;
        let sale = Sale::open(&world, "VND", 5, 600).await;
        let purchase = sale.buy(&world, "stripe", 2).await;
        let other = json!({"provider": "zalopay", "return_url": "https://shop.test/back"});
        purchase.holder.post_with(&format!("{}/payments", purchase.path()), &key(), &other).await.is(201);
        let second = page(&world, purchase.order, &purchase.holder, 1).await;
        tokio::join!(pay(&world, &purchase.payment), pay(&world, &second));
        world.until(purchase.order, &purchase.holder, "completed").await;
        let back = json!({"status": "done", "amount": sale.price(2), "why": "paid_twice"});
        let seen = purchase.when(&world, "one goes back", |order| order["refund"] == back).await;
        assert_eq!((&seen["status"], seen["tickets"].as_array().unwrap().len()), (&json!("completed"), 2));
        let moved = [statement(&world, "stripe").await, statement(&world, "zalopay").await].concat();
        assert_eq!(moved.iter().map(|(_, amount)| amount).sum::<i64>(), 2 * PRICE, "{moved:?}");
        world.stop().await;
    });
}

#[test]
fn a_second_attempt_at_another_provider_pays_after_a_decline() {
    run(async {
        let world = World::start().await;
        let sale = Sale::open(&world, "VND", 5, 600).await;
        let purchase = sale.buy(&world, "vnpay", 1).await;
        let at = opened(&purchase.payment).await;
        world.sandbox.post(&format!("/_control/payments/{at}/fail"), &json!({})).await.is(200);
        purchase.when(&world, "it is declined", |order| order["payments"][0]["status"] == "failed").await;
        let other = json!({"provider": "stripe", "return_url": "https://shop.test/back"});
        purchase.holder.post_with(&format!("{}/payments", purchase.path()), &key(), &other).await.is(201);
        pay(&world, &page(&world, purchase.order, &purchase.holder, 1).await).await;
        let done = world.until(purchase.order, &purchase.holder, "completed").await.body;
        assert_eq!(done["refund"], Value::Null);
        world.stop().await;
    });
}

#[test]
fn a_failure_after_success_and_a_webhook_that_never_comes_change_nothing() {
    run(async {
        let world = World::start().await;
        for till in TILLS {
            let sale = Sale::open(&world, till.currency, 5, 600).await;
            let told = if till.provider == "payos" { json!({}) } else { json!({"failure_after_success": true}) };
            for told in [told, json!({"webhook": "never"}), json!({"webhook": "twice"})] {
                let purchase = sale.buy(&world, till.provider, 1).await;
                script(&world, &purchase.payment, told.clone()).await;
                let done = purchase.is_paid(&world).await;
                let paid = |order: &Value| order["payments"][0]["status"] == "completed";
                let seen = purchase.when(&world, "its payment is completed", paid).await;
                let tickets = done["tickets"].as_array().unwrap().len();
                assert_eq!((tickets, &seen["refund"]), (1, &Value::Null), "{till:?} {told}");
            }
        }
        world.stop().await;
    });
}
