//! When people came, kept small: a hundred thousand of them take no more than a few hundred moments.

use serde::{Deserialize, Serialize};

use crate::value::Timestamp;

/// So many moments are kept at most.
const KEPT: usize = 256;
/// At first, moments are this far apart.
const APART_US: i64 = 1_000_000;

/// When people came, by their numbers. The longer they come, the further the moments are apart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Arrivals {
    /// A moment, and the first number that came then.
    since: Vec<(Timestamp, u32)>,
    /// How often every second moment was let go.
    halved: u32,
}

impl Arrivals {
    /// The next number came.
    pub(super) fn add(&mut self, number: u32, at: Timestamp) {
        let apart = APART_US << self.halved.min(30);
        if self.since.last().is_some_and(|(last, _)| at.0 < last.0.saturating_add(apart)) {
            return;
        }
        self.since.push((at, number));
        if self.since.len() > KEPT {
            let mut second = false;
            self.since.retain(|_| {
                second = !second;
                second
            });
            self.halved += 1;
        }
    }

    /// About when a number came: never later than it did.
    pub(super) fn of(&self, number: u32) -> Option<Timestamp> {
        let up_to = self.since.partition_point(|(_, first)| *first <= number);
        up_to.checked_sub(1).map(|at| self.since[at].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_told_from_the_next_until_there_are_too_many() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.of(1), None);
        for number in 1..=2_000 {
            arrivals.add(number, at(i64::from(number) / 10));
        }
        for number in [1, 10, 999, 2_000] {
            assert_eq!(arrivals.of(number), Some(at(i64::from(number) / 10)), "{number}");
        }
        for number in 2_001..=100_000 {
            arrivals.add(number, at(i64::from(number) / 10));
        }
        assert!(arrivals.since.len() <= KEPT, "{}", arrivals.since.len());
        for number in [1, 999, 54_321, 100_000] {
            let (came, told) = (at(i64::from(number) / 10), arrivals.of(number).unwrap());
            assert!(told <= came && came.0 - told.0 <= 64_000_000, "{number}: {told:?}");
        }
    }
}
