//! How an organizer lets people through while the room is open: in which mode, and how many a minute.

use serde::{Deserialize, Serialize};

use crate::queue::Terms;
use crate::value::Timestamp;

/// A minute, microseconds.
const MINUTE_US: i64 = 60_000_000;

/// How people are let through. Whatever it is, places are served in their order and nobody's place is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In their turn, as slots and inflow allow.
    #[default]
    Queue,
    /// Nobody is admitted; everybody may join and keeps the place.
    Pause,
    /// Everybody, at once: people are only counted.
    PassThrough,
    /// Nobody may join; who has a place is served as in `Queue`.
    Reject,
    /// One that a later version knows. It admits nobody, which can be made good.
    #[serde(other)]
    Unknown,
}

/// What an organizer wants of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// As it is.
    #[default]
    Keep,
    /// None.
    Off,
    /// This.
    To(i32),
}

/// The mode and the limits that hold now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Flow {
    pub mode: Mode,
    /// People a minute; none for no limit.
    pub inflow_per_min: Option<i32>,
    /// The bits of the proof of work that joining takes; none for no proof.
    pub challenge_bits: Option<i32>,
}

/// What of the inflow was used: when the next one may be admitted.
///
/// Admissions are spaced evenly (the generic cell rate algorithm of ITU-T I.371): each one uses up a minute divided by the
/// limit. What was not used is kept for one round, so that a round may admit all who came due since the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Pace(Timestamp);

impl Setting {
    /// What was set, or what is kept of this.
    pub(super) fn of(self, present: Option<i32>) -> Option<i32> {
        match self {
            Self::Keep => present,
            Self::Off => None,
            Self::To(limit) => Some(limit),
        }
    }
}

impl Flow {
    /// Whether as many are let in as by the other.
    pub(super) fn lets_in_as(self, other: Self) -> bool {
        (self.mode, self.inflow_per_min) == (other.mode, other.inflow_per_min)
    }

    /// What one admission uses of the time; rounded up, so that the limit is never passed.
    fn space_us(self) -> Option<i64> {
        let limit = i64::from(self.inflow_per_min.filter(|_| self.mode != Mode::PassThrough)?.max(1));
        Some((MINUTE_US + limit - 1) / limit)
    }
}

impl Pace {
    /// From when on what was not used counts.
    fn since(self, terms: &Terms, at: Timestamp) -> i64 {
        self.0.0.max(at.0.saturating_sub(terms.tick_ms.saturating_mul(1_000)))
    }

    /// How many the inflow lets in at a moment.
    pub(super) fn room(self, flow: Flow, terms: &Terms, at: Timestamp) -> usize {
        let Some(space) = flow.space_us() else { return usize::MAX };
        if self.0 > at {
            return 0;
        }
        usize::try_from((at.0 - self.since(terms, at)) / space).unwrap_or(0).saturating_add(1)
    }

    /// When the inflow lets the next one in.
    pub(super) fn next(self) -> Timestamp {
        self.0
    }

    /// Somebody is let in.
    pub(super) fn admit(&mut self, flow: Flow, terms: &Terms, at: Timestamp) {
        if let Some(space) = flow.space_us() {
            self.0 = Timestamp(self.since(terms, at).saturating_add(space));
        }
    }

    /// Somebody who was let in did not come: the next one gets that share of the inflow.
    pub(super) fn give_back(&mut self, flow: Flow) {
        if let Some(space) = flow.space_us() {
            self.0 = Timestamp(self.0.0.saturating_sub(space));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(tick_ms: i64) -> Terms {
        Terms { tick_ms, ..Terms::default() }
    }

    fn limited(inflow_per_min: i32) -> Flow {
        Flow { inflow_per_min: Some(inflow_per_min), ..Flow::default() }
    }

    /// Admissions by second, if somebody always waits and every round admits all it may.
    fn admitted(pace: &mut Pace, flow: Flow, terms: &Terms, seconds: std::ops::Range<i64>) -> Vec<usize> {
        let start = seconds.start;
        let mut by_second = vec![0; usize::try_from(seconds.end - start).unwrap()];
        let mut at = start * 1_000_000;
        while at < seconds.end * 1_000_000 {
            let most = pace.room(flow, terms, Timestamp(at));
            (0..most).for_each(|_| pace.admit(flow, terms, Timestamp(at)));
            by_second[usize::try_from(at / 1_000_000 - start).unwrap()] += most;
            at += terms.tick_ms * 1_000;
        }
        by_second
    }

    #[test]
    fn a_minute_has_as_many_as_the_limit_evenly() {
        for (limit, tick_ms) in [(1, 1_000), (7, 1_000), (60, 250), (600, 1_000), (6_000, 100), (1_000_000, 1_000)] {
            let by_second = admitted(&mut Pace::default(), limited(limit), &terms(tick_ms), 1_000..1_300);
            let limit = usize::try_from(limit).unwrap();
            let one_round = limit * usize::try_from(tick_ms).unwrap() / 60_000 + 1;
            for minute in by_second.windows(60) {
                let sum: usize = minute.iter().sum();
                assert!(sum <= limit + one_round, "{sum} in a minute, {limit} allowed, {one_round} a round");
            }
            let later: usize = by_second[60..].iter().sum();
            assert!(later + one_round >= limit * 4, "{later} in four minutes of {limit} each");
            assert!(by_second.iter().all(|second| *second <= limit / 60 + one_round + 1));
        }
    }

    #[test]
    fn what_was_not_used_is_kept_for_one_round_only() {
        let (mut pace, later) = (Pace::default(), Timestamp(9_000_000_000));
        admitted(&mut pace, limited(60), &terms(1_000), 1_000..1_010);
        assert_eq!(pace.room(limited(60), &terms(1_000), later), 2);
        assert_eq!(pace.room(limited(60), &terms(5_000), later), 6);
    }

    #[test]
    fn who_did_not_come_leaves_the_turn_to_the_next() {
        let (terms, at, flow) = (terms(1_000), Timestamp(77_000_000), limited(2));
        let mut pace = Pace::default();
        pace.admit(flow, &terms, at);
        assert_eq!((pace.room(flow, &terms, at), pace.next()), (0, Timestamp(76_000_000 + 30_000_000)));
        pace.give_back(flow);
        assert!(pace.room(flow, &terms, at) > 0);
    }

    #[test]
    fn without_a_limit_and_in_passing_through_the_inflow_stops_nobody() {
        for flow in [Flow::default(), Flow { mode: Mode::PassThrough, ..limited(1) }] {
            let mut pace = Pace::default();
            pace.admit(flow, &terms(1_000), Timestamp(5));
            assert_eq!((pace.room(flow, &terms(1_000), Timestamp(5)), pace.next()), (usize::MAX, Timestamp(0)));
        }
    }
}
