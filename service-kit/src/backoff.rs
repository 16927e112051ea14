//! Waiting longer after each failure.

use std::time::Duration;

use tokio::time::sleep;

use crate::random;

/// Waits twice as long each time, from `least` up to `most`, and never quite as long as somebody else who began at the
/// same moment: half of each wait is drawn.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits between these.
    pub const fn between(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// The next wait.
    pub async fn wait(&mut self) {
        sleep(self.draw()).await;
    }

    /// It went well: begins again.
    pub fn reset(&mut self) {
        self.next = self.least;
    }

    fn draw(&mut self) -> Duration {
        let base = self.next;
        self.next = base.saturating_mul(2).min(self.most);
        let half = u64::try_from(base.as_micros() / 2).unwrap_or(u64::MAX - 1);
        Duration::from_micros(half + random::below(half + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_doubles_until_the_longest_and_begins_again() {
        let seconds = |count: u64| Duration::from_secs(count);
        let mut backoff = Backoff::between(seconds(1), seconds(5));
        for most in [1, 2, 4, 5, 5] {
            let drawn = backoff.draw();
            assert!(drawn >= seconds(most) / 2 && drawn <= seconds(most), "{drawn:?} of {most} s");
        }
        backoff.reset();
        assert!(backoff.draw() <= seconds(1));
        let mut others = (0..20).map(|_| Backoff::between(seconds(1), seconds(5)).draw());
        let first = others.next();
        assert!(others.any(|other| Some(other) != first), "nobody waits as long as another");
    }
}
