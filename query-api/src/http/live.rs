//! One connection for everything that changes while somebody looks at a show: what is left, and their place in its queue.
//!
//! A WebSocket where the client asks for one, else server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::response::sse::Event;
use domain::ids::{SessionId, ShowId};
use futures::stream::{self, Stream};
use serde::Deserialize;
use service_kit::caller::StreamCaller;
use service_kit::extract::{Path, Query};
use service_kit::problem::{Kind, Problem};
use service_kit::queue_ticket::Place;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::queue::stream::event;
use super::queue::watch::{Told, Watcher};
use super::showcase::Left;
use super::since::Since;
use super::sse;

/// A ping goes out after so much silence, so that nothing in between takes the connection for dead: proxies wait a minute.
/// Who watches a place has a fresh ticket before, and needs none.
const PING_AFTER: Duration = Duration::from_secs(55);
/// Clients have nothing to say: a longer message ends the connection.
const MOST_HEARD: usize = 1024;
/// What is kept for reading and writing, for each of very many connections.
const BUFFER: usize = 1024;
/// A client that takes nothing any more is let go beyond so much.
const MOST_KEPT: usize = 64 * 1024;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live))
}

/// What to tell of, beside what is left.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// A place in the show's queue: its session …
    session: Option<Uuid>,
    /// … and its ticket; browsers cannot send headers here.
    queue_ticket: Option<String>,
    /// An access token, where no header can be sent.
    #[serde(rename = "access_token")]
    _access_token: Option<String>,
}

impl Wanted {
    fn place(&self, app: &App, show: ShowId) -> Result<Option<Place>, Problem> {
        let missing = |name: &str| {
            Problem::new(Kind::BadParameter)
                .error(name, "must come together with the other of session and queue_ticket")
        };
        match (self.session, &self.queue_ticket) {
            (None, None) => Ok(None),
            (Some(session), Some(ticket)) => {
                Ok(Some(app.auth.queue_tickets().of(Some(ticket), show, SessionId(session))?))
            }
            (Some(_), None) => Err(missing("/queue_ticket")),
            (None, Some(_)) => Err(missing("/session")),
        }
    }
}

/// What is told next.
enum News {
    Place(Box<Told>),
    Left(Left),
}

/// One who looks at a show.
struct Onlooker {
    place: Option<Watcher>,
    left: watch::Receiver<Left>,
    until: Instant,
    _slot: OwnedSemaphorePermit,
}

impl Onlooker {
    /// What comes next; none when it is time to come again. Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Option<News> {
        loop {
            let place = async {
                match &mut self.place {
                    Some(watcher) => watcher.next(self.until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                told = place => match told {
                    Some(told) => return Some(News::Place(Box::new(told))),
                    // The place has ended, or all of it has.
                    None => self.place = None,
                },
                changed = self.left.changed() => {
                    changed.ok()?;
                    let left = self.left.borrow_and_update().clone();
                    if !left.is_empty() {
                        return Some(News::Left(left));
                    }
                }
                () = sleep_until(self.until) => return None,
            }
        }
    }
}

#[utoipa::path(get, path = "/v1/shows/{show}/live", tag = "shows", params(("show" = Uuid, Path), Wanted), security((), ("bearer" = [])),
    responses((status = 101, description = "A WebSocket. Each message is a JSON object with a `type`: `availability`, with the show's availability as `availability`; or `queue`, with the place as `queue`."),
        (status = 200, content_type = "text/event-stream", description = "Without an upgrade: `event: availability` and `event: queue` with the same objects as data."),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The queue ticket is altered or of another place."),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "The queue ticket was not shown for too long: the place is lost.")))]
async fn live(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    StreamCaller(caller): StreamCaller,
    since: Since,
    Query(wanted): Query<Wanted>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let place = match wanted.place(&app, show)? {
        // Whoever has a place sees the show that it is in front of.
        Some(place) => {
            app.room(&place, &since).await?;
            let mut watcher = Watcher::new(app.clone(), place);
            watcher.look()?;
            Some(watcher)
        }
        None => {
            app.show(show, &caller).await?;
            None
        }
    };
    let (slot, until) = (app.stream_slot()?, Instant::now() + app.streams.life);
    let mut left = app.showcase(show);
    // What is known already is news to whoever comes.
    left.mark_changed();
    let onlooker = Onlooker { place, left, until, _slot: slot };
    let Ok(upgrade) = upgrade else { return Ok(sse::answer(events(onlooker))) };
    let upgrade = upgrade.max_message_size(MOST_HEARD).max_frame_size(MOST_HEARD);
    let upgrade = upgrade.read_buffer_size(BUFFER).write_buffer_size(0).max_write_buffer_size(MOST_KEPT);
    Ok(upgrade.on_upgrade(move |socket| tell(app, socket, onlooker)))
}

fn events(onlooker: Onlooker) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(onlooker, |mut onlooker| async move {
        let event = match onlooker.next().await? {
            News::Place(told) => event(&told, "queue"),
            News::Left(left) => Event::default().event("availability").id(sse::name_of(&left)).data(&*left),
        };
        Some((Ok(event), onlooker))
    })
}

/// Tells a socket until either side has enough.
async fn tell(app: App, mut socket: WebSocket, mut onlooker: Onlooker) {
    let shutdown = app.shutdown.clone();
    drop(app);
    loop {
        let message = tokio::select! {
            () = shutdown.cancelled() => None,
            news = onlooker.next() => news.map(|news| Message::Text(text(&news))),
            heard = socket.recv() => match heard {
                // Pings are answered by the protocol; nothing else is to be said.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            () = tokio::time::sleep(PING_AFTER) => Some(Message::Ping(Vec::new().into())),
        };
        let Some(message) = message else { break };
        if socket.send(message).await.is_err() {
            return;
        }
    }
    let again = CloseFrame { code: close_code::AWAY, reason: Utf8Bytes::from_static("come again") };
    let _ = socket.send(Message::Close(Some(again))).await;
}

fn text(news: &News) -> Utf8Bytes {
    match news {
        News::Place(told) => {
            let place = serde_json::to_string(&told.0).expect("a place is plain data");
            format!(r#"{{"type":"queue","queue":{place}}}"#).into()
        }
        News::Left(left) => format!(r#"{{"type":"availability","availability":{left}}}"#).into(),
    }
}
