//! Whether people wait longer than they should: then what events cause waits, too.
//!
//! Nothing is dropped for it. A rush ends, and what it leaves behind is cheaper to do in large batches afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use service_kit::clock;

/// Answers that take so long on average mean that there is more to do than can be done.
const HIGH: Duration = Duration::from_millis(8);
/// What was measured longer ago than this tells nothing.
const STALE: Duration = Duration::from_millis(200);
/// How many answers the average goes by, about.
const ANSWERS: u64 = 32;

/// How long people's commands take, lately.
#[derive(Debug)]
pub struct Pressure {
    since: Instant,
    mean_us: AtomicU64,
    noted_us: AtomicU64,
}

impl Default for Pressure {
    fn default() -> Self {
        Self { since: clock::monotonic(), mean_us: AtomicU64::new(0), noted_us: AtomicU64::new(0) }
    }
}

impl Pressure {
    /// Somebody was answered after so long.
    pub fn note(&self, took: Duration) {
        let (mean, took) = (self.mean_us.load(Ordering::Relaxed), micros(took));
        // Two at once may overwrite each other: it is an average.
        self.mean_us.store((mean * (ANSWERS - 1) + took) / ANSWERS, Ordering::Relaxed);
        self.noted_us.store(micros(self.since.elapsed()), Ordering::Relaxed);
    }

    /// Whether whoever can wait should.
    pub fn is_high(&self) -> bool {
        let age = micros(self.since.elapsed()).saturating_sub(self.noted_us.load(Ordering::Relaxed));
        age < micros(STALE) && self.mean_us.load(Ordering::Relaxed) > micros(HIGH)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_high_while_answers_take_long_and_for_a_moment_after() {
        let pressure = Pressure::default();
        assert!(!pressure.is_high());
        (0..200).for_each(|_| pressure.note(HIGH / 2));
        assert!(!pressure.is_high());
        (0..200).for_each(|_| pressure.note(HIGH * 2));
        assert!(pressure.is_high());
        std::thread::sleep(STALE);
        assert!(!pressure.is_high(), "nobody waits any more");
    }
}
