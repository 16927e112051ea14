//! For tests: a server that answers what it is told, one call after the other, then 500.

use std::time::Duration;

use serde_json::Value;

use super::CallSettings;
use super::scripted::{Asked, Scripted};

/// The server, which answers in texts alone; an empty one closes the connection without an answer.
#[derive(Clone)]
pub(super) struct Stub {
    pub url: String,
    server: Scripted,
}

impl Stub {
    pub async fn new(answers: impl IntoIterator<Item = String>) -> Self {
        Self::of(Scripted::fixed(answers).await)
    }

    fn of(server: Scripted) -> Self {
        Self { url: server.url.clone(), server }
    }

    /// Where nobody listens.
    pub fn nowhere() -> Self {
        Self::of(Scripted::nowhere())
    }

    /// Answers to give after those that are left.
    pub fn then(&self, answers: impl IntoIterator<Item = String>) {
        self.server.then(answers);
    }

    /// Every request so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.server.asked().into_iter().map(|Asked { head, body }| format!("{head}\r\n\r\n{body}")).collect()
    }

    /// Method and path of every request so far.
    pub fn calls(&self) -> Vec<String> {
        self.requests().iter().map(|it| it.split(" HTTP/").next().unwrap_or_default().to_owned()).collect()
    }
}

/// An answer with these headers, each ended by a line break.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// An answer in JSON.
pub(super) fn json_answer(status: &str, body: &Value) -> String {
    answer(status, "content-type: application/json\r\n", &body.to_string())
}

/// No answer at all.
pub(super) fn silence() -> String {
    String::new()
}

/// Quick, and without a second attempt.
pub(super) fn quick() -> CallSettings {
    let (timeout, first_pause) = (Duration::from_secs(2), Duration::from_millis(5));
    CallSettings { timeout, first_pause, attempts: 1, ..CallSettings::default() }
}
