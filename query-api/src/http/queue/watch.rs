//! Where a place stands, told again whenever that is worth it: for event streams and sockets alike.
//!
//! Invariants: who watches is there, so that the place is not lost, and a fresh ticket goes out often enough that the client
//! always has one that is good. What changes for one who is near the front is told at once; far behind, where somebody in
//! front goes every second, only as often as asking would be worth it.

use std::mem::discriminant;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::queue::{Mode, Standing};
use futures::future::OptionFuture;
use service_kit::problem::Problem;
use service_kit::queue_ticket::Place;
use service_kit::views::{QueuePlace, QueueStatus};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use crate::boards::{Look, Room};
use crate::http::App;
use crate::http::sse;
use crate::turns::Turns;

/// A fresh ticket goes out at least so often, which also keeps proxies from taking a connection for dead.
const REFRESH_MOST: Duration = Duration::from_secs(50);
/// And not more often than this, whatever the terms.
const REFRESH_LEAST: Duration = Duration::from_millis(250);
/// Whoever would be asked to come back so soon is told everything at once.
const AT_ONCE_MS: i64 = 1_000;

/// What is told: the place, with a fresh ticket.
pub struct Told(pub QueuePlace);

impl Told {
    /// By what matters of it: estimates alone are no change.
    pub fn name(&self) -> String {
        let QueuePlace { status, place, ahead, enter_by, checkout_expires_at, paused, .. } = &self.0;
        let content = serde_json::json!([status, place, ahead, enter_by, checkout_expires_at, paused]);
        sse::name_of(&content.to_string())
    }

    /// Whether nothing follows any more.
    pub fn ended(&self) -> bool {
        match self.0.status {
            QueueStatus::Completed | QueueStatus::Expired | QueueStatus::Left => true,
            QueueStatus::WaitingToOpen | QueueStatus::Queued | QueueStatus::Admitted | QueueStatus::InCheckout => false,
        }
    }

    /// The least time until a change of no more than the numbers is told.
    fn pace(&self) -> Duration {
        let ms = self.0.poll_after_ms.saturating_sub(AT_ONCE_MS);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}

/// What can be told, before anything is made of it: most of those who watch are told nothing when a board changes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Content {
    standing: Standing,
    place: Option<u32>,
    mode: Mode,
}

impl Content {
    fn of(room: &Room, number: u32) -> Self {
        let board = &room.board;
        Self { standing: board.standing(number), place: board.place(number), mode: board.mode() }
    }

    /// Whether more than numbers differ.
    fn differs_in_kind(self, other: Self) -> bool {
        discriminant(&self.standing) != discriminant(&other.standing)
    }
}

/// What was told last.
struct Last {
    content: Content,
    /// When the ticket in it needs a fresh one.
    fresh: Instant,
    /// Before that, numbers alone are not told again.
    quiet: Instant,
    /// Where somebody far behind waits; whoever is near looks at every change.
    bell: Option<Arc<Notify>>,
}

/// One who watches a place.
pub struct Watcher {
    app: App,
    /// As its bearer was last there: now, as long as this lives.
    place: Place,
    looks: watch::Receiver<Look>,
    turns: Arc<Turns>,
    last: Option<Last>,
    ended: bool,
}

impl Watcher {
    /// Of a place whose board is known.
    pub fn new(app: App, place: Place) -> Self {
        let (looks, turns) = app.boards.watch_turns(place.show);
        Self { app, place, looks, turns, last: None, ended: false }
    }

    /// As the place stands; none if there is no board.
    ///
    /// # Errors
    /// 410 `queue-place-lost`; 503 `not-ready`.
    pub fn look(&mut self) -> Result<Option<Told>, Problem> {
        let room = self.looks.borrow_and_update().room.clone();
        Ok(room.map(|room| self.app.place(&room, &self.place)).transpose()?.map(Told))
    }

    /// The next change, or a fresh ticket; none when the place has ended, the process stops, or it is late. Nothing is lost
    /// if the future is dropped.
    pub async fn next(&mut self, until: Instant) -> Option<Told> {
        let shutdown = self.app.shutdown.clone();
        while !self.ended && !shutdown.is_cancelled() && Instant::now() < until {
            // Waiting at the bell begins before the look, so that nothing is missed between them.
            let bell = self.last.as_ref().and_then(|last| last.bell.clone());
            let mut rung = pin!(OptionFuture::from(bell.as_ref().map(|bell| bell.notified())));
            let mut wake = self.last.as_ref().map_or(until, |last| until.min(last.fresh));
            let room = self.looks.borrow_and_update().room.clone();
            if let Some(room) = room {
                let content = Content::of(&room, self.place.number);
                match self.when(content) {
                    Some(later) => wake = wake.min(later),
                    None => {
                        // Nobody is lost who is there.
                        self.place.seen = self.app.auth.now();
                        match self.app.place(&room, &self.place) {
                            Ok(view) => return Some(self.tell(content, Told(view))),
                            Err(_) => wake = Instant::now() + REFRESH_LEAST,
                        }
                    }
                }
            }
            let news = async {
                match bell {
                    Some(_) => drop(rung.as_mut().await),
                    None => drop(self.looks.changed().await),
                }
            };
            let _ = shutdown.run_until_cancelled(timeout_at(wake, news)).await?;
        }
        None
    }

    /// When it is to be told; none for now.
    fn when(&self, content: Content) -> Option<Instant> {
        let last = self.last.as_ref()?;
        let due = match last.content == content {
            true => last.fresh,
            false if last.content.differs_in_kind(content) => return None,
            false => last.quiet.min(last.fresh),
        };
        (due > Instant::now()).then_some(due)
    }

    fn tell(&mut self, content: Content, told: Told) -> Told {
        self.ended = told.ended();
        let now = Instant::now();
        let pace = told.pace();
        let bell = (!pace.is_zero()).then(|| self.turns.bell(content.place.unwrap_or(self.place.number)));
        self.last = Some(Last { content, fresh: now + self.refresh(), quiet: now + pace, bell });
        told
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
