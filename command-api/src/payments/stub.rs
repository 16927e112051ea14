//! For tests: a server that answers what it is told, one call after the other, then 500.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::CallSettings;

/// The server; an empty answer closes the connection without one.
#[derive(Clone)]
pub(super) struct Stub {
    pub url: String,
    answers: Arc<Mutex<VecDeque<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub async fn new(answers: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stub = Self { url, answers: Arc::new(Mutex::new(answers.into_iter().collect())), requests: Arc::default() };
        let serving = stub.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.serve(stream).await;
            }
        });
        stub
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut chunk = [0; 16 * 1024];
        while !is_whole(&request) {
            match stream.read(&mut chunk).await {
                Ok(read) if read > 0 => request.extend_from_slice(&chunk[..read]),
                _ => break,
            }
        }
        self.requests.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| answer("500 Oh", "", ""));
        // A client that had enough closes early.
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    /// Where nobody listens.
    pub fn nowhere() -> Self {
        Self { url: "http://127.0.0.1:1".to_owned(), answers: Arc::default(), requests: Arc::default() }
    }

    /// Answers to give after those that are left.
    pub fn then(&self, answers: impl IntoIterator<Item = String>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Every request so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Method and path of every request so far.
    pub fn calls(&self) -> Vec<String> {
        self.requests().iter().map(|it| it.split(" HTTP/").next().unwrap_or_default().to_owned()).collect()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
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
