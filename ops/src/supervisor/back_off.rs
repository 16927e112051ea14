//! When a process that ended is started again. Pure: how long it lived is an argument.

use std::time::Duration;

/// How patient a supervisor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Before the first new start.
    pub first_pause: Duration,
    /// The pause doubles with every crash in a row, up to this.
    pub longest_pause: Duration,
    /// Whoever lived so long has settled: what comes later is no crash loop.
    pub settled_after: Duration,
    /// So many crashes in a row end the attempts.
    pub crashes: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
            settled_after: Duration::from_secs(10),
            crashes: 6,
        }
    }
}

/// Why a process is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Somebody else asked it to end, or killed it.
    Killed,
    /// It ended by itself, or could not be started.
    Crashed,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is started again after this pause.
    Again(Duration),
    /// It would crash again.
    GiveUp,
}

/// How often a process crashed in a row.
#[derive(Debug)]
pub struct BackOff {
    policy: Policy,
    crashes: u32,
}

impl BackOff {
    /// None so far.
    pub fn new(policy: Policy) -> Self {
        Self { policy, crashes: 0 }
    }

    /// Counts one end of a process that lived so long. Being killed from outside is no crash, however often it happens.
    pub fn next(&mut self, lived: Duration, ended: Ended) -> Next {
        if lived >= self.policy.settled_after {
            self.crashes = 0;
        }
        if ended == Ended::Killed {
            return Next::Again(self.policy.first_pause);
        }
        self.crashes += 1;
        if self.crashes >= self.policy.crashes {
            return Next::GiveUp;
        }
        let doubled = self.policy.first_pause.saturating_mul(1 << (self.crashes - 1).min(20));
        Next::Again(doubled.min(self.policy.longest_pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    fn back_off() -> BackOff {
        BackOff::new(Policy {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(5),
            settled_after: Duration::from_secs(10),
            crashes: 6,
        })
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_then_it_gives_up() {
        let mut back_off = back_off();
        let nexts: Vec<Next> = (0..6).map(|_| back_off.next(QUICK, Ended::Crashed)).collect();
        let again = |seconds| Next::Again(Duration::from_secs(seconds));
        assert_eq!(nexts, [again(1), again(2), again(4), again(5), again(5), Next::GiveUp]);
    }

    #[test]
    fn whoever_settled_starts_from_anew() {
        let mut back_off = back_off();
        for _ in 0..4 {
            back_off.next(QUICK, Ended::Crashed);
        }
        let next = back_off.next(Duration::from_secs(10), Ended::Crashed);
        assert_eq!(next, Next::Again(Duration::from_secs(1)));
    }

    #[test]
    fn being_killed_is_no_crash() {
        let mut back_off = back_off();
        for _ in 0..100 {
            assert_eq!(back_off.next(QUICK, Ended::Killed), Next::Again(Duration::from_secs(1)));
        }
    }
}
