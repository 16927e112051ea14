//! Buying free tickets at one instance or another.

use std::time::Duration;

use domain::value::Role;
use event_log::partition::partition_of;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use service_kit::random;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::instance::{Installation, Instance, PARTITIONS, PATIENCE};

/// Clients of an installation.
pub struct Till {
    http: reqwest::Client,
    organizer: String,
    admin: String,
}

/// A free show on sale.
#[derive(Debug, Clone, Copy)]
pub struct OnSale {
    pub show: Uuid,
    pub class: Uuid,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A guest's order, which can be sent again.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: Uuid,
    pub key: String,
    pub body: Value,
}

impl Till {
    pub fn new(installation: &Installation) -> Self {
        let (organizer, admin) =
            (installation.token("organizer-1", Role::Organizer), installation.token("admin-1", Role::Admin));
        Self { http: reqwest::Client::new(), organizer, admin }
    }

    pub async fn send(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        key: &str,
        body: &Value,
    ) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, url).header("idempotency-key", key).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Answer::of(request.send().await?).await
    }

    /// Puts a show on sale that lies in this partition, and waits until it can be bought.
    pub async fn on_sale(&self, at: &Instance, partition: u32, capacity: i64) -> OnSale {
        self.on_sale_with(at, partition, capacity, json!({})).await
    }

    /// As `on_sale`, configured like this.
    pub async fn on_sale_with(&self, at: &Instance, partition: u32, capacity: i64, configuration: Value) -> OnSale {
        let show = id_in(partition);
        let class = random::id();
        let base = format!("{}/v1/shows/{show}", at.url);
        let steps = [
            (Method::PUT, base.clone(), show_body()),
            (Method::PUT, format!("{base}/ticket-classes/{class}"), class_body(capacity)),
            (Method::POST, format!("{base}/configure"), configuration),
            (Method::POST, format!("{base}/approve"), json!({})),
            (Method::POST, format!("{base}/publish"), json!({})),
        ];
        for (method, url, body) in steps {
            let token = if url.ends_with("approve") { &self.admin } else { &self.organizer };
            let answer = self.send(method, &url, Some(token), &key(), &body).await.unwrap();
            assert!(answer.status < 300, "{url}: {answer:#?}");
        }
        let sale = OnSale { show, class };
        let deadline = Instant::now() + PATIENCE;
        while self.reserved(at, sale, capacity).await.is_none() {
            assert!(Instant::now() < deadline, "the sale does not open");
            sleep(Duration::from_millis(50)).await;
        }
        sale
    }

    /// A guest joins the queue, with one key for one place.
    pub async fn join(&self, at: &Instance, sale: OnSale, key: &str) -> Answer {
        let url = format!("{}/v1/shows/{}/queue", at.url, sale.show);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.send(Method::POST, &url, None, key, &json!({})).await.unwrap();
            if answer.status == 201 {
                return answer;
            }
            // The room is about to open.
            assert!(answer.status == 409 && Instant::now() < deadline, "{answer:#?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Enters once admitted.
    pub async fn enter(&self, at: &Instance, sale: OnSale, joined: &Answer) -> Answer {
        let session = joined.body["session"].as_str().unwrap();
        let url = format!("{}/v1/shows/{}/queue/{session}/enter", at.url, sale.show);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ticket = joined.body["queue_ticket"].as_str().unwrap();
            let request = self.http.post(&url).header("queue-ticket", ticket).header("idempotency-key", key());
            let answer = Answer::of(request.json(&json!({})).send().await.unwrap()).await.unwrap();
            if answer.body["type"] != "/problems/not-admitted" {
                return answer;
            }
            assert!(Instant::now() < deadline, "{answer:#?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many tickets are held and sold, as the owner of the stock says; the same capacity again changes nothing.
    pub async fn reserved(&self, at: &Instance, sale: OnSale, capacity: i64) -> Option<i64> {
        let url = format!("{}/v1/shows/{}/ticket-classes/{}/capacity", at.url, sale.show, sale.class);
        let body = json!({"capacity": capacity});
        let answer = self.send(Method::POST, &url, Some(&self.organizer), &key(), &body).await.ok()?;
        (answer.status == 200)
            .then(|| answer.body["reserved"].as_i64().unwrap() + answer.body["sold"].as_i64().unwrap())
    }

    pub async fn place(&self, at: &Instance, order: &Order) -> reqwest::Result<Answer> {
        let url = format!("{}/v1/orders/{}", at.url, order.id);
        self.send(Method::PUT, &url, None, &order.key, &order.body).await
    }

    /// Waits until the whole saga of a free order is over: from then on it cannot be cancelled.
    pub async fn until_completed(&self, at: &Instance, order: &Order, access_token: &str) {
        let url = format!("{}/v1/orders/{}/cancel", at.url, order.id);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.send(Method::POST, &url, Some(access_token), &key(), &json!({})).await.unwrap();
            if answer.body["type"] == "/problems/already-paid" {
                return;
            }
            assert!(Instant::now() < deadline && answer.status != 200, "{answer:#?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Answer {
    async fn of(answer: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null);
        Ok(Self { status, headers, body })
    }
}

impl Order {
    /// One ticket, by an order that lies in this partition.
    pub fn of(sale: OnSale, partition: u32) -> Self {
        let line = json!({"ticket_class": sale.class, "quantity": 1, "unit_price": {"amount": 0, "currency": "VND"}});
        let buyer = json!({"name": "Lan", "email": "lan@example.org"});
        let body = json!({"show": sale.show, "lines": [line], "buyer": buyer});
        Self { id: id_in(partition), key: key(), body }
    }
}

fn show_body() -> Value {
    json!({
        "name": "Anh Trai", "starts_at": "2027-06-01T12:00:00Z", "time_zone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "My Dinh"}, "currency": "VND"
    })
}

fn class_body(capacity: i64) -> Value {
    json!({"name": "GA", "price": {"amount": 0, "currency": "VND"}, "capacity": capacity, "max_per_order": 10})
}

/// A fresh id that lies in this partition.
pub fn id_in(partition: u32) -> Uuid {
    std::iter::repeat_with(random::opaque_id).find(|id| partition_of(*id, PARTITIONS) == partition).unwrap()
}

/// A fresh key for a guest.
pub fn key() -> String {
    random::opaque_id().to_string()
}
