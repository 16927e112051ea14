//! When a call can have been decided, in the broker's time.

use domain::value::Timestamp;

use super::Call;
use crate::chronicle::Moment;

/// How well the clocks agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margins {
    /// Between the clients' wall clock and the moments of the log, µs: a broker stamps whole milliseconds.
    pub log_us: i64,
    /// Between those and the clocks that decide by deadlines, µs.
    pub clock_us: i64,
}

impl Margins {
    /// Everything on one machine; owners serve with a clock up to 2 s off.
    pub const ONE_MACHINE: Self = Self { log_us: 50_000, clock_us: 2_500_000 };
    /// One clock for everything, as in a simulation.
    pub const NONE: Self = Self { log_us: 0, clock_us: 0 };
}

impl Default for Margins {
    fn default() -> Self {
        Self::ONE_MACHINE
    }
}

/// From when to when a call can have been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Nothing appended before this can have been unknown.
    pub from: Timestamp,
    /// Nothing appended after this can have been known.
    pub to: Timestamp,
    /// The same end by clocks that decide by deadlines.
    pub late: Timestamp,
    /// The same beginning.
    pub early: Timestamp,
}

impl Window {
    /// The window of a call; one that was never answered has no end.
    pub fn of(call: &Call, margins: Margins) -> Self {
        let after = |at: Timestamp, us: i64| Timestamp(at.0.saturating_add(us));
        let (from, to) = (call.called_at, call.answered_at.unwrap_or(Timestamp(i64::MAX)));
        Self {
            from: after(from, -margins.log_us),
            to: after(to, margins.log_us),
            late: after(to, margins.clock_us),
            early: after(from, -margins.clock_us),
        }
    }

    /// Whether it had happened at some moment of the call, or by its end.
    pub fn had(&self, moment: Option<Moment>) -> bool {
        moment.is_some_and(|moment| moment.at <= self.to)
    }

    /// Whether it had not happened yet at some moment of the call.
    pub fn had_not(&self, moment: Option<Moment>) -> bool {
        moment.is_none_or(|moment| moment.at >= self.from)
    }

    /// Everything that was the case at some moment of the call.
    pub fn states<'a, S>(&self, changes: &'a [(Moment, S)]) -> impl Iterator<Item = &'a S> + use<'a, S> {
        let (from, to) = (self.from, self.to);
        // What stood when the call began, and all that came until it ended.
        let first = changes.partition_point(|(moment, _)| moment.at < from).saturating_sub(1);
        changes.iter().skip(first).take_while(move |(moment, _)| moment.at <= to).map(|(_, state)| state)
    }
}
