//! Request ids and W3C trace context.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
pub use domain::trace::{TRACEPARENT, TraceContext};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{random, sampling};

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

/// The request's trace with a step of ours, if it has one; whether it is recorded was decided here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace(pub Option<TraceContext>);

impl Trace {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(sampling::decide(incoming(headers)))
    }
}

/// What the caller says of its trace.
pub(crate) fn incoming(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => TraceContext::parse(value.to_str().ok()?),
        _ => None,
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
    static STEP: TraceContext;
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

/// Does something as a step of a recorded trace.
pub async fn within<T>(step: TraceContext, work: impl Future<Output = T>) -> T {
    STEP.scope(step, work).await
}

/// The step of a recorded trace that is just being done; none for nearly everything.
pub fn step() -> Option<TraceContext> {
    let of_request = || KNOWN.try_with(|known| known.trace.0).ok().flatten();
    STEP.try_with(|step| Some(*step)).unwrap_or_else(|_| of_request()).filter(|context| context.sampled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_recorded_trace_has_steps() {
        let known = |sampled| Known {
            id: RequestId::of(&HeaderMap::new()),
            trace: Trace(Some(TraceContext { trace: 5, span: 6, sampled })),
        };
        assert_eq!(step(), None);
        assert_eq!(carrying(known(false), async { step() }).await, None);
        let (outer, inner) = carrying(known(true), async {
            let outer = step().unwrap();
            (outer, within(outer.at(7), async { step().unwrap() }).await)
        })
        .await;
        assert_eq!((outer.trace, outer.span, inner.trace, inner.span), (5, 6, 5, 7));
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
