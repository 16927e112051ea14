//! What stands between a connection and a handler: ids, logs, metrics, limits, and problems for everything that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tracing::{Instrument as _, Span};
use utoipa::openapi::OpenApi;

use crate::clock;
use crate::config::Http;
use crate::idempotency;
use crate::json::MAX_BODY;
use crate::operations::{self, Operations, QUIET};
use crate::prefer::Wait;
use crate::problem::{Kind, Problem};
pub use crate::serve::{listen, serve};
use crate::trace::{REQUEST_ID, RequestId, Trace};

/// The whole service: the given routes and those every service has, behind everything that all requests go through.
///
/// Routes of several libraries may share it: merge them before, so that operations and documents are mounted once.
pub fn router(operations: Operations, limits: &Http, api: Router, openapi: OpenApi) -> Router {
    let slots = Arc::new(Semaphore::new(limits.max_in_flight));
    let api = api
        .layer(middleware::from_fn_with_state(limits.request_timeout, deadline))
        .layer(middleware::from_fn_with_state(slots, admit));
    let secret = [AUTHORIZATION, COOKIE, header("checkout-token"), header("queue-ticket"), header(idempotency::HEADER)];
    operations::router(operations, openapi)
        .merge(api)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(bounded))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(SetSensitiveRequestHeadersLayer::new(secret))
        .layer(middleware::from_fn(observe))
}

fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// The panic itself was logged by the hook of `telemetry`.
fn panicked() -> Response {
    metrics::counter!("http_panics_total").increment(1);
    Problem::new(Kind::Internal).into_response()
}

/// Refuses a body that says itself that it is too large, before any of it is read.
async fn bounded(request: Request, next: Next) -> Response {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(length) if length > MAX_BODY => Problem::new(Kind::TooLarge).into_response(),
        _ => next.run(request).await,
    }
}

/// Refuses what is too much at once, instead of letting everybody wait.
async fn admit(State(slots): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match slots.try_acquire() {
        Ok(_slot) => next.run(request).await,
        Err(_) => {
            metrics::counter!("http_overloaded_total").increment(1);
            Problem::new(Kind::Overloaded).into_response()
        }
    }
}

/// Gives a request up that is not answered in time. A stream counts as answered once it begins.
async fn deadline(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let limit = limit + Wait::of(request.headers()).0;
    // A write that is given up may still take effect.
    let kind = if request.method().is_safe() { Kind::TimedOut } else { Kind::InDoubt };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(kind).into_response(),
    }
}

/// Names, logs and measures every request, and makes every failure a problem. Query strings are never looked at:
/// they may hold tokens.
async fn observe(mut request: Request, next: Next) -> Response {
    let (id, trace) = (RequestId::of(request.headers()), Trace::of(request.headers()));
    let path = request.uri().path().to_owned();
    let mut record = Record::begin(&request, &id, &trace);
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(trace);
    let response = next.run(request).instrument(record.span.clone()).await;
    let mut response = as_problem(response, &path);
    record.status = response.status().as_u16();
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.to_header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
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
    started: Instant,
    method: &'static str,
    route: String,
    status: u16,
}

impl Record {
    fn begin(request: &axum::http::Request<Body>, id: &RequestId, trace: &Trace) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.map_or("unmatched", MatchedPath::as_str).to_owned();
        let method = method_name(request.method());
        let span = tracing::info_span!("request", request.id = %id, trace.id = tracing::field::Empty, method, route);
        if let Trace(Some(context)) = trace {
            span.record("trace.id", format!("{:032x}", context.trace));
        }
        Self { span, started: clock::monotonic(), method, route, status: 499 }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let labels = [("method", self.method.to_owned()), ("route", self.route.clone())];
        metrics::histogram!("http_request_duration_seconds", &labels).record(took.as_secs_f64());
        let status = self.status.to_string();
        metrics::counter!("http_requests_total", "method" => self.method, "route" => self.route.clone(), "status" => status)
            .increment(1);
        let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let _entered = self.span.enter();
        if QUIET.contains(&self.route.as_str()) {
            tracing::debug!(status = self.status, latency_ms, "answered");
        } else {
            tracing::info!(status = self.status, latency_ms, "answered");
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
