//! What other instances, and operators, ask this one. Not part of the public interface.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::account::Account;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::payment::Payment;
use domain::queue::WaitingRoom;
use domain::root::Context;
use domain::show::Show;
use domain::ticket::TicketBatch;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use service_kit::clock;
use service_kit::problem::{Kind, Problem};
use service_kit::spans::{Kind as Step, Span};
use service_kit::trace::{self, REQUEST_ID, TRACEPARENT, TraceContext};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::peers::{COMMANDS, PARTITIONS};
use super::report::Report;
use super::signature::{self, InternalKey, Signed};
use super::wire::{self, Head, WireError};
use crate::owners::{Held, Owners};

/// More than any command of ours has; those of buyers are far smaller.
const MAX_COMMAND: usize = 1024 * 1024;
/// Commands of other instances that are under way here at once; more are turned away.
const AT_ONCE: usize = 4096;
/// Whatever it is, it is over by then.
const WITHIN: Duration = Duration::from_secs(20);

/// Answers other instances. Cheap to clone.
#[derive(Clone)]
pub struct Receiver(Arc<Inner>);

struct Inner {
    owners: Arc<Owners>,
    key: InternalKey,
    report: Box<dyn Fn() -> Report + Send + Sync>,
    slots: Semaphore,
}

impl Receiver {
    /// With the key that all instances share, and what to tell operators.
    pub fn new(owners: Arc<Owners>, key: InternalKey, report: impl Fn() -> Report + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { owners, key, report: Box::new(report), slots: Semaphore::new(AT_ONCE) }))
    }

    /// The routes. They stand beside the public ones, with limits of their own.
    pub fn routes(&self) -> Router {
        Router::new().route(COMMANDS, post(commands)).route(PARTITIONS, get(partitions)).with_state(self.clone())
    }

    /// The body of a request of ours.
    async fn body(&self, parts: &Parts, body: Body) -> Result<Bytes, Problem> {
        let body = to_bytes(body, MAX_COMMAND).await.map_err(|_| Problem::new(Kind::TooLarge))?;
        let signed = Signed { method: parts.method.as_str(), path: parts.uri.path(), body: &body };
        let header = parts.headers.get(signature::HEADER).and_then(|value| value.to_str().ok());
        self.0.key.verify(signed, header, clock::now().0 / 1000).map_err(|rejected| {
            metrics::counter!("boxoffice_internal_rejected_total").increment(1);
            tracing::warn!(reason = %rejected, http.path = parts.uri.path(), "a request that is not of another instance of ours");
            Problem::new(Kind::Unauthorized).detail("only for instances of this installation")
        })?;
        Ok(body)
    }

    async fn carry_out(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let _slot = self.0.slots.try_acquire().map_err(|_| Problem::new(Kind::Overloaded))?;
        let body = self.body(&parts, body).await?;
        let led_to = traced(&parts.headers, self.dispatch(&body)).instrument(span(&parts.headers)).await;
        led_to.map(|bytes| bytes.into_response()).or_else(|error| {
            tracing::error!(error = %error, "a command of another instance cannot be taken");
            Ok(match error {
                WireError::Shape => StatusCode::CONFLICT.into_response(),
                WireError::Undecodable(_) => StatusCode::BAD_REQUEST.into_response(),
            })
        })
    }

    async fn dispatch(&self, body: &[u8]) -> Result<Vec<u8>, WireError> {
        let (head, ask) = wire::decode_head(body)?;
        match head.context {
            Context::Catalog => self.ask::<Show>(head, ask).await,
            Context::Queue => self.ask::<WaitingRoom>(head, ask).await,
            Context::Inventory => self.ask::<Inventory>(head, ask).await,
            Context::Order => self.ask::<Order>(head, ask).await,
            Context::Payment => self.ask::<Payment>(head, ask).await,
            Context::Ticket => self.ask::<TicketBatch>(head, ask).await,
            Context::Account => self.ask::<Account>(head, ask).await,
        }
    }

    /// Asks an owner of ours, never another instance again.
    async fn ask<A: Held>(&self, head: Head, ask: &[u8]) -> Result<Vec<u8>, WireError> {
        let (target, request) = wire::decode_command::<A>(head, ask)?;
        Ok(wire::encode_outcome(self.0.owners.ask_here::<A>(target, request).await))
    }
}

async fn commands(State(receiver): State<Receiver>, request: Request) -> Response {
    match tokio::time::timeout(WITHIN, receiver.carry_out(request)).await {
        Ok(answered) => answered.unwrap_or_else(IntoResponse::into_response),
        Err(_) => Problem::new(Kind::Internal).into_response(),
    }
}

async fn partitions(State(receiver): State<Receiver>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(WITHIN, receiver.body(&parts, body)).await {
        Ok(Ok(_)) => axum::Json((receiver.0.report)()).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::new(Kind::TimedOut).into_response(),
    }
}

/// Carries a command out as a step of the recorded trace that it came with; the other instance decided that.
async fn traced<T>(headers: &HeaderMap, work: impl Future<Output = T>) -> T {
    let parent = text(headers, TRACEPARENT).and_then(TraceContext::parse).filter(|context| context.sampled);
    let Some(parent) = parent else { return work.await };
    let span = Span::below(Some(parent), Step::Server, "forwarded");
    trace::within(span.as_ref().map_or(parent, Span::context), work).await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What finds a command in the logs of both instances.
fn span(headers: &HeaderMap) -> tracing::Span {
    let span = tracing::info_span!("forwarded", request.id = tracing::field::Empty, trace.id = tracing::field::Empty);
    if let Some(id) = text(headers, REQUEST_ID.as_str()) {
        span.record("request.id", id);
    }
    if let Some(context) = text(headers, TRACEPARENT).and_then(TraceContext::parse) {
        span.record("trace.id", context.trace_id());
    }
    span
}
