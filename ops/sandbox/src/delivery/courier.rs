//! Carries notifications to the shop. Waiting goes by the sandbox's clock, so that moving the clock makes due
//! deliveries happen; each try is signed anew, because some signatures name the time of sending.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Url};
use tokio::sync::oneshot;

use super::{Attempt, Delivery, State};
use crate::app::App;
use crate::clock;
use crate::provider::{Protocol, Verdict};

const LONGEST_EXCERPT: usize = 200;

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
    let (attempt, verdict) = attempt(app, &delivery).await;
    record(app, &delivery, attempt, verdict);
    true
}

fn waiting(app: &App, id: u64) -> Option<Delivery> {
    app.books().deliveries().get(id).filter(|delivery| delivery.state == State::Waiting).cloned()
}

async fn attempt(app: &App, delivery: &Delivery) -> (Attempt, Verdict) {
    let target = app.books().targets().of(delivery.provider).clone();
    let protocol = delivery.provider.protocol();
    let (at, start) = (app.clock.now(), clock::wall_now());
    let timeout = Duration::from_millis(target.timeout_ms);
    let result = match delivery.url.as_ref().or(target.url.as_ref()) {
        Some(url) => send(app, protocol, delivery, url, timeout).await,
        None => Err("no webhook URL is set".to_owned()),
    };
    let mut attempt = Attempt { at, status: None, error: None, answer: None, took_ms: clock::elapsed_ms(start) };
    match result {
        Ok((status, body)) => {
            let verdict = protocol.judge(status, &body);
            attempt.status = Some(status);
            attempt.answer = (verdict != Verdict::Accepted).then(|| body.chars().take(LONGEST_EXCERPT).collect());
            (attempt, verdict)
        }
        Err(error) => {
            attempt.error = Some(error);
            (attempt, Verdict::Again)
        }
    }
}

async fn send(
    app: &App,
    protocol: &dyn Protocol,
    delivery: &Delivery,
    url: &str,
    timeout: Duration,
) -> Result<(u16, String), String> {
    let mut url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    if !delivery.query.is_empty() {
        let query = url.query().map_or_else(|| delivery.query.clone(), |before| format!("{before}&{}", delivery.query));
        url.set_query(Some(&query));
    }
    let mut request = match delivery.method.as_str() {
        "GET" => app.http.get(url),
        _ => json(app.http.request(Method::POST, url), &delivery.body),
    };
    for (name, value) in protocol.headers(app, delivery, app.clock.now()) {
        request = request.header(name, value);
    }
    answered(request.timeout(timeout)).await
}

/// Posts a JSON body and returns the HTTP status, or why there is none.
pub async fn post(http: &reqwest::Client, url: &str, body: &str, timeout: Duration) -> Result<u16, String> {
    answered(json(http.post(url), body).timeout(timeout)).await.map(|(status, _)| status)
}

fn json(request: RequestBuilder, body: &str) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_owned())
}

async fn answered(request: RequestBuilder) -> Result<(u16, String), String> {
    let told = |error: reqwest::Error| format!("{:#}", anyhow::Error::from(error));
    let response = request.send().await.map_err(told)?;
    let status = response.status().as_u16();
    Ok((status, response.text().await.map_err(told)?))
}

fn record(app: &App, tried: &Delivery, attempt: Attempt, verdict: Verdict) {
    let now = app.clock.now();
    let mut books = app.books();
    let retry_ms = books.targets().of(tried.provider).retry_ms.clone();
    books.change_delivery(tried.id, |delivery| {
        let pause_ms = retry_ms.get(delivery.attempts.len()).copied();
        delivery.state = match (verdict, pause_ms) {
            (Verdict::Accepted, _) => State::Delivered,
            (Verdict::Again, Some(_)) => State::Waiting,
            (Verdict::Again, None) | (Verdict::Refused, _) => State::GivenUp,
        };
        delivery.due = clock::later_ms(now, pause_ms.unwrap_or(0));
        delivery.attempts.push(attempt);
    });
}
