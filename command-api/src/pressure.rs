//! Whether people wait longer than they should: then what events cause waits, too.
//!
//! Nothing is dropped for it. A rush ends, and what it leaves behind is cheaper to do in large batches afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use service_kit::clock;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Answers that take so long on average mean that there is more to do than can be done.
const HIGH: Duration = Duration::from_millis(8);
/// What was measured longer ago than this tells nothing.
const STALE: Duration = Duration::from_millis(200);
/// How many answers the average goes by, about.
const ANSWERS: u64 = 32;

/// While people wait too long, so many things are begun in so long.
const LEAST_IN_STEP: u32 = 2;
const STEP: Duration = Duration::from_millis(25);

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

/// How much of what can wait is begun while it should: little, but never nothing.
#[derive(Debug)]
pub struct Throttle {
    steps: Interval,
    begun: u32,
}

impl Default for Throttle {
    /// Needs a runtime to be within.
    fn default() -> Self {
        let mut steps = interval(STEP);
        // Steps in which nobody asked are no credit for later.
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { steps, begun: 0 }
    }
}

impl Throttle {
    /// Waits until the next thing may be begun. Can be given up at any moment.
    pub async fn ready(&mut self, pressure: &Pressure) {
        if self.begun >= LEAST_IN_STEP && pressure.is_high() {
            self.steps.tick().await;
            self.begun = 0;
        }
    }

    /// Something was begun.
    pub fn begin(&mut self) {
        self.begun = self.begun.saturating_add(1);
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

    /// How many things are begun until then, by somebody who always has more.
    async fn begun_within(throttle: &mut Throttle, pressure: &Pressure, time: Duration) -> u32 {
        let mut begun = 0;
        let _: Result<(), _> = tokio::time::timeout(time, async {
            loop {
                // Time stands still for tokio only.
                (0..200).for_each(|_| pressure.note(HIGH * 2));
                throttle.ready(pressure).await;
                throttle.begin();
                begun += 1;
            }
        })
        .await;
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn under_pressure_a_little_is_begun_in_every_step_also_after_a_long_rest() {
        let (pressure, mut throttle) = (Pressure::default(), Throttle::default());
        for _ in 0..2 {
            let begun = begun_within(&mut throttle, &pressure, STEP * 40).await;
            assert!((80..=LEAST_IN_STEP * 42).contains(&begun), "{begun} in 40 steps");
            tokio::time::sleep(STEP * 10_000).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_pressure_nobody_waits() {
        let (pressure, mut throttle) = (Pressure::default(), Throttle::default());
        for _ in 0..1_000 {
            tokio::time::timeout(Duration::ZERO, throttle.ready(&pressure)).await.expect("at once");
            throttle.begin();
        }
    }
}
