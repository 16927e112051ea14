//! What stands between a connection and a handler: ids, logs, metrics, limits, and problems for everything that fails.

mod limits;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tracing::{Instrument as _, Span};
use utoipa::openapi::OpenApi;

use crate::challenge;
use crate::client_address::ClientAddress;
use crate::clock;
use crate::config::Http;
use crate::consistency;
use crate::idempotency;
use crate::operations::{self, Operations};
use crate::prefer::Wait;
use crate::problem::{Kind, Problem};
pub use crate::serve::{listen, serve};
use crate::spans;
use crate::trace::{self, REQUEST_ID, RequestId, Trace};

use self::limits::Limits;

/// An answer that takes so long is told of.
const SLOW: Duration = Duration::from_secs(1);

/// The whole service: the given routes and those every service has, behind everything that all requests go through.
///
/// Routes of several libraries may share it: merge them before, so that operations and documents are mounted once.
pub fn router(operations: Operations, limits: &Http, api: Router, openapi: OpenApi) -> Router {
    let limits = Arc::new(Limits::new(limits));
    // One layer, not one for each thing it does: every layer costs each request more than what is done in it.
    let operations = operations::router(operations, openapi).layer(middleware::from_fn_with_state(None, edge));
    operations.merge(api.layer(middleware::from_fn_with_state(Some(limits), edge)))
}

/// Names, logs and measures every request, keeps it within its limits, and makes every failure a problem. Query strings are
/// never looked at: they may hold tokens. Without limits (operations) a request is answered always.
async fn edge(State(limits): State<Option<Arc<Limits>>>, mut request: Request, next: Next) -> Response {
    let _slot = match limits.as_deref().map(|limits| limits.enter().ok_or(limits)) {
        None => None,
        Some(Ok(slot)) => Some(slot),
        Some(Err(full)) => {
            let id = RequestId::of(request.headers()).to_header();
            return finish(full.refuse(request.uri().path()), id);
        }
    };
    let known = trace::Known::of(request.headers());
    let uri = request.uri().clone();
    let mut record = Record::begin(&request, &known);
    hide_secrets(request.headers_mut());
    request.extensions_mut().insert(known.id.clone());
    request.extensions_mut().insert(known.trace);
    if let Some(limits) = limits.as_deref() {
        let client = ClientAddress::of(request.headers(), request.extensions(), limits.proxies);
        request.extensions_mut().insert(client);
    }
    let id = known.id.to_header();
    let limit = limits.as_deref().map(|limits| limits.timeout);
    let answered = trace::carrying(known, answer(limit, request, next)).instrument(record.span.clone());
    let response = as_problem(answered.await, uri.path());
    record.status = response.status().as_u16();
    if let Some(limits) = limits.as_deref() {
        limits.answered();
    }
    finish(response, id)
}

/// What every answer carries.
fn finish(mut response: Response, id: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whoever prints headers does not print these.
fn hide_secrets(headers: &mut HeaderMap) {
    static SECRET: [HeaderName; 6] = [
        AUTHORIZATION,
        COOKIE,
        HeaderName::from_static("checkout-token"),
        HeaderName::from_static("queue-ticket"),
        HeaderName::from_static(challenge::HEADER),
        HeaderName::from_static(idempotency::HEADER),
    ];
    for name in &SECRET {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
}

/// The answer within its time; a panic is one, too.
async fn answer(limit: Option<Duration>, request: Request, next: Next) -> Response {
    if limits::says_too_large(request.headers()) {
        return Problem::new(Kind::TooLarge).into_response();
    }
    let since = match consistency::written_after(request.method(), request.headers()) {
        Ok(since) => since,
        Err(problem) => return problem.into_response(),
    };
    let mut response = in_time(limit, request, next).await;
    if let Some(since) = since {
        since.is_covered_by(response.headers_mut());
    }
    response
}

async fn in_time(limit: Option<Duration>, request: Request, next: Next) -> Response {
    let Some(limit) = limit else { return panic_safe(request, next).await };
    let limit = limit + Wait::of(request.headers()).0;
    // A write that is given up may still take effect.
    let kind = if request.method().is_safe() { Kind::TimedOut } else { Kind::InDoubt };
    // A stream counts as answered once it begins.
    match tokio::time::timeout(limit, panic_safe(request, next)).await {
        Ok(response) => response,
        Err(_) => Problem::new(kind).into_response(),
    }
}

/// The panic itself is logged by the hook of `telemetry`.
async fn panic_safe(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        metrics::counter!("http_panics_total").increment(1);
        Problem::new(Kind::Internal).into_response()
    })
}

/// Puts the path into a problem, and makes one of any bare failure, such as the router's own 404 and 405.
fn as_problem(mut response: Response, path: &str) -> Response {
    let known = response.extensions_mut().remove::<Problem>();
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let problem = match known {
        Some(problem) => problem,
        None if failed && is_bare(response.headers()) => Problem::new(Kind::of_status(response.status())),
        None => return response,
    };
    let mut answer = problem.at(path).into_response();
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH && !answer.headers().contains_key(name) {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    answer
}

/// Whether an answer has no body that somebody shaped.
fn is_bare(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// What is told about a request when it ends; 499 if the client went away before.
struct Record {
    span: Span,
    /// Where the request is traced.
    step: Option<spans::Span>,
    started: Instant,
    method: &'static str,
    route: String,
    status: u16,
}

impl Record {
    fn begin(request: &axum::http::Request<Body>, known: &trace::Known) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.map_or("unmatched", MatchedPath::as_str).to_owned();
        let method = method_name(request.method());
        let span = tracing::info_span!("request", request.id = %known.id, trace.id = tracing::field::Empty, http.method = method, http.route = route);
        let mut step = None;
        if let Trace(Some(context)) = known.trace {
            span.record("trace.id", context.trace_id());
            if context.sampled {
                let parent = trace::incoming(request.headers()).map(|caller| caller.span);
                step = spans::Span::begin(context, parent, spans::Kind::Server, format!("{method} {route}"));
            }
        }
        if let Some(step) = &mut step {
            step.set("request.id", known.id.to_string());
        }
        Self { span, step, started: clock::monotonic(), method, route, status: 499 }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        if let Some(step) = &mut self.step {
            step.set("http.status", i64::from(self.status));
            if self.status >= 500 {
                step.fail("answered with a failure of ours");
            }
        }
        let labels = [("method", self.method.to_owned()), ("route", self.route.clone())];
        metrics::histogram!("http_request_duration_seconds", &labels).record(took.as_secs_f64());
        let status = self.status.to_string();
        metrics::counter!("http_requests_total", "method" => self.method, "route" => self.route.clone(), "status" => status)
            .increment(1);
        let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let _entered = self.span.enter();
        // Everything is counted; what went well is not told of one by one, because a rush would fill the disk.
        if self.status >= 500 || took >= SLOW {
            tracing::info!(http.status = self.status, latency_ms, "answered");
        } else {
            tracing::debug!(http.status = self.status, latency_ms, "answered");
        }
    }
}

/// One of a few names, so that clients cannot make up new labels.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests;
