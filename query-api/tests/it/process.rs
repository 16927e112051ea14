use std::time::Duration;

use service_kit::operations::Operations;
use service_kit::telemetry::Metrics;
use service_kit::{clock, http};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::client::As;
use crate::world::World;

/// Sends a request and reads until the answer has this text.
async fn ask(address: &str, path: &str, token: &str, until: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\nprefer: wait=0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    read_until(&mut stream, &mut text, until).await;
    (stream, text)
}

async fn read_until(stream: &mut TcpStream, text: &mut String, until: &str) {
    let mut buffer = [0; 4096];
    while !text.contains(until) {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
        let length = read.unwrap_or_else(|_| panic!("{until:?} never came: {text}")).unwrap();
        assert!(length > 0, "it ended before {until:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_as_a_process_behind_everything_all_requests_go_through() {
    // A request has 200 ms; a stream lives longer.
    let world = World::with([("BOXOFFICE_REQUEST_TIMEOUT_MS", "200")]).await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let As::Token(token) = world.holder(it.order, it.stage.show) else { unreachable!() };
    let operations = Operations {
        health: world.health.clone(),
        metrics: Metrics::install("query-api", "test").unwrap(),
        auth: Some(world.auth()),
    };
    let limits = world.config.common.http;
    let router = http::router(operations, &limits, world.router.clone(), world.openapi.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = world.shutdown.clone();
    let server = tokio::spawn(async move { http::serve(listener, router, &limits, shutdown).await });

    let path = format!("/v1/orders/{}", it.order);
    let (_, order) = ask(&address, &path, &token, "created_at").await;
    assert!(order.starts_with("HTTP/1.1 200 OK") && order.contains("cache-control: no-store"), "{order}");
    let (_, problem) = ask(&address, "/v1/shows/x", &token, "}").await;
    assert!(problem.contains("\"instance\":\"/v1/shows/x\"") && problem.contains("problem+json"), "{problem}");
    let (_, document) = ask(&address, "/openapi.json", &token, "payment-methods").await;
    assert!(document.starts_with("HTTP/1.1 200 OK"));

    let (mut stream, mut told) = ask(&address, &format!("{path}/events"), &token, "\"reserved\"").await;
    assert!(told.contains("content-type: text/event-stream") && told.contains("x-accel-buffering: no"), "{told}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    world.await_payment(&it).await;
    read_until(&mut stream, &mut told, "\"awaiting_payment\"").await;

    let started = clock::monotonic();
    world.shutdown.cancel();
    server.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(12), "streams end by themselves, nothing is cut");
    world.end().await;
}
