//! What one round of copying makes of the moment that a restore brings back: a pure rule.
//!
//! A purchase goes through several partitions. What one of them decided is sent to the next one until that has answered;
//! then the first one notes it as settled, and never sends it again. A copy whose partitions end at odd places could have the
//! note without the answer: the purchase would stop for ever. So a restore brings every partition back to one moment:
//!
//! - *quiet*: the ends of all partitions were looked at twice, one look after the other, and were the same. Between the two
//!   nothing was there but this: it is exact, whatever clocks say.
//! - otherwise *by the clock*: the latest time of any record copied before the look at the ends. Whatever the brokers
//!   stamped up to then was there at that look. Each partition goes to the last record in front of its first later one.
//!
//! Brokers stamp a cause before what it causes, so that the second one is exact as far as their clocks agree.

use jiff::Timestamp;

use crate::manifest::{Moment, Part};

/// One partition during a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The latest time of any record that was copied before this round.
    known_ms: i64,
    /// The offset behind the last record up to then.
    moment: i64,
    /// A later one has come.
    passed: bool,
}

impl Progress {
    /// At the beginning of a round, for a partition that was copied up to an offset.
    pub fn begin(known_ms: i64, end: i64) -> Self {
        Self { known_ms, moment: end, passed: false }
    }

    /// Takes the next record in.
    pub fn take(&mut self, offset: i64, timestamp_ms: i64) {
        self.passed |= timestamp_ms > self.known_ms;
        if !self.passed {
            self.moment = offset + 1;
        }
    }
}

/// Moves the moment on, once every partition is copied to where it ended at the round's look; `quiet` if that was where
/// the copy ended before, and `known_ms` what every [`Progress`] began with.
pub fn conclude<'a>(
    moment: &mut Moment,
    (quiet, known_ms): (bool, i64),
    now: Timestamp,
    parts: impl Iterator<Item = (&'a mut Part, Progress)>,
) {
    for (part, progress) in parts {
        part.moment = if quiet { part.end } else { progress.moment };
    }
    moment.quiet = quiet;
    // A first round knows of no record before it: only that the log was empty then.
    moment.at = if quiet { Some(now) } else { Timestamp::from_millisecond(known_ms).ok() };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster that is written to while it is copied: partitions of times.
    fn round(moment: &mut Moment, parts: &mut [Part], log: &[Vec<i64>]) {
        let end = |times: &Vec<i64>| i64::try_from(times.len()).unwrap();
        let quiet = parts.iter().map(|part| part.end).eq(log.iter().map(end));
        let (mut progress, known_ms) = (Vec::new(), moment.latest_ms);
        for (part, times) in parts.iter_mut().zip(log) {
            let mut one = Progress::begin(known_ms, part.end);
            let new = &times[usize::try_from(part.end).unwrap()..];
            (part.end..).zip(new).for_each(|(offset, at)| one.take(offset, *at));
            part.end = end(times);
            moment.latest_ms = new.iter().copied().fold(moment.latest_ms, i64::max);
            progress.push(one);
        }
        conclude(moment, (quiet, known_ms), Timestamp::UNIX_EPOCH, parts.iter_mut().zip(progress));
    }

    fn moments(parts: &[Part]) -> Vec<i64> {
        parts.iter().map(|part| part.moment).collect()
    }

    #[test]
    fn the_moment_is_what_was_known_before_the_look() {
        let mut moment = Moment { latest_ms: i64::MIN, ..Moment::default() };
        let mut parts = vec![Part::default(); 3];
        round(&mut moment, &mut parts, &[vec![10, 20], vec![15], vec![]]);
        assert_eq!((moments(&parts), moment.at, moment.latest_ms), (vec![0, 0, 0], None, 20), "nobody knows the order");
        // Two more at 20 and 21; what is stamped 20 was there at the second look, and so was everything before it.
        round(&mut moment, &mut parts, &[vec![10, 20, 21], vec![15, 20], vec![22]]);
        assert_eq!((moments(&parts), moment.quiet), (vec![2, 2, 0], false));
        assert_eq!(moment.at.unwrap().as_millisecond(), 20);
        // Nothing new: exact.
        round(&mut moment, &mut parts, &[vec![10, 20, 21], vec![15, 20], vec![22]]);
        assert_eq!((moments(&parts), moment.quiet), (vec![3, 2, 1], true));
        // Goes on from there: what was exact is not given up.
        round(&mut moment, &mut parts, &[vec![10, 20, 21, 30], vec![15, 20, 31], vec![22]]);
        assert_eq!((moments(&parts), moment.quiet), (vec![3, 2, 1], false));
        round(&mut moment, &mut parts, &[vec![10, 20, 21, 30], vec![15, 20, 31, 40], vec![22]]);
        assert_eq!(moments(&parts), [4, 3, 1]);
    }

    #[test]
    fn a_clock_that_went_back_ends_a_partition_at_its_first_later_record() {
        let mut moment = Moment { latest_ms: i64::MIN, ..Moment::default() };
        let mut parts = vec![Part::default()];
        round(&mut moment, &mut parts, &[vec![10]]);
        round(&mut moment, &mut parts, &[vec![10, 9, 12, 8]]);
        assert_eq!(moments(&parts), [2]);
    }
}
