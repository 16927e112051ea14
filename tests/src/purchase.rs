//! The steps of a purchase, so that tests say only what is special.

use std::time::Duration;

use serde_json::{Value, json};
use service_kit::random;
use uuid::Uuid;

use crate::client::{Answer, Client};
use crate::shop::Shop;

/// A show on sale.
#[derive(Debug, Clone, Copy)]
pub struct OnSale {
    /// The show.
    pub show: Uuid,
    /// Its class.
    pub class: Uuid,
    /// What one ticket costs, VND.
    pub price: i64,
}

/// A ticket class to be: its id and what it is made of.
pub type NewClass = (Uuid, Value);

/// What a new show is made of.
pub fn show_body() -> Value {
    json!({
        "name": "Anh Trai", "starts_at": "2027-06-01T12:00:00Z", "ends_at": "2027-06-01T15:00:00Z",
        "time_zone": "Asia/Ho_Chi_Minh", "venue": {"name": "My Dinh", "city": "Hanoi"}, "currency": "VND",
        "categories": ["concert"]
    })
}

/// What a new class is made of.
pub fn class_body(price: i64, capacity: i64) -> Value {
    json!({"name": "GA", "price": vnd(price), "capacity": capacity, "max_per_order": 10})
}

/// An amount of VND.
pub fn vnd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "VND"})
}

/// A fresh id.
pub fn id() -> Uuid {
    random::id()
}

/// A fresh key for a guest.
pub fn key() -> String {
    random::opaque_id().to_string()
}

/// How to pay.
pub fn by_payos() -> Value {
    json!({"provider": "payos", "return_url": "https://shop.test/back"})
}

/// Tries until there is a result.
///
/// # Panics
/// If there is none after a minute.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1200 {
        if let Some(result) = attempt().await {
            return result;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within a minute");
}

impl Shop {
    /// Puts a show on sale, with one class; comes back once it can be bought.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn on_sale(&self, price: i64, capacity: i64, pay_within_s: i64) -> OnSale {
        let class = id();
        let show = self.on_sale_with(show_body(), &[(class, class_body(price, capacity))], pay_within_s).await;
        OnSale { show, class, price }
    }

    /// Puts a show on sale; comes back once it can be bought.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn on_sale_with(&self, body: Value, classes: &[NewClass], pay_within_s: i64) -> Uuid {
        self.published(body, classes, &json!({"pay_within_s": pay_within_s})).await
    }

    /// Publishes a show with this configuration; comes back once it can be bought.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn published(&self, body: Value, classes: &[NewClass], configuration: &Value) -> Uuid {
        let show = id();
        self.published_as(show, body, classes, configuration).await;
        show
    }

    /// The same with an id that was chosen.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn published_as(&self, show: Uuid, body: Value, classes: &[NewClass], configuration: &Value) {
        self.approved_with(show, body, classes, configuration).await;
        self.organizer().post(&format!("/v1/shows/{show}/publish"), &json!({})).await.is(200);
        self.until_open(show, classes).await;
    }

    /// A show that only has to be published.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn approved(&self, body: Value, classes: &[NewClass], pay_within_s: i64) -> Uuid {
        let show = id();
        self.approved_with(show, body, classes, &json!({"pay_within_s": pay_within_s})).await;
        show
    }

    async fn approved_with(&self, show: Uuid, body: Value, classes: &[NewClass], configuration: &Value) {
        let organizer = self.organizer();
        organizer.put(&format!("/v1/shows/{show}"), &body).await.is(201);
        for (class, body) in classes {
            organizer.put(&format!("/v1/shows/{show}/ticket-classes/{class}"), body).await.is(201);
        }
        organizer.post(&format!("/v1/shows/{show}/configure"), configuration).await.is(200);
        self.admin().post(&format!("/v1/shows/{show}/approve"), &json!({})).await.is(200);
    }

    /// The saga opens the sale: until then a capacity change is refused. The same capacity again changes nothing.
    async fn until_open(&self, show: Uuid, classes: &[NewClass]) {
        let Some((class, body)) = classes.first() else { return };
        let (organizer, path) = (self.organizer(), format!("/v1/shows/{show}/ticket-classes/{class}/capacity"));
        let same = json!({"capacity": body["capacity"]});
        eventually("the sale opens", async || (organizer.post(&path, &same).await.status == 200).then_some(())).await;
    }

    /// Waits until the order has an open payment and gives the sandbox's id of it.
    ///
    /// # Panics
    /// If none comes.
    pub async fn payment_page(&self, order: Uuid, holder: &Client) -> String {
        let path = format!("/v1/orders/{order}?until=awaiting_payment");
        let answer = holder.get_waiting(&path, 30).await.is(200);
        link_of(&answer.body["payments"][0]).unwrap_or_else(|| panic!("no page in {answer:#?}"))
    }

    /// Tells the sandbox what to do with a payment.
    ///
    /// # Panics
    /// If the sandbox refuses.
    pub async fn script(&self, link: &str, script: &Value) {
        self.sandbox.put(&format!("/_control/payments/{link}/script"), script).await.is(200);
    }

    /// Pays at the sandbox.
    ///
    /// # Panics
    /// If the sandbox refuses.
    pub async fn pay(&self, link: &str, body: &Value) {
        self.sandbox.post(&format!("/_control/payments/{link}/pay"), body).await.is(200);
    }

    /// A payment as the sandbox has it.
    ///
    /// # Panics
    /// If it has none.
    pub async fn at_provider(&self, link: &str) -> Value {
        self.sandbox.get(&format!("/_control/payments/{link}")).await.is(200).body
    }

    /// Waits until the order has this status, or another final one.
    ///
    /// # Panics
    /// If it has another status by then.
    pub async fn until(&self, order: Uuid, holder: &Client, status: &str) -> Answer {
        let path = format!("/v1/orders/{order}?until={status}");
        let answer = holder.get_waiting(&path, 30).await.is(200);
        assert_eq!(answer.body["status"], status, "{answer:#?}");
        answer
    }

    /// Waits until the order is as wanted.
    ///
    /// # Panics
    /// If it is not after a minute.
    pub async fn order_when(&self, order: Uuid, holder: &Client, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/orders/{order}");
        let mut last = Value::Null;
        for _ in 0..600 {
            last = holder.get(&path).await.body;
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: not within a minute: {last:#}");
    }

    /// What is left of a class, by its owner: what its stock is at this moment.
    ///
    /// # Panics
    /// If the show is not on sale.
    pub async fn stock(&self, sale: &OnSale, capacity: i64) -> (i64, i64, i64) {
        let path = format!("/v1/shows/{}/ticket-classes/{}/capacity", sale.show, sale.class);
        let answer = self.organizer().post(&path, &json!({"capacity": capacity})).await.is(200);
        let number = |field: &str| answer.body[field].as_i64().expect("a number");
        (number("reserved"), number("sold"), number("available"))
    }
}

/// The sandbox's id of a payment in an order.
pub fn link_of(payment: &Value) -> Option<String> {
    payment["url"].as_str()?.rsplit('/').next().map(str::to_owned)
}

impl OnSale {
    /// The body of an order of so many tickets.
    pub fn order(&self, quantity: i32) -> Value {
        let mut body = json!({
            "show": self.show,
            "lines": [{"ticket_class": self.class, "quantity": quantity, "unit_price": vnd(self.price)}],
            "buyer": {"name": "Nguyễn Văn A", "email": "a@example.com"}
        });
        if self.price > 0 {
            body["payment"] = by_payos();
        }
        body
    }

    /// Places an order as a guest; gives the order's id, the holder's client and the answer.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn buy(&self, world: &Shop, quantity: i32) -> (Uuid, Client, Answer) {
        let order = id();
        let answer = world.client.put_with(&format!("/v1/orders/{order}"), &key(), &self.order(quantity)).await.is(201);
        let holder = world.client.with(&answer.text("access_token")).since(&answer);
        (order, holder, answer)
    }

    /// Places an order as a guest and waits for its page; gives the order's id, the holder's client and the page's id.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn buy_to_page(&self, world: &Shop, quantity: i32) -> (Uuid, Client, String) {
        let (order, holder, _) = self.buy(world, quantity).await;
        let link = world.payment_page(order, &holder).await;
        (order, holder, link)
    }

    /// What the read side says is left: reserved, sold, available.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn availability(&self, world: &Shop) -> (i64, i64, i64) {
        let answer = world.client.get(&format!("/v1/shows/{}/availability", self.show)).await.is(200);
        let number = |field: &str| answer.body["classes"][0][field].as_i64().expect("a number");
        (number("reserved"), number("sold"), number("available"))
    }
}
