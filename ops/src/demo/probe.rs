//! Asks every partition again and again for something that changes nothing, as a client would, to see how long none
//! answers.
//!
//! A show of each partition is created; sending it once more is decided by that partition's owner and writes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::ids::ShowId;
use event_log::partition::partition_of;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use service_kit::{clock, random};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::shop::{Ask, Shop};

/// Between two questions.
const STEP: Duration = Duration::from_millis(25);
/// An answer that takes longer counts as none.
const ANSWER: Duration = Duration::from_secs(10);
/// A partition answers again within so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A show of each partition.
#[derive(Debug, Clone)]
pub struct Probe {
    http: reqwest::Client,
    urls: Arc<Vec<String>>,
    bearer: String,
}

/// For how long the partitions did not answer, at the longest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silence(BTreeMap<usize, Duration>);

impl Silence {
    /// The longest of all.
    pub fn longest(&self) -> Duration {
        self.0.values().copied().max().unwrap_or_default()
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.iter().map(|(at, time)| format!("{at}: {:.2}", time.as_secs_f64())).collect();
        write!(f, "every partition answered again within {:.2} s ({})", self.longest().as_secs_f64(), each.join(", "))
    }
}

/// A probe at work.
#[derive(Debug)]
pub struct Probing {
    stop: CancellationToken,
    asking: JoinSet<anyhow::Result<(usize, Duration)>>,
}

impl Probe {
    /// Creates the shows through this front door.
    ///
    /// # Errors
    /// One is refused.
    pub async fn set(shop: &Shop, base: &str, bearer: &str, partitions: u32) -> anyhow::Result<Self> {
        let mut urls = Vec::new();
        for partition in 0..partitions {
            let path = format!("/v1/shows/{}", show_of(partition, partitions));
            let body = body();
            let ask = Ask {
                method: Some(&Method::PUT),
                path: &path,
                body: Some(&body),
                bearer: Some(bearer),
                ..Ask::default()
            };
            let answer = shop.ask(ask).await?;
            if !answer.status.is_success() {
                bail!("a show to probe with is refused: {} {}", answer.status, answer.body);
            }
            urls.push(format!("{base}{path}"));
        }
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER).build().context("make an HTTP client")?;
        Ok(Self { http, urls: Arc::new(urls), bearer: bearer.to_owned() })
    }

    /// Begins to ask.
    pub fn start(&self) -> Probing {
        let (stop, mut asking) = (CancellationToken::new(), JoinSet::new());
        for (at, url) in self.urls.iter().enumerate() {
            let (probe, url, stop) = (self.clone(), url.clone(), stop.clone());
            asking.spawn(async move { probe.ask(&url, &stop).await.map(|longest| (at, longest)) });
        }
        Probing { stop, asking }
    }

    /// The longest time that passed until an answer came.
    async fn ask(&self, url: &str, stop: &CancellationToken) -> anyhow::Result<Duration> {
        let body = body();
        let mut longest = Duration::ZERO;
        while !stop.is_cancelled() {
            let since = clock::monotonic();
            while !self.answers(url, &body).await? {
                if since.elapsed() >= PATIENCE {
                    bail!("{url} does not answer again within {} s", PATIENCE.as_secs());
                }
                sleep(STEP).await;
            }
            longest = longest.max(since.elapsed());
            sleep(STEP).await;
        }
        Ok(longest)
    }

    async fn answers(&self, url: &str, body: &Value) -> anyhow::Result<bool> {
        match self.http.put(url).bearer_auth(&self.bearer).json(body).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(true),
            Ok(answer) if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS => {
                Ok(false)
            }
            Ok(answer) => bail!("a show that was sent once more got {}", answer.status()),
            Err(_) => Ok(false),
        }
    }
}

impl Probing {
    /// Ends it, once every partition has answered the last question.
    ///
    /// # Errors
    /// One does not answer again.
    pub async fn end(mut self) -> anyhow::Result<Silence> {
        self.stop.cancel();
        let mut silence = Silence::default();
        while let Some(asked) = self.asking.join_next().await {
            let (at, longest) = asked.context("a probe panicked")??;
            silence.0.insert(at, longest);
        }
        Ok(silence)
    }
}

fn show_of(partition: u32, partitions: u32) -> ShowId {
    loop {
        let show = random::id();
        if partition_of(show, partitions) == partition {
            return ShowId(show);
        }
    }
}

fn body() -> Value {
    json!({
        "name": "Probe", "starts_at": "2030-01-01T12:00:00Z", "time_zone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Nowhere"}, "currency": "VND"
    })
}
