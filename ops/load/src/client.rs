//! A client that costs little: kept connections to one server, one request at a time on each.
//!
//! A general client would take more of a small machine than what is measured.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::source::Sources;
use crate::wire::{self, Answer, Parsed, WireError};

/// Read at once.
const PIECE: usize = 8 << 10;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection can be made.
    #[error("connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    /// The connection broke, or the server closed it before its answer was whole.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// What came is no HTTP.
    #[error("the answer is no HTTP")]
    NoHttp(#[from] WireError),
    /// Too many requests wait for a connection already; this one was never sent.
    #[error("too many requests wait for a connection")]
    Crowded,
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl ClientError {
    /// A short name to count it by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connect(..) => "connect",
            Self::Broken(_) => "broken",
            Self::NoHttp(_) => "no-http",
            Self::Crowded => "unsent",
            Self::TimedOut(_) => "timed-out",
        }
    }
}

/// One server.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
    waiting: AtomicU64,
    limits: Limits,
    sources: Option<Arc<Sources>>,
    /// Connections that the server had closed while nobody used them.
    pub made_again: AtomicU64,
}

/// What a client allows itself.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at most.
    pub connections: usize,
    /// Requests that wait for a connection at most.
    pub waiting: u64,
    /// An answer comes within so long.
    pub answer: Duration,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// Of the server at this address; no connection is made yet.
    pub fn new(address: SocketAddr, limits: Limits) -> Self {
        let (places, idle) = (Semaphore::new(limits.connections), Mutex::default());
        let (waiting, made_again) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { address, idle, places, waiting, limits, sources: None, made_again }
    }

    /// The same, and each connection comes from an address of its own.
    pub fn from_sources(self, sources: &Arc<Sources>) -> Self {
        Self { sources: Some(Arc::clone(sources)), ..self }
    }

    /// Sends a written request and gives the answer. One that met a connection the server had closed meanwhile is sent
    /// again on a new one: nothing of it was answered, and every request of ours may be repeated.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, request: &[u8]) -> Result<Answer, ClientError> {
        let limit = self.limits.answer;
        timeout(limit, self.asked(request)).await.unwrap_or(Err(ClientError::TimedOut(limit)))
    }

    async fn asked(&self, request: &[u8]) -> Result<Answer, ClientError> {
        let _place = self.place().await?;
        if let Some(mut kept) = self.take() {
            match kept.ask(request).await {
                Ok(asked) => return Ok(self.done(kept, asked)),
                Err(ClientError::Broken(_)) if kept.read.is_empty() => {
                    self.made_again.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        let mut fresh = self.connect().await?;
        let asked = fresh.ask(request).await?;
        Ok(self.done(fresh, asked))
    }

    async fn connect(&self) -> Result<Connection, ClientError> {
        let failed = |error| ClientError::Connect(self.address, error);
        let stream = match &self.sources {
            Some(sources) => sources.connect(self.address).await,
            None => TcpStream::connect(self.address).await,
        };
        let stream = stream.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Connection { stream, read: Vec::with_capacity(PIECE) })
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, ClientError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        if self.waiting.load(Ordering::Relaxed) >= self.limits.waiting {
            return Err(ClientError::Crowded);
        }
        let _counted = Counted::new(&self.waiting);
        Ok(self.places.acquire().await.expect("nobody closes it"))
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn done(&self, connection: Connection, (answer, keep): (Answer, bool)) -> Answer {
        if keep {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }
}

/// Somebody who waits, until dropped.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Tells whether the connection may be used again. What was read stays readable if it fails.
    async fn ask(&mut self, request: &[u8]) -> Result<(Answer, bool), ClientError> {
        self.read.clear();
        self.stream.write_all(request).await.map_err(ClientError::Broken)?;
        loop {
            self.read.reserve(PIECE);
            let count = self.stream.read_buf(&mut self.read).await.map_err(ClientError::Broken)?;
            let parsed = if self.read.is_empty() { Parsed::Partial } else { wire::parse(&self.read)? };
            match parsed {
                // Whoever sends more than was asked for is not trusted any further.
                Parsed::Whole { answer, taken, keep } => return Ok((answer, keep && taken == self.read.len())),
                Parsed::UntilClosed(answer) if count == 0 => return Ok((answer, false)),
                Parsed::Partial if count == 0 => {
                    return Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into()));
                }
                Parsed::Partial | Parsed::UntilClosed(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LIMITS: Limits = Limits { connections: 1, waiting: 1, answer: Duration::from_secs(5) };

    /// A server that sends each of these pieces alone, connection after connection, and closes at the end of a list.
    async fn server(connections: Vec<Vec<&'static str>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for pieces in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 1024];
                for piece in pieces {
                    if piece == "?" {
                        assert!(stream.read(&mut asked).await.unwrap() > 0);
                    } else {
                        stream.write_all(piece.as_bytes()).await.unwrap();
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
            std::future::pending::<()>().await;
        });
        address
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

    #[tokio::test]
    async fn a_split_answer_is_one_and_the_connection_is_used_again() {
        let split = vec!["?", "HTTP/1.1 200 OK\r\nconte", "nt-length: 4\r\n\r\na", "bcd", "?", OK];
        let client = Client::new(server(vec![split]).await, LIMITS);
        assert_eq!(client.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap().body, b"abcd");
        assert_eq!(client.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap().body, b"hi");
        assert_eq!(client.made_again.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_connection_closed_meanwhile_is_made_again_and_counted() {
        let client = Client::new(server(vec![vec!["?", OK], vec!["?", OK]]).await, LIMITS);
        client.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(client.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap().body, b"hi");
        assert_eq!(client.made_again.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn half_an_answer_is_a_failure_and_one_without_length_ends_with_the_connection() {
        let half = vec!["?", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"];
        let open = vec!["?", "HTTP/1.1 200 OK\r\n\r\nto the ", "end"];
        let client = Client::new(server(vec![half, open]).await, LIMITS);
        let failed = client.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err();
        assert_eq!(failed.kind(), "broken");
        assert_eq!(client.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap().body, b"to the end");
    }

    #[tokio::test]
    async fn who_finds_too_many_waiting_is_not_sent() {
        let client = Arc::new(Client::new(server(vec![vec!["?", "?"]]).await, Limits { waiting: 0, ..LIMITS }));
        let first = Arc::clone(&client);
        let first = tokio::spawn(async move { first.ask(b"GET / HTTP/1.1\r\n\r\n").await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(client.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err().kind(), "unsent");
        first.abort();
    }
}
