//! WebSockets go through the front door, and services learn for whom it asks.

use axum::Router;
use axum::extract::ws::{Message as Heard, WebSocketUpgrade};
use axum::routing::{any, get};
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response as Handshake;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Door, LIMITS, echo, has};
use crate::support::soon;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Says first for whom it was asked, then everything that it hears; tells when it hears nothing any more.
fn parrot(gone: mpsc::UnboundedSender<()>) -> Router {
    let parrot = move |headers: HeaderMap, upgrade: WebSocketUpgrade| async move {
        let asked_for = headers["x-forwarded-for"].to_str().unwrap().to_owned();
        upgrade.protocols(["squawk"]).on_upgrade(async move |mut socket| {
            let _ = socket.send(Heard::Text(asked_for.into())).await;
            while let Some(Ok(heard)) = socket.recv().await {
                if !matches!(heard, Heard::Text(_) | Heard::Binary(_)) || socket.send(heard).await.is_err() {
                    break;
                }
            }
            let _ = gone.send(());
        })
    };
    Router::new().route("/v1/shows/{show}/live", get(parrot)).fallback(|| async { (StatusCode::FORBIDDEN, "not you") })
}

impl Door {
    async fn socket(&self, path: &str) -> Result<(Socket, Handshake), Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("squawk"));
        request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        soon("the handshake", connect_async(request)).await
    }
}

async fn heard(socket: &mut Socket) -> Option<Message> {
    soon("a message", socket.next()).await.and_then(Result::ok)
}

#[tokio::test]
async fn a_websocket_goes_through_both_ways_until_the_client_ends_it() {
    let (gone, mut left) = mpsc::unbounded_channel();
    let door = Door::before(parrot(gone)).await;
    let (mut socket, handshake) = door.socket("/v1/shows/1/live").await.unwrap();
    assert_eq!((handshake.status().as_u16(), &handshake.headers()["x-upstream"]), (101, &"query".parse().unwrap()));
    assert_eq!(handshake.headers()["sec-websocket-protocol"], "squawk");
    assert_eq!(heard(&mut socket).await, Some(Message::text("192.0.2.1, 127.0.0.1")));
    let long = "x".repeat(200_000);
    for said in ["hello", "", long.as_str()] {
        socket.send(Message::text(said)).await.unwrap();
        assert_eq!(heard(&mut socket).await, Some(Message::text(said)));
    }
    // Longer than any answer may take.
    tokio::time::sleep(LIMITS.answer * 2).await;
    socket.send(Message::binary(vec![0, 255])).await.unwrap();
    assert_eq!(heard(&mut socket).await, Some(Message::binary(vec![0, 255])));
    drop(socket);
    soon("the service learns of the end", left.recv()).await.unwrap();
}

#[tokio::test]
async fn a_websocket_ends_with_the_front_door_and_with_the_service() {
    let (gone, mut left) = mpsc::unbounded_channel();
    let door = Door::before(parrot(gone)).await;
    let (mut socket, _) = door.socket("/v1/shows/1/live").await.unwrap();
    heard(&mut socket).await.unwrap();
    drop(door);
    assert_eq!(heard(&mut socket).await, None, "the client learns of the end");
    soon("the service learns of the end", left.recv()).await.unwrap();

    let leaves = Router::new()
        .fallback(any(async |upgrade: WebSocketUpgrade| upgrade.protocols(["squawk"]).on_upgrade(async |_| ())));
    let door = Door::before(leaves).await;
    let (mut socket, _) = door.socket("/v1/shows/1/live").await.unwrap();
    assert_eq!(heard(&mut socket).await, None, "the service has left");
}

#[tokio::test]
async fn a_refused_websocket_is_answered_as_the_service_does() {
    let (gone, _left) = mpsc::unbounded_channel();
    let door = Door::before(parrot(gone)).await;
    let Err(Error::Http(answer)) = door.socket("/v1/elsewhere").await else { panic!("it was not refused") };
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-upstream"]), (403, &"query".parse().unwrap()));
    assert_eq!(answer.body().as_deref(), Some(b"not you".as_slice()));
    assert!(!answer.headers().contains_key("upgrade"));
}

#[tokio::test]
async fn no_other_protocol_is_switched_to() {
    let door = Door::before(echo()).await;
    for (method, protocol) in [("GET", "h2c"), ("PUT", "websocket")] {
        let head = format!("{method} /v1/orders/1 HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\n");
        let answer = door.raw(&format!("{head}Upgrade: {protocol}\r\n\r\n")).await;
        let echoed: Value = serde_json::from_str(&answer[answer.find("{\"").unwrap()..]).unwrap();
        assert_eq!((has(&echoed, "connection"), has(&echoed, "upgrade")), (None, None), "{method} {protocol}");
    }
}

#[tokio::test]
async fn a_service_learns_for_whom_it_is_asked() {
    let door = Door::before(echo()).await;
    for (claimed, expected) in [(None, "127.0.0.1"), (Some("192.0.2.1, 192.0.2.2"), "192.0.2.1, 192.0.2.2, 127.0.0.1")]
    {
        let request = door.client.put(door.url("/v1/orders/1"));
        let request = match claimed {
            Some(claimed) => request.header("x-forwarded-for", claimed),
            None => request,
        };
        let echoed: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(has(&echoed, "x-forwarded-for").as_deref(), Some(expected));
    }
}
