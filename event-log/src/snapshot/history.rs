//! Whether a log still has what a snapshot was taken from.

use std::thread;
use std::time::Duration;

use domain::breakage::{Breakage, broken};
use uuid::Uuid;

use super::Unusable;
use crate::frame::{Frame, Kind};
use crate::log::{Log, LogError, Partition};
use crate::validity::Position;

/// After a change of leaders a broker may not know for a moment how far its log goes.
const SETTLING: Duration = Duration::from_millis(200);
const TIMES: u32 = 10;
/// So many records that do not count may lie behind the last one that does.
const LOOK_BACK: usize = 32;

/// What the log says about itself; asked once.
pub(super) struct History<'a> {
    log: &'a dyn Log,
    at: Partition,
    identity: Option<Uuid>,
    end: i64,
}

impl<'a> History<'a> {
    pub(super) fn ask(log: &'a dyn Log, at: Partition) -> Result<Self, LogError> {
        let end = log.bounds(at)?.end;
        let first = log.record(at, 0)?.and_then(|record| Frame::decode(&record.header).ok());
        let identity = first.filter(|frame| frame.kind == Kind::Claim).map(|frame| frame.claim);
        Ok(Self { log, at, identity, end })
    }

    /// Why a snapshot of a log of this name, taken at an offset, is not one of this log.
    pub(super) fn refuses(&mut self, identity: Uuid, offset: i64) -> Result<Option<Unusable>, LogError> {
        if self.identity != Some(identity) && !broken(Breakage::SnapshotOfAnotherLog) {
            return Ok(Some(Unusable::Foreign { expected: identity, found: self.identity }));
        }
        for _ in 0..TIMES {
            if offset <= self.end {
                return Ok(None);
            }
            thread::sleep(SETTLING);
            self.end = self.log.bounds(self.at)?.end;
        }
        Ok((offset > self.end).then_some(Unusable::TooNew { offset, end: self.end }))
    }

    /// Whether the log still has the records that a position was reached by. The last one of its claim below it tells: a
    /// log that lost its end has none there any more, because whoever wrote to it since had to claim first.
    pub(super) fn continues(&self, position: &Position) -> Result<bool, LogError> {
        if broken(Breakage::SnapshotOfAnotherLog) {
            return Ok(true);
        }
        for offset in (0..position.next).rev().take(LOOK_BACK) {
            let Some(record) = self.log.record(self.at, offset)? else { return Ok(false) };
            let Ok(frame) = Frame::decode(&record.header) else { return Ok(false) };
            if frame.claim == position.claim {
                return Ok(position.hole || frame.seq < position.seq);
            }
            if frame.term > position.term {
                return Ok(false);
            }
            // What others wrote in vain.
        }
        Ok(false)
    }
}
