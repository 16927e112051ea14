//! Answers kept under the key that came with a call, so that the same call again has no second effect.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::provider::Provider;

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its JSON body.
    pub body: String,
}

impl Answer {
    /// An answer in JSON.
    pub fn new(status: StatusCode, body: &Value) -> Self {
        Self { status: status.as_u16(), body: body.to_string() }
    }

    /// The answer as it is sent.
    pub fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).expect("it was one");
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }
}

/// A finished call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replay {
    /// Whose API it was.
    pub provider: Provider,
    /// The key that came with it.
    pub key: String,
    /// What it asked for.
    pub fingerprint: String,
    /// What was answered.
    pub answer: Answer,
    /// When the provider forgets it.
    pub until: Timestamp,
}

/// The calls that came with a key.
#[derive(Default)]
pub struct Replays {
    done: HashMap<(Provider, String), Replay>,
    running: HashMap<(Provider, String), String>,
}

/// What is known of a key.
pub enum Known {
    /// Nothing: the call counts as running from now on.
    New,
    /// The first call still runs.
    Running,
    /// It came with another call.
    Other,
    /// This was answered.
    Done(Answer),
}

impl Replays {
    /// Looks a key up and marks it as running when it is new.
    pub fn begin(&mut self, provider: Provider, key: &str, fingerprint: &str, now: Timestamp) -> Known {
        let place = (provider, key.to_owned());
        if let Some(running) = self.running.get(&place) {
            return if running == fingerprint { Known::Running } else { Known::Other };
        }
        match self.done.get(&place).filter(|replay| now < replay.until) {
            Some(replay) if replay.fingerprint == fingerprint => Known::Done(replay.answer.clone()),
            Some(_) => Known::Other,
            None => {
                self.running.insert(place, fingerprint.to_owned());
                Known::New
            }
        }
    }

    /// Keeps a finished call.
    pub fn put(&mut self, replay: Replay) {
        self.done.insert((replay.provider, replay.key.clone()), replay);
    }

    /// Says that a call no longer runs.
    pub fn end(&mut self, provider: Provider, key: &str) {
        self.running.remove(&(provider, key.to_owned()));
    }

    /// Every finished call.
    pub fn iter(&self) -> impl Iterator<Item = &Replay> {
        self.done.values()
    }
}

/// A running call. It ends when this is dropped, also because its caller went away; what was not kept by then may be
/// tried again.
pub struct Claim {
    app: Arc<App>,
    provider: Provider,
    key: String,
    fingerprint: String,
}

impl Claim {
    /// For a key that is new; the books must not be locked while it is dropped.
    pub fn new(app: &Arc<App>, provider: Provider, key: &str, fingerprint: &str) -> Self {
        Self { app: Arc::clone(app), provider, key: key.to_owned(), fingerprint: fingerprint.to_owned() }
    }

    /// Keeps the answer until this time.
    pub fn keep(&self, answer: &Answer, until: Timestamp) {
        self.app.books().add_replay(Replay {
            provider: self.provider,
            key: self.key.clone(),
            fingerprint: self.fingerprint.clone(),
            answer: answer.clone(),
            until,
        });
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.app.books().replays.end(self.provider, &self.key);
    }
}
