//! Request ids and W3C trace context.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::random;

/// The header of a request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What finds a request in the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The client's, if sane (1 to 128 letters, digits, `.`, `_`, `:`, `-`), else a fresh one.
    pub fn of(headers: &HeaderMap) -> Self {
        let theirs = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let sane = |id: &&str| {
            (1..=128).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_alphanumeric() || b"._:-".contains(&it))
        };
        Self(theirs.filter(sane).map_or_else(|| random::id().to_string(), ToOwned::to_owned))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header's value.
    pub fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("a sane id is visible ASCII")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// Where a request stands in a distributed trace (W3C Trace Context, version 00).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace.
    pub trace: u128,
    /// The caller's span, or ours once [`Self::child`] made it.
    pub span: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`; later versions are read as far as version 00 goes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        let whole = version > 0 || parts.next().is_none();
        (whole && version != 0xff && trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The same trace with a span of our own.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: u64::from_be_bytes(random::bytes()).max(1), ..self }
    }

    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.to_str().ok()?),
            _ => None,
        }
    }
}

/// As a `traceparent` header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// So many lower-case hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text.len() == digits && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    if lower { u128::from_str_radix(text, 16).ok() } else { None }
}

/// The request's trace with a span of ours, if it came with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace(pub Option<TraceContext>);

impl Trace {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(TraceContext::of(headers).map(TraceContext::child))
    }
}

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// What a request is known by, here and wherever its commands go.
#[derive(Debug, Clone)]
pub struct Known {
    /// What finds it in the logs.
    pub id: RequestId,
    /// Where it stands in a distributed trace.
    pub trace: Trace,
}

tokio::task_local! {
    static KNOWN: Known;
}

impl Known {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self { id: RequestId::of(headers), trace: Trace::of(headers) }
    }

    /// Of the request that is just being answered; none of what Boxoffice does by itself.
    pub fn current() -> Option<Self> {
        KNOWN.try_with(Self::clone).ok()
    }
}

/// Answers a request that is known by this.
pub async fn carrying<T>(known: Known, answer: impl Future<Output = T>) -> T {
    KNOWN.scope(known, answer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_parent_comes_back_as_it_was() {
        let context = TraceContext::parse(PARENT).unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), PARENT);
        let child = context.child();
        assert_eq!(child.trace, context.trace);
        assert_ne!(child.span, context.span);
    }

    #[test]
    fn a_later_version_is_read_and_nonsense_is_not() {
        assert!(TraceContext::parse(&PARENT.replacen("00", "cc", 1)).is_some());
        assert!(TraceContext::parse(&format!("{}-more", PARENT.replacen("00", "cc", 1))).is_some());
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let upper = PARENT.to_uppercase();
        let bad = ["", "00", zeros, &upper, &PARENT[..54], &format!("{PARENT}-x"), &PARENT.replacen("00", "ff", 1)];
        for text in bad {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_sane_request_id_is_kept() {
        let of = |text: &str| RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, text.parse().unwrap())]));
        assert_eq!(of("abc-1.2:3_4").as_str(), "abc-1.2:3_4");
        for bad in ["", "a b", "<script>", &"x".repeat(129)] {
            assert_ne!(of(bad).as_str(), bad);
            assert_eq!(of(bad).as_str().len(), 36);
        }
    }
}
