//! HTTP/1.1 as bytes: requests written, answers read, without a socket.

use std::io::Write as _;

use thiserror::Error;

/// An answer with more headers is refused.
const HEADERS: usize = 48;
/// A longer answer is refused.
const LONGEST: usize = 4 << 20;

/// Writes a request at the end of `to`. A body is JSON.
pub fn write(to: &mut Vec<u8>, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) {
    to.extend_from_slice(method.as_bytes());
    to.push(b' ');
    to.extend_from_slice(path.as_bytes());
    to.extend_from_slice(b" HTTP/1.1\r\nhost: load\r\n");
    for (name, value) in headers {
        to.extend_from_slice(name.as_bytes());
        to.extend_from_slice(b": ");
        to.extend_from_slice(value.as_bytes());
        to.extend_from_slice(b"\r\n");
    }
    if let Some(body) = body {
        // Writing to memory cannot fail.
        let _ = write!(to, "content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    to.extend_from_slice(b"\r\n");
    to.extend_from_slice(body.unwrap_or_default());
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, if it has one.
    pub retry_after: Option<String>,
    /// `Consistency-Token`, if it has one.
    pub token: Option<String>,
    /// `Idempotency-Replayed` was there.
    pub replayed: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// How far an answer has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// More bytes are needed.
    Partial,
    /// It ends where the connection does.
    UntilClosed(Answer),
    /// It is whole, took so many bytes, and the connection may be used again.
    Whole {
        /// The answer.
        answer: Answer,
        /// How many bytes it took.
        taken: usize,
        /// Whether the connection stays open.
        keep: bool,
    },
}

/// What is no answer of HTTP/1.1.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum WireError {
    /// The head cannot be read.
    #[error("the head of an answer cannot be read: {0}")]
    Head(httparse::Error),
    /// A chunk's size cannot be read.
    #[error("the size of a chunk cannot be read")]
    Chunk,
    /// The length is no number.
    #[error("the length of an answer is no number")]
    Length,
    /// It is longer than anything asked for.
    #[error("an answer is longer than {LONGEST} bytes")]
    TooLong,
}

/// How the end of a body is told.
enum Framing {
    Empty,
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Reads the answer at the beginning of `bytes`.
///
/// # Errors
/// It is none.
pub fn parse(bytes: &[u8]) -> Result<Parsed, WireError> {
    if bytes.len() > LONGEST {
        return Err(WireError::TooLong);
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(WireError::Head)? else {
        return Ok(Parsed::Partial);
    };
    let status = head.code.unwrap_or_default();
    let mut answer = Answer { status, ..Answer::default() };
    let (framing, keep) = told(&head, &mut answer)?;
    let rest = &bytes[length..];
    let taken = match framing {
        Framing::Empty => Some(0),
        Framing::Length(size) if size > LONGEST => return Err(WireError::TooLong),
        Framing::Length(size) => rest.get(..size).map(|body| {
            answer.body.extend_from_slice(body);
            size
        }),
        Framing::Chunked => chunks(rest, &mut answer.body)?,
        Framing::UntilClosed => {
            answer.body.extend_from_slice(rest);
            return Ok(Parsed::UntilClosed(answer));
        }
    };
    Ok(taken.map_or(Parsed::Partial, |taken| Parsed::Whole { answer, taken: length + taken, keep }))
}

fn told(head: &httparse::Response<'_, '_>, answer: &mut Answer) -> Result<(Framing, bool), WireError> {
    let mut framing = Framing::UntilClosed;
    let mut keep = head.version == Some(1);
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let text = || String::from_utf8_lossy(header.value).trim().to_owned();
        if is("content-length") {
            framing = Framing::Length(text().parse().map_err(|_| WireError::Length)?);
        } else if is("transfer-encoding") && header.value.eq_ignore_ascii_case(b"chunked") {
            framing = Framing::Chunked;
        } else if is("connection") {
            keep &= !header.value.eq_ignore_ascii_case(b"close");
        } else if is("retry-after") {
            answer.retry_after = Some(text());
        } else if is("consistency-token") {
            answer.token = Some(text());
        } else if is("idempotency-replayed") {
            answer.replayed = true;
        }
    }
    if matches!(answer.status, 100..=199 | 204 | 304) {
        framing = Framing::Empty;
    }
    Ok((framing, keep))
}

/// Appends whole chunks to `body`; gives how many bytes they took, once the last one is there.
fn chunks(bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, WireError> {
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&bytes[at..]) else {
            return match httparse::parse_chunk_size(&bytes[at..]) {
                Ok(_) => Ok(None),
                Err(_) => Err(WireError::Chunk),
            };
        };
        let size = usize::try_from(size).ok().filter(|size| *size <= LONGEST).ok_or(WireError::TooLong)?;
        let (from, to) = (at + line, at + line + size);
        let Some(after) = bytes.get(to..to + 2) else { return Ok(None) };
        if after != b"\r\n" {
            return Err(WireError::Chunk);
        }
        body.extend_from_slice(&bytes[from..to]);
        at = to + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> (Answer, usize, bool) {
        match parse(text.as_bytes()).unwrap() {
            Parsed::Whole { answer, taken, keep } => (answer, taken, keep),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_written_as_the_protocol_says() {
        let mut bytes = Vec::new();
        write(&mut bytes, "PUT", "/v1/x", &[("idempotency-key", "k")], Some(b"{}"));
        let expected = "PUT /v1/x HTTP/1.1\r\nhost: load\r\nidempotency-key: k\r\ncontent-type: application/json\r\n\
                        content-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn an_answer_of_known_length_leaves_what_follows() {
        let text = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nconsistency-token: t\r\n\r\n{}HTTP/1.1 200";
        let (answer, taken, keep) = whole(text);
        assert_eq!((answer.status, answer.body.as_slice(), answer.token.as_deref()), (201, &b"{}"[..], Some("t")));
        assert!(keep);
        assert_eq!(&text[taken..], "HTTP/1.1 200");
    }

    #[test]
    fn chunks_are_put_together_wherever_the_bytes_are_split() {
        let text = "HTTP/1.1 503 x\r\ntransfer-encoding: chunked\r\nretry-after: 2\r\n\r\n4\r\nabcd\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end]), Ok(Parsed::Partial), "{end}");
        }
        let (answer, taken, _) = whole(text);
        assert_eq!((answer.body.as_slice(), answer.retry_after.as_deref()), (&b"abcd0123456789"[..], Some("2")));
        assert_eq!(taken, text.len());
    }

    #[test]
    fn who_says_close_or_tells_no_length_is_not_asked_again() {
        assert!(!whole("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n").2);
        assert!(!whole("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n").2);
        assert!(
            matches!(parse(b"HTTP/1.1 200 OK\r\n\r\nabc"), Ok(Parsed::UntilClosed(answer)) if answer.body == b"abc")
        );
        assert_eq!(whole("HTTP/1.1 204 No Content\r\n\r\n").0.status, 204);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert!(matches!(parse(b"SSH-2.0-x\r\n\r\n"), Err(WireError::Head(_))));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), Err(WireError::Length));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), Err(WireError::Chunk));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"), Err(WireError::TooLong));
    }
}
