//! The settings of a waiting room, as organizers send them.

use std::ops::RangeInclusive;

use domain::queue::Terms;
use serde::Deserialize;
use service_kit::validate::{Errors, Validate};
use utoipa::ToSchema;

use super::bodies::micros;

/// People a minute that can be asked for.
pub const INFLOW: RangeInclusive<i32> = 1..=1_000_000;
/// How hard a proof of work can be, in bits: each bit doubles the work.
pub const CHALLENGE: RangeInclusive<i32> = 8..=24;

/// The queue in front of a show.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWaitingRoom {
    /// Whether there is one.
    enabled: bool,
    /// Nobody is admitted before; those who join before are put in an order by lot. Absent: open once published.
    opens_at: Option<jiff::Timestamp>,
    /// How many may be admitted or in checkout at once, 1 to 100,000.
    #[serde(default = "slots")]
    slots: i32,
    /// How many are admitted in one tick at most, 1 to 400.
    #[serde(default = "admission_batch")]
    admission_batch: i32,
    /// How many are admitted a minute at most, 1 to 1,000,000; absent for no limit.
    inflow_per_min: Option<i32>,
    /// How hard the proof of work is that joining takes, 8 to 24 bits; absent for none.
    challenge_bits: Option<i32>,
    /// Between ticks, 100 to 60,000.
    #[serde(default = "tick_ms")]
    tick_ms: i64,
    /// An admitted visitor enters within so many seconds, 1 to 3,600.
    #[serde(default = "enter_s")]
    enter_s: i64,
    /// A checkout token is good for so many seconds, 1 to 86,400.
    #[serde(default = "token_ttl_s")]
    token_ttl_s: i64,
    /// A queue ticket that was not shown for so many seconds is stale, 1 to 86,400.
    #[serde(default = "away_grace_s")]
    away_grace_s: i64,
}

fn slots() -> i32 {
    Terms::default().slots
}

fn admission_batch() -> i32 {
    Terms::default().admission_batch
}

fn tick_ms() -> i64 {
    Terms::default().tick_ms
}

fn enter_s() -> i64 {
    Terms::default().enter_s
}

fn away_grace_s() -> i64 {
    Terms::default().away_grace_s
}

fn token_ttl_s() -> i64 {
    Terms::default().token_ttl_s
}

impl Validate for NewWaitingRoom {
    fn validate(&self, errors: &mut Errors) {
        errors.range("slots", self.slots, 1..=100_000);
        // What is admitted in one tick is written in one piece, whose size is limited.
        errors.range("admission_batch", self.admission_batch, 1..=400);
        if let Some(limit) = self.inflow_per_min {
            errors.range("inflow_per_min", limit, INFLOW);
        }
        if let Some(bits) = self.challenge_bits {
            errors.range("challenge_bits", bits, CHALLENGE);
        }
        errors.range("tick_ms", self.tick_ms, 100..=60_000);
        errors.range("enter_s", self.enter_s, 1..=3_600);
        errors.range("token_ttl_s", self.token_ttl_s, 1..=86_400);
        errors.range("away_grace_s", self.away_grace_s, 1..=86_400);
    }
}

impl NewWaitingRoom {
    /// None if it is not enabled.
    pub fn terms(self) -> Option<Terms> {
        self.enabled.then(|| Terms {
            opens_at: self.opens_at.map(micros),
            slots: self.slots,
            admission_batch: self.admission_batch,
            inflow_per_min: self.inflow_per_min,
            challenge_bits: self.challenge_bits,
            tick_ms: self.tick_ms,
            enter_s: self.enter_s,
            token_ttl_s: self.token_ttl_s,
            away_grace_s: self.away_grace_s,
        })
    }
}
