//! How a careful client app speaks to the shop: it waits when asked to, and repeats what is in doubt by the same key.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use check::history::{Begun, Recorder};
use futures::{Stream, StreamExt as _, stream};
use reqwest::{Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use service_kit::random;
use tokio::time::{Instant, sleep, timeout};

/// A request is repeated for so long.
const PATIENCE: Duration = Duration::from_secs(90);
/// An answer has to come within so long, beside what it was asked to wait.
const ANSWER: Duration = Duration::from_secs(20);
/// A stream says something, if only a comment, within so long.
const SILENCE: Duration = Duration::from_secs(45);
/// What a `Retry-After` may ask at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Events with their names and data, until the stream ends or says nothing for too long.
pub type EventStream = Pin<Box<dyn Stream<Item = (String, String)> + Send>>;

/// The shop, or its payment provider. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shop {
    http: reqwest::Client,
    base: String,
    /// What clients had to put up with.
    pub troubles: Arc<Troubles>,
    recorder: Option<Recorder>,
}

/// What clients had to put up with.
#[derive(Debug, Default)]
pub struct Troubles {
    /// Answers that said: in doubt, repeat with the same key.
    pub in_doubt: AtomicU64,
    /// Other answers that said: later (429, 502, 503, 504).
    pub busy: AtomicU64,
    /// Connections that broke, and answers that never came.
    pub broken: AtomicU64,
    /// Answers that had been given before to the same key.
    pub replayed: AtomicU64,
}

/// One request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// The method; GET if left out.
    pub method: Option<&'a Method>,
    /// The path with its query.
    pub path: &'a str,
    /// JSON.
    pub body: Option<&'a Value>,
    /// The idempotency key.
    pub key: Option<&'a str>,
    /// Who asks.
    pub bearer: Option<&'a str>,
    /// The queue ticket of who waits.
    pub ticket: Option<&'a str>,
    /// The checkout token of who was admitted.
    pub checkout: Option<&'a str>,
    /// A consistency token: see at least that write.
    pub after: Option<&'a str>,
    /// Seconds that the answer may wait for.
    pub wait_s: u32,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body; null if it is no JSON.
    pub body: Value,
    /// The consistency token of a write.
    pub token: Option<String>,
}

impl Answer {
    /// The body of a 2xx.
    ///
    /// # Errors
    /// Another status, or another shape.
    pub fn read<T: DeserializeOwned>(self) -> anyhow::Result<T> {
        if !self.status.is_success() {
            bail!("{} {}", self.status, self.body);
        }
        serde_json::from_value(self.body).context("the answer has another shape than promised")
    }

    /// Whether it is the problem of this name.
    pub fn is(&self, problem: &str) -> bool {
        self.body["type"].as_str().is_some_and(|name| name.strip_prefix("/problems/") == Some(problem))
    }
}

/// Why it has to be asked again, and when.
struct Again(Duration, String);

impl Shop {
    /// A client of the server at this address.
    ///
    /// # Errors
    /// No TLS provider is installed.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none());
        let http = http.build().context("make an HTTP client")?;
        Ok(Self { http, base: base.to_owned(), troubles: Arc::default(), recorder: None })
    }

    /// The same shop, and every write and what it was answered is written down.
    #[must_use]
    pub fn recorded(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Writes down that this is about to be asked, if it is a write or about tickets.
    fn begin(&self, ask: Ask<'_>) -> Option<Begun> {
        let method = ask.method.unwrap_or(&Method::GET);
        let tells = *method != Method::GET || ask.path.ends_with("/tickets");
        let recorder = self.recorder.as_ref().filter(|_| tells)?;
        // Whoever has no account is a guest, and known by the key.
        let client = if ask.bearer.is_some() { "account" } else { "guest" };
        let begun = recorder.begin(client, method.as_str(), ask.path, ask.key, ask.body);
        Some(begun.with_checkout_token(ask.checkout))
    }

    /// Asks until there is an answer that says something.
    ///
    /// # Errors
    /// There is none within 90 s.
    pub async fn ask(&self, ask: Ask<'_>) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(100);
        loop {
            let Again(asked, why) = match self.once(ask).await {
                Ok(answer) => return Ok(answer),
                Err(again) => again,
            };
            if Instant::now() >= deadline {
                bail!("{} {}: {why}", ask.method.unwrap_or(&Method::GET), ask.path);
            }
            let jitter = Duration::from_millis(random::below(100));
            sleep(asked.clamp(pause, LONGEST_PAUSE) + jitter).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// GET.
    ///
    /// # Errors
    /// No answer, or another one than 200 of this shape.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, bearer: Option<&str>) -> anyhow::Result<T> {
        let answer = self.ask(Ask { path, bearer, ..Ask::default() }).await?;
        answer.read().with_context(|| format!("GET {path}"))
    }

    /// Opens a stream of events.
    ///
    /// # Errors
    /// No answer, or another one than 200.
    pub async fn events(&self, path: &str) -> anyhow::Result<EventStream> {
        let request = self.http.get(format!("{}{path}", self.base));
        let response = tokio::time::timeout(ANSWER, request.send()).await.context("open a stream")?;
        let response = response.map_err(reqwest::Error::without_url).context("open a stream")?;
        if response.status() != StatusCode::OK {
            bail!("a stream was answered with {}", response.status());
        }
        let bytes = response.bytes_stream().map(|piece| piece.map(|bytes| bytes.to_vec()).ok());
        let pieces = bytes.take_while(|piece| std::future::ready(piece.is_some())).filter_map(std::future::ready);
        Ok(Box::pin(stream::unfold((Box::pin(pieces), Vec::new()), next_event)))
    }

    async fn once(&self, ask: Ask<'_>) -> Result<Answer, Again> {
        let broke = |error: reqwest::Error| {
            self.troubles.broken.fetch_add(1, Ordering::Relaxed);
            Again(Duration::ZERO, error.without_url().to_string())
        };
        let begun = self.begin(ask);
        let response = self.request(ask).send().await.map_err(broke)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let body = response.bytes().await.map_err(broke)?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let answer = Answer { status, body, token: text("consistency-token").map(str::to_owned) };
        let replayed = text("idempotency-replayed").is_some();
        if let Some(begun) = begun {
            begun.answered(status.as_u16(), answer.token.as_deref(), replayed, &answer.body);
        }
        if replayed {
            self.troubles.replayed.fetch_add(1, Ordering::Relaxed);
        }
        if !later(&answer) {
            return Ok(answer);
        }
        let count = if answer.is("in-doubt") { &self.troubles.in_doubt } else { &self.troubles.busy };
        count.fetch_add(1, Ordering::Relaxed);
        let asked =
            text("retry-after").and_then(|seconds| seconds.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
        Err(Again(asked, format!("{status} {}", answer.body)))
    }

    fn request(&self, ask: Ask<'_>) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.base, ask.path);
        let timeout = ANSWER + Duration::from_secs(u64::from(ask.wait_s));
        let mut request = self.http.request(ask.method.unwrap_or(&Method::GET).clone(), url).timeout(timeout);
        if let Some(bearer) = ask.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let headers = [
            ("idempotency-key", ask.key),
            ("queue-ticket", ask.ticket),
            ("checkout-token", ask.checkout),
            ("consistency-token", ask.after),
        ];
        for (name, value) in headers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request = request.header(name, value);
        }
        if ask.wait_s > 0 {
            request = request.header("prefer", format!("wait={}", ask.wait_s));
        }
        match ask.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

/// A stream's next event, out of the pieces it comes in; comments and what is no event are skipped.
async fn next_event<S>((mut pieces, mut read): (S, Vec<u8>)) -> Option<((String, String), (S, Vec<u8>))>
where
    S: Stream<Item = Vec<u8>> + Unpin,
{
    loop {
        if let Some(end) = read.windows(2).position(|two| two == b"\n\n") {
            let rest = read.split_off(end + 2);
            let text = String::from_utf8_lossy(&std::mem::replace(&mut read, rest)).into_owned();
            let of =
                |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
            if let Some(data) = of("data:") {
                return Some(((of("event:").unwrap_or_default(), data), (pieces, read)));
            }
            continue;
        }
        let piece = timeout(SILENCE, pieces.next()).await.ok()??;
        read.extend(piece);
    }
}

/// Whether the answer says no more than: ask again.
fn later(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 429 | 502 | 503 | 504) || answer.is("request-in-progress")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_read_whatever_pieces_they_come_in() {
        let sent = b": hello\n\nevent: status\ndata: {\"a\":1}\n\nretry: 5\n\nevent:status\ndata:2\n\nevent: cut";
        for size in [1, 3, 1000] {
            let pieces: Vec<Vec<u8>> = sent.chunks(size).map(<[u8]>::to_vec).collect();
            let events = stream::unfold((stream::iter(pieces), Vec::new()), next_event);
            let events: Vec<(String, String)> = events.collect().await;
            let expected =
                [("status", "{\"a\":1}"), ("status", "2")].map(|(name, data)| (name.to_owned(), data.to_owned()));
            assert_eq!(events, expected, "{size}");
        }
    }
}
