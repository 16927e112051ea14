//! The whole stack over real connections and in process: what every bad request is answered with.

use std::collections::BTreeSet;
use std::sync::Mutex;

use axum::extract::FromRef;
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::instrument::WithSubscriber as _;
use uuid::Uuid;

use domain::ids::{OrderId, ShowId};
use domain::value::{Actor, Role, Timestamp};

use super::*;
use crate::auth::{Auth, NewToken, Rules, Settings, SigningKey, mint_bearer};
use crate::caller::{Caller, StreamCaller};
use crate::consistency::Token;
use crate::extract::{Path, Query, Target};
use crate::health::Health;
use crate::idempotency::IdempotencyKey;
use crate::json::{Empty, Json, MAX_BODY, read};
use crate::keys::Secret32;
use crate::telemetry::Metrics;
use crate::telemetry::tests::Captured;

const ID: &str = "3f6b1f5e-5d0e-4b6c-9d3c-2f1a0b9c8d7e";

#[derive(Clone, FromRef)]
struct App {
    auth: Auth,
}

fn auth() -> Auth {
    let accounts = vec![SigningKey::new(&Secret32::new([1; 32])).public().clone()];
    Auth::new(&Settings { accounts, rules: Rules::default(), access: Secret32::new([2; 32]), access_previous: None })
}

fn bearer(roles: &[Role], expires: Timestamp) -> String {
    let rules = Rules::default();
    let token = NewToken { subject: "an", roles: BTreeSet::from_iter(roles.iter().copied()), expires, rules: &rules };
    mint_bearer(&SigningKey::new(&Secret32::new([1; 32])), &token)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<u32>,
}

fn principal(actor: &Actor) -> String {
    actor.principal()
}

fn routes() -> Router {
    let me = |caller: Caller| async move { caller.actor().map(|it| principal(&it)) };
    let stream = |StreamCaller(caller): StreamCaller| async move { caller.actor().map(|it| principal(&it)) };
    let approve = |caller: Caller| async move { caller.with_role(&[Role::Admin]).map(|it| principal(&it)) };
    let join = |caller: Caller, key: Option<IdempotencyKey>, target: Target| async move {
        let actor = caller.actor_or_guest_by(key.as_ref())?;
        Ok::<_, Problem>(format!("{} {} {}", principal(&actor), target.method, target.path))
    };
    Router::new()
        .route("/v1/orders/{order}", get(|Path(order): Path<OrderId>| async move { order.to_string() }))
        .route("/v1/orders/{order}", axum::routing::put(|_: Path<OrderId>, _: Json<Empty>| async { "ok" }))
        .route(
            "/v1/list",
            get(|Query(it): Query<Filter>| async move { crate::extract::limit(it.limit).map(|n| n.to_string()) }),
        )
        .route("/v1/me", get(me))
        .route("/v1/stream", get(stream))
        .route("/v1/approve", post(approve))
        .route("/v1/join", post(join))
        .route("/v1/pay", post(|_: IdempotencyKey| async { "ok" }))
        .route("/v1/seen", get(|token: Option<Token>| async move { token.unwrap_or_default().to_string() }))
        .route("/v1/notify", post(|| async { (StatusCode::BAD_REQUEST, axum::Json(json!({"code": "20"}))) }))
        .route("/v1/raw", post(|body: Body| async { read(body).await.map(|it| it.len().to_string()) }))
        .route("/v1/plain", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "no") }))
        .route("/v1/panic", get(panics))
        .route("/v1/slow", get(slow).post(slow))
        .with_state(App { auth: auth() })
}

async fn panics() -> &'static str {
    panic!("as wanted")
}

async fn slow() {
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

fn service_with(limits: &Http, health: Health) -> Router {
    let operations = Operations { health, metrics: Metrics::detached(), auth: Some(auth()) };
    router(operations, limits, routes(), utoipa::openapi::OpenApi::default())
}

fn service() -> Router {
    service_with(&Http::default(), Health::default())
}

fn request(method: &str, path: &str) -> http::request::Builder {
    http::Request::builder().method(method).uri(path)
}

async fn send(builder: http::request::Builder, body: impl Into<Body>) -> (StatusCode, HeaderMap, String) {
    answer(service(), builder, body).await
}

async fn answer(
    service: Router,
    builder: http::request::Builder,
    body: impl Into<Body>,
) -> (StatusCode, HeaderMap, String) {
    let response = service.oneshot(builder.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 10_000_000).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// The problem that answers a bad request, checked for what every problem has.
async fn problem(builder: http::request::Builder, body: impl Into<Body>) -> Value {
    let (status, headers, body) = send(builder, body).await;
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{body}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert!(headers.contains_key(REQUEST_ID));
    let name = problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
    assert_eq!(Kind::named(name).unwrap().status(), status);
    problem
}

async fn kind(builder: http::request::Builder, body: impl Into<Body>) -> String {
    problem(builder, body).await["type"].as_str().unwrap().replace("/problems/", "")
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    insta::assert_json_snapshot!(problem(request("GET", "/v1/nothing?secret=1"), "").await, @r#"
    {
      "detail": "There is no such thing, or it is somebody else's.",
      "instance": "/v1/nothing",
      "status": 404,
      "title": "Not found",
      "type": "/problems/not-found"
    }
    "#);
    assert_eq!(kind(request("DELETE", "/v1/me"), "").await, "method-not-allowed");
    let (_, headers, _) = send(request("DELETE", "/v1/me"), "").await;
    assert_eq!(headers[ALLOW], "GET,HEAD");
}

#[tokio::test]
async fn ids_in_paths_are_lower_case_uuids() {
    let (status, _, body) = send(request("GET", &format!("/v1/orders/{ID}")), "").await;
    assert_eq!((status.as_u16(), body.as_str()), (200, ID));
    let upper = format!("/v1/orders/{}", ID.to_uppercase());
    insta::assert_json_snapshot!(problem(request("GET", &upper), "").await, @r#"
    {
      "detail": "A part of the path, a query parameter or a header is not of the form it must have. Ids are UUIDs in lower case.",
      "errors": [
        {
          "detail": "must be a UUID in lower case",
          "pointer": "/order"
        }
      ],
      "instance": "/v1/orders/3F6B1F5E-5D0E-4B6C-9D3C-2F1A0B9C8D7E",
      "status": 400,
      "title": "Bad parameter",
      "type": "/problems/bad-parameter"
    }
    "#);
    insta::assert_json_snapshot!(problem(request("GET", "/v1/orders/7"), "").await, @r#"
    {
      "detail": "Invalid URL: Cannot parse `order` with value `7`: UUID parsing failed: invalid length: found 1",
      "instance": "/v1/orders/7",
      "status": 400,
      "title": "Bad parameter",
      "type": "/problems/bad-parameter"
    }
    "#);
}

#[tokio::test]
async fn bad_query_parameters_are_problems() {
    assert_eq!(send(request("GET", "/v1/list"), "").await.2, "50");
    insta::assert_json_snapshot!(problem(request("GET", "/v1/list?limit=201"), "").await, @r#"
    {
      "detail": "A part of the path, a query parameter or a header is not of the form it must have. Ids are UUIDs in lower case.",
      "errors": [
        {
          "detail": "must be from 1 to 200",
          "pointer": "/limit"
        }
      ],
      "instance": "/v1/list",
      "status": 400,
      "title": "Bad parameter",
      "type": "/problems/bad-parameter"
    }
    "#);
    assert_eq!(kind(request("GET", "/v1/list?limit=many"), "").await, "bad-parameter");
    assert_eq!(kind(request("GET", "/v1/list?colour=red"), "").await, "bad-parameter");
}

#[tokio::test]
async fn bad_bodies_are_problems() {
    let put = || request("PUT", &format!("/v1/orders/{ID}"));
    let json = || put().header(CONTENT_TYPE, "application/json");
    assert_eq!(send(json(), "{}").await.0, 200);
    assert_eq!(send(put(), "").await.0, 200);
    assert_eq!(kind(put(), "{}").await, "unsupported-media-type");
    assert_eq!(kind(json(), "{").await, "bad-json");
    insta::assert_json_snapshot!(problem(json(), r#"{"colour":1}"#).await, @r#"
    {
      "detail": "The body has a field that this route does not know.",
      "errors": [
        {
          "detail": "this field is not known",
          "pointer": "/colour"
        }
      ],
      "instance": "/v1/orders/3f6b1f5e-5d0e-4b6c-9d3c-2f1a0b9c8d7e",
      "status": 400,
      "title": "Unknown field",
      "type": "/problems/unknown-field"
    }
    "#);
    assert_eq!(kind(json().header(CONTENT_LENGTH, MAX_BODY + 1), "{}").await, "too-large");
    assert_eq!(kind(json(), format!("{{{}}}", " ".repeat(MAX_BODY))).await, "too-large");
    assert_eq!(send(json(), format!("{{{}}}", " ".repeat(MAX_BODY - 2))).await.0, 200);
    // A body whose length nobody announced.
    let endless = futures::stream::iter([vec![b' '; 40_000], vec![b' '; 40_000]].map(Ok::<_, std::io::Error>));
    assert_eq!(kind(request("POST", "/v1/raw"), Body::from_stream(endless)).await, "too-large");
}

#[tokio::test]
async fn tokens_name_the_caller() {
    let soon = clock::now().plus_s(60);
    let with = |token: &str| request("GET", "/v1/me").header(AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(send(with(&bearer(&[], soon)), "").await.2, "account:an");
    let access = auth().mint_access(OrderId(Uuid::from_u128(1)), ShowId(Uuid::from_u128(2)), None);
    assert_eq!(send(with(&access), "").await.2, "order:00000000-0000-0000-0000-000000000001");
    insta::assert_json_snapshot!(problem(request("GET", "/v1/me"), "").await, @r#"
    {
      "detail": "A valid token is needed: Authorization: Bearer, not expired.",
      "instance": "/v1/me",
      "status": 401,
      "title": "Not authenticated",
      "type": "/problems/unauthorized"
    }
    "#);
    let (_, headers, body) = send(with(&bearer(&[], clock::now().plus_s(-1))), "").await;
    assert!(body.contains("The token has expired."), "{body}");
    assert!(headers[WWW_AUTHENTICATE].to_str().unwrap().contains("error=\"invalid_token\""));
    assert_eq!(kind(with("x.y.z"), "").await, "unauthorized");
    assert_eq!(kind(request("GET", "/v1/me").header(AUTHORIZATION, "Basic eA=="), "").await, "unauthorized");
    let twice = with(&access).header(AUTHORIZATION, format!("Bearer {access}"));
    assert_eq!(kind(twice, "").await, "unauthorized");
}

#[tokio::test]
async fn roles_are_asked_for() {
    let soon = clock::now().plus_s(60);
    let with = |roles: &[Role]| {
        request("POST", "/v1/approve").header(AUTHORIZATION, format!("Bearer {}", bearer(roles, soon)))
    };
    assert_eq!(send(with(&[Role::Admin, Role::Buyer]), "").await.0, 200);
    assert_eq!(kind(with(&[Role::Organizer]), "").await, "forbidden");
    assert_eq!(kind(request("POST", "/v1/approve"), "").await, "unauthorized");
}

#[tokio::test]
async fn only_streams_take_an_access_token_in_the_query_and_only_that() {
    let access = auth().mint_access(OrderId(Uuid::from_u128(1)), ShowId(Uuid::from_u128(2)), None);
    let (status, ..) = send(request("GET", &format!("/v1/stream?x=1&access_token={access}")), "").await;
    assert_eq!(status, 200);
    assert_eq!(kind(request("GET", &format!("/v1/me?access_token={access}")), "").await, "unauthorized");
    let account = bearer(&[], clock::now().plus_s(60));
    assert_eq!(kind(request("GET", &format!("/v1/stream?access_token={account}")), "").await, "unauthorized");
    let header = request("GET", "/v1/stream").header(AUTHORIZATION, format!("Bearer {account}"));
    assert_eq!(send(header, "").await.2, "account:an");
}

#[tokio::test]
async fn keys_are_read_and_stand_for_guests() {
    let pay = |key: &str| request("POST", "/v1/pay").header("Idempotency-Key", key);
    assert_eq!(send(pay("k-1"), "").await.0, 200);
    insta::assert_json_snapshot!(problem(request("POST", "/v1/pay"), "").await, @r#"
    {
      "detail": "What this request creates has no name of its own, so it needs an Idempotency-Key.",
      "instance": "/v1/pay",
      "status": 400,
      "title": "Idempotency-Key is missing",
      "type": "/problems/idempotency-key-missing"
    }
    "#);
    assert_eq!(kind(pay(&"k".repeat(256)), "").await, "idempotency-key-invalid");
    assert_eq!(kind(pay("a b"), "").await, "idempotency-key-invalid");
    assert_eq!(kind(pay("a").header("Idempotency-Key", "b"), "").await, "idempotency-key-invalid");
    let join = |key: &str| request("POST", "/v1/join").header("Idempotency-Key", key);
    assert_eq!(send(join(ID), "").await.2, format!("guest:{ID} POST /v1/join"));
    assert_eq!(kind(join("k-1"), "").await, "idempotency-key-invalid");
    assert_eq!(kind(request("POST", "/v1/join"), "").await, "idempotency-key-missing");
}

#[tokio::test]
async fn consistency_tokens_are_checked() {
    let token = Token::at(domain::root::Context::Order, 1, 2, Uuid::from_u128(3)).to_string();
    assert_eq!(send(request("GET", "/v1/seen").header("Consistency-Token", &token), "").await.2, token);
    assert_eq!(
        kind(request("GET", "/v1/seen").header("Consistency-Token", "x"), "").await,
        "consistency-token-invalid"
    );
}

#[tokio::test]
async fn what_is_shaped_by_others_stays_and_bare_failures_become_problems() {
    let (status, headers, body) = send(request("POST", "/v1/notify"), "").await;
    assert_eq!((status.as_u16(), body.as_str()), (400, r#"{"code":"20"}"#));
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    let (_, headers, body) = send(request("GET", "/v1/plain"), "").await;
    assert!(body.contains("/problems/not-ready"), "{body}");
    assert_eq!(headers[RETRY_AFTER], "1");
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let problem = problem(request("GET", "/v1/panic"), "").await;
    assert_eq!(problem["type"], "/problems/internal");
    assert!(!problem.to_string().contains("as wanted"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_read_times_out_and_a_slow_write_is_in_doubt() {
    let started = tokio::time::Instant::now();
    assert_eq!(kind(request("GET", "/v1/slow").header("Prefer", "wait=5"), "").await, "timed-out");
    assert_eq!(started.elapsed().as_secs(), 15);
    let (status, headers, body) = send(request("POST", "/v1/slow"), "").await;
    assert_eq!((status.as_u16(), &headers[RETRY_AFTER]), (503, &"1".parse().unwrap()));
    assert!(body.contains("in-doubt"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn too_much_at_once_is_refused_but_health_is_not() {
    let service = service_with(&Http { max_in_flight: 1, ..Http::default() }, Health::default());
    let slow = tokio::spawn(answer(service.clone(), request("GET", "/v1/slow"), ""));
    tokio::task::yield_now().await;
    let (status, headers, body) = answer(service.clone(), request("GET", "/v1/list"), "").await;
    assert_eq!((status.as_u16(), headers.contains_key(RETRY_AFTER)), (503, true));
    assert!(body.contains("overloaded"), "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["instance"], "/v1/list");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let mut again = HeaderMap::new();
    for _ in 0..200 {
        again = answer(service.clone(), request("GET", "/v1/list").header("X-Request-Id", "mine-2"), "").await.1;
    }
    assert_eq!(again["x-request-id"], "mine-2");
    assert_ne!(again[RETRY_AFTER], headers[RETRY_AFTER], "a crowd that is sent away together returns together");
    assert_eq!(answer(service.clone(), request("GET", "/readyz"), "").await.0, 200);
    slow.await.unwrap();
    assert_eq!(answer(service, request("GET", "/v1/list"), "").await.0, 200);
}

#[tokio::test]
async fn request_ids_are_kept_or_made() {
    let (_, headers, _) = send(request("GET", "/livez").header("X-Request-Id", "mine-1"), "").await;
    assert_eq!(headers["x-request-id"], "mine-1");
    assert_eq!(
        (&headers["cache-control"], &headers["x-content-type-options"]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    let (_, headers, _) = send(request("GET", "/livez").header("X-Request-Id", "no good"), "").await;
    assert_eq!(headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn operations_answer() {
    assert_eq!(send(request("GET", "/livez"), "").await.0, 200);
    let health = Health::default();
    let check = health.register("log");
    let service = service_with(&Http::default(), health);
    let (status, headers, body) = answer(service.clone(), request("GET", "/readyz"), "").await;
    assert_eq!((status.as_u16(), headers.contains_key(RETRY_AFTER)), (503, true));
    insta::assert_snapshot!(body, @r#"{"status":"not-ready","checks":{"log":{"ready":false,"why":"starting"}}}"#);
    check.ready();
    assert_eq!(answer(service, request("GET", "/readyz"), "").await.0, 200);
    assert_eq!(send(request("GET", "/metrics"), "").await.0, 200);
    let (_, _, jwks) = send(request("GET", "/.well-known/jwks.json"), "").await;
    assert!(jwks.contains("\"kty\":\"OKP\""), "{jwks}");
    let (_, _, document) = send(request("GET", "/openapi.json"), "").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    insta::assert_json_snapshot!(document["components"]["schemas"]["Problem"], @r##"
    {
      "description": "Problem details, RFC 9457. Some kinds have more members: `available` per class, the present `price`, and so on.",
      "properties": {
        "detail": {
          "description": "What happened this time.",
          "type": "string"
        },
        "errors": {
          "description": "The places of the request that are wrong.",
          "items": {
            "$ref": "#/components/schemas/FieldError"
          },
          "type": "array"
        },
        "instance": {
          "description": "The path of the request.",
          "example": "/v1/orders/3f6b1f5e-5d0e-4b6c-9d3c-2f1a0b9c8d7e",
          "type": "string"
        },
        "status": {
          "description": "The HTTP status.",
          "format": "int32",
          "minimum": 0,
          "type": "integer"
        },
        "title": {
          "description": "The kind in a few words.",
          "type": "string"
        },
        "type": {
          "description": "Names the kind of problem; `GET` it for an explanation.",
          "example": "/problems/sold-out",
          "type": "string"
        }
      },
      "required": [
        "type",
        "title",
        "status",
        "detail"
      ],
      "type": "object"
    }
    "##);
    let (status, _, page) = send(request("GET", "/docs/"), "").await;
    assert!(status == 200 && page.contains("swagger"), "{page}");
}

#[tokio::test]
async fn every_problem_is_explained_to_programs_and_people() {
    let (_, _, list) = send(request("GET", "/problems"), "").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    for item in list["items"].as_array().unwrap() {
        let path = item["type"].as_str().unwrap();
        let (status, _, one) = send(request("GET", path), "").await;
        assert_eq!((status.as_u16(), &serde_json::from_str::<Value>(&one).unwrap()), (200, item));
        let (_, headers, page) = send(request("GET", path).header("Accept", "text/html,*/*"), "").await;
        assert!(headers[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert!(page.contains(item["title"].as_str().unwrap()));
    }
    insta::assert_snapshot!(send(request("GET", "/problems/in-doubt"), "").await.2, @r#"{"type":"/problems/in-doubt","name":"in-doubt","title":"In doubt","status":503,"explanation":"It is not yet known whether the request took effect. Repeat it with the same key to learn it; it will not happen twice.","retry_with_same_key":true,"advice":"Send the same request again with the same Idempotency-Key, after Retry-After."}"#);
    assert_eq!(kind(request("GET", "/problems/none-such"), "").await, "not-found");
    let (_, _, page) = send(request("GET", "/problems").header("Accept", "text/html"), "").await;
    assert!(page.contains("/problems/sold-out"));
}

#[tokio::test]
async fn the_log_in_full_has_one_line_a_request_and_no_query_token_or_key() {
    let captured = Captured::default();
    let access = auth().mint_access(OrderId(Uuid::from_u128(1)), ShowId(Uuid::from_u128(2)), None);
    let path = format!("/v1/stream?access_token={access}");
    let bearer = bearer(&[], clock::now().plus_s(60));
    let headers = |it: http::request::Builder| {
        it.header(AUTHORIZATION, format!("Bearer {bearer}")).header("Idempotency-Key", ID).header("X-Request-Id", "r-1")
    };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let asked = async {
        send(request("GET", &path).header("traceparent", trace), "").await;
        send(headers(request("POST", "/v1/join?email=an@example.org")), "").await;
        send(request("GET", "/v1/nothing?access_token=not-hex"), "").await;
        send(request("GET", "/livez"), "").await
    };
    asked.with_subscriber(captured.subscriber("debug")).await;
    let text = captured.text();
    for secret in [access.as_str(), &bearer, ID, "access_token", "example.org", "not-hex"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let lines = captured.lines();
    let routes: Vec<_> =
        lines.iter().map(|line| (line["span"]["http.route"].as_str().unwrap(), line["http.status"].as_u64())).collect();
    let expected = [("/v1/stream", 200), ("/v1/join", 200), ("unmatched", 404), ("/livez", 200)];
    assert_eq!(routes, expected.map(|(route, status)| (route, Some(status))));
    assert_eq!(lines[0]["span"]["trace.id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&lines[1]["span"]["request.id"], &lines[1]["span"]["http.method"]), (&"r-1".into(), &"POST".into()));
    assert!(lines[1]["latency_ms"].is_u64());
}

#[tokio::test(start_paused = true)]
async fn the_usual_log_tells_of_what_failed_here_or_took_long() {
    let captured = Captured::default();
    let asked = async {
        send(request("GET", "/v1/me"), "").await;
        send(request("GET", "/v1/slow"), "").await;
        send(request("GET", "/v1/plain"), "").await
    };
    asked.with_subscriber(captured.subscriber("info")).await;
    let told: Vec<_> = captured.lines().iter().map(|line| line["http.status"].as_u64()).collect();
    assert_eq!(told, [Some(504), Some(503)]);
}

/// Counts what is recorded on this thread while it lives.
fn rendered(ask: impl Future<Output = ()>) -> String {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(ask));
    recorder.handle().render()
}

#[test]
fn requests_are_counted_by_route_and_not_by_path() {
    let text = rendered(async {
        send(request("GET", &format!("/v1/orders/{ID}")), "").await;
        send(request("GET", "/v1/anything/else"), "").await;
        send(request("BREW", "/v1/me"), "").await;
    });
    let counted = |labels: &str| text.contains(&format!("http_requests_total{{{labels}}} 1"));
    assert!(counted(r#"method="GET",route="/v1/orders/{order}",status="200""#), "{text}");
    assert!(counted(r#"method="GET",route="unmatched",status="404""#), "{text}");
    assert!(counted(r#"method="other",route="/v1/me",status="405""#), "{text}");
    assert!(text.contains("http_request_duration_seconds") && !text.contains(ID), "{text}");
}

#[test]
fn a_client_that_goes_away_is_counted_as_499() {
    let text = rendered(async {
        let asked = tokio::time::timeout(Duration::from_millis(20), send(request("GET", "/v1/slow"), ""));
        assert!(asked.await.is_err());
    });
    assert!(text.contains(r#"status="499""#), "{text}");
}

struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn run(limits: Http, routes: Router) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let token = stop.clone();
    let served = tokio::spawn(async move { serve(listener, routes, &limits, token).await });
    Running { address, stop, served }
}

async fn connect(running: &Running, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn whole(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut text)).await.unwrap();
    text
}

#[tokio::test]
async fn a_connection_is_kept_alive_and_heads_are_bounded() {
    let running = run(Http::default(), service()).await;
    let two = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(whole(connect(&running, two).await).await.matches("HTTP/1.1 200 OK").count(), 2);
    let long = format!("GET /livez HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(17 * 1024));
    assert!(whole(connect(&running, &long).await).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET /livez HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(70));
    assert!(whole(connect(&running, &many).await).await.starts_with("HTTP/1.1 431"));
    running.stop.cancel();
    running.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_never_ends_closes_the_connection() {
    let limits = Http { header_timeout: Duration::from_millis(50), ..Http::default() };
    let running = run(limits, service()).await;
    let started = clock::monotonic();
    let text = whole(connect(&running, "GET /livez HTTP/1.1\r\nHost:").await).await;
    assert!(!text.contains("200") && started.elapsed() < Duration::from_secs(5), "{text}");
}

#[tokio::test]
async fn stopping_answers_what_is_under_way_and_cuts_what_never_ends() {
    let going = Arc::new(Mutex::new(None));
    let (begin, begun) = tokio::sync::oneshot::channel();
    *going.lock().unwrap() = Some(begin);
    let half = get(move || async move {
        if let Some(begin) = going.lock().unwrap().take() {
            begin.send(()).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        "done"
    });
    let endless = get(|| async { Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>()) });
    let limits = Http { drain: Duration::from_millis(400), ..Http::default() };
    let running = run(limits, Router::new().route("/half", half).route("/endless", endless)).await;
    let answered = connect(&running, "GET /half HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut cut = connect(&running, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(cut.read_u8().await.unwrap(), b'H');
    begun.await.unwrap();
    running.stop.cancel();
    assert!(whole(answered).await.ends_with("done"));
    let started = clock::monotonic();
    running.served.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(whole(cut).await.starts_with("TTP/1.1 200"));
    assert!(TcpStream::connect(running.address).await.is_err());
}
