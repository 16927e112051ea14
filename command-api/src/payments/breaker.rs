//! Stops calling a provider that does not answer, and finds out when it does again.
//!
//! Invariant: while it is open no call gets through; after the pause one does, and its end decides.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::value::Provider;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many failures in a row open it; at least 1.
    pub failures: u32,
    /// How long it stays open before one call tries.
    pub pause: Duration,
}

/// Counts the failures of one provider. Shown as the gauge `boxoffice_provider_breaker`: 0 closed, 1 trying, 2 open.
#[derive(Debug)]
pub(super) struct Breaker {
    provider: Provider,
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// Since then one call finds out.
    Trying {
        since: Instant,
    },
}

/// The right to make one call; its end has to be told. Dropped untold (the caller gave up), it says nothing.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    tries: bool,
    told: bool,
}

impl Breaker {
    pub(super) fn new(provider: Provider, settings: BreakerSettings) -> Self {
        let breaker = Self { provider, settings, state: Mutex::new(State::Closed { failures: 0 }) };
        breaker.show(State::Closed { failures: 0 });
        breaker
    }

    /// Lets a call through, or says how long none will be.
    pub(super) fn admit(&self, now: Instant) -> Result<Permit<'_>, Duration> {
        let mut state = self.lock();
        let tries = match *state {
            State::Closed { .. } => false,
            State::Open { until } if until > now => return Err(until - now),
            State::Open { .. } => true,
            // The call that tries takes no longer than any other; this is only when to look again.
            State::Trying { .. } => return Err(self.settings.pause),
        };
        if tries {
            self.set(&mut state, State::Trying { since: now });
        }
        Ok(Permit { breaker: self, tries, told: false })
    }

    /// `failed` is when, if it did.
    fn settle(&self, tries: bool, failed: Option<Instant>) {
        let mut state = self.lock();
        let open = |now: Instant| State::Open { until: now + self.settings.pause };
        let next = match (*state, failed) {
            (State::Closed { .. }, None) => State::Closed { failures: 0 },
            (State::Closed { failures }, Some(_)) if failures + 1 < self.settings.failures => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. }, Some(now)) => open(now),
            (State::Trying { .. }, None) if tries => State::Closed { failures: 0 },
            (State::Trying { .. }, Some(now)) if tries => open(now),
            // It began before the breaker opened: too old to count.
            (State::Trying { .. } | State::Open { .. }, _) => return,
        };
        self.set(&mut state, next);
    }

    /// A call that tries and is given up: the next one tries.
    fn abandon(&self) {
        let mut state = self.lock();
        if let State::Trying { since } = *state {
            self.set(&mut state, State::Open { until: since });
        }
    }

    fn set(&self, state: &mut State, next: State) {
        if let (State::Closed { .. }, State::Open { .. }) = (*state, next) {
            tracing::warn!(provider = self.provider.as_str(), "a provider does not answer: calls to it pause");
        }
        *state = next;
        self.show(next);
    }

    fn show(&self, state: State) {
        let shown = match state {
            State::Closed { .. } => 0.0,
            State::Trying { .. } => 1.0,
            State::Open { .. } => 2.0,
        };
        metrics::gauge!("boxoffice_provider_breaker", "provider" => self.provider.as_str()).set(shown);
    }

    /// A panic cannot leave a half-written state behind, so that a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The provider answered, whatever it said.
    pub(super) fn alive(mut self) {
        self.told = true;
        self.breaker.settle(self.tries, None);
    }

    /// The provider did not answer, or failed.
    pub(super) fn failed(mut self, now: Instant) {
        self.told = true;
        self.breaker.settle(self.tries, Some(now));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.tries && !self.told {
            self.breaker.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn breaker() -> (Breaker, Instant) {
        let settings = BreakerSettings { failures: 3, pause: PAUSE };
        (Breaker::new(Provider::Payos, settings), service_kit::clock::monotonic())
    }

    fn fail(breaker: &Breaker, times: usize, now: Instant) {
        (0..times).for_each(|_| breaker.admit(now).unwrap().failed(now));
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let (breaker, start) = breaker();
        fail(&breaker, 2, start);
        breaker.admit(start).unwrap().alive();
        fail(&breaker, 2, start);
        assert!(breaker.admit(start).is_ok());
        fail(&breaker, 1, start);
        assert_eq!(breaker.admit(start).unwrap_err(), PAUSE);
        let later = start + Duration::from_secs(2);
        assert_eq!(breaker.admit(later).unwrap_err(), Duration::from_secs(3));
    }

    #[test]
    fn after_the_pause_one_call_tries_and_its_end_decides() {
        let (breaker, start) = breaker();
        fail(&breaker, 3, start);
        let later = start + PAUSE;
        let first = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err(), "a second one may not try");
        first.failed(later);
        assert_eq!(breaker.admit(later).unwrap_err(), PAUSE);
        let latest = later + PAUSE;
        breaker.admit(latest).unwrap().alive();
        fail(&breaker, 2, latest);
        assert!(breaker.admit(latest).is_ok(), "closed, with a fresh count");
    }

    #[test]
    fn a_try_that_is_given_up_leaves_the_next_one_to_try() {
        let (breaker, start) = breaker();
        fail(&breaker, 3, start);
        let later = start + PAUSE;
        drop(breaker.admit(later).unwrap());
        let second = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err());
        second.alive();
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn the_gauge_shows_its_state() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shown = || {
            let text = recorder.handle().render();
            let line = text.lines().find(|line| line.starts_with("boxoffice_provider_breaker{provider=\"payos\"}"));
            line.and_then(|line| line.rsplit(' ').next()).unwrap().to_owned()
        };
        metrics::with_local_recorder(&recorder, || {
            let (breaker, start) = breaker();
            assert_eq!(shown(), "0");
            fail(&breaker, 3, start);
            assert_eq!(shown(), "2");
            let tries = breaker.admit(start + PAUSE).unwrap();
            assert_eq!(shown(), "1");
            tries.alive();
            assert_eq!(shown(), "0");
        });
    }

    #[test]
    fn calls_from_before_it_opened_decide_nothing() {
        let (breaker, start) = breaker();
        let (old, older) = (breaker.admit(start).unwrap(), breaker.admit(start).unwrap());
        fail(&breaker, 3, start);
        old.alive();
        assert!(breaker.admit(start).is_err());
        let later = start + PAUSE;
        let tries = breaker.admit(later).unwrap();
        older.alive();
        assert!(breaker.admit(later).is_err());
        tries.failed(later);
        assert!(breaker.admit(later).is_err());
    }
}
