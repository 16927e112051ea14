//! Webhooks on their way: one record each, tried until a 2xx comes back or the schedule ends.
//!
//! PayOS publishes no schedule; ours is 1 s, 5 s, 30 s, 2 min and 10 min after the first try. Waiting goes by the
//! sandbox's clock, so that moving the clock makes due deliveries happen.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::app::App;
use crate::clock;

/// Where webhooks go and how often they are tried.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// The URL, once one is known.
    pub url: Option<String>,
    /// The pauses before each further try.
    pub retry_ms: Vec<u64>,
    /// How long one try may take.
    pub timeout_ms: u64,
}

impl Default for Target {
    fn default() -> Self {
        Self { url: None, retry_ms: vec![1_000, 5_000, 30_000, 120_000, 600_000], timeout_ms: 10_000 }
    }
}

/// One webhook and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Its number, given when it is added.
    pub id: u64,
    /// The order code that it speaks of.
    pub order_code: i64,
    /// The transfer that it reports.
    pub reference: String,
    /// The exact body.
    pub body: String,
    /// When the next try is due, by the sandbox's clock.
    pub due: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Every try so far.
    pub attempts: Vec<Attempt>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A try is still to come.
    Waiting,
    /// A 2xx came back.
    Delivered,
    /// The schedule ended without one.
    GivenUp,
    /// The script says never.
    Suppressed,
}

impl State {
    /// Its name in the control API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::Suppressed => "suppressed",
        }
    }
}

/// One try.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began, by the sandbox's clock.
    pub at: Timestamp,
    /// The HTTP status that came back, if one did.
    pub status: Option<u16>,
    /// Why none came back.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// All deliveries by number.
#[derive(Default)]
pub struct Deliveries {
    by_id: BTreeMap<u64, Delivery>,
    by_order: HashMap<i64, Vec<u64>>,
}

impl Deliveries {
    /// Numbers a new delivery and keeps it.
    pub fn add(&mut self, mut delivery: Delivery) -> Delivery {
        delivery.id = self.by_id.last_key_value().map_or(1, |(id, _)| id + 1);
        self.put(delivery.clone());
        delivery
    }

    /// Keeps a delivery under its number.
    pub fn put(&mut self, delivery: Delivery) {
        let (id, order_code) = (delivery.id, delivery.order_code);
        if self.by_id.insert(id, delivery).is_none() {
            self.by_order.entry(order_code).or_default().push(id);
        }
    }

    /// One delivery.
    pub fn get(&self, id: u64) -> Option<&Delivery> {
        self.by_id.get(&id)
    }

    /// One delivery, to change.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Delivery> {
        self.by_id.get_mut(&id)
    }

    /// Those of one order code, oldest first.
    pub fn of_order(&self, order_code: i64) -> impl Iterator<Item = &Delivery> {
        let ids = self.by_order.get(&order_code).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.by_id.get(id))
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Delivery> {
        self.by_id.values()
    }

    /// Those with a number above `after`, oldest first.
    pub fn after(&self, after: u64) -> impl Iterator<Item = &Delivery> {
        self.by_id.range(after.saturating_add(1)..).map(|(_, delivery)| delivery)
    }
}

/// Takes up what an earlier run left waiting.
pub fn resume(app: &Arc<App>) {
    let books = app.books();
    let waiting: Vec<u64> =
        books.deliveries().iter().filter(|delivery| delivery.state == State::Waiting).map(|d| d.id).collect();
    drop(books);
    for id in waiting {
        start(app, id);
    }
}

/// Begins a delivery in the background; the receiver fires after its first try.
pub fn start(app: &Arc<App>, id: u64) -> oneshot::Receiver<()> {
    let (first, tried) = oneshot::channel();
    let task_app = Arc::clone(app);
    app.spawn(async move {
        step(&task_app, id).await;
        // Nobody has to listen.
        let _ = first.send(());
        while step(&task_app, id).await {}
    });
    tried
}

/// Waits for the next try and makes it; false when none is left.
async fn step(app: &App, id: u64) -> bool {
    let Some(delivery) = waiting(app, id) else { return false };
    app.clock.wait_until(delivery.due).await;
    let attempt = attempt(app, &delivery.body).await;
    record(app, id, attempt);
    true
}

fn waiting(app: &App, id: u64) -> Option<Delivery> {
    app.books().deliveries().get(id).filter(|delivery| delivery.state == State::Waiting).cloned()
}

async fn attempt(app: &App, body: &str) -> Attempt {
    let target = app.books().target().clone();
    let (at, start) = (app.clock.now(), clock::wall_now());
    let result = match &target.url {
        Some(url) => post(&app.http, url, body, Duration::from_millis(target.timeout_ms)).await,
        None => Err("no webhook URL is set".to_owned()),
    };
    Attempt { at, status: result.as_ref().ok().copied(), error: result.err(), took_ms: clock::elapsed_ms(start) }
}

/// Posts a body and returns the HTTP status, or why there is none.
pub async fn post(http: &reqwest::Client, url: &str, body: &str, timeout: Duration) -> Result<u16, String> {
    let request = http.post(url).header("content-type", "application/json").timeout(timeout).body(body.to_owned());
    match request.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
    }
}

fn record(app: &App, id: u64, attempt: Attempt) {
    let now = app.clock.now();
    let mut books = app.books();
    let retry_ms = books.target().retry_ms.clone();
    books.change_delivery(id, |delivery| {
        let pause_ms = retry_ms.get(delivery.attempts.len()).copied();
        delivery.state = match (attempt.status, pause_ms) {
            (Some(200..=299), _) => State::Delivered,
            (_, Some(_)) => State::Waiting,
            (_, None) => State::GivenUp,
        };
        delivery.due = clock::later_ms(now, pause_ms.unwrap_or(0));
        delivery.attempts.push(attempt);
    });
}
