//! Waiting rooms: where a place stands, now and at every change. Answered from memory.
//!
//! A place is its queue ticket's bearer's. Every answer has a fresh ticket, which says when its bearer was last there.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::ids::{SessionId, ShowId};
use domain::queue::{Standing, Terms};
use domain::value::Timestamp;
use serde::Deserialize;
use service_kit::extract::{Path, Query};
use service_kit::problem::{Kind, Problem};
use service_kit::queue_ticket::{Place, QueueTicket};
use service_kit::views::{QueueMode, QueuePlace};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::since::Since;
use super::sse::LastEventId;
use crate::boards::Room;

pub(super) mod stream;
pub(super) mod watch;

/// Whoever waits longest asks this often.
const POLL_MOST_MS: i64 = 15_000;
/// Nobody is to ask more often.
const POLL_LEAST_MS: i64 = 1_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(events))
}

/// Whose events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedEvents {
    /// The place's ticket: browsers cannot send headers here.
    #[param(required = true)]
    queue_ticket: Option<String>,
}

impl App {
    /// The room that a place is in, with what the client has written.
    pub(super) async fn room(&self, place: &Place, since: &Since) -> Result<Arc<Room>, Problem> {
        self.boards.room(place.show, &since.token, since.deadline).await
    }

    /// Where a place stands, with a fresh ticket.
    ///
    /// # Errors
    /// 410 `queue-place-lost` if its bearer was away too long; 503 `not-ready` if the room has not opened here yet.
    fn place(&self, room: &Room, place: &Place) -> Result<QueuePlace, Problem> {
        let (board, now) = (&room.board, self.auth.now());
        let opened = board.opened().ok_or_else(|| Problem::new(Kind::NotReady))?;
        let standing = board.standing(place.number);
        if is_lost(&opened.terms, place.seen, standing, now) {
            return Err(Problem::new(Kind::QueuePlaceLost));
        }
        let (seen, order) = (Place { seen: now, ..*place }, board.place(place.number));
        let view = QueuePlace::of(self.auth.queue_tickets(), &seen, opened, order, standing);
        let estimated_wait_s = view.ahead.and_then(|ahead| board.estimated_wait_s(ahead, now));
        let poll_after_ms = poll_after_ms(&opened.terms, view.poll_after_ms, estimated_wait_s);
        let poll_after_ms = spread_ms(poll_after_ms, place.number);
        let waits = matches!(standing, Standing::Queued { .. } | Standing::WaitingToOpen);
        let paused = waits && QueueMode::of(board.mode()) == QueueMode::Pause;
        Ok(QueuePlace { estimated_wait_s, poll_after_ms, paused, ..view })
    }
}

/// Slots may be freed more slowly than rounds admit, so whoever has long to wait need not ask as often as the terms say:
/// about ten times on the way, and more often once it goes faster. Whoever does as told is never away too long.
fn poll_after_ms(terms: &Terms, by_terms: i64, wait_s: Option<i64>) -> i64 {
    let by_wait = wait_s.unwrap_or(0).saturating_mul(100).min(POLL_MOST_MS);
    by_terms.max(by_wait).min(terms.away_grace_s.saturating_mul(500))
}

/// Up to an eighth sooner, each number by another share: those who came at the same moment, or whom a restart has brought
/// into step, fall out of it again.
fn spread_ms(ms: i64, number: u32) -> i64 {
    // Multiples of the golden ratio lie evenly (Knuth, The Art of Computer Programming, volume 3, section 6.4).
    let share = i64::from(number.wrapping_mul(0x9e37_79b9) >> 24);
    let most = (ms - POLL_LEAST_MS).max(0) / 8;
    ms - most * share / 255
}

/// Whether somebody who was last here then has been away too long. Before the opening nobody has to come, and who has
/// entered, or is through, has nothing to lose.
fn is_lost(terms: &Terms, seen: Timestamp, standing: Standing, now: Timestamp) -> bool {
    let since = terms.opens_at.map_or(seen, |opens_at| opens_at.max(seen));
    match standing {
        Standing::Queued { .. } | Standing::Admitted { .. } => now > since.plus_s(terms.away_grace_s),
        Standing::WaitingToOpen | Standing::InCheckout { .. } | Standing::Ended(_) => false,
    }
}

#[utoipa::path(get, path = "/v1/shows/{show}/queue/{session}", tag = "queue",
    params(("show" = Uuid, Path), ("session" = Uuid, Path),
        ("Queue-Ticket" = String, Header, description = "Of joining, or of the last status.")),
    responses((status = 200, body = QueuePlace, description = "With a fresh ticket: use it next time."),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The Queue-Ticket is missing, altered or of another place."),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "The Queue-Ticket was not shown for too long: the place is lost.")))]
async fn status(
    State(app): State<App>,
    Path((show, session)): Path<(ShowId, SessionId)>,
    since: Since,
    ticket: QueueTicket,
) -> Result<axum::Json<QueuePlace>, Problem> {
    let place = app.auth.queue_tickets().of(ticket.as_deref(), show, session)?;
    let room = app.room(&place, &since).await?;
    Ok(axum::Json(app.place(&room, &place)?))
}

#[utoipa::path(get, path = "/v1/shows/{show}/queue/{session}/events", tag = "queue",
    params(("show" = Uuid, Path), ("session" = Uuid, Path), WantedEvents,
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was seen.")),
    responses((status = 200, body = QueuePlace, content_type = "text/event-stream", description = "`event: status` with the place as data: as it is, and at every change until it has ended, each time with a fresh ticket."),
        (status = 204, description = "The place has ended, and the last event was seen: do not come again."),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The ticket is missing, altered or of another place."),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "The ticket was not shown for too long: the place is lost.")))]
async fn events(
    State(app): State<App>,
    Path((show, session)): Path<(ShowId, SessionId)>,
    since: Since,
    LastEventId(last): LastEventId,
    Query(wanted): Query<WantedEvents>,
) -> Result<Response, Problem> {
    let place = app.auth.queue_tickets().of(wanted.queue_ticket.as_deref(), show, session)?;
    let last = last.as_deref().and_then(|last| stream::Seen::read(app.auth.queue_tickets(), last, &place));
    app.room(&place, &since).await?;
    stream::begin(app, place, last)
}

#[cfg(test)]
mod tests {
    use domain::queue::Ending;

    use super::*;

    #[test]
    fn who_waits_long_asks_seldom_and_never_too_seldom() {
        let terms = |away_grace_s| Terms {
            slots: 1,
            admission_batch: 1,
            enter_s: 1,
            token_ttl_s: 1,
            away_grace_s,
            ..Terms::default()
        };
        let cases = [(None, 1000), (Some(4), 1000), (Some(30), 3000), (Some(1_000_000), 15_000)];
        for (wait_s, expected) in cases {
            assert_eq!(poll_after_ms(&terms(300), 1000, wait_s), expected, "{wait_s:?}");
        }
        assert_eq!(poll_after_ms(&terms(300), 9000, Some(30)), 9000, "rounds may be what one waits for");
        assert_eq!(poll_after_ms(&terms(4), 15_000, Some(1000)), 2000);
    }

    #[test]
    fn those_who_ask_at_one_moment_do_not_ask_together_again() {
        assert!((1..1_000).all(|number| spread_ms(1_000, number) == 1_000));
        let next: Vec<i64> = (1..=10_000).map(|number| spread_ms(15_000, number)).collect();
        assert!(next.iter().all(|ms| (13_250..=15_000).contains(ms)));
        let tenth = |n: i64| next.iter().filter(|ms| (**ms - 13_250) / 175 == n).count();
        assert!((0..10).all(|n| (900..1_100).contains(&tenth(n))), "{:?}", (0..10).map(tenth).collect::<Vec<_>>());
    }

    #[test]
    fn who_waits_must_come_now_and_then_but_only_after_the_opening() {
        let (opens_at, grace_s) = (Timestamp(1_000_000_000), 300);
        let terms = |opens_at| Terms {
            opens_at,
            slots: 1,
            admission_batch: 1,
            enter_s: 1,
            token_ttl_s: 1,
            away_grace_s: grace_s,
            ..Terms::default()
        };
        let queued = Standing::Queued { place: 1, ahead: 0 };
        let lost =
            |standing, seen: i64, now: Timestamp| is_lost(&terms(Some(opens_at)), Timestamp(seen), standing, now);
        // Joined long before the opening, and never seen again.
        assert!(!lost(queued, 0, opens_at.plus_s(grace_s)));
        assert!(lost(queued, 0, Timestamp(opens_at.plus_s(grace_s).0 + 1)));
        // Seen after it.
        let seen = opens_at.plus_s(100);
        assert!(!lost(queued, seen.0, seen.plus_s(grace_s)));
        assert!(lost(queued, seen.0, seen.plus_s(grace_s + 1)));
        let late = opens_at.plus_s(1_000_000);
        assert!(lost(Standing::Admitted { enter_by: late }, 0, late));
        let safe =
            [Standing::WaitingToOpen, Standing::InCheckout { expires_at: late }, Standing::Ended(Ending::Completed)];
        assert!(safe.into_iter().all(|standing| !lost(standing, 0, late)));
        assert!(is_lost(&terms(None), Timestamp(0), queued, Timestamp(0).plus_s(grace_s + 1)));
    }
}
