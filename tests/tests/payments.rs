//! Payments: every way in which money comes, comes wrong, or does not come.

use serde_json::{Value, json};
use system_tests::purchase::{OnSale, by_payos, eventually, key, link_of, vnd};
use system_tests::{Client, World, run};
use uuid::Uuid;

fn due(amount: i64, why: &str) -> Value {
    json!({"status": "due", "amount": vnd(amount), "why": why})
}

/// Opens another attempt and gives the sandbox's id of its page.
async fn another_page(world: &World, order: Uuid, holder: &Client, attempt: usize) -> String {
    holder.post_with(&format!("/v1/orders/{order}/payments"), &key(), &by_payos()).await.is(201);
    let has_page = |order: &Value| link_of(&order["payments"][attempt]).is_some();
    let seen = world.order_when(order, holder, "another page", has_page).await;
    link_of(&seen["payments"][attempt]).unwrap()
}

/// Waits until the order is completed and this attempt has paid it. They come from different topics: the one or the
/// other may be seen first.
async fn completed(world: &World, order: Uuid, holder: &Client, attempt: usize) -> Value {
    world.until(order, holder, "completed").await;
    let paid = |order: &Value| order["payments"][attempt]["status"] == "completed";
    world.order_when(order, holder, "its payment is completed", paid).await
}

/// Money that nobody could apply, of one payment link's order code.
async fn quarantined(world: &World, serial: &Value, count: usize) -> Vec<(i64, String, String)> {
    let pool = world.pool().await.unwrap();
    let sql = format!(
        "select amount, currency, reason from \"{}\".quarantined_money where serial = $1 order by amount",
        world.namespace
    );
    eventually("the money is put aside", async || {
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql.clone())).bind(serial.as_i64().unwrap());
        let rows: Vec<(i64, String, String)> = query.fetch_all(&pool).await.unwrap();
        (rows.len() == count).then_some(rows)
    })
    .await
}

async fn stock_becomes(world: &World, sale: &OnSale, capacity: i64, wanted: (i64, i64, i64)) {
    eventually("the stock", async || (world.stock(sale, capacity).await == wanted).then_some(())).await;
}

#[test]
fn declined_and_paid_at_the_second_attempt() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(world, 2).await;
        world.sandbox.post(&format!("/_control/payments/{link}/fail"), &json!({})).await.is(200);
        let failed = |order: &Value| order["payments"][0]["status"] == "failed";
        let seen = world.order_when(order, &holder, "the first attempt fails", failed).await;
        assert_eq!(seen["status"], "awaiting_payment", "a declined attempt leaves the order as it is");
        let link = another_page(world, order, &holder, 1).await;
        world.pay(&link, &json!({})).await;
        let done = completed(world, order, &holder, 1).await;
        assert_eq!(done["payments"][0]["status"], "failed");
        assert_eq!((done["tickets"].as_array().unwrap().len(), &done["refund"]), (2, &Value::Null));
    });
}

#[test]
fn declined_and_never_paid() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 4).await;
        let (order, holder, link) = sale.buy_to_page(world, 2).await;
        world.sandbox.post(&format!("/_control/payments/{link}/fail"), &json!({})).await.is(200);
        let ended = world.order_when(order, &holder, "it ends", |order| order["status"] != "awaiting_payment").await;
        assert_eq!((&ended["status"], &ended["reason"]), (&json!("failed"), &json!("payment_failed")));
        stock_becomes(world, &sale, 5, (0, 0, 5)).await;
    });
}

#[test]
fn webhooks_come_twice_late_never_slowly_and_disordered() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 50, 600).await;
        let scripts = [
            json!({"webhook": "twice"}),
            json!({"webhook": "late", "delay_ms": 3000}),
            json!({"webhook": "never"}),
            json!({"webhook": "slow"}),
            json!({"webhook": "bad_signature"}),
            json!({"webhook": "out_of_order"}),
        ];
        let purchases = scripts.iter().map(async |script| {
            let (order, holder, link) = sale.buy_to_page(world, 2).await;
            world.script(&link, script).await;
            world.pay(&link, &json!({"parts": [500, 700, 800]})).await;
            let done = completed(world, order, &holder, 0).await;
            assert_eq!(done["tickets"].as_array().unwrap().len(), 2, "{script}");
            assert_eq!(done["refund"], Value::Null, "{script}");
            (order, link)
        });
        let bought = futures::future::join_all(purchases).await;
        // What is still to come changes nothing.
        let late = &bought[1].1;
        eventually("the late webhooks were answered", async || {
            let payment = world.at_provider(late).await;
            payment["deliveries"].as_array().unwrap().iter().all(|it| it["state"] == "delivered").then_some(())
        })
        .await;
        let forged = world.at_provider(&bought[4].1).await;
        assert!(forged["deliveries"].as_array().unwrap().iter().all(|it| it["state"] != "delivered"), "{forged:#}");
        assert_eq!(world.stock(&sale, 50).await, (0, 12, 38));
        let news = world.journal().news().await;
        for (order, _) in bought {
            let names = news.of(order);
            for once in ["OrderPaid", "TicketsIssued", "OrderCompleted"] {
                assert_eq!(names.iter().filter(|name| **name == once).count(), 1, "{names:?}");
            }
        }
    });
}

#[test]
fn money_in_parts() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(world, 1).await;
        world.pay(&link, &json!({"amount": 400})).await;
        let part = |order: &Value| order["payments"][0]["status"] == "partially_received";
        let seen = world.order_when(order, &holder, "a part came", part).await;
        assert_eq!((&seen["status"], link_of(&seen["payments"][0])), (&json!("awaiting_payment"), Some(link.clone())));
        world.pay(&link, &json!({})).await;
        let done = completed(world, order, &holder, 0).await;
        assert_eq!((&done["payments"][0]["status"], &done["refund"]), (&json!("completed"), &Value::Null));
    });
}

#[test]
fn only_a_part_in_time() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 4).await;
        let (order, holder, link) = sale.buy_to_page(world, 1).await;
        world.pay(&link, &json!({"amount": 400})).await;
        let ended = world.order_when(order, &holder, "the part goes back", |order| order["refund"].is_object()).await;
        let ended = match ended["status"] == "cancelled" {
            true => ended,
            false => world.until(order, &holder, "cancelled").await.body,
        };
        assert_eq!((&ended["reason"], &ended["refund"]), (&json!("expired"), &due(400, "paid_in_part")));
        stock_becomes(world, &sale, 5, (0, 0, 5)).await;
    });
}

#[test]
fn money_that_fits_nothing_is_put_aside() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        for (script, body, amount, currency, reason) in [
            (json!({"wrong_amount": 1500}), json!({}), 1500, "VND", "too_much"),
            (json!({"currency": "USD"}), json!({}), 1000, "USD", "wrong_currency"),
        ] {
            let (order, holder, link) = sale.buy_to_page(world, 1).await;
            world.script(&link, &script).await;
            world.pay(&link, &body).await;
            let serial = world.at_provider(&link).await["orderCode"].clone();
            let aside = quarantined(world, &serial, 1).await;
            assert_eq!(aside, [(amount, currency.to_owned(), reason.to_owned())]);
            let seen = holder.get(&format!("/v1/orders/{order}")).await.is(200).body;
            assert_eq!((&seen["status"], &seen["tickets"]), (&json!("awaiting_payment"), &json!([])));
            // The buyer can still pay properly.
            let link = another_page(world, order, &holder, 1).await;
            world.pay(&link, &json!({})).await;
            world.until(order, &holder, "completed").await;
        }
    });
}

#[test]
fn money_for_nobody_is_put_aside_and_forgeries_are_turned_away() {
    run(async {
        let world = World::start().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(&world, 1).await;
        let serial = json!(4_000_000_004_i64);
        let transfer = json!({"orderCode": serial, "amount": 7000, "reference": "FT-NOBODY"});
        world.sandbox.post("/_control/transfer", &transfer).await.is(200);
        assert_eq!(quarantined(&world, &serial, 1).await, [(7000, "VND".to_owned(), "unknown_reference".to_owned())]);
        let delivered = eventually("the webhook was answered", async || {
            let deliveries = world.sandbox.get("/_control/deliveries?state=delivered").await.is(200).body;
            let all = deliveries["deliveries"].as_array().cloned().unwrap_or_default();
            (!all.is_empty()).then_some(all)
        })
        .await;
        assert_eq!(delivered.len(), 1);

        // From here on nothing may be written.
        let mut journal = world.journal();
        eventually("all is quiet", async || {
            journal.news().await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            (journal.news().await.written() == 0).then_some(())
        })
        .await;
        let own = world.at_provider(&link).await;
        let data = json!({
            "orderCode": own["orderCode"], "amount": 1000, "description": "x", "accountNumber": "1", "reference": "FT-FORGED",
            "transactionDateTime": "2026-11-21 18:25:00", "currency": "VND", "paymentLinkId": link, "code": "00", "desc": "ok"
        });
        let notify = "/v1/payments/payos/notify";
        for signature in [json!(signed("a-key-of-somebody-else", &data)), json!("00"), json!(""), Value::Null] {
            let body = json!({"code": "00", "desc": "ok", "success": true, "data": data, "signature": signature});
            world.client.post(notify, &body).await.is(400);
        }
        let signature = signed(CHECKSUM_KEY, &data);
        let mut altered = data.clone();
        altered["amount"] = json!(999);
        let body = json!({"code": "00", "desc": "ok", "success": true, "data": altered, "signature": signature});
        world.client.post(notify, &body).await.is(400);
        for body in [json!({}), json!({"data": {}}), json!([])] {
            world.client.post(notify, &body).await.is(400);
        }
        assert_eq!(journal.news().await.written(), 0);
        assert_eq!(holder.get(&format!("/v1/orders/{order}")).await.body["status"], "awaiting_payment");
        // The very same with its signature is believed: what was refused was the signature.
        let body = json!({"code": "00", "desc": "ok", "success": true, "data": data, "signature": signature});
        let answer = world.client.post(notify, &body).await.is(200);
        assert_eq!(answer.body["success"], true);
        world.until(order, &holder, "completed").await;
        world.stop().await;
    });
}

const CHECKSUM_KEY: &str = "sandbox-checksum-key";

/// As PayOS signs: every field by its name, and HMAC-SHA256 in hex.
fn signed(key: &str, data: &Value) -> String {
    let fields = data.as_object().unwrap();
    let mut pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    pairs.sort();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
    let tag = ring::hmac::sign(&key, pairs.join("&").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn paid_twice() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, first) = sale.buy_to_page(world, 2).await;
        let second = another_page(world, order, &holder, 1).await;
        let all = json!({});
        tokio::join!(world.pay(&first, &all), world.pay(&second, &all));
        let seen = world.order_when(order, &holder, "one goes back", |order| order["refund"].is_object()).await;
        assert_eq!(seen["refund"], due(2000, "paid_twice"));
        completed(world, order, &holder, 0).await;
        let done = completed(world, order, &holder, 1).await;
        assert_eq!((&done["refund"], done["tickets"].as_array().unwrap().len()), (&due(2000, "paid_twice"), 2));
        assert_eq!(world.stock(&sale, 5).await, (0, 2, 3));
    });
}

#[test]
fn paid_after_its_end_while_there_is_stock() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 2, 2).await;
        let (order, holder, link) = sale.buy_to_page(world, 2).await;
        world.until(order, &holder, "cancelled").await;
        stock_becomes(world, &sale, 2, (0, 0, 2)).await;
        world.pay(&link, &json!({"force": true})).await;
        let back = |order: &Value| order["status"] == "completed" && order["tickets"].as_array().unwrap().len() == 2;
        let done = world.order_when(order, &holder, "it comes back to life", back).await;
        assert_eq!((&done["reason"], &done["refund"]), (&Value::Null, &Value::Null));
        assert_eq!(world.stock(&sale, 2).await, (0, 2, 0));
    });
}

#[test]
fn paid_after_its_end_and_its_stock_is_gone() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 2, 3).await;
        let (order, holder, link) = sale.buy_to_page(world, 2).await;
        world.until(order, &holder, "cancelled").await;
        stock_becomes(world, &sale, 2, (0, 0, 2)).await;
        let (luckier, their_holder, theirs) = sale.buy_to_page(world, 2).await;
        world.pay(&theirs, &json!({})).await;
        world.until(luckier, &their_holder, "completed").await;
        world.pay(&link, &json!({"force": true})).await;
        let seen = world.order_when(order, &holder, "its money goes back", |order| order["refund"].is_object()).await;
        assert_eq!(seen["refund"], due(2000, "paid_too_late"));
        let ended = world.until(order, &holder, "cancelled").await.body;
        assert_eq!((&ended["reason"], &ended["tickets"]), (&json!("expired"), &json!([])));
        assert_eq!(world.stock(&sale, 2).await, (0, 2, 0));
    });
}

#[test]
fn paid_although_its_buyer_had_given_up() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(world, 1).await;
        let cancelled = holder.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.is(200);
        let holder = holder.since(&cancelled);
        world.pay(&link, &json!({"force": true})).await;
        let seen = world.order_when(order, &holder, "its money goes back", |order| order["refund"].is_object()).await;
        assert_eq!((&seen["status"], &seen["reason"]), (&json!("cancelled"), &json!("by_buyer")));
        assert_eq!(seen["refund"], due(1000, "paid_too_late"));
        stock_becomes(world, &sale, 5, (0, 0, 5)).await;
    });
}

/// Where the provider sends the browser of the order's first payment.
async fn back_from(order: Uuid, holder: &Client) -> String {
    let seen = holder.get(&format!("/v1/orders/{order}")).await.is(200);
    let payment = seen.body["payments"][0]["id"].as_str().unwrap().to_owned();
    format!("/v1/payments/payos/return?payment={payment}")
}

#[test]
fn a_browser_comes_back() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(1000, 5, 600).await;
        let (order, holder, link) = sale.buy_to_page(world, 1).await;
        let paid = back_from(order, &holder).await;
        // It proves nothing, whatever it says.
        let early = world.client.get(&format!("{paid}&code=00&cancel=false&status=PAID")).await.is(303);
        let expected = format!("https://shop.test/back?order={order}&status=awaiting_payment");
        assert_eq!(early.header("location"), Some(expected.as_str()));
        let gave_up = world.client.get(&format!("{paid}&gave_up=true&code=00&status=CANCELLED")).await.is(303);
        assert_eq!(gave_up.header("location"), Some(expected.as_str()), "without a cancel_url it is the return_url");
        world.pay(&link, &json!({})).await;
        world.until(order, &holder, "completed").await;
        let done = world.client.get(&paid).await.is(303);
        let expected = format!("https://shop.test/back?order={order}&status=completed");
        assert_eq!(done.header("location"), Some(expected.as_str()));

        let mut body = sale.order(1);
        body["payment"]["return_url"] = json!("https://shop.test/back?a=1#top");
        body["payment"]["cancel_url"] = json!("https://shop.test/gave-up");
        let order = system_tests::purchase::id();
        let placed = world.client.put(&format!("/v1/orders/{order}"), &body).await.is(201);
        let holder = world.client.with(&placed.text("access_token")).since(&placed);
        world.payment_page(order, &holder).await;
        let path = back_from(order, &holder).await;
        let gave_up = world.client.get(&format!("{path}&gave_up=true")).await.is(303);
        let expected = format!("https://shop.test/gave-up?order={order}&status=awaiting_payment");
        assert_eq!(gave_up.header("location"), Some(expected.as_str()));
        let returned = world.client.get(&path).await.is(303);
        let expected = format!("https://shop.test/back?a=1&order={order}&status=awaiting_payment#top");
        assert_eq!(returned.header("location"), Some(expected.as_str()));
    });
}

#[test]
fn a_payment_whose_opening_goes_wrong() {
    run(async {
        let world =
            World::with(&[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "1000"), ("BOXOFFICE_PROVIDER_FIRST_PAUSE_MS", "50")])
                .await;
        let sale = world.on_sale(1000, 50, 600).await;
        for script in [
            json!({"lose_create_answer": true}),
            json!({"lose_create_answer": "504"}),
            json!({"slow_create_ms": 1500}),
            json!({"http_500_times": 4}),
            json!({"webhook_before_create_answer": true, "slow_create_ms": 100}),
        ] {
            world.sandbox.post("/_control/next", &json!({"count": 1, "script": script})).await.is(200);
            let (order, holder, _) = sale.buy(&world, 1).await;
            if script["webhook_before_create_answer"].is_null() {
                let link = world.payment_page(order, &holder).await;
                world.pay(&link, &json!({})).await;
            }
            let done = completed(&world, order, &holder, 0).await;
            let payments = done["payments"].as_array().unwrap();
            assert_eq!((payments.len(), &payments[0]["status"]), (1, &json!("completed")), "{script}: {done:#}");
            assert_eq!(done["refund"], Value::Null, "{script}");
        }
        let summary = world.sandbox.get("/_control/payments?limit=100").await.is(200).body;
        assert_eq!(summary["payments"].as_array().unwrap().len(), 5, "a payment was opened twice: {summary:#}");
        world.stop().await;
    });
}

#[test]
fn a_provider_that_is_silent_at_the_deadline() {
    run(async {
        let settings = [
            ("BOXOFFICE_PROVIDER_TIMEOUT_MS", "300"),
            ("BOXOFFICE_PROVIDER_ATTEMPTS", "1"),
            ("BOXOFFICE_PROVIDER_BREAKER_MS", "200"),
            ("BOXOFFICE_STATUS_EVERY_MS", "300"),
            ("BOXOFFICE_HOLD_BACKSTOP_S", "4"),
        ];
        let world = World::with(&settings).await;
        let sale = world.on_sale(1000, 5, 3).await;
        let (paid, payer, paid_link) = sale.buy_to_page(&world, 1).await;
        let (unpaid, idler, unpaid_link) = sale.buy_to_page(&world, 2).await;
        for link in [&paid_link, &unpaid_link] {
            world.script(link, &json!({"silent": true, "webhook": "never"})).await;
        }
        world.pay(&paid_link, &json!({})).await;
        for (order, holder) in [(paid, &payer), (unpaid, &idler)] {
            world.until(order, holder, "stuck").await;
        }
        // Nothing is lost: once the provider speaks, both go on.
        for link in [&paid_link, &unpaid_link] {
            world.script(link, &json!({"webhook": "never"})).await;
        }
        let done = world.order_when(paid, &payer, "it completes", |order| order["status"] == "completed").await;
        assert_eq!(done["refund"], Value::Null);
        let over = world.order_when(unpaid, &idler, "it ends", |order| order["status"] == "cancelled").await;
        assert_eq!(over["reason"], "expired");
        stock_becomes(&world, &sale, 5, (0, 1, 4)).await;
        world.stop().await;
    });
}
