//! Shows put on sale, as an organizer and an admin would.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::value::Role;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use load::plan::Sale;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::{clock, random};
use tokio::time::sleep;

use super::installation::Installation;

/// A step may take so long.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(100);
/// Shows that are made at once.
const AT_ONCE: usize = 16;

/// What is to be sold.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// How many shows.
    pub shows: usize,
    /// Tickets of each.
    pub capacity: u64,
    /// Of one ticket, VND; 0: free.
    pub price: i64,
    /// Seconds that a buyer has to pay.
    pub pay_within_s: u64,
    /// In which line one has to wait, if in any.
    pub waiting_room: Option<Room>,
}

/// How a waiting room lets people through.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Who may be admitted or ordering at once.
    pub slots: u32,
    /// How many are admitted in one round at most.
    pub admission_batch: u32,
    /// Between two rounds.
    pub tick_ms: u64,
    /// To enter.
    pub enter_s: u32,
    /// To order.
    pub token_ttl_s: u32,
    /// Who is not there for so long has lost the place.
    pub away_grace_s: u32,
}

impl Room {
    /// As many as the generator can send: the line itself is measured, not what an organizer would let through.
    pub const WIDE: Self =
        Self { slots: 50_000, admission_batch: 400, tick_ms: 100, enter_s: 30, token_ttl_s: 120, away_grace_s: 120 };

    fn body(self) -> Value {
        json!({
            "enabled": true, "slots": self.slots, "admission_batch": self.admission_batch, "tick_ms": self.tick_ms,
            "enter_s": self.enter_s, "token_ttl_s": self.token_ttl_s, "away_grace_s": self.away_grace_s
        })
    }
}

/// Makes the shows and waits until all are on sale.
///
/// # Errors
/// A step is refused, or takes too long.
pub async fn open(site: &Installation, offer: Offer) -> anyhow::Result<Vec<Sale>> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    let organizer = Organizer {
        http: client,
        command: site.running().command_url(),
        query: site.running().query_url(),
        organizer: site.running().token("load-organizer", &[Role::Organizer])?,
        admin: site.running().token("load-admin", &[Role::Admin])?,
    };
    let all = stream::iter(0..offer.shows).map(|_| organizer.open(offer)).buffered(AT_ONCE);
    all.try_collect().await.context("put shows on sale")
}

struct Organizer {
    http: reqwest::Client,
    command: String,
    query: String,
    organizer: String,
    admin: String,
}

impl Organizer {
    async fn open(&self, offer: Offer) -> anyhow::Result<Sale> {
        let (show, ticket_class) = (random::id(), random::id());
        let path = format!("/v1/shows/{show}");
        let price = json!({"amount": offer.price, "currency": "VND"});
        let class = json!({"name": "GA", "price": price, "capacity": offer.capacity, "max_per_order": 10});
        let mut configured = json!({"pay_within_s": offer.pay_within_s});
        if let Some(room) = offer.waiting_room {
            configured["waiting_room"] = room.body();
        }
        let steps = [
            (Method::PUT, path.clone(), show_body(), &self.organizer),
            (Method::PUT, format!("{path}/ticket-classes/{ticket_class}"), class, &self.organizer),
            (Method::POST, format!("{path}/configure"), configured, &self.organizer),
            (Method::POST, format!("{path}/approve"), json!({}), &self.admin),
            (Method::POST, format!("{path}/publish"), json!({}), &self.organizer),
        ];
        for (method, path, body, bearer) in &steps {
            self.write(method, path, body, bearer).await?;
        }
        self.on_sale(&path).await?;
        Ok(Sale { show, ticket_class, price: offer.price })
    }

    async fn write(&self, method: &Method, path: &str, body: &Value, bearer: &str) -> anyhow::Result<()> {
        let (key, began) = (random::id().to_string(), clock::monotonic());
        loop {
            let request = self.http.request(method.clone(), format!("{}{path}", self.command)).bearer_auth(bearer);
            let answer = request.header("idempotency-key", &key).json(body).send().await;
            let said = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if answer.status().is_client_error() => {
                    bail!("{method} {path}: {} {}", answer.status(), answer.text().await.unwrap_or_default());
                }
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.to_string(),
            };
            ensure!(began.elapsed() < LIMIT, "{method} {path}: {said}");
            sleep(AGAIN).await;
        }
    }

    async fn on_sale(&self, path: &str) -> anyhow::Result<()> {
        let began = clock::monotonic();
        loop {
            let answer = self.http.get(format!("{}{path}/availability", self.query)).send().await;
            if let Ok(answer) = answer
                && let Ok(seen) = answer.json::<Value>().await
                && seen["classes"][0]["status"] == "on_sale"
            {
                return Ok(());
            }
            ensure!(began.elapsed() < LIMIT, "{path} is not on sale within {} s", LIMIT.as_secs());
            sleep(AGAIN).await;
        }
    }
}

fn show_body() -> Value {
    json!({
        "name": "Load", "starts_at": "2031-06-01T12:00:00Z", "ends_at": "2031-06-01T15:00:00Z",
        "time_zone": "Asia/Ho_Chi_Minh", "venue": {"name": "My Dinh", "city": "Hanoi"}, "currency": "VND",
        "categories": ["concert"]
    })
}
