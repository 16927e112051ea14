//! What the log itself looks like: its claims, its frames, its versions, and whether anything counts twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::root::Context;
use domain::value::{Actor, Timestamp};
use event_log::frame::Frame;
use event_log::log::Partition;
use event_log::state::{REMEMBER, REMEMBER_S};
use event_log::validity::Void;
use uuid::Uuid;

use super::facts::Logged;
use super::report::{Faults, Law};

/// A command has at most so many events.
const MOST_EVENTS: u16 = 500;

/// What one partition is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read.
    pub records: u64,
    /// Valid events.
    pub events: u64,
    /// Commands that wrote something.
    pub commands: u64,
    /// Valid claims: 1 for the first owner, 1 more for every take-over.
    pub claims: u64,
    /// Valid barriers.
    pub barriers: u64,
    /// Valid watermarks of sagas.
    pub settled: u64,
    /// Records of a term that was over.
    pub old_term: u64,
    /// Records whose sequence number had been seen.
    pub duplicates: u64,
    /// Records after one that is missing.
    pub after_hole: u64,
    /// Events of a command whose others never came: in doubt, and decided by the next claim.
    pub unfinished: u64,
}

impl Counts {
    /// How many records do not count.
    pub fn void(&self) -> u64 {
        self.old_term + self.duplicates + self.after_hole + self.unfinished
    }

    /// Counts a record that does not count.
    pub fn skip(&mut self, void: Void) {
        *match void {
            Void::OldTerm => &mut self.old_term,
            Void::Duplicate => &mut self.duplicates,
            Void::AfterHole => &mut self.after_hole,
        } += 1;
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self {
            records: self.records + others.records,
            events: self.events + others.events,
            commands: self.commands + others.commands,
            claims: self.claims + others.claims,
            barriers: self.barriers + others.barriers,
            settled: self.settled + others.settled,
            old_term: self.old_term + others.old_term,
            duplicates: self.duplicates + others.duplicates,
            after_hole: self.after_hole + others.after_hole,
            unfinished: self.unfinished + others.unfinished,
        }
    }
}

/// The last event of a partition, with what the next one has to follow.
#[derive(Debug, Clone, Copy)]
struct Last {
    offset: i64,
    frame: Frame,
    aggregate: Uuid,
    at: Timestamp,
}

/// When a command took effect, and the how manieth of its partition it was.
#[derive(Debug, Clone, Copy)]
struct Effect {
    at: Timestamp,
    nth: usize,
}

impl Effect {
    /// Whether an owner that is asked again recognises it. Clients' keys are good for so long; what Boxoffice asks itself
    /// has no effect however late it comes again.
    fn is_remembered(&self, again: &Self) -> bool {
        again.at < self.at.plus_s(REMEMBER_S) && again.nth - self.nth <= REMEMBER
    }
}

/// What the log itself looks like.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Records that cannot be read, or claims, terms and sequences that do not follow each other.
    pub claims: Faults,
    /// Where the services' reader and the checker's own do not agree.
    pub judged: Faults,
    /// Commands that are not whole, or whose events do not belong together.
    pub frames: Faults,
    /// Versions left out or repeated.
    pub versions: Faults,
    /// Commands and events that count twice.
    pub twice: Faults,
    /// Watermarks that fall, or lie above themselves.
    pub watermarks: Faults,
    /// Decisions dated before the one in front of them.
    pub times: Faults,
    /// The claim at offset 0 of each partition: which log it is.
    pub identities: BTreeMap<Partition, Uuid>,
    /// The highest term.
    pub term: u32,
    /// How many events the largest command has.
    pub largest: u16,
    several: u64,
    known: HashMap<(Context, Uuid), u64>,
    commands: HashMap<(Partition, Uuid), Effect>,
    effects: BTreeMap<Partition, usize>,
    ids: HashSet<Uuid>,
    last: BTreeMap<Partition, Last>,
    settled: BTreeMap<Partition, i64>,
}

impl Shape {
    /// Takes the next valid event of a partition in.
    pub fn take(&mut self, logged: &Logged<'_>) {
        let Logged { place, offset, frame, meta, event, .. } = *logged;
        if u64::try_from(meta.version) != Ok(frame.agg_ver) {
            self.frames.add(format!("{place}: {} at {offset} does not agree with its own header", event.name()));
        }
        if !self.ids.insert(meta.event_id) {
            self.twice.add(format!("{place}: {} at {offset} has the id of another event", event.name()));
        }
        let next = Last { offset, frame, aggregate: event.aggregate(), at: meta.occurred_at };
        let before = self.last.insert(place, next);
        self.follows(place, before.as_ref(), &next);
        if frame.evt_idx == 0 {
            self.largest = self.largest.max(frame.evt_cnt);
            self.several += u64::from(frame.evt_cnt > 1);
            let nth = self.effects.entry(place).or_default();
            *nth += 1;
            let effect = Effect { at: meta.occurred_at, nth: *nth };
            let before = self.commands.insert((place, frame.cmd_id), effect);
            let by_system = meta.actor == Actor::System.principal();
            if before.is_some_and(|before| by_system || before.is_remembered(&effect)) {
                self.twice.add(format!("{place}: command {} took effect again at {offset}", frame.cmd_id));
            }
        }
        self.version((event.context(), event.aggregate()), event.name(), frame.agg_ver);
    }

    /// Notes the version that an event gave to its aggregate: 1, 2, 3, …; a gap is a lost event, a repetition one that
    /// was applied twice.
    pub fn version(&mut self, key: (Context, Uuid), name: &str, version: u64) {
        let known = self.known.insert(key, version).unwrap_or(0);
        if version != known + 1 {
            self.versions.add(format!("{name} of {} gives it version {version} after {known}", key.1));
        }
    }

    /// Takes a watermark in.
    pub fn settle(&mut self, place: Partition, offset: i64, below: i64) {
        let before = self.settled.insert(place, below).unwrap_or(0);
        if below < before || below > offset {
            self.watermarks.add(format!("{place}: {below} is settled at {offset}, after {before}"));
        }
    }

    fn follows(&mut self, place: Partition, before: Option<&Last>, next: &Last) {
        let Last { offset, frame, .. } = *next;
        if frame.evt_cnt > MOST_EVENTS {
            self.frames.add(format!("{place}: the command at {offset} has {} events", frame.evt_cnt));
        }
        let Some(before) = before else {
            if frame.evt_idx != 0 {
                self.frames.add(format!("{place}: the first event, at {offset}, is in the middle of a command"));
            }
            return;
        };
        let of = before.frame;
        let forward = before.offset < offset
            && (of.term < frame.term || (of.term, of.claim) == (frame.term, frame.claim) && of.seq < frame.seq);
        if !forward {
            self.claims.add(format!("{place}: the event at {offset} does not come after the one at {}", before.offset));
        }
        if next.at < before.at {
            self.times.add(format!("{place}: the event at {offset} was decided before the one at {}", before.offset));
        }
        let open = of.evt_idx + 1 < of.evt_cnt;
        let goes_on = (frame.cmd_id, frame.cmd_hash, frame.evt_cnt, frame.evt_idx, frame.seq, next.aggregate)
            == (of.cmd_id, of.cmd_hash, of.evt_cnt, of.evt_idx.wrapping_add(1), of.seq + 1, before.aggregate);
        if open != (frame.evt_idx != 0) || open && !goes_on {
            self.frames.add(format!("{place}: the event at {offset} does not continue its command"));
        }
    }

    /// How many aggregates there are.
    pub fn aggregates(&self) -> usize {
        self.known.len()
    }

    /// The laws of the log itself; they hold at every moment.
    pub fn laws(&self, partitions: &BTreeMap<Partition, Counts>) -> Vec<Law> {
        let all = partitions.values().fold(Counts::default(), |sum, counts| sum.and(counts));
        let records = format!(
            "{} records in {} partitions: {} claims up to term {}, {} barriers; void {} (old term {}, twice {}, after a hole {}, unfinished {})",
            all.records,
            partitions.len(),
            all.claims,
            self.term,
            all.barriers,
            all.void(),
            all.old_term,
            all.duplicates,
            all.after_hole,
            all.unfinished,
        );
        let commands =
            format!("{} commands, {} of several events, at most {}", self.commands.len(), self.several, self.largest);
        vec![
            Law::new(CLAIMS, records, self.claims.clone()),
            Law::new(JUDGED, format!("{} records, by two readers", all.records), self.judged.clone()),
            Law::new(FRAMES, commands, self.frames.and(&self.torn())),
            Law::new(VERSIONS, format!("{} things", self.aggregates()), self.versions.clone()),
            Law::new(ONCE, format!("{} commands, {} events", self.commands.len(), self.ids.len()), self.twice.clone()),
            Law::new(WATERMARKS, format!("{} watermarks", all.settled), self.watermarks.clone()),
            Law::new(TIMES, format!("{} events", self.ids.len()), self.times.clone()),
        ]
    }

    /// Commands at the end whose last event is missing.
    fn torn(&self) -> Faults {
        let open = self.last.iter().filter(|(_, last)| last.frame.evt_idx + 1 < last.frame.evt_cnt);
        open.map(|(place, last)| format!("{place}: the command at {} lacks its end", last.offset)).collect()
    }
}

/// Claims follow each other by one, what follows a claim is numbered without a gap, and every record can be read.
pub const CLAIMS: &str = "claims, terms and sequences are unbroken";
/// The services' reader and the checker's own come to the same verdict on every record.
pub const JUDGED: &str = "two readers judge every record alike";
/// All events of a command are there, next to each other, of one aggregate.
pub const FRAMES: &str = "every command is whole";
/// Every aggregate's events are numbered 1, 2, 3, ….
pub const VERSIONS: &str = "versions have no gaps";
/// No command's id and no event's id counts a second time.
pub const ONCE: &str = "nothing takes effect twice";
/// What is settled is never unsettled, and lies below the record that says so.
pub const WATERMARKS: &str = "what is settled stays settled";
/// Decisions of a partition are dated in their order, whoever took them.
pub const TIMES: &str = "decisions are dated in their order";

#[cfg(test)]
mod tests;
