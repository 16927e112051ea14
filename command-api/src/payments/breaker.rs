//! Stops calling a provider that does not answer, and finds out when it does again.
//!
//! Invariant: while it is open no call gets through; after the pause one does, and its end decides.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::value::Provider;
use tokio::time::Instant;

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
    Closed { failures: u32 },
    Open { until: Instant },
    Trying,
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
    pub(super) fn admit(&self) -> Result<Permit<'_>, Duration> {
        let now = Instant::now();
        let mut state = self.lock();
        let tries = match *state {
            State::Closed { .. } => false,
            State::Open { until } if until > now => return Err(until - now),
            State::Open { .. } => true,
            // The call that tries takes no longer than any other; this is only when to look again.
            State::Trying => return Err(self.settings.pause),
        };
        if tries {
            self.set(&mut state, State::Trying);
        }
        Ok(Permit { breaker: self, tries, told: false })
    }

    fn settle(&self, tries: bool, alive: bool) {
        let mut state = self.lock();
        let open = State::Open { until: Instant::now() + self.settings.pause };
        let next = match (*state, alive) {
            (State::Closed { .. }, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < self.settings.failures => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. }, false) => open,
            (State::Trying, true) if tries => State::Closed { failures: 0 },
            (State::Trying, false) if tries => open,
            // It began before the breaker opened: too old to count.
            (State::Trying | State::Open { .. }, _) => return,
        };
        self.set(&mut state, next);
    }

    /// A call that tries and is given up: the next one tries.
    fn abandon(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Trying) {
            self.set(&mut state, State::Open { until: Instant::now() });
        }
    }

    fn set(&self, state: &mut State, next: State) {
        if let (State::Closed { .. } | State::Trying, State::Open { .. }) = (*state, next) {
            tracing::warn!(provider = self.provider.as_str(), "a provider does not answer: calls to it pause");
        }
        *state = next;
        self.show(next);
    }

    fn show(&self, state: State) {
        let shown = match state {
            State::Closed { .. } => 0.0,
            State::Trying => 1.0,
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
        self.breaker.settle(self.tries, true);
    }

    /// The provider did not answer, or failed.
    pub(super) fn failed(mut self) {
        self.told = true;
        self.breaker.settle(self.tries, false);
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

    fn breaker() -> Breaker {
        Breaker::new(Provider::Payos, BreakerSettings { failures: 3, pause: PAUSE })
    }

    fn fail(breaker: &Breaker, times: usize) {
        (0..times).for_each(|_| breaker.admit().unwrap().failed());
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker = breaker();
        fail(&breaker, 2);
        breaker.admit().unwrap().alive();
        fail(&breaker, 2);
        assert!(breaker.admit().is_ok());
        fail(&breaker, 1);
        assert_eq!(breaker.admit().unwrap_err(), PAUSE);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_one_call_tries_and_its_end_decides() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(PAUSE).await;
        let first = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "a second one may not try");
        first.failed();
        assert_eq!(breaker.admit().unwrap_err(), PAUSE);
        tokio::time::advance(PAUSE).await;
        breaker.admit().unwrap().alive();
        fail(&breaker, 2);
        assert!(breaker.admit().is_ok(), "closed, with a fresh count");
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_is_given_up_leaves_the_next_one_to_try() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(PAUSE).await;
        drop(breaker.admit().unwrap());
        let second = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        second.alive();
        assert!(breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_from_before_it_opened_decide_nothing() {
        let breaker = breaker();
        let (old, older) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        fail(&breaker, 3);
        old.alive();
        assert!(breaker.admit().is_err());
        tokio::time::advance(PAUSE).await;
        let tries = breaker.admit().unwrap();
        older.alive();
        assert!(breaker.admit().is_err());
        tries.failed();
        assert!(breaker.admit().is_err());
    }
}
