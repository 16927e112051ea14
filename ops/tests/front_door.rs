//! The front door passes everything on as it comes, and says what it cannot.

mod passing_through;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use ops::front_door::{Door as FrontDoor, Limits, Upstreams, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::soon;

const LIMITS: Limits = Limits {
    connect: Duration::from_millis(500),
    body: Duration::from_millis(500),
    answer: Duration::from_millis(700),
};

/// A front door before two upstreams.
struct Door {
    address: SocketAddr,
    client: reqwest::Client,
    _stop: DropGuard,
}

impl Door {
    async fn open(command: SocketAddr, query: SocketAddr) -> Self {
        Self::of(&[command], &[query]).await
    }

    async fn of(command: &[SocketAddr], query: &[SocketAddr]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let to = |all: &[SocketAddr]| all.iter().map(|address| address.to_string().parse().unwrap()).collect();
        let door = FrontDoor::new(Upstreams { command: to(command), query: to(query) }, LIMITS);
        tokio::spawn(serve(listener, door, stop.clone()));
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { address, client: client.build().unwrap(), _stop: stop.drop_guard() }
    }

    /// Both upstreams run this handler; the answer names which one it was.
    async fn before(handler: Router) -> Self {
        let (command, query) = (upstream("command", handler.clone()).await, upstream("query", handler).await);
        Self::open(command, query).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends bytes as they are and reads the whole answer.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon("the answer", stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn upstream(name: &'static str, handler: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let named = handler.layer(axum::middleware::map_response(move |mut response: Response| async move {
        response.headers_mut().insert("x-upstream", name.parse().unwrap());
        response
    }));
    tokio::spawn(async move { axum::serve(listener, named).await });
    address
}

/// An upstream that reads a request and closes the connection without a word.
async fn hangs_up() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 64];
            let _ = stream.read(&mut some).await;
        }
    });
    address
}

/// An address that nobody listens on.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

/// Tells what arrived.
fn echo() -> Router {
    Router::new().fallback(|request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let headers: Vec<_> =
            parts.headers.iter().map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()])).collect();
        axum::Json(json!({
            "method": parts.method.as_str(),
            "target": parts.uri.to_string(),
            "headers": headers,
            "body": String::from_utf8(body.to_vec()).unwrap(),
        }))
    })
}

fn has(echoed: &Value, name: &str) -> Option<String> {
    let headers = echoed["headers"].as_array().unwrap();
    headers.iter().find(|it| it[0] == name).map(|it| it[1].as_str().unwrap().to_owned())
}

async fn problem(response: reqwest::Response) -> (u16, Option<String>, String, HeaderMap) {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert_eq!(headers["content-type"], "application/problem+json");
    let retry = headers.get("retry-after").map(|it| it.to_str().unwrap().to_owned());
    let body: Value = response.json().await.unwrap();
    (status, retry, body["type"].as_str().unwrap().to_owned(), headers)
}

#[tokio::test]
async fn requests_go_to_their_service_with_everything_that_belongs_to_them() {
    let door = Door::before(echo()).await;
    let send = |method: reqwest::Method, path: &str| door.client.request(method, door.url(path));
    for (method, path, expected) in [
        (reqwest::Method::GET, "/v1/shows?status=published", "query"),
        (reqwest::Method::HEAD, "/v1/shows", "query"),
        (reqwest::Method::GET, "/v1/payments/payos/return?x=1", "command"),
        (reqwest::Method::PUT, "/v1/orders/1", "command"),
        (reqwest::Method::DELETE, "/v1/shows/1", "command"),
    ] {
        let answer = send(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.headers()["x-upstream"], expected, "{method} {path}");
    }
    let put =
        send(reqwest::Method::PUT, "/v1/orders/1").header("x-request-id", "r1").header("authorization", "Bearer t");
    let put = put.header("consistency-token", "c").header("prefer", "wait=1").body("{\"a\":1}");
    let echoed: Value = put.send().await.unwrap().json().await.unwrap();
    assert_eq!((echoed["method"].as_str(), echoed["body"].as_str()), (Some("PUT"), Some("{\"a\":1}")));
    for (name, value) in
        [("x-request-id", "r1"), ("authorization", "Bearer t"), ("consistency-token", "c"), ("prefer", "wait=1")]
    {
        assert_eq!(has(&echoed, name).as_deref(), Some(value));
    }
    assert_eq!(has(&echoed, "host"), Some(door.address.to_string()), "the name that the client used");
    assert_eq!(has(&echoed, "content-length").as_deref(), Some("7"));
}

#[tokio::test]
async fn the_target_is_passed_on_byte_by_byte_and_hop_by_hop_headers_are_not() {
    let door = Door::before(echo()).await;
    let target = "/v1/a/../b/%2e%2e/c//d?x=%41&y=a+b&&z";
    let answer = door
        .raw(&format!(
            "PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n\
             Proxy-Authorization: secret\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ))
        .await;
    let echoed: Value = serde_json::from_str(&answer[answer.find("{\"").unwrap()..]).unwrap();
    assert_eq!((echoed["target"].as_str(), echoed["body"].as_str()), (Some(target), Some("abc")));
    for dropped in ["connection", "x-mine", "te", "proxy-authorization", "expect", "transfer-encoding"] {
        assert_eq!(has(&echoed, dropped), None, "{dropped}");
    }
}

#[tokio::test]
async fn an_event_stream_is_passed_on_event_by_event() {
    let (events, receiver) = mpsc::unbounded_channel::<Bytes>();
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(Some(receiver)));
    let stream = Router::new().fallback(move || {
        let receiver = receiver.clone();
        async move {
            let receiver = receiver.lock().await.take().unwrap();
            let stream = futures::stream::unfold(receiver, |mut it| async { Some((it.recv().await?, it)) });
            ([("content-type", "text/event-stream")], Body::from_stream(stream.map(Ok::<_, std::io::Error>)))
        }
    });
    let door = Door::before(stream.route("/readyz", axum::routing::get(|| async {}))).await;
    events.send(Bytes::from_static(b"data: 0\n\n")).unwrap();
    let response = soon("the head", door.client.get(door.url("/v1/orders/1/events")).send()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.bytes_stream();
    // Each event arrives although the answer does not end, and long after an answer's time is over.
    for number in 0..3 {
        if number > 0 {
            tokio::time::sleep(LIMITS.answer / 2).await;
            events.send(Bytes::from(format!("data: {number}\n\n"))).unwrap();
        }
        let event = soon("an event", body.next()).await.unwrap().unwrap();
        assert_eq!(event, format!("data: {number}\n\n"));
    }
    drop(body);
    // The client has gone: the service learns of it.
    soon("the end", events.closed()).await;
}

#[tokio::test]
async fn a_service_that_is_down_is_told_as_not_ready() {
    let (down, up) = (nobody().await, upstream("query", echo()).await);
    let door = Door::open(down, up).await;
    let put = door.client.put(door.url("/v1/orders/1")).header("x-request-id", "r1").send().await.unwrap();
    let (status, retry, kind, headers) = problem(put).await;
    assert_eq!((status, retry.as_deref(), kind.as_str()), (503, Some("1"), "/problems/not-ready"));
    assert_eq!(headers["x-request-id"], "r1");
    assert_eq!(door.client.get(door.url("/v1/shows")).send().await.unwrap().status(), 200, "the other one answers");
}

#[tokio::test]
async fn a_write_that_broke_off_is_in_doubt_and_a_read_is_not() {
    let door = Door::open(hangs_up().await, hangs_up().await).await;
    let put = problem(door.client.put(door.url("/v1/orders/1")).body("{}").send().await.unwrap()).await;
    assert_eq!((put.0, put.1.as_deref(), put.2.as_str()), (503, Some("1"), "/problems/in-doubt"));
    let get = problem(door.client.get(door.url("/v1/orders/1")).send().await.unwrap()).await;
    assert_eq!((get.0, get.2.as_str()), (503, "/problems/not-ready"));
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up() {
    let silent = Router::new().fallback(std::future::pending::<()>);
    let door = Door::before(silent).await;
    let get = door.client.get(door.url("/v1/shows")).header("prefer", "wait=0").send();
    let get = problem(soon("the answer", get).await.unwrap()).await;
    assert_eq!((get.0, get.2.as_str()), (504, "/problems/timed-out"));
    let put = door.client.put(door.url("/v1/orders/1")).header("prefer", "wait=0").send();
    let put = problem(soon("the answer", put).await.unwrap()).await;
    assert_eq!((put.0, put.1.as_deref(), put.2.as_str()), (503, Some("1"), "/problems/in-doubt"));
}

#[tokio::test]
async fn who_asks_to_wait_is_waited_for() {
    let slow = Router::new().fallback(|| async {
        tokio::time::sleep(LIMITS.answer + Duration::from_millis(300)).await;
    });
    let door = Door::before(slow).await;
    let get = door.client.get(door.url("/v1/orders/1?until=completed")).header("prefer", "wait=5").send();
    assert_eq!(soon("the answer", get).await.unwrap().status(), 200);
}

#[tokio::test]
async fn bodies_have_a_limit_and_must_arrive_in_time() {
    let door = Door::before(echo()).await;
    let put = |size: usize| door.client.put(door.url("/v1/orders/1")).body("x".repeat(size)).send();
    assert_eq!(put(64 * 1024).await.unwrap().status(), 200);
    let (status, _, kind, _) = problem(put(64 * 1024 + 1).await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (413, "/problems/too-large"));
    let endless = "PUT /v1/orders/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\nabc";
    let answer = door.raw(endless).await;
    assert!(answer.contains("/problems/timed-out"), "{answer}");
}

#[tokio::test]
async fn redirects_and_errors_of_a_service_are_passed_on() {
    let answers = Router::new().fallback(|request: Request| async move {
        match request.uri().path() {
            "/v1/payments/payos/return" => {
                (StatusCode::SEE_OTHER, [("location", "https://shop.example/done")]).into_response()
            }
            _ => (StatusCode::CONFLICT, [("retry-after", "7")], "sold out").into_response(),
        }
    });
    let door = Door::before(answers).await;
    let back = door.client.get(door.url("/v1/payments/payos/return")).send().await.unwrap();
    assert_eq!(
        (back.status().as_u16(), &back.headers()["location"]),
        (303, &"https://shop.example/done".parse().unwrap())
    );
    let refused = door.client.put(door.url("/v1/orders/1")).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (409, &"7".parse().unwrap()));
    assert_eq!(refused.text().await.unwrap(), "sold out");
}

/// Who answered so many requests one after the other.
async fn who(door: &Door, method: &reqwest::Method, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let answer = door.client.request(method.clone(), door.url("/v1/orders/1")).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        names.push(answer.headers()["x-upstream"].to_str().unwrap().to_owned());
    }
    names
}

#[tokio::test]
async fn several_services_of_a_kind_take_turns() {
    let [a, b] = [upstream("a", echo()).await, upstream("b", echo()).await];
    let door = Door::of(&[a, b], &[b, a]).await;
    for method in [reqwest::Method::PUT, reqwest::Method::GET] {
        let names = who(&door, &method, 10).await;
        assert_eq!(names.iter().filter(|name| *name == "a").count(), 5, "{method}: {names:?}");
    }
}

#[tokio::test]
async fn a_request_that_was_sent_to_nobody_goes_to_the_next_one() {
    let door = Door::of(&[nobody().await, upstream("b", echo()).await], &[upstream("c", echo()).await]).await;
    // Also the very first ones, before anybody was asked whether it is ready.
    assert_eq!(who(&door, &reqwest::Method::PUT, 6).await, ["b"; 6]);
    let put = door.client.put(door.url("/v1/orders/1")).body("{\"a\":1}").send().await.unwrap();
    let echoed: Value = put.json().await.unwrap();
    assert_eq!(echoed["body"].as_str(), Some("{\"a\":1}"), "the whole request");
}

#[tokio::test]
async fn a_write_that_broke_off_is_not_sent_to_the_next_one() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counting = {
        let sent = sent.clone();
        Router::new().fallback(move || async move {
            sent.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        })
    };
    let counting = upstream("b", counting.route("/readyz", axum::routing::get(|| async {}))).await;
    let breaks = hangs_up().await;
    let door = Door::of(&[breaks, counting], &[breaks, counting]).await;
    let mut doubtful = 0;
    for _ in 0..4 {
        let before = sent.load(std::sync::atomic::Ordering::SeqCst);
        let put = door.client.put(door.url("/v1/orders/1")).body("{}").send().await.unwrap();
        if put.status() == 503 {
            assert_eq!(problem(put).await.2, "/problems/in-doubt");
            assert_eq!(sent.load(std::sync::atomic::Ordering::SeqCst), before, "nobody else got it");
            doubtful += 1;
        }
    }
    assert!(doubtful > 0, "nothing broke off");
    for _ in 0..4 {
        let get = door.client.get(door.url("/v1/orders/1")).send().await.unwrap();
        assert_eq!(get.status(), 200, "what only reads is asked anew");
    }
}

#[tokio::test]
async fn who_is_not_ready_is_left_out_until_it_is() {
    let ready = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let sometimes = {
        let ready = ready.clone();
        let status = move || async move {
            if ready.load(std::sync::atomic::Ordering::SeqCst) {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        echo().route("/readyz", axum::routing::get(status))
    };
    let (a, b) = (upstream("a", sometimes).await, upstream("b", echo()).await);
    let door = Door::of(&[a, b], &[b]).await;
    let put = reqwest::Method::PUT;
    soon("a is left out", async { while who(&door, &put, 4).await.iter().any(|name| name == "a") {} }).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(who(&door, &put, 4).await, ["b"; 4], "as long as it is not ready");
    ready.store(true, std::sync::atomic::Ordering::SeqCst);
    soon("a is back", async { while !who(&door, &put, 4).await.iter().any(|name| name == "a") {} }).await;
}

#[tokio::test]
async fn what_services_say_to_each_other_is_nobody_elses_business() {
    let door = Door::before(echo()).await;
    for (method, path) in [
        (reqwest::Method::POST, "/internal/v1/commands"),
        (reqwest::Method::GET, "/internal/v1/partitions"),
        (reqwest::Method::GET, "/internal"),
    ] {
        let answer = door.client.request(method, door.url(path)).header("x-request-id", "r1").send().await.unwrap();
        assert!(!answer.headers().contains_key("x-upstream"), "{path}");
        let (status, _, kind, headers) = problem(answer).await;
        assert_eq!(
            (status, kind.as_str(), &headers["x-request-id"]),
            (404, "/problems/not-found", &"r1".parse().unwrap())
        );
    }
}
