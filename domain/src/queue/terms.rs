//! How a waiting room is run, as the organizer settled it.

use serde::{Deserialize, Serialize};

use crate::value::Timestamp;

/// The settings of one waiting room. Durations are in the unit of their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Who comes before gets a place by a draw; without it all are served in the order of joining.
    pub opens_at: Option<Timestamp>,
    /// So many visitors may be admitted or in their checkout at once, 1 to 100,000.
    pub slots: i32,
    /// At most so many are admitted in one round, 1 to 400.
    pub admission_batch: i32,
    /// Between two rounds, 10 to 60,000.
    pub tick_ms: i64,
    /// An admitted visitor enters within this, 1 to 3,600.
    pub enter_s: i64,
    /// A checkout token is good for so long, 1 to 86,400.
    pub token_ttl_s: i64,
    /// A queue ticket that was not shown for so long is lost, 1 to 86,400.
    pub away_grace_s: i64,
    /// People admitted a minute at most, 1 to 1,000,000; none for no limit.
    #[serde(default)]
    pub inflow_per_min: Option<i32>,
    /// Joining takes a proof of work of so many bits, 8 to 24; none for no proof.
    #[serde(default)]
    pub challenge_bits: Option<i32>,
}

impl Default for Terms {
    /// Open from the beginning, with room for a hundred, ten a second, a minute to enter and a quarter of an hour to order.
    fn default() -> Self {
        Self {
            opens_at: None,
            slots: 100,
            admission_batch: 10,
            tick_ms: 1_000,
            enter_s: 60,
            token_ttl_s: 900,
            away_grace_s: 300,
            inflow_per_min: None,
            challenge_bits: None,
        }
    }
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must lie between {min} and {max}")]
pub struct TermsError {
    /// Its name, as in [`Terms`].
    pub field: &'static str,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
}

/// People near the front ask this often.
const POLL_LEAST_MS: i64 = 1_000;
/// People far behind ask at least this often.
const POLL_MOST_MS: i64 = 15_000;
/// So many questions are asked on the way to the front, about.
const POLLS: i64 = 10;

impl Terms {
    /// Checks every setting's bounds. A round's events must fit one frame of the log, so a batch has at most 400.
    ///
    /// # Errors
    /// The first setting out of bounds.
    pub fn check(&self) -> Result<(), TermsError> {
        within("slots", i64::from(self.slots), 1, 100_000)?;
        within("admission_batch", i64::from(self.admission_batch), 1, 400)?;
        check_inflow(self.inflow_per_min)?;
        check_challenge(self.challenge_bits)?;
        within("tick_ms", self.tick_ms, 10, 60_000)?;
        within("enter_s", self.enter_s, 1, 3_600)?;
        within("token_ttl_s", self.token_ttl_s, 1, 86_400)?;
        within("away_grace_s", self.away_grace_s, 1, 86_400)
    }

    /// When to ask again with so many ahead, milliseconds: a second near the front, more with the distance.
    pub fn poll_after_ms(&self, ahead: u32) -> i64 {
        let rounds = i64::from(ahead) / i64::from(self.admission_batch.max(1));
        (rounds.saturating_mul(self.tick_ms) / POLLS).clamp(POLL_LEAST_MS, POLL_MOST_MS)
    }

    /// When to ask again before the opening, milliseconds.
    pub fn poll_before_opening_ms(&self, now: Timestamp) -> i64 {
        let left_us = self.opens_at.map_or(0, |opens_at| opens_at.0.saturating_sub(now.0));
        (left_us / 1_000 / POLLS).clamp(POLL_LEAST_MS, POLL_MOST_MS)
    }

    /// The moment one round after this one.
    pub(super) fn next_round(&self, last: Timestamp) -> Timestamp {
        Timestamp(last.0.saturating_add(self.tick_ms.saturating_mul(1_000)))
    }
}

/// Checks an inflow limit's bounds, which are those of [`Terms::inflow_per_min`].
///
/// # Errors
/// It is out of them.
pub(super) fn check_inflow(limit: Option<i32>) -> Result<(), TermsError> {
    limit.map_or(Ok(()), |limit| within("inflow_per_min", i64::from(limit), 1, 1_000_000))
}

/// Checks the bounds of a proof of work, which are those of [`Terms::challenge_bits`]: fewer bits stop nobody, and more take
/// a phone longer than people wait.
///
/// # Errors
/// It is out of them.
pub(super) fn check_challenge(bits: Option<i32>) -> Result<(), TermsError> {
    bits.map_or(Ok(()), |bits| within("challenge_bits", i64::from(bits), 8, 24))
}

fn within(field: &'static str, value: i64, min: i64, max: i64) -> Result<(), TermsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(TermsError { field, min, max })
}
