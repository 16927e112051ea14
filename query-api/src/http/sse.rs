//! What all event streams have in common.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::Stream;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use service_kit::problem::{Kind, Problem};
use tokio::sync::OwnedSemaphorePermit;

use super::App;

/// A comment goes out after so much silence, so that nothing in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `Last-Event-ID`: the last event that the client saw before it came again. What is none of ours is ignored.
pub struct LastEventId(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts.headers.get("last-event-id");
        Ok(Self(value.and_then(|value| value.to_str().ok()).map(str::to_owned)))
    }
}

impl App {
    /// One of the streams that may be open at the same time.
    ///
    /// # Errors
    /// 503 `overloaded` if there are too many.
    pub fn stream_slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let slot = self.0.streams.clone().try_acquire_owned();
        slot.map_err(|_| Problem::new(Kind::Overloaded).retry_after_s(5))
    }

    /// How many streams are open.
    pub(crate) fn open_streams(&self) -> usize {
        self.streams.max - self.0.streams.available_permits()
    }
}

/// Names what is sent by its content, so that nothing is sent twice: 16 hex digits.
pub fn name_of(content: &str) -> String {
    let hash = digest(&SHA256, content.as_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The stream as an answer.
pub fn answer(stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let sse = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive"));
    // Proxies that collect answers would hold events back.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    ([unbuffered], sse).into_response()
}
