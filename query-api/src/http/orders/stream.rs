//! An order's server-sent events: the order as it is, and again at every change, until it has ended.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use http::StatusCode;
use service_kit::problem::{Kind, Problem};
use service_kit::views;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::{Wish, is_final};
use crate::changes::Subscription;
use crate::http::App;
use crate::http::sse::{self, LastEventId};

/// Pause after a look that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What is sent: named by its content, so that nothing is sent twice.
struct Told {
    id: String,
    json: String,
    ended: bool,
}

impl Told {
    fn of(order: &views::Order) -> Self {
        let json = serde_json::to_string(order).expect("an order is plain data");
        Self { id: sse::name_of(&json), json, ended: is_final(&order.status) }
    }

    fn event(self) -> Event {
        // JSON on one line: it has no line break that would end the data.
        Event::default().event("order").id(self.id).data(self.json)
    }
}

/// One client's stream.
struct Feed {
    app: App,
    wish: Wish,
    changes: Subscription,
    /// What the client has seen.
    last: Option<String>,
    /// Looked up before the stream began.
    first: Option<Told>,
    ended: bool,
    until: Instant,
    _slot: OwnedSemaphorePermit,
}

/// The stream of an order, from its present state on.
///
/// # Errors
/// 404 `not-found`; 503 `overloaded` if there are too many streams, `not-ready`.
pub async fn begin(app: App, wish: Wish, last: LastEventId) -> Result<Response, Problem> {
    let slot = app.stream_slot()?;
    // Before the first look, so that no change is missed after it.
    let changes = app.changes.of_order(wish.order.0);
    let first = Told::of(&app.order_view(&*app.order(&wish).await?).await?);
    let LastEventId(last) = last;
    if first.ended && last.as_ref() == Some(&first.id) {
        // Browsers come again after an end, unless they are told not to.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let until = Instant::now() + app.streams.life;
    let feed = Feed { app, wish, changes, last, first: Some(first), ended: false, until, _slot: slot };
    Ok(sse::answer(feed.stream()))
}

impl Feed {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut feed| async move {
            let event = feed.next().await?;
            Some((Ok(event), feed))
        })
    }

    /// The next change; none when the order has ended, the process stops, or the stream has lived long enough.
    async fn next(&mut self) -> Option<Event> {
        let shutdown = self.app.shutdown.clone();
        while !self.ended {
            let told = match self.first.take() {
                Some(first) => first,
                None => shutdown.run_until_cancelled(self.look()).await??,
            };
            self.ended = told.ended;
            if self.last.as_ref() != Some(&told.id) {
                self.last = Some(told.id.clone());
                return Some(told.event());
            }
        }
        None
    }

    /// The order at the next occasion; none when it is not to be seen any more, or time is over.
    async fn look(&mut self) -> Option<Told> {
        loop {
            if Instant::now() >= self.until {
                return None;
            }
            self.changes.changed(self.until).await;
            match self.read().await {
                Ok(told) => return Some(told),
                Err(problem) if problem.kind() == Kind::NotFound => return None,
                // The database will be back; the client stays.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn read(&self) -> Result<Told, Problem> {
        Ok(Told::of(&self.app.order_view(&*self.app.order(&self.wish).await?).await?))
    }
}
