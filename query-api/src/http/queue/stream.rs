//! A place's server-sent events: where it stands, and again at every change, until it has ended.
//!
//! Invariant: an event's id has the ticket, too, so that a browser which comes again by itself, with the address it first
//! came by, has not been away.

use std::convert::Infallible;

use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use http::StatusCode;
use service_kit::problem::Problem;
use service_kit::queue_ticket::{Place, QueueTickets};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::watch::{Told, Watcher};
use crate::http::App;
use crate::http::sse;

/// The last event that a client has seen, as its id says it.
pub struct Seen {
    /// What it told, by its content.
    name: String,
    /// When the client was there.
    place: Place,
}

impl Seen {
    /// What is none of ours is ignored.
    pub fn read(tickets: &QueueTickets, id: &str, place: &Place) -> Option<Self> {
        let (name, ticket) = id.split_once('.')?;
        let place = tickets.of(Some(ticket), place.show, place.session).ok()?;
        Some(Self { name: name.to_owned(), place })
    }
}

/// A place as an event.
pub fn event(told: &Told, name: &str) -> Event {
    // JSON on one line: it has no line break that would end the data.
    let json = serde_json::to_string(&told.0).expect("a place is plain data");
    Event::default().event(name).id(format!("{}.{}", told.name(), told.0.queue_ticket)).data(json)
}

/// One client's stream.
struct Feed {
    watcher: Watcher,
    until: Instant,
    _slot: OwnedSemaphorePermit,
}

/// The stream of a place, from how it stands on. Its board must be known.
///
/// # Errors
/// 410 `queue-place-lost`; 503 `overloaded` if there are too many streams, `not-ready`.
pub fn begin(app: App, mut place: Place, last: Option<Seen>) -> Result<Response, Problem> {
    let slot = app.stream_slot()?;
    if let Some(last) = &last {
        place.seen = place.seen.max(last.place.seen);
    }
    let until = Instant::now() + app.streams.life;
    let mut watcher = Watcher::new(app, place);
    let first = watcher.look()?;
    let seen = last.as_ref().is_some_and(|last| first.as_ref().is_some_and(|first| first.name() == last.name));
    if seen && first.is_some_and(|first| first.ended()) {
        // Browsers come again after an end, unless they are told not to.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(sse::answer(Feed { watcher, until, _slot: slot }.stream()))
}

impl Feed {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut feed| async move {
            let told = feed.watcher.next(feed.until).await?;
            Some((Ok(event(&told, "status")), feed))
        })
    }
}
