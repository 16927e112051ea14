//! Sockets: one for each person, which is told whatever happens to its place, and opened again when the server ends it.
//!
//! A quiet socket costs a task and what the kernel keeps: bytes are read into a buffer that all share.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use service_kit::clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::frame::{self, Frame, Frames};
use super::people::{Gate, People};
use super::person::{Busy, Status};
use super::{checkout, scan};

/// The key and its answer of RFC 6455, section 1.3: nothing is to be kept from anybody here.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPTED: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// An answer's head is no longer.
const HEAD: usize = 4096;
/// Read at once.
const PIECE: usize = 4096;
/// A socket is open within so long.
const OPEN: Duration = Duration::from_secs(30);
/// Before it is opened again, at most.
const AGAIN: Duration = Duration::from_secs(1);
/// Whoever is admitted when the gate shuts is told within so long.
const LAST_TOLD: Duration = Duration::from_secs(6);

/// One person's socket, which was to be opened then, for as long as the process lives.
pub async fn live(people: Arc<People>, who: usize, due: Instant) {
    people.tally().sockets += 1;
    let mut server = people.with(who, |person| person.home);
    let mut opened_before = false;
    loop {
        match timeout(OPEN, open(&people, who, server)).await.context("no answer in time").flatten() {
            Ok((stream, rest)) => {
                if opened_before {
                    people.tally().reopened += 1;
                } else {
                    people.tally().connecting.record(clock::monotonic().saturating_duration_since(due));
                    opened_before = true;
                }
                let ended = listen(&people, who, server, &stream, &rest).await;
                people.tally().error("socket ended", || ended.to_string());
            }
            Err(error) => people.tally().error("socket not opened", || format!("{error:#}")),
        }
        // Whom one server lets go spread over all of them.
        server = people.chance().below(people.plan.query.len());
        let pause = AGAIN.mul_f64(people.chance().unit());
        sleep(pause).await;
    }
}

/// Opens it; gives what came after the answer's head.
async fn open(people: &Arc<People>, who: usize, server: usize) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    let mut stream = people.sources.connect(people.plan.query[server]).await.context("connect")?;
    stream.set_nodelay(true).context("connect")?;
    let show = people.plan.show;
    let asked = people.with(who, |person| {
        format!(
            "GET /v1/shows/{show}/live?session={}&queue_ticket={} HTTP/1.1\r\nhost: load\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n",
            person.session, person.ticket
        )
    });
    stream.write_all(asked.as_bytes()).await.context("ask for a socket")?;
    let mut read = Vec::with_capacity(1024);
    loop {
        let count = stream.read_buf(&mut read).await.context("read the answer")?;
        if let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
            let upgraded =
                read.starts_with(b"HTTP/1.1 101") && read[..end].windows(ACCEPTED.len()).any(|it| it == ACCEPTED);
            ensure!(upgraded, "{}", String::from_utf8_lossy(&read).chars().take(400).collect::<String>());
            return Ok((stream, read.split_off(end + 4)));
        }
        if count == 0 || read.len() > HEAD {
            bail!("no answer: {}", String::from_utf8_lossy(&read).chars().take(100).collect::<String>());
        }
    }
}

/// Listens until it ends, and tells why it did.
async fn listen(people: &Arc<People>, who: usize, server: usize, stream: &TcpStream, rest: &[u8]) -> anyhow::Error {
    let (mut frames, mut answers) = (Frames::default(), Vec::new());
    let mut heard = take(people, who, server, &mut frames, rest, &mut answers);
    loop {
        if let Err(error) = heard {
            return error;
        }
        if let Err(error) = send(stream, &mut answers).await {
            return anyhow::Error::from(error).context("answer a ping");
        }
        if let Err(error) = stream.readable().await {
            return error.into();
        }
        heard = read(people, who, server, stream, &mut frames, &mut answers);
    }
}

/// Not a future, so that the buffer lies on the stack of whoever runs, and not in every socket's task.
fn read(
    people: &Arc<People>,
    who: usize,
    server: usize,
    stream: &TcpStream,
    frames: &mut Frames,
    answers: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let mut piece = [0; PIECE];
    match stream.try_read(&mut piece) {
        Ok(0) => bail!("closed without a word"),
        Ok(count) => take(people, who, server, frames, &piece[..count], answers),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn take(
    people: &Arc<People>,
    who: usize,
    server: usize,
    frames: &mut Frames,
    bytes: &[u8],
    answers: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let mut closed = None;
    people.tally().bytes += bytes.len() as u64;
    frames.take(bytes, |frame| match frame {
        Frame::Text(message) => told(people, who, server, message),
        Frame::Ping(payload) => {
            frame::pong(answers, payload);
            people.tally().pings += 1;
        }
        Frame::Pong => {}
        Frame::Close(code) => closed = Some(code),
    })?;
    match closed {
        Some(code) => bail!("closed by the server with {code:?}"),
        None => Ok(()),
    }
}

async fn send(stream: &TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => drop(bytes.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    // A quiet socket keeps nothing.
    *bytes = Vec::new();
    Ok(())
}

/// A message. Whoever waited when the socket was opened, and learns of the admission by it, tells how long that took.
fn told(people: &Arc<People>, who: usize, server: usize, message: &[u8]) {
    people.tally().messages += 1;
    let Some(seen) = scan::pushed(message) else { return };
    let waited = people.with(who, |person| person.waits());
    let noted = people.look(who, &seen, server);
    if noted.admitted && waited {
        let admitted_us = seen.enter_by.and_then(micros).map(|by| by - people.plan.enter_s * 1_000_000);
        match admitted_us.and_then(|at| u64::try_from(clock::now().0 - at).ok()) {
            Some(took_us) => people.tally().telling.record(Duration::from_micros(took_us)),
            None => people.tally().error("admitted at no time", || format!("enter_by {:?}", seen.enter_by)),
        }
    }
    let passes = people.with(who, |person| {
        let passes = person.status == Status::Admitted && person.busy == Busy::Free;
        if passes {
            person.busy = Busy::Passing;
        }
        passes
    });
    if passes {
        tokio::spawn(checkout::pass(Arc::clone(people), who));
    }
}

fn micros(text: &str) -> Option<i64> {
    Some(text.parse::<jiff::Timestamp>().ok()?.as_microsecond())
}

/// Opens the gate for so long: whoever is admitted meanwhile moves on.
pub async fn admit(people: &Arc<People>, seconds: u64) {
    people.gate.send_replace(Gate::Open);
    sleep(Duration::from_secs(seconds)).await;
    people.gate.send_replace(Gate::Shut);
    // The slots that are free fill up once more: those who get them are to be told, too.
    sleep(LAST_TOLD).await;
}
