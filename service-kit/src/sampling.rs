//! Which requests are recorded as traces: decided once, where a request enters.
//!
//! Nobody outside can have more recorded than we want: a caller's flag counts only where the settings say so, and a share
//! is drawn at random, not from an id that the caller chose.

use std::sync::OnceLock;

use domain::trace::TraceContext;

use crate::env::{Env, Format, Noted};
use crate::{env, random};

/// Where spans are sent, and which requests have any.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    /// The collector, without `/v1/traces`; without it no span is recorded.
    pub endpoint: Option<String>,
    /// The share of requests, from 0 to 1.
    pub share: f64,
    /// Whose flag counts.
    pub callers: Callers,
}

/// Whose word counts on whether a request is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Only our own draw.
    Nobody,
    /// Every caller's: a gateway of ours stands before us.
    Everybody,
}

/// Decides for this process; none before [`install`], and then nothing is recorded.
static RULE: OnceLock<Rule> = OnceLock::new();

#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Of every 2^32 requests so many.
    share: u64,
    callers: Callers,
}

impl Default for Tracing {
    /// Nothing is traced.
    fn default() -> Self {
        Self { endpoint: None, share: 0.0, callers: Callers::Nobody }
    }
}

impl Tracing {
    /// Reads them.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let share = |text: &str| text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let callers = |text: &str| match text {
            "nobody" => Some(Callers::Nobody),
            "everybody" => Some(Callers::Everybody),
            _ => None,
        };
        let endpoint = env.optional(
            "BOXOFFICE_OTLP_ENDPOINT",
            env::url(),
            "Where spans of traced requests are sent, by OTLP as HTTP and protobuf; /v1/traces is added.",
        );
        let share = env.with_default(
            "BOXOFFICE_TRACE_SAMPLE",
            "0.01",
            Format::new("a number from 0 to 1", share),
            "The share of requests that are traced, where BOXOFFICE_OTLP_ENDPOINT is set.",
        );
        let callers = env.with_default(
            "BOXOFFICE_TRACE_CALLERS",
            "nobody",
            Format::new("nobody or everybody", callers),
            "Whose traceparent header says whether a request is traced: everybody only behind a gateway that makes the header itself.",
        );
        let (endpoint, share) = (endpoint?, share?);
        let share = if endpoint.is_some() { share } else { 0.0 };
        Ok(Self { endpoint, share, callers: callers? })
    }
}

/// Has this process decide so. Only the first call counts.
pub(crate) fn install(tracing: &Tracing) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 2^32 that is not below 0")]
    let share = (tracing.share * (1_u64 << 32) as f64) as u64;
    let _ = RULE.set(Rule { share, callers: tracing.callers });
}

/// The trace of a request that came with this one, with a step of ours.
pub(crate) fn decide(incoming: Option<TraceContext>) -> Option<TraceContext> {
    RULE.get().copied().unwrap_or(Rule { share: 0, callers: Callers::Nobody }).decide(incoming)
}

impl Rule {
    fn decide(self, incoming: Option<TraceContext>) -> Option<TraceContext> {
        let asked = self.callers == Callers::Everybody && incoming.is_some_and(|context| context.sampled);
        let drawn = || self.share > 0 && random::opaque_id().as_u128() & 0xffff_ffff < u128::from(self.share);
        let sampled = asked || drawn();
        let fresh = || sampled.then(|| TraceContext { trace: random::opaque_id().as_u128(), span: 1, sampled });
        let context = incoming.map(|context| TraceContext { sampled, ..context }).or_else(fresh)?;
        Some(context.at(fresh_step()))
    }
}

/// A step of a trace unlike any other.
pub(crate) fn fresh_step() -> u64 {
    u64::from_be_bytes(random::bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: TraceContext = TraceContext { trace: 5, span: 6, sampled: true };

    fn rule(share: f64, callers: Callers) -> Rule {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as above")]
        Rule { share: (share * (1_u64 << 32) as f64) as u64, callers }
    }

    #[test]
    fn a_flag_counts_from_those_who_may_set_it() {
        let taken = rule(0.0, Callers::Everybody).decide(Some(ASKED)).unwrap();
        assert_eq!((taken.trace, taken.sampled), (5, true));
        assert_ne!(taken.span, 6, "a step of our own");
        let ignored = rule(0.0, Callers::Nobody).decide(Some(ASKED)).unwrap();
        assert_eq!((ignored.trace, ignored.sampled), (5, false));
        assert_eq!(rule(0.0, Callers::Everybody).decide(None), None);
    }

    #[test]
    fn a_share_is_drawn_whatever_the_caller_says() {
        assert!(rule(1.0, Callers::Nobody).decide(None).unwrap().sampled);
        assert!(rule(1.0, Callers::Nobody).decide(Some(TraceContext { sampled: false, ..ASKED })).unwrap().sampled);
        let drawn = (0..4000).filter(|_| rule(0.5, Callers::Nobody).decide(Some(ASKED)).unwrap().sampled).count();
        assert!((1700..2300).contains(&drawn), "{drawn} of 4000");
    }

    #[test]
    fn without_a_collector_no_share_is_drawn() {
        let read = |set: &[(&str, &str)]| Env::from_map(set.iter().copied()).read(Tracing::read);
        assert_eq!(read(&[]).unwrap(), Tracing { endpoint: None, share: 0.0, callers: Callers::Nobody });
        let set = [("BOXOFFICE_OTLP_ENDPOINT", "http://127.0.0.1:4318"), ("BOXOFFICE_TRACE_SAMPLE", "0.5")];
        assert_eq!(read(&set).unwrap().share, 0.5);
        let wrong = [("BOXOFFICE_TRACE_SAMPLE", "2"), ("BOXOFFICE_TRACE_CALLERS", "some")];
        let wrong = read(&wrong).unwrap_err().to_string();
        assert!(wrong.contains("BOXOFFICE_TRACE_SAMPLE") && wrong.contains("a number from 0 to 1"), "{wrong}");
        assert!(wrong.contains("nobody or everybody"), "{wrong}");
    }
}
