//! One partition on its way out: every record is judged as every reader judges it, and what is asked for comes out in order.
//!
//! Invariant: an event comes out only once its whole command counts; raw, every record comes out, once its verdict is final.

use std::collections::VecDeque;

use domain::value::Timestamp;
use event_log::frame::Frame;
use event_log::log::{Partition, Record};
use event_log::validity::{Broken, Position, Reader, Valid, Verdict};

use crate::range::Slice;
use crate::row::{Row, Standing, Why};

/// Where a partition is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// Where reading begins again: before whatever has not come out whole.
    pub position: Position,
    /// Everything below this offset has come out.
    pub below: i64,
}

/// One partition.
#[derive(Debug)]
pub struct Lane {
    /// Which.
    pub at: Partition,
    slice: Slice,
    reader: Reader,
    /// The end of the log when reading began; `i64::MAX` to follow it.
    pub end: i64,
    waiting: VecDeque<Row>,
    mark: Mark,
    over: bool,
    /// Records that were judged, and those that do not count.
    pub read: u64,
    /// Of these, so many never count.
    pub void: u64,
    /// Why it cannot be read on.
    pub broken: Option<String>,
}

impl Lane {
    /// A partition from a mark on, up to an offset that the log has.
    pub fn new(at: Partition, slice: Slice, mark: Mark, end: i64) -> Self {
        let reader = Reader::at(mark.position);
        let over = mark.position.next >= end;
        Self { at, slice, reader, end, waiting: VecDeque::new(), mark, over, read: 0, void: 0, broken: None }
    }

    /// The offset to read next.
    pub fn next(&self) -> i64 {
        self.reader.next()
    }

    /// Where to go on if this is the end.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether nothing more is to be read.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Goes on behind the end that it was read to, without end.
    pub fn go_on(&mut self) {
        self.end = i64::MAX;
        self.slice.to = crate::range::Edge::Offset(i64::MAX);
        self.over = self.broken.is_some();
    }

    /// The next one to come out, if it is decided.
    pub fn head(&self) -> Option<&Row> {
        self.waiting.front().filter(|row| self.over || row.standing != Standing::Partial)
    }

    /// Takes it out.
    pub fn pop(&mut self) -> Option<Row> {
        self.head()?;
        let row = self.waiting.pop_front()?;
        self.mark.below = row.offset + 1;
        match row.after {
            Some(after) => self.mark.position = after,
            None => self.caught_up(),
        }
        Some(row)
    }

    /// Takes the next record of the log in.
    ///
    /// # Errors
    /// The partition is broken. Raw, that is a row instead.
    pub fn take(&mut self, record: Record) -> Result<(), Broken> {
        if self.over || self.is_beyond(&record) {
            self.over = true;
            return Ok(());
        }
        self.read += 1;
        let offset = record.offset;
        let taken = if self.slice.raw { self.take_raw(record) } else { self.take_valid(record) };
        if taken.is_err() || offset + 1 >= self.end {
            self.over = true;
        }
        self.caught_up();
        taken
    }

    /// Whether nothing from this record on is asked for.
    fn is_beyond(&self, record: &Record) -> bool {
        let Record { offset, timestamp, .. } = *record;
        let later = self.slice.as_of.is_some_and(|as_of| timestamp > as_of);
        let between = self.reader.position().next == self.reader.next();
        // A command that began before the end is read to its own.
        later || offset >= self.end || (between && !self.slice.to.is_after(offset, timestamp))
    }

    fn caught_up(&mut self) {
        if self.waiting.is_empty() {
            self.mark.position = self.reader.position();
        }
    }

    fn take_valid(&mut self, record: Record) -> Result<(), Broken> {
        match self.reader.judge(record)? {
            Verdict::Command(valid) => {
                let after = self.reader.position();
                let rows = valid
                    .into_iter()
                    .map(|Valid { frame, record }| Row::new(self.at, record, Some(frame), Standing::Valid));
                let rows: Vec<Row> = rows.filter(|row| is_wanted(&self.slice, self.mark.below, row)).collect();
                self.waiting.extend(rows);
                // Only behind all of them the next command begins.
                if let Some(last) = self.waiting.back_mut() {
                    last.after = Some(after);
                }
            }
            Verdict::Void(_) => self.void += 1,
            Verdict::Claimed { .. } | Verdict::Barrier | Verdict::Settled(_) | Verdict::Partial => {}
        }
        Ok(())
    }

    fn take_raw(&mut self, record: Record) -> Result<(), Broken> {
        let frame = Frame::decode(&record.header).ok();
        let mut row = Row::new(self.at, record.clone(), frame, Standing::Valid);
        let verdict = match self.reader.judge(record) {
            Ok(verdict) => verdict,
            Err(broken) => {
                row.standing = Standing::Broken(broken.to_string());
                self.broken = Some(broken.to_string());
                self.push_raw(row);
                return Ok(self.over = true);
            }
        };
        match verdict {
            Verdict::Command(_) => self.decide(&Standing::Valid),
            Verdict::Claimed { .. } => self.decide(&Standing::Void(Why::Unfinished)),
            Verdict::Void(why) => {
                self.void += 1;
                row.standing = Standing::Void(Why::Void(why));
            }
            Verdict::Partial => row.standing = Standing::Partial,
            Verdict::Barrier | Verdict::Settled(_) => {}
        }
        self.push_raw(row);
        Ok(())
    }

    /// What becomes of the events of the unfinished command.
    fn decide(&mut self, standing: &Standing) {
        for row in self.waiting.iter_mut().filter(|row| row.standing == Standing::Partial) {
            row.standing = standing.clone();
            self.void += u64::from(matches!(standing, Standing::Void(_)));
        }
    }

    fn push_raw(&mut self, mut row: Row) {
        let position = self.reader.position();
        row.after = (position.next == self.reader.next()).then_some(position);
        if is_wanted(&self.slice, self.mark.below, &row) {
            self.waiting.push_back(row);
        }
    }
}

fn is_wanted(slice: &Slice, below: i64, row: &Row) -> bool {
    let Row { offset, log_time, .. } = *row;
    offset >= below
        && !slice.from.is_after(offset, log_time)
        && slice.to.is_after(offset, log_time)
        && slice.key.as_ref().is_none_or(|key| *key == row.key)
}

/// The order in which rows of several partitions come out: by the log's clock, and then by place.
pub fn order(row: &Row) -> (Timestamp, Partition) {
    (row.log_time, row.at)
}
