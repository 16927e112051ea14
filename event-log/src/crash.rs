//! Places where a test ends this process as `kill -9` would. Without the feature `breakages` nothing of it is there.
//!
//! `BOXOFFICE_CRASH_AT=<point>[:<topic>[/<partition>]][:<nth>]` ends it at the nth visit of a point.
//! `BOXOFFICE_CRASH_FILE=<path>` names a file that may come to hold the same text at any time; whoever crashes by it
//! removes it before, so that it happens once, to one of several processes, and not again after the restart.
//! Both are for tests only, and among no service's settings.

#[cfg(feature = "breakages")]
mod armed;

use crate::log::{NewRecord, Partition};

/// A place to crash at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A batch with events was decided, and nothing of it was appended.
    BeforeAppend,
    /// A batch with events is in the log, and nobody was answered.
    AfterAppend,
    /// Of a command with three events or more, two are in the log.
    AfterRecord2,
    /// A snapshot was begun, and is not whole.
    InSnapshot,
}

impl Point {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::BeforeAppend, Self::AfterAppend, Self::AfterRecord2, Self::InSnapshot];

    /// What it is called in the variables.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeAppend => "before-append",
            Self::AfterAppend => "after-append",
            Self::AfterRecord2 => "after-record-2",
            Self::InSnapshot => "in-snapshot",
        }
    }
}

/// Ends the process if it is to end here.
#[cfg(not(feature = "breakages"))]
#[inline(always)]
pub fn point(_point: Point, _at: Partition) {}

/// Ends the process if it is to end here.
#[cfg(feature = "breakages")]
pub fn point(point: Point, at: Partition) {
    if armed::strikes(point, at) {
        armed::end();
    }
}

/// How many of these records are to be appended before the process ends; all of them, if none.
#[cfg(not(feature = "breakages"))]
#[inline(always)]
pub(crate) fn cut(_at: Partition, _records: &[NewRecord]) -> Option<usize> {
    None
}

/// How many of these records are to be appended before the process ends; all of them, if none.
#[cfg(feature = "breakages")]
pub(crate) fn cut(at: Partition, records: &[NewRecord]) -> Option<usize> {
    use crate::frame::Frame;
    let third = |record: &NewRecord| Frame::decode(&record.header).is_ok_and(|frame| frame.evt_idx == 2);
    let before = records.iter().position(third)?;
    armed::strikes(Point::AfterRecord2, at).then_some(before)
}

/// Ends the process as `kill -9` would.
#[cfg(not(feature = "breakages"))]
pub(crate) fn end() -> ! {
    unreachable!("without the switches nothing is cut")
}

#[cfg(feature = "breakages")]
pub(crate) use armed::end;

/// Whether a crash in this batch is of interest: others than those with events are appended with nobody waiting.
#[cfg(not(feature = "breakages"))]
#[inline(always)]
pub(crate) fn has_events(_records: &[NewRecord]) -> bool {
    false
}

/// Whether a crash in this batch is of interest: others than those with events are appended with nobody waiting.
#[cfg(feature = "breakages")]
pub(crate) fn has_events(records: &[NewRecord]) -> bool {
    use crate::frame::{Frame, Kind};
    records.iter().any(|record| Frame::decode(&record.header).is_ok_and(|frame| frame.kind == Kind::Event))
}
