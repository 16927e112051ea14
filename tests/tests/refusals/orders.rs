//! What `PUT /v1/orders/{order}` says no to.

use serde_json::{Value, json};
use system_tests::purchase::{NewClass, OnSale, class_body, id, key, show_body, vnd};
use system_tests::{Answer, run};
use uuid::Uuid;

use super::Quiet;

/// A quiet world with a show on sale.
struct Shop {
    quiet: Quiet,
    sale: OnSale,
    later: Uuid,
    over: Uuid,
    free: Uuid,
}

impl Shop {
    async fn open() -> Self {
        let mut quiet = Quiet::start().await;
        let (ga, later, over, free) = (id(), id(), id(), id());
        let class = |price, changes: Value| {
            let mut body = class_body(price, 3);
            body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            body
        };
        let classes: [NewClass; 4] = [
            (ga, class(150_000, json!({"max_per_order": 4}))),
            (later, class(1000, json!({"sale_starts_at": "2027-01-01T00:00:00Z"}))),
            (
                over,
                class(1000, json!({"sale_starts_at": "2020-01-01T00:00:00Z", "sale_ends_at": "2021-01-01T00:00:00Z"})),
            ),
            (free, class(0, json!({}))),
        ];
        let show = quiet.world.on_sale_with(show_body(), &classes, 600).await;
        quiet.settle().await;
        Self { quiet, sale: OnSale { show, class: ga, price: 150_000 }, later, over, free }
    }

    fn of(&self, class: Uuid, price: i64) -> OnSale {
        OnSale { class, price, ..self.sale }
    }

    /// Sends an order as a guest, who is refused.
    async fn ask(&mut self, body: &Value) -> Answer {
        let path = format!("/v1/orders/{}", id());
        let client = self.quiet.world.client.clone();
        let answer = self.quiet.of(client.put_with(&path, &key(), body)).await;
        assert_eq!(answer.body["instance"], path, "{answer:#?}");
        answer
    }

    /// Sends an order of 2 with one change, which is refused.
    async fn with(&mut self, change: impl FnOnce(&mut Value)) -> Answer {
        let mut body = self.sale.order(2);
        change(&mut body);
        self.ask(&body).await
    }

    /// All there was is still there, says the owner.
    async fn end(self) {
        assert_eq!(self.quiet.world.stock(&self.sale, 3).await, (0, 0, 3));
        assert_eq!(self.sale.availability(&self.quiet.world).await, (0, 0, 3));
        self.quiet.world.stop().await;
    }
}

#[test]
fn what_is_not_for_sale() {
    run(async {
        let mut shop = Shop::open().await;
        let organizer = shop.quiet.world.organizer();
        let draft = id();
        organizer.put(&format!("/v1/shows/{draft}"), &show_body()).await.is(201);
        shop.quiet.settle().await;

        let unknown = shop.with(|body| body["show"] = json!(id())).await.is_problem(404, "show-not-found");
        let hidden = shop.with(|body| body["show"] = json!(draft)).await.is_problem(404, "show-not-found");
        assert_eq!(unknown.apart(), hidden.apart(), "a draft is told apart from nothing");

        let none = shop.with(|body| body["lines"][0]["ticket_class"] = json!(id())).await;
        none.is_problem(404, "ticket-class-not-found").points_at("/lines/0/ticket_class");

        let early = shop.ask(&shop.of(shop.later, 1000).order(1)).await.is_problem(409, "not-on-sale");
        assert_eq!(early.clone().points_at("/lines/0/ticket_class").body["opens_at"], "2027-01-01T00:00:00Z");
        assert_eq!(early.header("retry-after"), None);
        let late = shop.ask(&shop.of(shop.over, 1000).order(1)).await.is_problem(409, "not-on-sale");
        assert_eq!(late.points_at("/lines/0/ticket_class").body["opens_at"], Value::Null);

        let off = shop.quiet.world.on_sale(1000, 5, 60).await;
        organizer.post(&format!("/v1/shows/{}/cancel", off.show), &json!({})).await.is(200);
        shop.quiet.settle().await;
        let off = shop.ask(&off.order(1)).await.is_problem(409, "not-on-sale");
        assert_eq!(off.header("retry-after"), None);
        shop.end().await;
    });
}

#[test]
fn what_is_about_to_be_for_sale() {
    run(async {
        let quiet = Quiet::start().await;
        let (world, mut journal) = (&quiet.world, quiet.world.journal());
        let mut seen = None;
        for _ in 0..50 {
            let class = id();
            let show = world.approved(show_body(), &[(class, class_body(1000, 5))], 60).await;
            let sale = OnSale { show, class, price: 1000 };
            let (organizer, path) = (world.organizer(), format!("/v1/shows/{show}/publish"));
            let early = futures::future::join_all((0..6).map(|_| first_not_404(&quiet, &sale)));
            let nothing = json!({});
            let (published, early) = tokio::join!(organizer.post(&path, &nothing), early);
            published.is(200);
            seen = early
                .into_iter()
                .find(|(_, answer)| answer.status == 409 && answer.body["type"] != "/problems/sold-out");
            if seen.is_some() {
                break;
            }
        }
        // The saga opens sales within milliseconds of their publishing.
        let (order, answer) = seen.expect("one of 300 orders came before its sale was open");
        assert_eq!(answer.is_problem(409, "not-on-sale").header("retry-after"), Some("1"));
        assert!(journal.news().await.entries.iter().all(|entry| entry.key != order.to_string()));
        quiet.world.stop().await;
    });
}

/// Orders until the show is there.
async fn first_not_404(quiet: &Quiet, sale: &OnSale) -> (Uuid, Answer) {
    loop {
        let order = id();
        let answer = quiet.world.client.put_with(&format!("/v1/orders/{order}"), &key(), &sale.order(1)).await;
        if answer.status != 404 {
            return (order, answer);
        }
    }
}

#[test]
fn what_is_not_left_or_not_allowed_or_costs_something_else() {
    run(async {
        let mut shop = Shop::open().await;
        let class = shop.sale.class;
        let short = shop.ask(&shop.sale.order(4)).await.is_problem(409, "sold-out");
        assert_eq!(short.body["available"], json!([{"ticket_class": class, "available": 3}]));

        let many = shop.ask(&shop.sale.order(5)).await.is_problem(409, "limit-exceeded");
        assert_eq!(many.points_at("/lines/0/quantity").body["max_per_order"], 4);
        let in_two = shop.with(|body| {
            let mut line = body["lines"][0].clone();
            line["quantity"] = json!(3);
            body["lines"].as_array_mut().unwrap().push(line);
        });
        in_two.await.is_problem(409, "limit-exceeded").points_at("/lines/1/quantity");

        let cheap = shop.ask(&shop.of(class, 140_000).order(2)).await.is_problem(409, "price-changed");
        assert_eq!(cheap.points_at("/lines/0/unit_price").body["price"], vnd(150_000));
        shop.end().await;
    });
}

#[test]
fn what_cannot_be_paid_so() {
    run(async {
        let mut shop = Shop::open().await;
        let unknown = shop.with(|body| body["payment"]["provider"] = json!("paypal")).await;
        unknown.is_problem(422, "provider-unavailable").points_at("/payment/provider");

        let missing = shop.with(|body| drop(body.as_object_mut().unwrap().remove("payment"))).await;
        missing.is_problem(422, "validation").points_at("/payment");
        let mut free = shop.of(shop.free, 0).order(1);
        free["payment"] = json!({"provider": "payos", "return_url": "https://shop.test/back"});
        shop.ask(&free).await.is_problem(422, "validation").points_at("/payment");

        let dollars = json!({"amount": 1500, "currency": "USD"});
        let mut body = class_body(0, 5);
        body["price"] = dollars.clone();
        let mut show = show_body();
        show["currency"] = json!("USD");
        let class = id();
        let show = shop.quiet.world.on_sale_with(show, &[(class, body)], 60).await;
        shop.quiet.settle().await;
        let mut order = OnSale { show, class, price: 1500 }.order(1);
        order["lines"][0]["unit_price"] = dollars;
        shop.ask(&order).await.is_problem(422, "provider-unavailable").points_at("/payment/provider");
        shop.end().await;
    });
}

#[test]
fn what_breaks_rules() {
    run(async {
        let mut shop = Shop::open().await;
        let line = shop.sale.order(1)["lines"][0].clone();
        let long = "x".repeat(201);
        let dollars = json!({"amount": 1, "currency": "USD"});
        let two_currencies =
            [line.clone(), json!({"ticket_class": shop.sale.class, "quantity": 1, "unit_price": dollars})];
        let rules: &[(&str, Value, &str)] = &[
            ("/lines", json!([]), "/lines"),
            ("/lines", json!(vec![line; 21]), "/lines"),
            ("/lines", json!(two_currencies), "/lines"),
            ("/lines", json!("GA"), "/lines"),
            ("/lines/0/quantity", json!(0), "/lines/0/quantity"),
            ("/lines/0/quantity", json!(-1), "/lines/0/quantity"),
            ("/lines/0/quantity", json!(101), "/lines/0/quantity"),
            ("/lines/0/quantity", json!("2"), "/lines/0/quantity"),
            ("/lines/0/quantity", json!(1.5), "/lines/0/quantity"),
            ("/lines/0/unit_price/amount", json!(-1), "/lines/0/unit_price/amount"),
            ("/lines/0/unit_price/currency", json!("ZZZ"), "/lines/0/unit_price/currency"),
            ("/lines/0/ticket_class", json!("GA"), "/lines/0/ticket_class"),
            ("/show", json!("tonight"), "/show"),
            ("/buyer", Value::Null, "/buyer"),
            ("/buyer/name", json!(""), "/buyer/name"),
            ("/buyer/name", json!(long), "/buyer/name"),
            ("/buyer/email", json!("nobody"), "/buyer/email"),
            ("/buyer/email", json!("a@localhost"), "/buyer/email"),
            ("/buyer/email", json!("a b@example.com"), "/buyer/email"),
            ("/buyer/phone", json!("call me"), "/buyer/phone"),
            ("/payment/return_url", json!("javascript:alert(1)"), "/payment/return_url"),
            ("/payment/cancel_url", json!("/back"), "/payment/cancel_url"),
        ];
        // What may be left out is not there yet.
        let whole = {
            let mut whole = shop.sale.order(2);
            whole["buyer"]["phone"] = json!("+84 24 3825 0000");
            whole["payment"]["cancel_url"] = json!("https://shop.test/gave-up");
            whole
        };
        for (at, value, pointer) in rules {
            let mut body = whole.clone();
            *body.pointer_mut(at).unwrap() = value.clone();
            let answer = shop.ask(&body).await;
            assert_eq!(answer.status, 422, "{at} = {value}: {answer:#?}");
            answer.is_problem(422, "validation").points_at(pointer);
        }
        for (parent, name) in
            [("", "show"), ("", "lines"), ("", "buyer"), ("/lines/0", "unit_price"), ("/payment", "return_url")]
        {
            let mut body = whole.clone();
            body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            shop.ask(&body).await.is_problem(422, "validation").points_at(&format!("{parent}/{name}"));
        }
        let all = shop.with(|body| {
            body["buyer"] = json!({"name": "", "email": ""});
            body["lines"][0]["quantity"] = json!(0);
        });
        assert_eq!(all.await.is_problem(422, "validation").body["errors"].as_array().unwrap().len(), 3);
        for parent in ["", "/lines/0", "/buyer", "/payment", "/lines/0/unit_price"] {
            let mut body = whole.clone();
            body.pointer_mut(parent).unwrap()["colour"] = json!("red");
            shop.ask(&body).await.is_problem(400, "unknown-field").points_at(&format!("{parent}/colour"));
        }
        shop.end().await;
    });
}

#[test]
fn what_is_another_thing_under_a_known_name() {
    run(async {
        let mut shop = Shop::open().await;
        let free = shop.of(shop.free, 0);
        let (order, holder, _) = free.buy(&shop.quiet.world, 1).await;
        shop.quiet.world.until(order, &holder, "completed").await;
        let buyer = shop.quiet.world.buyer("twice");
        let mine = id();
        let placed = buyer.put_with(&format!("/v1/orders/{mine}"), "once", &free.order(1)).await.is(201);
        shop.quiet.world.until(mine, &buyer.since(&placed), "completed").await;
        shop.quiet.settle().await;

        let client = shop.quiet.world.client.clone();
        let path = format!("/v1/orders/{order}");
        shop.quiet.of(client.put(&path, &free.order(2))).await.is_problem(409, "already-exists");
        // Another guest with the very same body is another buyer.
        shop.quiet.of(client.put_with(&path, &key(), &free.order(1))).await.is_problem(409, "already-exists");

        let path = format!("/v1/orders/{mine}");
        shop.quiet.of(buyer.put_with(&path, "once", &free.order(2))).await.is_problem(422, "idempotency-key-reused");
        shop.quiet.of(buyer.put_with(&path, "another", &free.order(2))).await.is_problem(409, "already-exists");
        let stranger = shop.quiet.world.buyer("stranger");
        shop.quiet.of(stranger.put(&path, &free.order(1))).await.is_problem(409, "already-exists");
        assert_eq!(free_left(&shop).await, 1);
        shop.quiet.world.stop().await;
    });
}

async fn free_left(shop: &Shop) -> i64 {
    let free = shop.of(shop.free, 0);
    shop.quiet.world.stock(&free, 3).await.2
}

#[test]
fn a_refusal_is_decided_anew() {
    run(async {
        let mut shop = Shop::open().await;
        let (path, key, body) = (format!("/v1/orders/{}", id()), key(), shop.sale.order(4));
        let client = shop.quiet.world.client.clone();
        shop.quiet.of(client.put_with(&path, &key, &body)).await.is_problem(409, "sold-out");
        shop.quiet.of(client.put_with(&path, &key, &body)).await.is_problem(409, "sold-out");
        assert_eq!(shop.quiet.world.stock(&shop.sale, 4).await, (0, 0, 4));
        let answer = client.put_with(&path, &key, &body).await.is(201);
        assert_eq!(answer.header("idempotency-replayed"), None);
        shop.quiet.world.stop().await;
    });
}
