//! One connection for what is left of a show and for a place in its queue.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use service_kit::clock;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

use crate::client::As;
use crate::world::World;

/// An open socket, and its server.
struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    server: CancellationToken,
}

impl World {
    async fn live(&self, path: &str) -> Live {
        let listener = service_kit::http::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, server) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (router, limits) = (self.router.clone(), service_kit::config::Http::default());
        let shutdown = server.clone();
        tokio::spawn(async move { service_kit::http::serve(listener, router, &limits, shutdown).await });
        let (socket, answer) = connect_async(format!("ws://{address}{path}")).await.unwrap();
        assert_eq!(answer.status().as_u16(), 101);
        Live { socket, server }
    }
}

impl Live {
    /// The next object; none once the server has closed.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await;
            match message.expect("something comes")? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next object of a kind.
    async fn of(&mut self, kind: &str) -> Value {
        loop {
            let mut next = self.next().await.expect("the socket stays open");
            if next["type"] == kind {
                return next[kind].take();
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.server.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_tells_what_is_left_and_where_a_place_stands() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let mut room = world.room(1, None).await;
    assert_eq!(room.show, stage.show);
    room.join(2).await;
    let path = format!("/v1/shows/{}/live?session={}&queue_ticket={}", stage.show, room.session(2), room.ticket(2, 10));
    let mut live = world.live(&path).await;
    let before = live.of("availability").await;
    let same = world.get(&As::Nobody, &format!("/v1/shows/{}/availability", stage.show)).await.ok();
    assert_eq!(before, same);
    let mut other = world.live(&path).await;
    assert_eq!(other.of("queue").await["ahead"], 1);
    room.leave(1).await;
    let moved = live.of("queue").await;
    assert_eq!((&moved["status"], &moved["ahead"]), (&json!("queued"), &json!(0)));
    let ticket = world.auth().queue_tickets().read(moved["queue_ticket"].as_str().unwrap()).unwrap();
    assert!(ticket.seen > clock::now().plus_s(-5));
    room.admit(2, 2, clock::now().plus_s(60)).await;
    assert_eq!(live.of("queue").await["status"], "admitted");

    world.reserve(stage, 1, "account:an").await;
    let after = live.of("availability").await;
    let reserved =
        |it: &Value| it["classes"].as_array().unwrap().iter().map(|it| it["reserved"].as_i64().unwrap()).sum::<i64>();
    assert!(reserved(&after) > reserved(&before), "{after}");

    // The place is over; the show goes on.
    room.leave(2).await;
    assert_eq!(live.of("queue").await["status"], "left");
    world.reserve(stage, 2, "account:binh").await;
    assert!(reserved(&live.of("availability").await) > reserved(&after));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_socket_the_same_comes_as_events() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let mut feed = world.open(&As::Nobody, &format!("/v1/shows/{}/live", stage.show), &[]).await;
    assert_eq!((feed.status.as_u16(), &feed.headers["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    let first = feed.next().await.unwrap();
    assert_eq!(first.event, "availability");
    let same = world.get(&As::Nobody, &format!("/v1/shows/{}/availability", stage.show)).await.ok();
    assert_eq!(first.order, same);
    world.reserve(stage, 1, "account:an").await;
    let next = feed.next().await.unwrap();
    assert!(next.event == "availability" && next.order != first.order);

    let mut room = world.room(1, None).await;
    room.join(1).await;
    let ticket = room.ticket(1, 0);
    let path = format!("/v1/shows/{}/live?session={}&queue_ticket={ticket}", stage.show, room.session(1));
    let mut feed = world.open(&As::Nobody, &path, &[]).await;
    let (one, two) = (feed.next().await.unwrap(), feed.next().await.unwrap());
    let queue = if one.event == "queue" { one } else { two };
    assert_eq!((queue.event.as_str(), &queue.order["position"]), ("queue", &json!(1)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_theirs_is_not_shown() {
    let world = World::new().await;
    let stage = world.on_sale(1).await;
    let mut room = world.room(1, None).await;
    room.join(2).await;
    let path = |query: &str| format!("/v1/shows/{}/live{query}", stage.show);
    let get = async |path: String| world.get(&As::Nobody, &path).await;
    let nowhere = uuid::Uuid::from_u128(77);
    get(format!("/v1/shows/{nowhere}/live")).await.is(404, "show-not-found");
    let draft = world.draft(9, "account:anna", crate::story::details("Not yet")).await;
    get(format!("/v1/shows/{}/live", draft.show)).await.is(404, "show-not-found");
    let (session, other) = (room.session(1), room.ticket(2, 0));
    get(path(&format!("?session={session}&queue_ticket={other}"))).await.is(403, "queue-ticket-invalid");
    get(path(&format!("?session={session}&queue_ticket=x"))).await.is(403, "queue-ticket-invalid");
    get(path(&format!("?session={session}"))).await.is(400, "bad-parameter");
    get(path(&format!("?queue_ticket={other}"))).await.is(400, "bad-parameter");
    get(path("?seesion=x")).await.is(400, "bad-parameter");
    let late = room.ticket(2, 301);
    get(path(&format!("?session={}&queue_ticket={late}", room.session(2)))).await.is(410, "queue-place-lost");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_talks_too_much_or_too_long_is_closed() {
    let world = World::with([("BOXOFFICE_STREAM_LIFE_S", "1")]).await;
    let stage = world.on_sale(1).await;
    let path = format!("/v1/shows/{}/live", stage.show);
    let mut loud = world.live(&path).await;
    loud.of("availability").await;
    loud.socket.send(Message::text("hello")).await.unwrap();
    loud.socket.send(Message::text("x".repeat(5_000))).await.unwrap();
    assert_eq!(loud.next().await, None);

    let mut patient = world.live(&path).await;
    patient.of("availability").await;
    let closed = loop {
        match tokio::time::timeout(Duration::from_secs(10), patient.socket.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => break frame,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    let expected = CloseFrame { code: 1001.into(), reason: "come again".into() };
    assert_eq!(closed, Some(expected));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let world = World::new().await;
    let page = world.get(&As::Nobody, &format!("/queue/{}", uuid::Uuid::from_u128(1))).await;
    assert_eq!(
        (page.status.as_u16(), &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && policy.contains("connect-src 'self'"), "{policy}");
    assert!(policy.contains("worker-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let worker = world.get(&As::Nobody, "/queue/assets/proof.js").await;
    assert_eq!(
        (worker.status.as_u16(), &worker.headers["content-type"], &worker.headers["x-content-type-options"]),
        (200, &"text/javascript; charset=utf-8".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    assert_eq!(worker.headers["content-security-policy"], "default-src 'none'");
    assert!(page.text.contains(r#"aria-live="polite""#) && page.text.contains("name=\"viewport\""));
    world.get(&As::Nobody, "/queue/the-concert").await.is(400, "bad-parameter");
    world.end().await;
}
