//! A stand-in for the schema registry that passes questions on, is down, or answers as another registry would.
//!
//! It speaks just enough HTTP/1.1: one question for each connection, which it closes.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::ports::free_port;

const PATIENCE: Duration = Duration::from_secs(30);
const LARGEST: u64 = 8 << 20;

/// What the registry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// What it says.
    Truth,
    /// Nothing: nobody listens.
    Nothing,
    /// What a registry would that was filled in another order: every id means the schema of its neighbour.
    OtherIds,
}

/// A stand-in for the registry at an address of its own, until this value is dropped.
pub struct RegistryProxy {
    port: u16,
    path: String,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    upstream: String,
    answers: Mutex<Answers>,
    stop: AtomicBool,
    asked: AtomicU64,
}

impl RegistryProxy {
    /// Stands in for the registry at this URL, and tells the truth.
    ///
    /// # Errors
    /// The URL has no address, or no port is free.
    pub fn start(registry: &str) -> Result<Self> {
        let rest = registry.strip_prefix("http://").context("the local registry speaks plain HTTP")?;
        let (upstream, path) = rest.split_once('/').context("the local registry has a path")?;
        let shared = Shared {
            upstream: upstream.to_owned(),
            answers: Mutex::new(Answers::Truth),
            stop: AtomicBool::new(false),
            asked: AtomicU64::new(0),
        };
        let proxy =
            Self { port: free_port()?, path: path.to_owned(), shared: Arc::new(shared), accepting: Mutex::new(None) };
        proxy.answer(Answers::Truth)?;
        Ok(proxy)
    }

    /// Where it is, instead of the registry's own URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, self.path)
    }

    /// From now on it answers like this.
    ///
    /// # Errors
    /// Somebody took the port while nobody listened.
    pub fn answer(&self, answers: Answers) -> Result<()> {
        *self.shared.answers() = answers;
        let mut accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        if answers == Answers::Nothing {
            self.close(accepting.take());
        } else if accepting.is_none() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port));
            let listener = listener.with_context(|| format!("listen on port {}", self.port))?;
            let shared = Arc::clone(&self.shared);
            self.shared.stop.store(false, Ordering::Release);
            *accepting = Some(thread::spawn(move || shared.accept(&listener)));
        }
        Ok(())
    }

    /// How many questions came.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    fn close(&self, accepting: Option<JoinHandle<()>>) {
        let Some(accepting) = accepting else {
            return;
        };
        self.shared.stop.store(true, Ordering::Release);
        // Whoever waits for a connection notices the order at the next one.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        drop(accepting.join());
    }
}

impl Drop for RegistryProxy {
    fn drop(&mut self) {
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.close(accepting);
    }
}

impl Shared {
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(&self);
            // A question that is broken off is asked again by whoever asked it.
            thread::spawn(move || drop(shared.serve(&stream)));
        }
    }

    fn serve(&self, client: &TcpStream) -> Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (head, body) = message(client)?;
        let others = *self.answers() == Answers::OtherIds;
        let (line, headers) = head.split_once("\r\n").context("a request has a first line")?;
        let line = if others { asked_for_neighbour(line) } else { line.to_owned() };
        let upstream = TcpStream::connect(&self.upstream).context("the registry listens")?;
        send(&upstream, &line, headers, &body)?;
        let (head, body) = message(&upstream)?;
        let (line, headers) = head.split_once("\r\n").context("an answer has a first line")?;
        let body = if others { named_as_neighbour(body) } else { body };
        send(client, line, headers, &body)
    }
}

/// Reads the head without its empty line, and the body.
fn message(stream: &TcpStream) -> Result<(String, Vec<u8>)> {
    stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
    let mut reader = BufReader::new(stream.take(LARGEST));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(reader.read_line(&mut head).context("read a head")? > 0, "the head ends early");
    }
    head.truncate(head.len() - 4);
    let value = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let chunked = value("transfer-encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked"));
    let length: Option<usize> = value("content-length").and_then(|it| it.parse().ok());
    let body = match (chunked, length) {
        (true, _) => chunks(&mut reader)?,
        (false, length) => {
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).context("read a body")?;
            body
        }
    };
    Ok((head, body))
}

fn chunks(reader: &mut impl io::BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).context("read a chunk's length")?;
        let length =
            usize::from_str_radix(line.trim().split(';').next().unwrap_or(""), 16).context("a chunk's length")?;
        let start = body.len();
        body.resize(start + length + 2, 0);
        reader.read_exact(&mut body[start..]).context("read a chunk")?;
        body.truncate(start + length);
        if length == 0 {
            return Ok(body);
        }
    }
}

fn send(mut stream: &TcpStream, line: &str, headers: &str, body: &[u8]) -> Result<()> {
    let ours = ["connection", "content-length", "transfer-encoding"];
    let is_ours = |header: &&str| {
        header.split_once(':').is_some_and(|(name, _)| ours.iter().any(|it| name.eq_ignore_ascii_case(it)))
    };
    let mut head = format!("{line}\r\n");
    for header in headers.lines().filter(|header| !header.is_empty() && !is_ours(header)) {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str(&format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).context("pass it on")
}

fn neighbour(id: u64) -> u64 {
    id ^ 1
}

/// `GET …/schemas/ids/6` becomes `GET …/schemas/ids/7`.
fn asked_for_neighbour(line: &str) -> String {
    let Some((before, rest)) = line.split_once("/schemas/ids/") else {
        return line.to_owned();
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    match rest[..digits].parse::<u64>() {
        Ok(id) => format!("{before}/schemas/ids/{}{}", neighbour(id), &rest[digits..]),
        Err(_) => line.to_owned(),
    }
}

/// `{"id": 6}` becomes `{"id": 7}`.
fn named_as_neighbour(body: Vec<u8>) -> Vec<u8> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(&body) else {
        return body;
    };
    let Some(id) = answer.get("id").and_then(Value::as_u64) else {
        return body;
    };
    answer.insert("id".to_owned(), neighbour(id).into());
    Value::Object(answer).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_means_its_neighbour() {
        assert_eq!(asked_for_neighbour("GET /a/schemas/ids/6?x=1 HTTP/1.1"), "GET /a/schemas/ids/7?x=1 HTTP/1.1");
        assert_eq!(asked_for_neighbour("GET /a/subjects HTTP/1.1"), "GET /a/subjects HTTP/1.1");
        assert_eq!(named_as_neighbour(br#"{"id":7}"#.to_vec()), br#"{"id":6}"#);
        assert_eq!(named_as_neighbour(br#"[1]"#.to_vec()), br#"[1]"#);
    }
}
