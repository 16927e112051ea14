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
const TIMES: u32 = 25;
/// So many records that do not count may lie behind the last one that does.
const LOOK_BACK: usize = 32;

/// Whether a log has what a position was reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continues {
    Yes,
    No,
    /// So much that does not count lies in front of it, or the log does not say.
    Unproven,
}

/// What the log says about itself; asked once.
pub(super) struct History<'a> {
    log: &'a dyn Log,
    at: Partition,
    identity: Option<Uuid>,
    end: i64,
}

impl<'a> History<'a> {
    pub(super) fn ask(log: &'a dyn Log, at: Partition) -> Result<Self, LogError> {
        let mut history = Self { log, at, identity: None, end: 0 };
        history.look()?;
        Ok(history)
    }

    fn look(&mut self) -> Result<(), LogError> {
        self.end = self.log.bounds(self.at)?.end;
        if self.identity.is_none() {
            let first = self.log.record(self.at, 0)?.and_then(|record| Frame::decode(&record.header).ok());
            self.identity = first.filter(|frame| frame.kind == Kind::Claim).map(|frame| frame.claim);
        }
        Ok(())
    }

    /// Why a snapshot of a log of this name, taken at an offset, is not one of this log.
    pub(super) fn refuses(&mut self, identity: Uuid, offset: i64) -> Result<Option<Unusable>, LogError> {
        for _ in 0..TIMES {
            if self.identity.is_some_and(|found| found != identity) || offset <= self.end {
                break;
            }
            thread::sleep(SETTLING);
            self.look()?;
        }
        if self.identity != Some(identity) && !broken(Breakage::SnapshotOfAnotherLog) {
            return Ok(Some(Unusable::Foreign { expected: identity, found: self.identity }));
        }
        Ok((offset > self.end).then_some(Unusable::TooNew { offset, end: self.end }))
    }

    /// Why a position is not gone on from: the log has not, or does not prove to have, what it was reached by.
    pub(super) fn proves(&self, position: &Position) -> Result<Option<Unusable>, LogError> {
        let offset = position.next;
        Ok(match self.continues(position)? {
            Continues::Yes => None,
            Continues::No => Some(Unusable::OtherHistory { offset }),
            Continues::Unproven => Some(Unusable::Unproven { offset }),
        })
    }

    /// Whether the log still has the records that a position was reached by. The last one of its claim below it tells: a
    /// log that lost its end has none there any more, because whoever wrote to it since had to claim first.
    fn continues(&self, position: &Position) -> Result<Continues, LogError> {
        if broken(Breakage::SnapshotOfAnotherLog) {
            return Ok(Continues::Yes);
        }
        let yes = |holds: bool| if holds { Continues::Yes } else { Continues::No };
        for offset in (0..position.next).rev().take(LOOK_BACK) {
            let Some(record) = self.log.record(self.at, offset)? else { return Ok(Continues::Unproven) };
            let Ok(frame) = Frame::decode(&record.header) else { return Ok(Continues::No) };
            if frame.claim == position.claim {
                return Ok(yes(position.hole || frame.seq < position.seq));
            }
            if frame.term > position.term {
                return Ok(Continues::No);
            }
            // What others wrote in vain.
        }
        Ok(Continues::Unproven)
    }
}
