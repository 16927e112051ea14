//! The sandbox's clock: the real one plus an offset, and the only place that reads real time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// A clock that the control API can move; waiting on it ends early when it is moved past the due time.
pub struct Clock {
    offset_s: watch::Sender<i64>,
}

impl Clock {
    /// The largest offset in either direction, in seconds (about ten years).
    pub const MAX_OFFSET_S: i64 = 315_576_000;

    /// A clock that shows real time.
    pub fn new() -> Self {
        Self { offset_s: watch::Sender::new(0) }
    }

    /// The seconds added to real time.
    pub fn offset_s(&self) -> i64 {
        *self.offset_s.borrow()
    }

    /// Moves the clock; whoever waits on it looks again.
    pub fn set_offset_s(&self, offset_s: i64) {
        let bounded = offset_s.clamp(-Self::MAX_OFFSET_S, Self::MAX_OFFSET_S);
        self.offset_s.send_replace(bounded);
    }

    /// The time that the sandbox believes in.
    pub fn now(&self) -> Timestamp {
        later_s(wall_now(), self.offset_s())
    }

    /// Returns once this clock shows `due` or later.
    pub async fn wait_until(&self, due: Timestamp) {
        let mut moved = self.offset_s.subscribe();
        loop {
            let Ok(left) = Duration::try_from(due.duration_since(self.now())) else {
                return;
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

/// Real time, for measuring how long something took.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn wall_now() -> Timestamp {
    Timestamp::now()
}

/// Milliseconds of real time since `start`, never negative.
pub fn elapsed_ms(start: Timestamp) -> u64 {
    u64::try_from(wall_now().duration_since(start).as_millis()).unwrap_or(0)
}

/// `time` plus milliseconds; the far future when that does not fit.
pub fn later_ms(time: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    time.checked_add(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
}

fn later_s(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
