//! Which records of a partition count: the one rule that every reader applies, in log order (DESIGN.md, section 5).
//!
//! Invariant: two readers that start from the same position and read the same records agree on every verdict.

use domain::breakage::{Breakage, broken};
use domain::value::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::frame::{BadFrame, Frame, Kind};
use crate::log::Record;

/// Where a reader stands between two frames, with all it needs to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Position {
    /// The offset of the next record to read.
    pub next: i64,
    /// The claim at offset 0, which names this log; none while it is empty.
    pub identity: Option<Uuid>,
    /// The current term; 0 before the first claim.
    pub term: u32,
    /// The current claim; nil before the first.
    pub claim: Uuid,
    /// The sequence number that the next valid record carries.
    pub seq: u64,
    /// Whether a sequence number was left out since the claim: then nothing more of it counts.
    pub hole: bool,
}

/// A record that counts.
#[derive(Debug, Clone)]
pub struct Valid {
    /// Its header.
    pub frame: Frame,
    /// The record.
    pub record: Record,
}

/// Why a record does not count. Skipped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Void {
    /// Written under a claim that has been superseded, or a claim that came too late.
    OldTerm,
    /// Its sequence number was seen before.
    Duplicate,
    /// A record of this claim before it is missing.
    AfterHole,
}

/// Why a partition cannot be read on. Nothing is skipped: a person has to look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Offsets are given out one by one; something is gone.
    #[error("offset {expected} was expected and {found} came: records are missing")]
    Gap { expected: i64, found: i64 },
    /// The first record of a log is a claim.
    #[error("the log does not begin with a claim")]
    NoFirstClaim,
    /// Claims follow each other one by one.
    #[error("a claim of term {found} follows term {current} at offset {offset}")]
    TermSkipped { current: u32, found: u32, offset: i64 },
    /// An event of a term whose claim was never read.
    #[error("a record of term {found} follows term {current} at offset {offset}")]
    FutureTerm { current: u32, found: u32, offset: i64 },
    /// Two claims of one term.
    #[error("a record of another claim in term {term} at offset {offset}")]
    ForeignClaim { term: u32, offset: i64 },
    /// The header cannot be read.
    #[error("the record at offset {offset} has no readable frame header")]
    Header {
        offset: i64,
        #[source]
        source: BadFrame,
    },
    /// Events of one command do not follow each other.
    #[error("the event at offset {offset} does not continue its command")]
    Frame { offset: i64 },
    /// A value that this version cannot read.
    #[error("the record at offset {offset} cannot be decoded: {detail}")]
    Undecodable { offset: i64, detail: String },
    /// A stored position that the log does not have.
    #[error("the stored position {position} lies outside the log ({start} to {end})")]
    OutsideTheLog { position: i64, start: i64, end: i64 },
    /// Another log than the one the state was folded from.
    #[error("this is another log: it begins with claim {found:?} instead of {expected:?}")]
    AnotherLog { expected: Option<Uuid>, found: Option<Uuid> },
    /// A snapshot tells of records that were acknowledged and are not there any more.
    #[error(
        "the log has lost what {file} was taken from ({why}); bring it back, or move that file away to accept the loss"
    )]
    BehindSnapshot { file: String, why: String },
}

/// What a record turns out to be.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The last event of a command: here are all of them.
    Command(Vec<Valid>),
    /// An owner took the partition at this moment of the broker's clock.
    Claimed { claim: Uuid, term: u32, at: Timestamp },
    /// A valid barrier.
    Barrier,
    /// A valid watermark; its value is to be decoded.
    Settled(Valid),
    /// An event of a command whose others are still to come.
    Partial,
    /// Skipped and counted.
    Void(Void),
}

/// Applies the rule, record by record.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Between frames: where a restart would go on.
    committed: Position,
    /// After the last record.
    cursor: Position,
    pending: Vec<Valid>,
}

impl Reader {
    /// Goes on from a position.
    pub fn at(position: Position) -> Self {
        Self { committed: position, cursor: position, pending: Vec::new() }
    }

    /// The position before any unfinished command.
    pub fn position(&self) -> Position {
        self.committed
    }

    /// The offset to read next.
    pub fn next(&self) -> i64 {
        self.cursor.next
    }

    /// Judges the next record of the log.
    ///
    /// # Errors
    /// The partition is broken; the reader must not be used again.
    pub fn judge(&mut self, record: Record) -> Result<Verdict, Broken> {
        let offset = record.offset;
        if offset != self.cursor.next {
            return Err(Broken::Gap { expected: self.cursor.next, found: offset });
        }
        let frame = Frame::decode(&record.header).map_err(|source| Broken::Header { offset, source })?;
        if offset == 0 && frame.kind != Kind::Claim {
            return Err(Broken::NoFirstClaim);
        }
        self.cursor.next = offset + 1;
        let verdict = match frame.kind {
            Kind::Claim => self.claim(&frame, &record)?,
            Kind::Event | Kind::Barrier | Kind::Settled => self.other(frame, record)?,
        };
        if self.pending.is_empty() || broken(Breakage::PositionInMidFrame) {
            self.committed = self.cursor;
        }
        Ok(verdict)
    }

    fn claim(&mut self, frame: &Frame, record: &Record) -> Result<Verdict, Broken> {
        let current = self.cursor.term;
        let takes_over = frame.term == current + 1 || frame.term == current && broken(Breakage::SameTermClaim);
        if frame.term <= current && !takes_over {
            return Ok(Verdict::Void(Void::OldTerm));
        }
        if !takes_over {
            return Err(Broken::TermSkipped { current, found: frame.term, offset: record.offset });
        }
        // An unfinished command of the term before is void from here on.
        if !broken(Breakage::UnfinishedFrameAtClaim) {
            self.pending.clear();
        }
        if record.offset == 0 {
            self.cursor.identity = Some(frame.claim);
        }
        self.cursor.term = frame.term;
        self.cursor.claim = frame.claim;
        self.cursor.seq = 1;
        self.cursor.hole = false;
        Ok(Verdict::Claimed { claim: frame.claim, term: frame.term, at: record.timestamp })
    }

    fn other(&mut self, frame: Frame, record: Record) -> Result<Verdict, Broken> {
        let Position { term, claim, seq, hole, .. } = self.cursor;
        let offset = record.offset;
        if frame.term < term && broken(Breakage::ForeignEventsFolded) {
            return self.counted(Valid { frame, record });
        }
        if frame.term < term {
            return Ok(Verdict::Void(Void::OldTerm));
        }
        if frame.term > term {
            return Err(Broken::FutureTerm { current: term, found: frame.term, offset });
        }
        if frame.claim != claim {
            return Err(Broken::ForeignClaim { term, offset });
        }
        if frame.seq < seq && !broken(Breakage::NoSequenceCheck) {
            return Ok(Verdict::Void(Void::Duplicate));
        }
        let after_hole = hole || frame.seq > seq;
        if after_hole && !broken(Breakage::HoleAccepted) && !broken(Breakage::NoSequenceCheck) {
            self.cursor.hole = true;
            return Ok(Verdict::Void(Void::AfterHole));
        }
        self.cursor.seq = frame.seq + 1;
        self.counted(Valid { frame, record })
    }

    fn counted(&mut self, valid: Valid) -> Result<Verdict, Broken> {
        let frame = valid.frame;
        let continues = match self.pending.first() {
            None => frame.evt_idx == 0 || broken(Breakage::PartialFrameApplied),
            Some(first) => {
                frame.kind == Kind::Event
                    && usize::from(frame.evt_idx) == self.pending.len()
                    && frame.evt_cnt == first.frame.evt_cnt
                    && frame.cmd_id == first.frame.cmd_id
            }
        };
        if !continues && !broken(Breakage::UnfinishedFrameAtClaim) {
            return Err(Broken::Frame { offset: valid.record.offset });
        }
        match frame.kind {
            Kind::Barrier => Ok(Verdict::Barrier),
            Kind::Settled => Ok(Verdict::Settled(valid)),
            Kind::Event if frame.evt_idx + 1 < frame.evt_cnt && !broken(Breakage::PartialFrameApplied) => {
                self.pending.push(valid);
                Ok(Verdict::Partial)
            }
            Kind::Event => {
                self.pending.push(valid);
                Ok(Verdict::Command(std::mem::take(&mut self.pending)))
            }
            Kind::Claim => unreachable!("claims are judged before"),
        }
    }
}
