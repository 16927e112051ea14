//! For tests: a server that gives the answers it is told, one after the other, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{BreakerSettings, CallSettings};

/// Makes an answer of the body of a request.
pub(super) type Answering = Box<dyn FnOnce(&str) -> String + Send>;

/// Gives its answers one after the other, then 500.
#[derive(Clone)]
pub(super) struct Scripted {
    pub url: String,
    answers: Arc<Mutex<VecDeque<Answering>>>,
    requests: Arc<Mutex<Vec<Asked>>>,
    /// Connections that are left without an answer.
    silent: Arc<Mutex<Vec<TcpStream>>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub head: String,
    pub body: String,
}

impl Scripted {
    /// With answers that need no request to be made.
    pub(super) async fn fixed(answers: impl IntoIterator<Item = String>) -> Self {
        Self::new(answers.into_iter().map(told)).await
    }

    /// Where nobody listens.
    pub(super) fn nowhere() -> Self {
        let url = "http://127.0.0.1:1".to_owned();
        Self { url, answers: Arc::default(), requests: Arc::default(), silent: Arc::default() }
    }

    /// Answers to give after those that are left.
    pub(super) fn then(&self, answers: impl IntoIterator<Item = String>) {
        self.answers.lock().unwrap().extend(answers.into_iter().map(told));
    }

    pub(super) async fn new(answers: impl IntoIterator<Item = Answering>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let server = Self { url, answers, requests: Arc::default(), silent: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.serve(stream).await;
            }
        });
        server
    }

    async fn serve(&self, mut stream: TcpStream) {
        let asked = read(&mut stream).await;
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.map_or_else(|| answer("500 Oh", ""), |make| make(&asked.body));
        self.requests.lock().unwrap().push(asked);
        if answer == SILENCE {
            return self.silent.lock().unwrap().push(stream);
        }
        // A client that had enough closes early.
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn told(answer: String) -> Answering {
    Box::new(|_| answer)
}

async fn read(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |it| it.parse().unwrap());
            if read == 0 || body.len() >= length {
                return Asked { head: head.to_owned(), body: body.to_owned() };
            }
        }
        assert!(read > 0, "a request ends with its body");
    }
}

/// An answer with a body.
pub(super) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// In place of an answer: the connection stays open, and nothing comes.
pub(super) const SILENCE: &str = "silence";

/// No answer at all: the connection breaks after the request was read.
pub(super) fn cut() -> String {
    String::new()
}

/// One attempt, and patience with a busy machine.
pub(super) fn calls() -> CallSettings {
    let (timeout, first_pause) = (Duration::from_secs(20), Duration::from_millis(5));
    let breaker = BreakerSettings { failures: 100, pause: Duration::from_secs(5) };
    CallSettings { timeout, first_pause, attempts: 1, breaker, ..CallSettings::default() }
}
