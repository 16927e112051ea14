//! The wall clock and the monotonic clock: the only place that asks the machine for the time.

mod wrong;

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain::value::Timestamp;

/// Where the time comes from: the machine, or a test.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock, microseconds UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves on by so many seconds.
    pub fn advance_s(&self, seconds: i64) {
        let mut now = self.0.lock().expect("nobody panics while holding a test's clock");
        *now = now.plus_s(seconds);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("nobody panics while holding a test's clock")
    }
}

/// The machine's wall clock, microseconds UTC; 0 on a machine that believes to live before 1970.
pub fn now() -> Timestamp {
    let now = by_machine();
    if domain::breakage::POSSIBLE { now.plus_s(wrong::by_s()) } else { now }
}

#[allow(clippy::disallowed_methods, reason = "this is the place made for the wall clock")]
fn by_machine() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The monotonic clock, for measuring how long something took.
#[allow(clippy::disallowed_methods, reason = "this is the place made for the monotonic clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_counts_microseconds_since_1970() {
        let year_2025 = Timestamp(1_735_689_600_000_000);
        let year_2100 = Timestamp(4_102_444_800_000_000);
        assert!(now() > year_2025 && now() < year_2100, "{:?}", now());
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp(5));
        assert_eq!(clock.now(), Timestamp(5));
        clock.advance_s(2);
        assert_eq!(clock.now(), Timestamp(2_000_005));
    }
}
