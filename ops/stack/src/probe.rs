//! Asks a server, in its own protocol, whether it does its work; an open port alone proves nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// A healthy server on the same machine answers far sooner; a frozen one never does.
const PATIENCE: Duration = Duration::from_secs(3);

/// Checks that Kafka's broker is unfenced: it then lists itself, under our port, among the live brokers.
pub fn kafka(port: u16) -> Result<()> {
    let mut stream = connect(port)?;
    let versions = ask_kafka(&mut stream, 18, 0, &[])?;
    ensure!(versions.get(0..2) == Some(&[0, 0]), "Kafka refuses to tell its versions");
    let no_topics = 0_i32.to_be_bytes();
    let answer = ask_kafka(&mut stream, 3, 1, &no_topics)?;
    let mut rest = answer.as_slice();
    let brokers = take_i32(&mut rest)?;
    for _ in 0..brokers {
        take_i32(&mut rest)?;
        let host = take_i16(&mut rest)?;
        take(&mut rest, usize::try_from(host).context("a broker without a host")?)?;
        if take_i32(&mut rest)? == i32::from(port) {
            return Ok(());
        }
        let rack = take_i16(&mut rest)?;
        take(&mut rest, usize::try_from(rack).unwrap_or(0))?;
    }
    bail!("Kafka answers, but the broker does not serve yet")
}

/// Checks that the registry reads its storage: `GET /subjects` answers 200.
pub fn registry(port: u16) -> Result<()> {
    let mut stream = connect(port)?;
    let request = "GET /apis/ccompat/v7/subjects HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).context("ask the registry")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).context("read the registry's answer")?;
    ensure!(head == *b"HTTP/1.1 200", "the registry answers {}", String::from_utf8_lossy(&head));
    Ok(())
}

/// Checks that Postgres runs a query as the superuser: `SELECT 1` gives a row.
pub fn postgres(port: u16) -> Result<()> {
    let mut stream = connect(port)?;
    let startup = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    send_postgres(&mut stream, startup)?;
    until_ready(&mut stream)?;
    stream.write_all(b"Q").context("ask Postgres")?;
    send_postgres(&mut stream, b"SELECT 1\0")?;
    let seen = until_ready(&mut stream)?;
    ensure!(seen.contains(&b'D'), "Postgres answers SELECT 1 without a row");
    stream.write_all(b"X\0\0\0\x04").context("take leave of Postgres")
}

fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("connect to port {port}"))?;
    stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
    Ok(stream)
}

fn ask_kafka(stream: &mut TcpStream, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
    let correlation = 1_i32.to_be_bytes();
    let no_client_id = (-1_i16).to_be_bytes();
    let request = [&key.to_be_bytes()[..], &version.to_be_bytes(), &correlation, &no_client_id, body].concat();
    let size = i32::try_from(request.len()).expect("our requests are tiny");
    stream.write_all(&[&size.to_be_bytes()[..], &request].concat()).context("ask Kafka")?;
    let mut size = [0; 4];
    stream.read_exact(&mut size).context("read Kafka's answer")?;
    let size = u32::from_be_bytes(size);
    ensure!((4..1 << 20).contains(&size), "Kafka's answer has an impossible size");
    let mut answer = vec![0; size as usize];
    stream.read_exact(&mut answer).context("read Kafka's answer")?;
    ensure!(answer.starts_with(&correlation), "Kafka answers another question");
    Ok(answer.split_off(4))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count).context("Kafka's answer is too short")?;
    *rest = left;
    Ok(taken)
}

fn take_i16(rest: &mut &[u8]) -> Result<i16> {
    Ok(i16::from_be_bytes(take(rest, 2)?.try_into().expect("two bytes were taken")))
}

fn take_i32(rest: &mut &[u8]) -> Result<i32> {
    Ok(i32::from_be_bytes(take(rest, 4)?.try_into().expect("four bytes were taken")))
}

fn send_postgres(stream: &mut TcpStream, body: &[u8]) -> Result<()> {
    let size = u32::try_from(body.len() + 4).expect("our messages are tiny");
    stream.write_all(&[&size.to_be_bytes()[..], body].concat()).context("ask Postgres")
}

/// Reads messages until Postgres is ready for a query, and gives their types.
fn until_ready(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut seen = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).context("read Postgres's answer")?;
        let size = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        ensure!((4..1 << 20).contains(&size), "Postgres's answer has an impossible size");
        let mut body = vec![0; size as usize - 4];
        stream.read_exact(&mut body).context("read Postgres's answer")?;
        match head[0] {
            b'Z' => return Ok(seen),
            b'E' => bail!("Postgres refuses: {}", String::from_utf8_lossy(&body).replace('\0', " ")),
            kind => seen.push(kind),
        }
    }
}
