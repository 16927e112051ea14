//! A visitor of a waiting room, as an app would be one.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Client};
use crate::purchase::{OnSale, class_body, eventually, id, key, show_body};
use crate::shop::Shop;

/// Somebody with a place.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who it is: nobody, or an account.
    pub client: Client,
    /// What is waited for.
    pub show: Uuid,
    /// The place's name.
    pub session: String,
    /// The ordinal of joining.
    pub number: i64,
    /// The order of service, once it is known.
    pub place: Option<i64>,
    /// The newest queue ticket.
    pub ticket: String,
    /// The key it was joined with; it stands for a guest.
    pub key: String,
}

/// The settings of a room with so many slots, and rounds that follow each other quickly.
pub fn room(slots: i32) -> Value {
    json!({"enabled": true, "slots": slots, "admission_batch": 10, "tick_ms": 100, "enter_s": 60})
}

/// Settings with others in place of some.
#[must_use]
pub fn with(mut settings: Value, changes: &Value) -> Value {
    let changes = changes.as_object().expect("settings have names").clone();
    settings.as_object_mut().expect("settings have names").extend(changes);
    settings
}

impl Shop {
    /// Puts a show with one class and a waiting room on sale; whose saga is about to open the room.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn on_sale_with_room(&self, price: i64, capacity: i64, pay_within_s: i64, room: &Value) -> OnSale {
        let class = id();
        let configuration = json!({"pay_within_s": pay_within_s, "waiting_room": room});
        let classes = [(class, class_body(price, capacity))];
        let show = self.published(show_body(), &classes, &configuration).await;
        OnSale { show, class, price }
    }

    /// Joins a queue as a guest.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn join(&self, show: Uuid) -> Visitor {
        Visitor::join(&self.client, show, &key()).await.0
    }
}

impl Visitor {
    /// Joins a queue, again and again until the room is open; gives the answer, too.
    ///
    /// # Panics
    /// If that is refused, or takes a minute.
    pub async fn join(client: &Client, show: Uuid, key: &str) -> (Self, Answer) {
        let path = format!("/v1/shows/{show}/queue");
        let answer = eventually("the waiting room opens", async || {
            let answer = client.post_with(&path, key, &json!({})).await;
            let opening = answer.status == 409 && answer.header("retry-after").is_some();
            (!opening).then_some(answer)
        });
        let answer = answer.await;
        // An account's place may be there already under another key.
        assert!(matches!(answer.status.as_u16(), 200 | 201), "{answer:#?}");
        let place = Self {
            client: client.since(&answer),
            show,
            session: answer.text("session"),
            number: answer.body["number"].as_i64().expect("a number is an integer"),
            place: answer.body["place"].as_i64(),
            ticket: answer.text("queue_ticket"),
            key: key.to_owned(),
        };
        (place, answer)
    }

    /// Where the place is found.
    pub fn path(&self) -> String {
        format!("/v1/shows/{}/queue/{}", self.show, self.session)
    }

    /// A request with the queue ticket.
    pub fn request(&self, method: Method, of: &str) -> reqwest::RequestBuilder {
        self.client.request(method, &format!("{}{of}", self.path())).header("queue-ticket", &self.ticket)
    }

    /// Asks how the place stands, and keeps the fresh ticket.
    ///
    /// # Panics
    /// If the ticket is refused.
    pub async fn status(&mut self) -> Answer {
        let answer = self.look().await.is(200);
        self.ticket = answer.text("queue_ticket");
        let place = answer.body["place"].as_i64();
        assert!(self.place.is_none() || self.place == place, "a place never changes once it is known: {answer:#?}");
        self.place = place;
        answer
    }

    /// Waits until the order of service is known.
    ///
    /// # Panics
    /// If it is not after a minute.
    pub async fn until_known_place(&mut self) -> i64 {
        eventually("places are drawn", async || {
            self.status().await;
            self.place
        })
        .await
    }

    /// Asks how the place stands, whatever comes back.
    pub async fn look(&self) -> Answer {
        self.client.send(self.request(Method::GET, "")).await
    }

    /// Waits until the place has this status.
    ///
    /// # Panics
    /// If it has not after a minute, or ends otherwise.
    pub async fn until(&mut self, status: &str) -> Answer {
        let mut last = Value::Null;
        for _ in 0..1200 {
            let answer = self.status().await;
            if answer.body["status"] == status {
                return answer;
            }
            let ended = ["completed", "expired", "left"].iter().any(|end| answer.body["status"] == *end);
            assert!(!ended, "{status} is waited for, and it is {:#}", answer.body);
            last = answer.body;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {status} within a minute: {last:#}");
    }

    /// Enters, whatever comes back.
    pub async fn try_enter(&self) -> Answer {
        self.client.send(self.request(Method::POST, "/enter").json(&json!({}))).await
    }

    /// Enters, and gives the checkout token.
    ///
    /// # Panics
    /// If it may not.
    pub async fn enter(&self) -> String {
        self.try_enter().await.is(200).text("checkout_token")
    }

    /// Waits for admission, and enters.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn enter_in_turn(&mut self) -> String {
        self.until("admitted").await;
        self.enter().await
    }

    /// Gives the place up, whatever comes back.
    pub async fn try_leave(&self) -> Answer {
        self.client.send(self.request(Method::DELETE, "")).await
    }

    /// Gives the place up.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn leave(&self) {
        self.try_leave().await.is(204);
    }
}

impl OnSale {
    /// Sends an order with a checkout token, as a guest.
    pub async fn order_with(&self, client: &Client, token: &str, order: Uuid, key: &str, quantity: i32) -> Answer {
        let request = client.request(Method::PUT, &format!("/v1/orders/{order}")).header("idempotency-key", key);
        client.send(request.header("checkout-token", token).json(&self.order(quantity))).await
    }

    /// Places an order with a checkout token as a guest; gives the order's id, the holder's client and the answer.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn buy_with(&self, client: &Client, token: &str, quantity: i32) -> (Uuid, Client, Answer) {
        let order = id();
        let answer = self.order_with(client, token, order, &key(), quantity).await.is(201);
        let holder = client.with(&answer.text("access_token")).since(&answer);
        (order, holder, answer)
    }
}
