//! The steps of a purchase, so that tests say only what is special.

use domain::value::Role;
use serde_json::{Value, json};
use service_kit::random;
use uuid::Uuid;

use crate::client::{Answer, Client};
use crate::world::World;

/// A show on sale.
#[derive(Debug, Clone)]
pub struct OnSale {
    /// The show.
    pub show: Uuid,
    /// Its class.
    pub class: Uuid,
    /// What one ticket costs, VND.
    pub price: i64,
}

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
    json!({"name": "GA", "price": {"amount": price, "currency": "VND"}, "capacity": capacity, "max_per_order": 10})
}

/// A fresh id.
pub fn id() -> Uuid {
    random::id()
}

impl World {
    /// Puts a show on sale, with one class; comes back once it can be bought.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn on_sale(&self, price: i64, capacity: i64, pay_within_s: i64) -> OnSale {
        let (organizer, admin) = (self.organizer(), self.admin());
        let (show, class) = (id(), id());
        organizer.put(&format!("/v1/shows/{show}"), &show_body()).await.is(201);
        let path = format!("/v1/shows/{show}/ticket-classes/{class}");
        organizer.put(&path, &class_body(price, capacity)).await.is(201);
        let configuration = json!({"pay_within_s": pay_within_s});
        organizer.post(&format!("/v1/shows/{show}/configure"), &configuration).await.is(200);
        admin.post(&format!("/v1/shows/{show}/approve"), &json!({})).await.is(200);
        organizer.post(&format!("/v1/shows/{show}/publish"), &json!({})).await.is(200);
        // The saga opens the sale: a capacity change is refused until it has.
        for _ in 0..200 {
            let same = organizer.post(&format!("{path}/capacity"), &json!({"capacity": capacity})).await;
            if same.status == 200 {
                return OnSale { show, class, price };
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("the sale does not open");
    }

    /// A buyer with an account.
    pub fn buyer(&self, name: &str) -> Client {
        self.as_account(name, &[Role::Buyer])
    }
}

impl OnSale {
    /// The body of an order of so many tickets.
    pub fn order(&self, quantity: i32) -> Value {
        let mut body = json!({
            "show": self.show,
            "lines": [{"ticket_class": self.class, "quantity": quantity, "unit_price": {"amount": self.price, "currency": "VND"}}],
            "buyer": {"name": "Nguyễn Văn A", "email": "a@example.com"}
        });
        if self.price > 0 {
            body["payment"] = json!({"provider": "payos", "return_url": "https://shop.test/back"});
        }
        body
    }

    /// Places an order as a guest; gives the order's id, the holder's client and the answer.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn buy(&self, world: &World, quantity: i32) -> (Uuid, Client, Answer) {
        let order = id();
        let key = id().to_string();
        let answer = world.client.put_with(&format!("/v1/orders/{order}"), &key, &self.order(quantity)).await.is(201);
        let holder = world.client.with(&answer.text("access_token"));
        (order, holder, answer)
    }
}

impl World {
    /// Waits until the order has an open payment and gives the sandbox's id of it.
    ///
    /// # Panics
    /// If none comes.
    pub async fn payment_page(&self, order: Uuid, holder: &Client) -> String {
        let path = format!("/v1/orders/{order}?until=awaiting_payment");
        let answer = holder.get_waiting(&path, 20).await.is(200);
        let url = answer.body["payments"][0]["url"].as_str().unwrap_or_else(|| panic!("no page in {answer:#?}")).to_owned();
        url.rsplit('/').next().expect("a page has a last part").to_owned()
    }

    /// Pays at the sandbox.
    ///
    /// # Panics
    /// If the sandbox refuses.
    pub async fn pay(&self, link: &str, body: &Value) {
        self.sandbox.post(&format!("/_control/payments/{link}/pay"), body).await.is(200);
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
}
