//! Which records of a partition count: the rule of DESIGN.md, section 5, written a second time from its description.
//!
//! Services and simulation judge by `event_log::validity`. A mistake there would be shared by whoever uses it; here it
//! shows as a difference.

use event_log::frame::{Frame, Kind};
use event_log::log::Record;
use event_log::validity::{Verdict, Void};
use uuid::Uuid;

/// What a record turns out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// An owner took the partition.
    Claim,
    /// A valid barrier.
    Barrier,
    /// A valid watermark.
    Settled(Record),
    /// The last event of a command: all of them.
    Whole(Vec<(Frame, Record)>),
    /// An event of a command whose others are still to come.
    Part,
    /// It does not count.
    Void(Void),
}

/// Judges the records of one partition from its first.
#[derive(Debug, Default)]
pub struct Judge {
    /// The offset that comes next.
    pub next: i64,
    /// The term of the last valid claim; 0 before the first.
    pub term: u32,
    /// That claim.
    pub claim: Uuid,
    /// The sequence number of the last record that counted; the claim has 0.
    last_seq: u64,
    holed: bool,
    /// Events of a command that is not whole yet.
    frame: Vec<(Frame, Record)>,
}

impl Judge {
    /// How many events were read of a command whose others did not come.
    pub fn unfinished(&self) -> u64 {
        self.frame.len() as u64
    }

    /// Judges the next record.
    ///
    /// # Errors
    /// The partition is broken, with the reason.
    pub fn judge(&mut self, record: Record) -> Result<Judged, String> {
        let offset = record.offset;
        if offset != self.next {
            return Err(format!("offset {} was expected, {offset} came", self.next));
        }
        self.next += 1;
        let frame = Frame::decode(&record.header).map_err(|error| format!("the record at {offset}: {error}"))?;
        match frame.kind {
            Kind::Claim => self.claimed(&frame, offset),
            _ if self.term == 0 => Err(format!("the record at {offset} comes before any claim")),
            _ if frame.term < self.term => Ok(Judged::Void(Void::OldTerm)),
            _ if frame.term > self.term => Err(format!("term {} at {offset} was never claimed", frame.term)),
            _ if frame.claim != self.claim => Err(format!("the record at {offset} has another claim of its term")),
            _ => self.sequenced(frame, record),
        }
    }

    fn claimed(&mut self, frame: &Frame, offset: i64) -> Result<Judged, String> {
        match frame.term.checked_sub(self.term) {
            None | Some(0) => Ok(Judged::Void(Void::OldTerm)),
            Some(1) => {
                (self.term, self.claim, self.last_seq, self.holed) = (frame.term, frame.claim, 0, false);
                self.frame.clear();
                Ok(Judged::Claim)
            }
            Some(_) => Err(format!("a claim of term {} at {offset} follows term {}", frame.term, self.term)),
        }
    }

    fn sequenced(&mut self, frame: Frame, record: Record) -> Result<Judged, String> {
        if frame.seq <= self.last_seq {
            return Ok(Judged::Void(Void::Duplicate));
        }
        self.holed |= frame.seq != self.last_seq + 1;
        if self.holed {
            return Ok(Judged::Void(Void::AfterHole));
        }
        self.last_seq = frame.seq;
        let torn = match self.frame.first() {
            None => frame.evt_idx != 0,
            Some((first, _)) => {
                frame.kind != Kind::Event
                    || (frame.cmd_id, frame.evt_cnt) != (first.cmd_id, first.evt_cnt)
                    || usize::from(frame.evt_idx) != self.frame.len()
            }
        };
        if torn {
            return Err(format!("the record at {} does not continue its command", record.offset));
        }
        Ok(match frame.kind {
            Kind::Claim => unreachable!("claims are judged before"),
            Kind::Barrier => Judged::Barrier,
            Kind::Settled => Judged::Settled(record),
            Kind::Event => {
                self.frame.push((frame, record));
                match frame.evt_idx + 1 == frame.evt_cnt {
                    true => Judged::Whole(std::mem::take(&mut self.frame)),
                    false => Judged::Part,
                }
            }
        })
    }
}

/// Whether the services' own reader came to the same verdict.
pub fn agree(ours: &Judged, theirs: &Verdict) -> bool {
    match (ours, theirs) {
        (Judged::Claim, Verdict::Claimed { .. })
        | (Judged::Barrier, Verdict::Barrier)
        | (Judged::Settled(_), Verdict::Settled(_))
        | (Judged::Part, Verdict::Partial) => true,
        (Judged::Void(ours), Verdict::Void(theirs)) => ours == theirs,
        (Judged::Whole(ours), Verdict::Command(theirs)) => {
            let theirs = theirs.iter().map(|valid| (&valid.frame, &valid.record));
            ours.iter().map(|(frame, record)| (frame, record)).eq(theirs)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
