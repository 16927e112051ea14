//! Where something stands in a distributed trace (W3C Trace Context, version 00).
//!
//! Nothing here decides anything: it goes along with commands and events, so that people find what led to what.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The header of HTTP requests and of records in the log.
pub const TRACEPARENT: &str = "traceparent";

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The whole trace.
    pub trace: u128,
    /// One step of it.
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

    /// The same trace with another step; 0 is no step, and becomes 1.
    #[must_use]
    pub fn at(self, span: u64) -> Self {
        Self { span: span.max(1), ..self }
    }

    /// The trace as it is written everywhere: 32 hex digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

/// As a `traceparent`.
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

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_parent_comes_back_as_it_was() {
        let context = TraceContext::parse(PARENT).unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), PARENT);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.at(0), TraceContext { span: 1, ..context });
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
}
