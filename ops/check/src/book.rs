//! Events as they lie in a log, for tests: each test changes one thing and expects exactly one law to notice.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use domain::event::Event;
use domain::root::{Context, Meta};
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::{Partition, Record};
use schemas::{Codec, Control};
use uuid::Uuid;

use super::{Facts, Logged, Report, always, from_facts};

/// The claim that everything is written under.
pub const CLAIM: Uuid = Uuid::from_u128(0xc1a1);

/// One line of the book.
#[derive(Debug, Clone)]
pub struct Line {
    pub place: Partition,
    pub offset: i64,
    pub appended_at: Timestamp,
    pub frame: Frame,
    pub meta: Meta,
    pub event: Event,
}

/// A log of whole commands in partition 0 of every topic.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pub lines: Vec<Line>,
    seqs: BTreeMap<Context, u64>,
    versions: BTreeMap<(Context, Uuid), u64>,
    commands: u128,
}

/// A moment, seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

impl Book {
    /// Commands of one event each, a second apart.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut book = Self::default();
        (1..).zip(events).for_each(|(second, event)| book.write(vec![event], at(second)));
        book
    }

    /// The same at these moments.
    pub fn timed(events: impl IntoIterator<Item = (Event, Timestamp)>) -> Self {
        let mut book = Self::default();
        events.into_iter().for_each(|(event, at)| book.write(vec![event], at));
        book
    }

    /// One command of these events, of one aggregate.
    pub fn write(&mut self, events: Vec<Event>, at: Timestamp) {
        self.commands += 1;
        let cmd_id = Uuid::from_u128(0xcd_0000 + self.commands);
        let evt_cnt = u16::try_from(events.len()).unwrap();
        for (evt_idx, event) in (0..).zip(events) {
            let (context, aggregate) = (event.context(), event.aggregate());
            let seq = self.seqs.entry(context).or_default();
            *seq += 1;
            let agg_ver = self.versions.entry((context, aggregate)).or_default();
            *agg_ver += 1;
            let frame = Frame {
                kind: Kind::Event,
                term: 1,
                seq: *seq,
                evt_idx,
                evt_cnt,
                agg_ver: *agg_ver,
                claim: CLAIM,
                cmd_id,
                cmd_hash: [0; 16],
            };
            let meta = Meta {
                event_id: domain::ids::derived(cmd_id, "event", u64::from(evt_idx)),
                occurred_at: at,
                version: i64::try_from(*agg_ver).unwrap(),
                correlation_id: cmd_id,
                causation_id: cmd_id,
                actor: "guest:1".to_owned(),
            };
            let offset = i64::try_from(*seq).unwrap();
            let place = Partition { context, number: 0 };
            self.lines.push(Line { place, offset, appended_at: at, frame, meta, event });
        }
    }

    /// The first line of this event's name.
    pub fn line(&mut self, name: &str) -> &mut Line {
        self.lines.iter_mut().find(|line| line.event.name() == name).unwrap()
    }

    /// Without the first line of this event's name.
    pub fn without(mut self, name: &str) -> Self {
        let at = self.lines.iter().position(|line| line.event.name() == name).unwrap();
        self.lines.remove(at);
        self
    }

    /// With one thing changed.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn facts(&self) -> Facts {
        Facts::of(self.lines.iter().map(|line| Logged {
            place: line.place,
            offset: line.offset,
            appended_at: line.appended_at,
            frame: line.frame,
            meta: &line.meta,
            event: &line.event,
        }))
    }

    /// The laws that do not hold at rest.
    pub fn broken(&self) -> Vec<&'static str> {
        names(&from_facts(&self.facts()))
    }

    /// The laws that do not hold, of those that always do.
    pub fn always_broken(&self) -> Vec<&'static str> {
        names(&always(&self.facts()))
    }
}

/// The laws of a report that do not hold.
pub fn names(report: &Report) -> Vec<&'static str> {
    report.laws.iter().filter(|law| !law.holds()).map(|law| law.name).collect()
}

impl Book {
    /// The same as records, each partition's after its claim.
    pub fn records(&self, codec: &Codec) -> Vec<(Partition, Record)> {
        let mut records = Vec::new();
        let places: BTreeSet<Partition> = self.lines.iter().map(|line| line.place).collect();
        for place in places {
            let frame = Frame { kind: Kind::Claim, seq: 0, evt_idx: 0, evt_cnt: 1, agg_ver: 0, ..self.lines[0].frame };
            let (instance, url) = ("test".to_owned(), "http://127.0.0.1".to_owned());
            let claimed = Control::Claimed { claim: CLAIM, term: 1, instance, url };
            records.push((place, record(0, "_control", frame, codec.encode_control(&claimed).unwrap())));
            for line in self.lines.iter().filter(|line| line.place == place) {
                let key = line.event.aggregate().hyphenated().to_string();
                let value = codec.encode(&line.meta, &line.event).unwrap();
                records.push((place, record(line.offset, &key, line.frame, value)));
            }
        }
        records
    }
}

fn record(offset: i64, key: &str, frame: Frame, value: Vec<u8>) -> Record {
    let header = Bytes::copy_from_slice(&frame.encode());
    let (key, timestamp) = (Bytes::copy_from_slice(key.as_bytes()), Timestamp(0));
    Record { offset, timestamp, key, header, value: value.into(), trace: None }
}
