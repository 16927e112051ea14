//! A place's server-sent events: where it stands, and again at every change, until it has ended.
//!
//! Invariant: who listens is there: a fresh ticket goes out often enough that the client always has one that is good. An
//! event's id has the ticket, too, so that a browser which comes again by itself, with the address it first came by, has
//! not been away.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use http::StatusCode;
use service_kit::problem::Problem;
use service_kit::queue_ticket::{Place, QueueTickets};
use service_kit::views::{QueuePlace, QueueStatus};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout_at};

use crate::boards::{Look, Room};
use crate::http::App;
use crate::http::sse;

/// A fresh ticket goes out at least so often.
const REFRESH_MOST: Duration = Duration::from_secs(60);
/// And not more often than this, whatever the terms.
const REFRESH_LEAST: Duration = Duration::from_millis(250);

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

/// What is sent.
struct Told {
    name: String,
    view: QueuePlace,
}

impl Told {
    /// Named by what matters of it: estimates alone are no change.
    fn of(view: QueuePlace) -> Self {
        let QueuePlace { status, place, ahead, enter_by, checkout_expires_at, .. } = &view;
        let content = serde_json::json!([status, place, ahead, enter_by, checkout_expires_at]);
        Self { name: sse::name_of(&content.to_string()), view }
    }

    fn ended(&self) -> bool {
        match self.view.status {
            QueueStatus::Completed | QueueStatus::Expired | QueueStatus::Left => true,
            QueueStatus::WaitingToOpen | QueueStatus::Queued | QueueStatus::Admitted | QueueStatus::InCheckout => false,
        }
    }

    fn event(&self) -> Event {
        // JSON on one line: it has no line break that would end the data.
        let json = serde_json::to_string(&self.view).expect("a place is plain data");
        Event::default().event("status").id(format!("{}.{}", self.name, self.view.queue_ticket)).data(json)
    }
}

/// One client's stream.
struct Feed {
    app: App,
    /// As its bearer was last there: now, as long as the stream lives.
    place: Place,
    looks: watch::Receiver<Look>,
    /// What the client has seen, and until when its ticket is fresh.
    last: Option<(String, Instant)>,
    ended: bool,
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
    let looks = app.boards.watch(place.show);
    let until = Instant::now() + app.streams.life;
    let mut feed = Feed { app, place, looks, last: None, ended: false, until, _slot: slot };
    let first = feed.look()?;
    let seen = last.as_ref().is_some_and(|last| first.as_ref().is_some_and(|first| first.name == last.name));
    if seen && first.is_some_and(|first| first.ended()) {
        // Browsers come again after an end, unless they are told not to.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(sse::answer(feed.stream()))
}

impl Feed {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut feed| async move {
            let event = feed.next().await?;
            Some((Ok(event), feed))
        })
    }

    /// The next change, or a fresh ticket; none when the place has ended, the process stops, or the stream has lived long
    /// enough.
    async fn next(&mut self) -> Option<Event> {
        let shutdown = self.app.shutdown.clone();
        while !self.ended && !shutdown.is_cancelled() && Instant::now() < self.until {
            // Nobody is lost who is there.
            self.place.seen = self.app.auth.now();
            let told = self.look().ok().flatten();
            let news = told.filter(|told| self.is_news(told));
            if let Some(told) = news {
                self.ended = told.ended();
                self.last = Some((told.name.clone(), Instant::now() + self.refresh()));
                return Some(told.event());
            }
            let wake = self.last.as_ref().map_or(self.until, |(_, fresh)| self.until.min(*fresh));
            let _ = shutdown.run_until_cancelled(timeout_at(wake, self.looks.changed())).await?;
        }
        None
    }

    fn is_news(&self, told: &Told) -> bool {
        self.last.as_ref().is_none_or(|(name, fresh)| *name != told.name || Instant::now() >= *fresh)
    }

    /// As the place stands; none if there is no board.
    fn look(&mut self) -> Result<Option<Told>, Problem> {
        let room = self.looks.borrow_and_update().room.clone();
        Ok(room.map(|room| self.app.place(&room, &self.place)).transpose()?.map(Told::of))
    }

    /// Well within the time that a visitor may be away.
    fn refresh(&self) -> Duration {
        let room = self.looks.borrow().room.clone();
        let grace_s = room.and_then(|room| grace_s(&room)).unwrap_or(0);
        (Duration::from_secs(grace_s) / 3).clamp(REFRESH_LEAST, REFRESH_MOST)
    }
}

fn grace_s(room: &Room) -> Option<u64> {
    u64::try_from(room.board.terms()?.away_grace_s).ok()
}
