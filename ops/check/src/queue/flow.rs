//! How fast a waiting room let people through, counted from its log, against what its organizer had set.

use domain::queue::{Mode, QueueModeSet, Terms};
use domain::value::Timestamp;

use crate::report::Faults;

const MINUTE_US: i64 = 60_000_000;

/// What was let through since the organizer last changed something.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// In which way people are let through.
    pub mode: Mode,
    /// How often that was changed.
    pub changes: u32,
    /// Where people were let through who should not have been.
    pub faults: Faults,
    inflow_per_min: Option<i32>,
    tick_ms: i64,
    /// Of the first admission since.
    began: Option<Timestamp>,
    admitted: i64,
}

impl Flow {
    pub(super) fn open(&mut self, terms: &Terms) {
        (self.inflow_per_min, self.tick_ms) = (terms.inflow_per_min, terms.tick_ms);
    }

    pub(super) fn change(&mut self, it: &QueueModeSet) {
        if (self.mode, self.inflow_per_min) != (it.mode, it.inflow_per_min) {
            (self.began, self.admitted) = (None, 0);
        }
        (self.mode, self.inflow_per_min) = (it.mode, it.inflow_per_min);
        self.changes += 1;
    }

    pub(super) fn join(&mut self, number: u32) {
        if self.mode == Mode::Reject {
            self.faults.add(format!("number {number} joined while nobody was to"));
        }
    }

    /// An even flow of a limit lets through what the time makes since it began, and besides what one round keeps and one more.
    pub(super) fn admit(&mut self, number: u32, at: Timestamp) {
        if matches!(self.mode, Mode::Pause | Mode::Unknown) {
            self.faults.add(format!("number {number} was admitted while nobody was to be"));
        }
        let Some(limit) = self.inflow_per_min.filter(|_| self.mode != Mode::PassThrough) else { return };
        let began = *self.began.get_or_insert(at);
        self.admitted += 1;
        let time_us = at.0 - began.0 + self.tick_ms * 1_000;
        let most = time_us.saturating_mul(i64::from(limit)) / MINUTE_US + 1;
        if self.admitted > most {
            let seconds = (at.0 - began.0) / 1_000_000;
            self.faults.add(format!("{} were admitted in {seconds} s at {limit} a minute", self.admitted));
        }
    }

    /// Who never entered leaves that share of the inflow to somebody else.
    pub(super) fn lapse(&mut self) {
        self.admitted -= 1;
    }
}
