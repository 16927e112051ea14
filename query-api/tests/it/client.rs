//! Requests into the router, and what comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, to_bytes};
use domain::ids::{OrderId, ShowId};
use domain::value::Role;
use futures::StreamExt as _;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use service_kit::auth::{NewToken, mint_bearer};
use service_kit::clock;
use tower::ServiceExt as _;

use crate::world::World;

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text))
    }

    /// The kind of a problem with its status.
    #[track_caller]
    pub fn is(&self, status: u16, kind: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.json()["type"], format!("/problems/{kind}"), "{}", self.text);
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }
}

/// Who asks.
#[derive(Clone)]
pub enum As {
    Nobody,
    Token(String),
}

impl World {
    pub fn account(&self, subject: &str, roles: &[Role]) -> As {
        let expires = clock::now().plus_s(600);
        let roles = BTreeSet::from_iter(roles.iter().copied());
        let key = self.config.secrets.signing_key().unwrap();
        As::Token(mint_bearer(&key, &NewToken { subject, roles, expires, rules: self.config.secrets.rules() }))
    }

    pub fn holder(&self, order: OrderId, show: ShowId) -> As {
        As::Token(self.auth().mint_access(order, show, None))
    }

    pub async fn get(&self, who: &As, path: &str) -> Answer {
        self.get_with(who, path, &[]).await
    }

    pub async fn get_with(&self, who: &As, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, who, path, headers).await
    }

    pub async fn send(&self, method: Method, who: &As, path: &str, headers: &[(&str, &str)]) -> Answer {
        let response = self.router.clone().oneshot(request(method, who, path, headers)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(Duration::from_secs(40), to_bytes(body, 10_000_000)).await;
        let text = String::from_utf8(body.expect("the answer ends").unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// An event stream.
    pub async fn open(&self, who: &As, path: &str, headers: &[(&str, &str)]) -> Feed {
        let response = self.router.clone().oneshot(request(Method::GET, who, path, headers)).await.unwrap();
        let (parts, body) = response.into_parts();
        Feed { status: parts.status, headers: parts.headers, body: body.into_data_stream(), held: String::new() }
    }
}

fn request(method: Method, who: &As, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let As::Token(token) = who {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// An open event stream.
pub struct Feed {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: BodyDataStream,
    held: String,
}

/// One event of it.
pub struct Told {
    pub event: String,
    pub id: String,
    pub order: Value,
}

impl Feed {
    /// The next event; none at the end.
    pub async fn next(&mut self) -> Option<Told> {
        let told = tokio::time::timeout(Duration::from_secs(10), self.read()).await;
        told.expect("an event or the end comes")
    }

    async fn read(&mut self) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.held.split_once("\n\n") {
                let told = parse(event);
                self.held = rest.to_owned();
                if told.is_some() {
                    return told;
                }
                continue;
            }
            let chunk = self.body.next().await?.unwrap();
            self.held.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// None for a comment.
fn parse(event: &str) -> Option<Told> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let order = serde_json::from_str(field("data:")?).unwrap();
    let text = |name| field(name).unwrap().to_owned();
    Some(Told { event: text("event:"), id: text("id:"), order })
}
