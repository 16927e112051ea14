//! Money goes back: by staff, because a show is cancelled, and where the provider will not.

use serde_json::json;
use system_tests::purchase::{eventually, id, key};
use system_tests::{World, run};

use super::{PRICE, STRIPE, Sale, script, statement};

#[test]
fn a_refund_that_fails_surfaces_and_is_done_by_hand() {
    run(async {
        let world = World::start().await;
        let sale = Sale::open(&world, "VND", 5, 600).await;
        let purchase = sale.buy(&world, STRIPE.provider, 1).await;
        script(&world, &purchase.payment, json!({"refund": "fail"})).await;
        purchase.is_paid(&world).await;
        purchase.refund(&world, &json!({})).await.is(201);
        let due = json!({"status": "due", "amount": sale.price(1), "why": "by_staff"});
        purchase.when(&world, "a person has to do it", |order| order["refund"] == due).await;

        let support = world.support();
        let listed = support.get("/v1/refunds?status=due&provider=stripe").await.is(200).body;
        let refund = &listed["items"][0];
        assert_eq!((&refund["order"], &refund["amount"]), (&json!(purchase.order), &sale.price(1)));
        assert!(refund["reason"].is_string(), "the provider's code is shown: {refund}");
        let path = format!("/v1/refunds/{}/done", purchase.payment["id"].as_str().unwrap());
        for who in [&world.client, &purchase.holder, &world.organizer()] {
            let refused = who.post(&path, &json!({"reference": "FT-1"})).await;
            assert!(matches!(refused.status.as_u16(), 401 | 403 | 404), "{refused:#?}");
        }
        support.post(&path, &json!({"reference": "a b"})).await.is_problem(422, "validation").points_at("/reference");
        let settled = support.post(&path, &json!({"reference": "FT-1"})).await.is(200).body;
        assert_eq!((&settled["status"], &settled["amount"]), (&json!("done"), &sale.price(1)));
        support.post(&path, &json!({"reference": "FT-1"})).await.is(200);
        support.post(&path, &json!({"reference": "FT-2"})).await.is_problem(409, "wrong-status");
        purchase.when(&world, "it is done", |order| order["refund"]["status"] == "done").await;
        world.stop().await;
    });
}

#[test]
fn refunds_are_for_staff_and_of_tickets_that_are_there() {
    run(async {
        let world = World::shared().await;
        let sale = Sale::open(world, "VND", 5, 600).await;
        let purchase = sale.buy(world, "payos", 2).await;
        purchase.refund(world, &json!({})).await.is_problem(409, "wrong-status");
        purchase.is_paid(world).await;
        let path = format!("{}/refunds", purchase.path());
        purchase.holder.post_with(&path, &key(), &json!({})).await.is_problem(403, "forbidden");
        world.client.post_with(&path, &key(), &json!({})).await.is_problem(401, "unauthorized");
        world.support().post(&path, &json!({})).await.is_problem(400, "idempotency-key-missing");
        let strange = json!({"tickets": [id()]});
        purchase.refund(world, &strange).await.is_problem(422, "validation").points_at("/tickets/0");
        purchase.refund(world, &json!({"tickets": []})).await.is_problem(422, "validation").points_at("/tickets");
        let tickets = purchase.holder.get(&format!("{}/tickets", purchase.path())).await.is(200).body;
        let one = json!({"tickets": [tickets["items"][1]["id"]]});

        // The same key asks for the same refund; another one for another.
        let again = key();
        let support = world.support();
        support.post_with(&path, &again, &one).await.is(201);
        let replayed = support.post_with(&path, &again, &one).await.is(201);
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
        support.post_with(&path, &key(), &one).await.is_problem(409, "wrong-status").points_at("/tickets/0");
        let due = json!({"status": "due", "amount": sale.price(1), "why": "by_staff"});
        purchase.when(world, "one ticket's money is due", |order| order["refund"] == due).await;
    });
}

#[test]
fn a_cancelled_show_gives_everybody_their_money_once() {
    run(async {
        let world = World::start().await;
        let sale = Sale::open(&world, "VND", 50, 600).await;
        let mut purchases = Vec::new();
        for provider in ["payos", "stripe", "vnpay", "zalopay"].into_iter().cycle().take(8) {
            let purchase = sale.buy(&world, provider, 1).await;
            purchase.is_paid(&world).await;
            purchases.push((provider, purchase));
        }
        let (organizer, progress) = (world.organizer(), format!("/v1/shows/{}/refunds", sale.show));
        let before = organizer.get(&progress).await.is(200).body;
        assert_eq!((&before["orders_to_go"], &before["done"]["count"]), (&json!(8), &json!(0)));
        world.client.get(&progress).await.is_problem(401, "unauthorized");
        organizer.post(&format!("/v1/shows/{}/cancel", sale.show), &json!({})).await.is(200);
        let done = json!({
            "orders_to_go": 0,
            "pending": {"count": 0, "amount": 0},
            "due": {"count": 2, "amount": 2 * PRICE},
            "done": {"count": 6, "amount": 6 * PRICE},
        });
        eventually("all is given back or due", async || {
            (organizer.get(&progress).await.is(200).body == done).then_some(())
        })
        .await;
        for (provider, purchase) in &purchases {
            let seen = purchase.holder.get(&purchase.path()).await.is(200).body;
            let status = if *provider == "payos" { "due" } else { "done" };
            let back = json!({"status": status, "amount": sale.price(1), "why": "show_cancelled"});
            assert_eq!((&seen["refund"], &seen["reason"]), (&back, &json!("show_cancelled")));
        }
        for provider in ["stripe", "vnpay", "zalopay"] {
            let sum: i64 = statement(&world, provider).await.iter().map(|(_, amount)| amount).sum();
            assert_eq!(sum, 0, "{provider}");
        }
        world.stop().await;
    });
}
