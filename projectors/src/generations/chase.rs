//! Whether somebody who reads a log that grows has caught up with it.

use std::collections::BTreeMap;

use event_log::log::Partition;

/// An unfinished command at the end of a log holds its reader back, for at most so many records.
const UNFINISHED: i64 = 500;
/// After so many looks without any movement nothing else is to come.
const STILL: u32 = 8;

/// Looks now and then.
#[derive(Debug, Default)]
pub(crate) struct Chase {
    /// Where the log ended at the last look.
    ends: BTreeMap<Partition, i64>,
    /// Where the reader stood then.
    reached: i64,
    still: u32,
}

impl Chase {
    /// For each partition the next offset to read, and the log's end. True once everything was read that there was at the
    /// look before.
    pub(crate) fn caught_up(&mut self, places: &[(Partition, i64, i64)]) -> bool {
        let reached = places.iter().map(|(_, next, _)| next).sum();
        self.still = if reached == self.reached && !self.ends.is_empty() { self.still + 1 } else { 0 };
        self.reached = reached;
        let before = std::mem::take(&mut self.ends);
        self.ends = places.iter().map(|(place, _, end)| (*place, *end)).collect();
        let there = |(place, next, end): &(Partition, i64, i64)| {
            before.get(place).is_some_and(|before| next >= before) || (self.still >= STILL && end - next <= UNFINISHED)
        };
        places.iter().all(there)
    }
}

#[cfg(test)]
mod tests {
    use domain::root::Context;

    use super::*;

    const AT: Partition = Partition { context: Context::Order, number: 0 };

    #[test]
    fn who_has_read_what_there_was_a_moment_ago_has_caught_up() {
        let mut chase = Chase::default();
        assert!(!chase.caught_up(&[(AT, 0, 10)]));
        assert!(!chase.caught_up(&[(AT, 9, 20)]));
        assert!(chase.caught_up(&[(AT, 20, 30)]));
        assert!(!chase.caught_up(&[(AT, 29, 90)]));
    }

    #[test]
    fn an_unfinished_command_at_the_end_is_not_waited_for() {
        let mut chase = Chase::default();
        let looks = (0..20).position(|_| chase.caught_up(&[(AT, 9, 12)]));
        assert_eq!(looks, Some(STILL as usize));
        let mut far = Chase::default();
        assert!((0..20).all(|_| !far.caught_up(&[(AT, 9, 9000)])), "it stands still, and much is missing");
    }
}
