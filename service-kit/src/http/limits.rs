//! How much is answered at once, and what those are told who come on top of it.
//!
//! A refusal has to stay far cheaper than an answer: when ten times as many come as can be served, nine of ten requests are
//! refusals, and whatever they cost is taken from the others. So a request is refused before anything is made for it, and
//! refusals are counted one by one but told of once a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use metrics::Counter;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::appointments::Appointments;
use crate::clock;
use crate::config::Http;
use crate::json::MAX_BODY;
use crate::problem::{Kind, Problem};

/// How often refusals are told of in the log.
const TELL_EVERY_S: u64 = 1;

/// How much a service answers at once, and for how long.
pub(super) struct Limits {
    slots: Semaphore,
    /// The time that an answer has, without what the request asks to wait for.
    pub timeout: Duration,
    /// Proxies of ours before this process.
    pub proxies: usize,
    appointments: Appointments,
    refused: AtomicU64,
    counter: Counter,
    told: AtomicU64,
    since: Instant,
}

impl Limits {
    pub(super) fn new(limits: &Http) -> Self {
        Self {
            slots: Semaphore::new(limits.max_in_flight),
            timeout: limits.request_timeout,
            proxies: limits.trusted_proxies,
            appointments: Appointments::default(),
            refused: AtomicU64::new(0),
            counter: metrics::counter!("http_overloaded_total"),
            told: AtomicU64::new(0),
            since: clock::monotonic(),
        }
    }

    /// Room for one more; `None` if there is none.
    pub(super) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.try_acquire().ok()
    }

    /// One of those who entered was answered.
    pub(super) fn answered(&self) {
        self.appointments.served();
    }

    /// The answer to a request for which there was no room: come back once those before are likely to be served.
    pub(super) fn refuse(&self, path: &str) -> Response {
        let nth = self.refused.fetch_add(1, Ordering::Relaxed);
        self.counter.increment(1);
        let second = self.since.elapsed().as_secs() / TELL_EVERY_S + 1;
        if self.told.fetch_max(second, Ordering::Relaxed) < second {
            tracing::warn!(
                refused = nth + 1,
                "more requests are waiting than can be answered in time; refusing the rest"
            );
        }
        Problem::new(Kind::Overloaded).retry_after_s(self.appointments.give()).at(path).into_response()
    }
}

/// Whether a body says itself that it is too large, before any of it is read.
pub(super) fn says_too_large(headers: &HeaderMap) -> bool {
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    length.is_some_and(|length| length > MAX_BODY)
}
