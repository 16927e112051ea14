//! Ends a writer, and restarts the broker, at moments spread over the time that orders are placed.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::office::Office;
use crate::stack;

/// What is done to the box office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// `kill -9` of the command-api of this number.
    Kill(u16),
    /// The broker is restarted.
    Broker,
}

/// What was done, when, and how long it took to be back.
#[derive(Debug, Clone, Copy)]
pub struct Struck {
    /// What was done.
    pub strike: Strike,
    /// After the first order.
    pub after: Duration,
    /// Until it was ready again.
    pub away: Duration,
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, away) = (self.after.as_secs(), self.away.as_secs_f64());
        match self.strike {
            Strike::Kill(number) => {
                write!(f, "command-api-{number} killed (SIGKILL) at {after} s, ready again after {away:.1} s")
            }
            Strike::Broker => write!(f, "the broker restarted at {after} s, back after {away:.1} s"),
        }
    }
}

/// When what happens: kills between restarts, the two writers in turn.
pub fn planned(kills: u16, broker_restarts: u16, over: Duration) -> Vec<(Duration, Strike)> {
    let spread = move |n: u16, of: u16| over * u32::from(2 * n + 1) / u32::from(2 * of);
    let kills = (0..kills).map(|n| (spread(n, kills), Strike::Kill(1 + n % 2)));
    let restarts = (0..broker_restarts).map(|n| (spread(n, broker_restarts), Strike::Broker));
    let mut all: Vec<_> = kills.chain(restarts).collect();
    all.sort();
    all
}

/// Does it all, one after the other.
///
/// # Errors
/// What was ended does not come back.
pub async fn carry_out(office: &Office, planned: &[(Duration, Strike)], began: Instant) -> anyhow::Result<Vec<Struck>> {
    let mut done = Vec::new();
    for (after, strike) in planned {
        sleep_until(began + *after).await;
        let (after, away) = match strike {
            Strike::Kill(number) => (began.elapsed(), office.kill_writer(*number).await?),
            Strike::Broker => (began.elapsed(), office.restart_broker().await?),
        };
        let struck = Struck { strike: *strike, after, away };
        stack::say(&struck.to_string());
        done.push(struck);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_and_restarts_are_spread_over_the_time() {
        let seconds = |kills, restarts| -> Vec<(u64, Strike)> {
            let all = planned(kills, restarts, Duration::from_secs(240));
            all.into_iter().map(|(after, strike)| (after.as_secs(), strike)).collect()
        };
        assert_eq!(seconds(2, 1), [(60, Strike::Kill(1)), (120, Strike::Broker), (180, Strike::Kill(2))]);
        assert_eq!(seconds(0, 0), []);
        assert_eq!(seconds(3, 0).last(), Some(&(200, Strike::Kill(1))));
    }
}
