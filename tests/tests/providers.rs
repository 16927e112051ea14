//! The same stories at every provider: money comes, and goes back.

use std::sync::LazyLock;

use serde_json::{Value, json};
use system_tests::purchase::{class_body, eventually, id, key, show_body};
use system_tests::{Client, World, run};
use uuid::Uuid;

/// A provider that a test pays at, with the currency of the show.
#[derive(Debug, Clone, Copy)]
struct Till {
    provider: &'static str,
    currency: &'static str,
    /// Whether it gives money back by itself.
    gives_back: bool,
}

const fn till(provider: &'static str, currency: &'static str, gives_back: bool) -> Till {
    Till { provider, currency, gives_back }
}

const TILLS: [Till; 5] = [
    till("payos", "VND", false),
    till("stripe", "USD", true),
    till("vnpay", "VND", true),
    till("zalopay", "VND", true),
    till("paypal", "USD", true),
];
const STRIPE: Till = till("stripe", "VND", true);
/// One ticket: 120,000 dong, or 1,200 dollars.
const PRICE: i64 = 120_000;

/// A show of one class, and what is sold there.
struct Sale {
    show: Uuid,
    class: Uuid,
    currency: &'static str,
}

/// A purchase under way.
struct Purchase {
    order: Uuid,
    holder: Client,
    payment: Value,
}

impl Sale {
    async fn open(world: &World, currency: &'static str, capacity: i64, pay_within_s: i64) -> Self {
        let class = id();
        let mut body = show_body();
        body["currency"] = json!(currency);
        let mut ga = class_body(PRICE, capacity);
        ga["price"]["currency"] = json!(currency);
        let show = world.on_sale_with(body, &[(class, ga)], pay_within_s).await;
        Self { show, class, currency }
    }

    fn price(&self, tickets: i64) -> Value {
        json!({"amount": PRICE * tickets, "currency": self.currency})
    }

    /// Orders, and waits for the payment's page.
    async fn buy(&self, world: &World, provider: &str, tickets: i64) -> Purchase {
        let order = id();
        let body = json!({
            "show": self.show,
            "lines": [{"ticket_class": self.class, "quantity": tickets, "unit_price": self.price(1)}],
            "buyer": {"name": "Nguyễn Thị Bình", "email": "binh.private@example.com", "phone": "+84 912 345 678"},
            "payment": {"provider": provider, "return_url": "https://shop.test/back"}
        });
        let placed = world.client.put_with(&format!("/v1/orders/{order}"), &key(), &body).await.is(201);
        let holder = world.client.with(&placed.text("access_token")).since(&placed);
        let payment = page(world, order, &holder, 0).await;
        Purchase { order, holder, payment }
    }
}

/// The payment of this number, once it has a page.
async fn page(world: &World, order: Uuid, holder: &Client, nth: usize) -> Value {
    let seen = world.order_when(order, holder, "a page", |order| order["payments"][nth]["url"].is_string()).await;
    seen["payments"][nth].clone()
}

/// What the sandbox knows a payment by, whose page somebody opens: VNPay hears of it only then.
async fn opened(payment: &Value) -> String {
    static BROWSER: LazyLock<reqwest::Client> = LazyLock::new(|| reqwest::Client::builder().build().unwrap());
    let url: reqwest::Url = payment["url"].as_str().unwrap().parse().unwrap();
    let page = BROWSER.get(url.clone()).send().await.unwrap();
    assert!(page.status().is_success(), "{url}: {}", page.status());
    let reference = url.query_pairs().find(|(name, _)| name == "vnp_TxnRef").map(|(_, value)| value.into_owned());
    let id = reference.unwrap_or_else(|| url.path_segments().unwrap().next_back().unwrap().to_owned());
    match payment["provider"].as_str().unwrap() {
        "payos" => id,
        provider => format!("{provider}/{id}"),
    }
}

async fn script(world: &World, payment: &Value, script: Value) -> String {
    let at = opened(payment).await;
    world.sandbox.put(&format!("/_control/payments/{at}/script"), &script).await.is(200);
    at
}

async fn pay(world: &World, payment: &Value) {
    let at = opened(payment).await;
    world.sandbox.post(&format!("/_control/payments/{at}/pay"), &json!({})).await.is(200);
}

impl Purchase {
    async fn is_paid(&self, world: &World) -> Value {
        pay(world, &self.payment).await;
        world.until(self.order, &self.holder, "completed").await.body
    }

    async fn when(&self, world: &World, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        world.order_when(self.order, &self.holder, what, wanted).await
    }

    async fn refund(&self, world: &World, body: &Value) -> system_tests::Answer {
        world.support().post_with(&format!("/v1/orders/{}/refunds", self.order), &key(), body).await
    }

    fn path(&self) -> String {
        format!("/v1/orders/{}", self.order)
    }
}

/// All movements at the provider, as its statement has them.
async fn statement(world: &World, provider: &str) -> Vec<(String, i64)> {
    let path = format!("/_control/statement?format=json&provider={provider}");
    let lines = world.sandbox.get(&path).await.is(200).body["movements"].as_array().unwrap().clone();
    lines.iter().map(|it| (it["kind"].as_str().unwrap().to_owned(), it["amount"].as_i64().unwrap())).collect()
}

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
