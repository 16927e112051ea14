//! Judges records as they lie in the log, and folds what counts. Nothing here waits.

use event_log::log::{Partition, Record};
use event_log::validity::{Position, Reader};
use schemas::{Codec, Control, DecodeError};

use super::facts::{Facts, Logged};
use super::judge::{Judge, Judged, agree};
use super::log::Counts;

/// Reads one partition from its first record.
pub struct Taking<'a> {
    codec: &'a Codec,
    place: Partition,
    facts: &'a mut Facts,
    judge: Judge,
    /// The services' own reader; none once it came to another verdict.
    theirs: Option<Reader>,
    counts: Counts,
}

impl<'a> Taking<'a> {
    /// Before the first record.
    pub fn new(codec: &'a Codec, place: Partition, facts: &'a mut Facts) -> Self {
        let theirs = Some(Reader::at(Position::default()));
        Self { codec, place, facts, judge: Judge::default(), theirs, counts: Counts::default() }
    }

    /// The offset to read next.
    pub fn next(&self) -> i64 {
        self.judge.next
    }

    /// Takes the next record in; false if the partition cannot be read on, which is among the facts then.
    pub fn take(&mut self, record: Record) -> bool {
        self.counts.records += 1;
        let offset = record.offset;
        let before = self.judge.unfinished();
        let judged = self.judge.judge(record.clone());
        self.compare(offset, record, judged.as_ref().ok());
        match judged {
            Ok(judged) => {
                if judged == Judged::Claim {
                    self.counts.unfinished += before;
                }
                self.count(offset, judged)
            }
            Err(why) => self.broken(&why),
        }
    }

    fn compare(&mut self, offset: i64, record: Record, ours: Option<&Judged>) {
        let Some(reader) = &mut self.theirs else { return };
        let same = match (reader.judge(record), ours) {
            (Ok(theirs), Some(ours)) => agree(ours, &theirs),
            (Err(_), None) => true,
            (Ok(_), None) | (Err(_), Some(_)) => false,
        };
        if !same {
            self.theirs = None;
            self.facts.log.judged.add(format!("{}: the services judge the record at {offset} otherwise", self.place));
        }
    }

    fn count(&mut self, offset: i64, judged: Judged) -> bool {
        match judged {
            Judged::Claim => {
                self.counts.claims += 1;
                self.facts.log.term = self.facts.log.term.max(self.judge.term);
                if offset == 0 {
                    self.facts.log.identities.insert(self.place, self.judge.claim);
                }
            }
            Judged::Barrier => self.counts.barriers += 1,
            Judged::Settled(record) => {
                self.counts.settled += 1;
                match self.codec.decode_control(&record.value) {
                    Ok(Control::Settled { below }) => self.facts.log.settle(self.place, offset, below),
                    other => return self.broken(&format!("the watermark at {offset} cannot be read: {other:?}")),
                }
            }
            Judged::Part => {}
            Judged::Void(void) => self.counts.skip(void),
            Judged::Whole(events) => {
                self.counts.commands += 1;
                return events.into_iter().all(|(frame, record)| self.event(frame, &record));
            }
        }
        true
    }

    fn event(&mut self, frame: event_log::frame::Frame, record: &Record) -> bool {
        let (meta, event) = match self.codec.decode(&record.value) {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(record.offset, &error),
        };
        self.counts.events += 1;
        let (place, offset, appended_at) = (self.place, record.offset, record.timestamp);
        if record.key != event.aggregate().hyphenated().to_string().as_bytes() {
            self.facts.log.frames.add(format!("{place}: {} at {offset} has the key of another", event.name()));
        }
        self.facts.take(Logged { place, offset, appended_at, frame, meta: &meta, event: &event });
        true
    }

    /// One that is damaged by itself stops nobody; one of a newer version stops every reader, and so us.
    fn undecodable(&mut self, offset: i64, error: &DecodeError) -> bool {
        let why = format!("the event at {offset} cannot be decoded: {error}");
        if matches!(error, DecodeError::UnknownEvent { .. } | DecodeError::Incompatible { .. }) {
            return self.broken(&why);
        }
        self.facts.log.claims.add(format!("{}: {why}", self.place));
        true
    }

    /// Notes that the partition cannot be read on.
    pub fn broken(&mut self, why: &str) -> bool {
        self.facts.log.claims.add(format!("{} is broken: {why}", self.place));
        false
    }

    /// At the end. Events whose command is still being written do not count yet.
    pub fn finish(mut self) {
        self.counts.unfinished += self.judge.unfinished();
        self.facts.partitions.insert(self.place, self.counts);
    }
}

impl Facts {
    /// The facts of a log: every record of each partition from its first, valid or not.
    pub fn of_records(
        partitions: impl IntoIterator<Item = (Partition, impl IntoIterator<Item = Record>)>,
        codec: &Codec,
    ) -> Self {
        let mut facts = Self::default();
        for (place, records) in partitions {
            let mut taking = Taking::new(codec, place, &mut facts);
            let mut records = records.into_iter();
            while records.next().is_some_and(|record| taking.take(record)) {}
            taking.finish();
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Book, names};
    use crate::log::{CLAIMS, FRAMES, JUDGED};
    use crate::tests::good;
    use crate::{always, from_facts};

    fn records() -> Vec<(Partition, Record)> {
        Book::of(good()).records(&Codec::in_memory())
    }

    fn broken(records: Vec<(Partition, Record)>) -> Vec<&'static str> {
        let mut partitions: std::collections::BTreeMap<Partition, Vec<Record>> = std::collections::BTreeMap::new();
        records.into_iter().for_each(|(place, record)| partitions.entry(place).or_default().push(record));
        names(&always(&Facts::of_records(partitions, &Codec::in_memory())))
    }

    #[test]
    fn a_good_log_is_read_whole() {
        assert_eq!(broken(records()), [""; 0]);
        let all = records();
        let places = all.iter().map(|(place, record)| (*place, vec![record.clone()]));
        let facts = Facts::of_records(places.take(1), &Codec::in_memory());
        assert_eq!((facts.counts().records, facts.counts().claims, facts.log.identities.len()), (1, 1, 1));
        assert!(from_facts(&facts).holds());
    }

    #[test]
    fn a_reader_that_judges_otherwise_is_seen() {
        let (codec, mut facts) = (Codec::in_memory(), Facts::default());
        let (place, claim) = records().swap_remove(0);
        let mut taking = Taking::new(&codec, place, &mut facts);
        taking.theirs = Some(Reader::at(Position { term: 5, ..Position::default() }));
        assert!(taking.take(claim));
        taking.finish();
        assert_eq!(names(&always(&facts)), [JUDGED]);
    }

    #[test]
    fn records_that_are_gone_or_of_another_are_seen() {
        let mut gone = records();
        gone.remove(1);
        assert!(broken(gone).contains(&CLAIMS));
        let mut other = records();
        let line = other.iter_mut().find(|(_, record)| record.offset == 1).unwrap();
        line.1.key = bytes::Bytes::from_static(b"_control");
        assert_eq!(broken(other), [FRAMES]);
        let mut short = records();
        let line = short.iter_mut().rfind(|(_, record)| record.offset > 0).unwrap();
        line.1.value = line.1.value.slice(..7);
        assert!(broken(short).contains(&CLAIMS), "it cannot be decoded");
    }
}
