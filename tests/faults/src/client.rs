//! A client as an honest app is one: it repeats with the same key what is in doubt, waits as long as `Retry-After` says,
//! and writes down every call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use check::history::Recorder;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use service_kit::clock;

/// Nobody insists longer than this on one request.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// A connection that broke is tried again after so long.
const AGAIN: Duration = Duration::from_millis(200);
/// What is tolerated is tried again after so long.
const TOLERATED: Duration = Duration::from_secs(1);
/// No answer takes longer.
const ANSWER: Duration = Duration::from_secs(45);

/// What came of all calls together.
#[derive(Debug, Default)]
pub struct Counts {
    /// Writes that were promised.
    pub acknowledged: AtomicU64,
    /// Writes that were answered with `in-doubt`, or not at all.
    pub in_doubt: AtomicU64,
    /// Of those, connections that broke: an ordinary client knows nothing better than to fail.
    pub broken: AtomicU64,
    /// Requests that were turned away with `Retry-After`.
    pub turned_away: AtomicU64,
    /// Reads that had to be repeated.
    pub reads_again: AtomicU64,
    /// Refusals that are a fault's doing, and after which a client tries again: see [`Counts::tolerate`].
    tolerated: Mutex<Vec<&'static str>>,
    /// Refusals that are a fault's doing, and around which a client finds another way: see [`Counts::excuse`].
    excused: Mutex<Vec<&'static str>>,
}

/// What came of all calls together, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// As in [`Counts`].
    pub acknowledged: u64,
    /// As in [`Counts`].
    pub in_doubt: u64,
    /// As in [`Counts`].
    pub broken: u64,
    /// As in [`Counts`].
    pub turned_away: u64,
    /// As in [`Counts`].
    pub reads_again: u64,
}

impl Counts {
    /// From now on this problem is no answer: somebody whose clock is wrong calls good tokens expired, and whoever holds
    /// one knows better.
    pub fn tolerate(&self, problem: &'static str) {
        self.tolerated.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// From now on this problem breaks no promise, though asking again does not help.
    pub fn excuse(&self, problem: &'static str) {
        self.excused.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// Whether this answer was excused.
    pub(crate) fn excuses(&self, answer: &Answer) -> bool {
        self.excused.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|problem| answer.is(problem))
    }

    /// Problems from which nothing can be concluded.
    pub(crate) fn inconclusive(&self) -> Vec<&'static str> {
        let [tolerated, excused] = [&self.tolerated, &self.excused];
        let all = [tolerated, excused].map(|list| list.lock().unwrap_or_else(PoisonError::into_inner).clone());
        all.concat()
    }

    fn tolerates(&self, answer: &Answer) -> bool {
        self.tolerated.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|problem| answer.is(problem))
    }

    /// As it is now.
    pub fn now(&self) -> Counted {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            acknowledged: of(&self.acknowledged),
            in_doubt: of(&self.in_doubt),
            broken: of(&self.broken),
            turned_away: of(&self.turned_away),
            reads_again: of(&self.reads_again),
        }
    }
}

fn bump(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// One client: an account, or a guest.
#[derive(Debug, Clone)]
pub struct Caller {
    name: Arc<str>,
    http: reqwest::Client,
    base: Arc<str>,
    recorder: Recorder,
    counts: Arc<Counts>,
    bearer: Option<Arc<str>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// GET, if it is left out.
    pub method: Method,
    /// Where to.
    pub path: &'a str,
    /// What a repeat is recognised by.
    pub key: Option<&'a str>,
    /// The body.
    pub body: Option<&'a Value>,
    /// More headers.
    pub headers: &'a [(&'static str, &'a str)],
}

impl<'a> Ask<'a> {
    /// A read.
    pub fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, key: None, body: None, headers: &[] }
    }

    /// A write.
    pub fn write(method: Method, path: &'a str, key: &'a str, body: &'a Value) -> Self {
        Self { method, path, key: Some(key), body: Some(body), headers: &[] }
    }

    /// The same with more headers.
    #[must_use]
    pub fn with(self, headers: &'a [(&'static str, &'a str)]) -> Self {
        Self { headers, ..self }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: header::HeaderMap,
    /// The body; null if it is no JSON.
    pub body: Value,
}

impl Answer {
    /// Whether it is this problem.
    pub fn is(&self, problem: &str) -> bool {
        self.body["type"].as_str().and_then(|name| name.strip_prefix("/problems/")) == Some(problem)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn retry_after(&self) -> Option<Duration> {
        self.text("retry-after")?.parse().ok().map(Duration::from_secs)
    }
}

impl Caller {
    /// A guest of this name at an address.
    pub fn new(name: &str, http: &reqwest::Client, base: &str, recorder: &Recorder, counts: &Arc<Counts>) -> Self {
        Self {
            name: name.into(),
            http: http.clone(),
            base: base.into(),
            recorder: recorder.clone(),
            counts: Arc::clone(counts),
            bearer: None,
        }
    }

    /// The connections of so many clients.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn connections() -> anyhow::Result<reqwest::Client> {
        let builder = reqwest::Client::builder().no_proxy().timeout(ANSWER).connect_timeout(Duration::from_secs(5));
        Ok(builder.redirect(reqwest::redirect::Policy::none()).build()?)
    }

    /// The same client with a token.
    #[must_use]
    pub fn with(&self, bearer: &str) -> Self {
        Self { bearer: Some(bearer.into()), ..self.clone() }
    }

    /// The same client at another address.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.into(), ..self.clone() }
    }

    /// Asks once, and writes it down; nothing if the connection broke or nobody answered in time.
    pub async fn ask(&self, ask: &Ask<'_>) -> Option<Answer> {
        let begun = self.recorder.begin(&self.name, ask.method.as_str(), ask.path, ask.key, ask.body);
        let mut request = self.http.request(ask.method.clone(), format!("{}{}", self.base, ask.path));
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.ok()?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let answer = Answer { status, headers, body };
        let replayed = answer.text("idempotency-replayed") == Some("true");
        begun.answered(status.as_u16(), answer.text("consistency-token"), replayed, &answer.body);
        Some(answer)
    }

    /// Asks once, and counts what came of it.
    pub async fn counted(&self, ask: &Ask<'_>) -> Option<Answer> {
        let answer = self.ask(ask).await;
        let writes = ask.method != Method::GET;
        match &answer {
            None if writes => {
                bump(&self.counts.broken);
                bump(&self.counts.in_doubt);
            }
            Some(answer) if writes && answer.is("in-doubt") => bump(&self.counts.in_doubt),
            Some(answer) if answer.status == 503 || answer.status == 429 => bump(&self.counts.turned_away),
            Some(answer) if writes && answer.status.is_success() => bump(&self.counts.acknowledged),
            Some(answer) if answer.status.is_server_error() && !writes => bump(&self.counts.reads_again),
            None => bump(&self.counts.reads_again),
            Some(_) => {}
        }
        answer
    }

    /// Asks with the same key again and again, as long as that is what an honest client does: until it is promised or
    /// refused. A read is asked again also while it is not caught up.
    ///
    /// # Errors
    /// An answer that nobody can make sense of, or none within [`PATIENCE`].
    pub async fn insist(&self, ask: Ask<'_>) -> anyhow::Result<Answer> {
        let begun = clock::monotonic();
        loop {
            let answer = self.counted(&ask).await;
            let wait = match &answer {
                None => AGAIN,
                Some(answer) if self.counts.tolerates(answer) => TOLERATED,
                Some(answer) => match again(&ask, answer) {
                    Again::No => return Ok(answer.clone()),
                    Again::After(wait) => wait,
                    Again::Senseless => anyhow::bail!("{}: {answer:?} to {ask:?}", self.name),
                },
            };
            if begun.elapsed() + wait > PATIENCE {
                anyhow::bail!("{}: after {} s still {answer:?} to {ask:?}", self.name, begun.elapsed().as_secs());
            }
            tokio::time::sleep(wait).await;
        }
    }
}

enum Again {
    No,
    After(Duration),
    Senseless,
}

fn again(ask: &Ask<'_>, answer: &Answer) -> Again {
    let reads = ask.method == Method::GET;
    match (answer.status.as_u16(), answer.retry_after()) {
        (429 | 503, Some(wait)) => Again::After(wait),
        (409, Some(wait)) => Again::After(wait),
        // Without it nobody knows how long to wait: that is a defect.
        (429 | 503, None) => Again::Senseless,
        (504, _) if reads => Again::After(AGAIN),
        (500..=599, _) => Again::Senseless,
        _ => Again::No,
    }
}
