//! Writes valid (and void) records into a log in memory, as an owner would.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::event::Event;
use domain::root::{Context, Meta};
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::{Log, NewRecord, Partition};
use event_log::memory::MemoryLog;
use event_log::partition::partition_of;
use schemas::{Codec, Control};
use uuid::Uuid;

pub const PARTITIONS: u32 = 4;

/// The events of one command to one aggregate.
#[derive(Debug, Clone)]
pub struct Told {
    pub context: Context,
    pub key: Uuid,
    pub at: i64,
    pub events: Vec<Event>,
}

/// What is wrong with an event.
#[derive(Debug, Clone, Copy)]
pub enum Damage {
    /// It names a schema that nobody knows.
    Schema(u32),
    /// The end of its value is missing.
    Cut,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    term: u32,
    claim: Uuid,
    seq: u64,
}

/// Makes another value of an event and of the one we would have written.
pub type Writer = Box<dyn Fn(&Event, Vec<u8>) -> Vec<u8>>;

/// A log and who writes to it.
pub struct Lanes {
    pub log: MemoryLog,
    pub codec: Codec,
    lanes: BTreeMap<Partition, Lane>,
    versions: BTreeMap<(Context, Uuid), i64>,
    damaged: BTreeMap<(Context, Uuid, i64), Damage>,
    drawn: u128,
    /// What another version of the program would have written instead of a value of ours.
    pub other_writer: Option<Writer>,
}

impl Lanes {
    /// Every partition is claimed once.
    pub fn new() -> Self {
        Self::with(Codec::in_memory())
    }

    pub fn with(codec: Codec) -> Self {
        let log = MemoryLog::auto(Arc::new(|| Timestamp(1))).unwrap();
        let (lanes, versions, damaged) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut lanes = Self { log, codec, lanes, versions, damaged, drawn: 0, other_writer: None };
        for place in places() {
            lanes.claim(place);
        }
        lanes
    }

    pub fn shared(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    pub fn place(context: Context, key: Uuid) -> Partition {
        Partition { context, number: partition_of(key, PARTITIONS) }
    }

    pub fn end(&self, at: Partition) -> i64 {
        self.log.bounds(at).unwrap().end
    }

    /// Where every partition ends.
    pub fn ends(&self) -> BTreeMap<Partition, i64> {
        places().map(|place| (place, self.end(place))).collect()
    }

    /// The next owner takes the partition.
    pub fn claim(&mut self, at: Partition) {
        self.drawn += 1;
        let lane = self.lanes.entry(at).or_default();
        *lane = Lane { term: lane.term + 1, claim: Uuid::from_u128(self.drawn << 64), seq: 1 };
        let Lane { term, claim, .. } = *lane;
        let (instance, url) = ("test".to_owned(), String::new());
        let value = self.codec.encode_control(&Control::Claimed { claim, term, instance, url }).unwrap();
        self.put(at, "_control", frame(Kind::Claim, term, 0, claim), value);
    }

    pub fn barrier(&mut self, at: Partition) {
        let Lane { term, claim, seq } = self.next(at);
        let value = self.codec.encode_control(&Control::Barrier).unwrap();
        self.put(at, "_control", frame(Kind::Barrier, term, seq, claim), value);
    }

    /// All events of a command.
    pub fn tell(&mut self, told: &Told) {
        self.tell_some(told, told.events.len());
    }

    /// The first events of a command; the others never come.
    pub fn tell_some(&mut self, told: &Told, count: usize) {
        let at = Self::place(told.context, told.key);
        for (index, event) in told.events.iter().take(count).enumerate() {
            let version = self.versions.entry((told.context, told.key)).or_default();
            *version += 1;
            let value = self.codec.encode(&meta(told, *version, index), event).unwrap();
            let mut value = match &self.other_writer {
                None => value,
                Some(other) => other(event, value),
            };
            match self.damaged.get(&(told.context, told.key, *version)) {
                Some(Damage::Schema(id)) => value[1..5].copy_from_slice(&id.to_be_bytes()),
                Some(Damage::Cut) => value.truncate(value.len() - 1),
                None => {}
            }
            let Lane { term, claim, seq } = self.next(at);
            let evt_idx = u16::try_from(index).unwrap();
            let evt_cnt = u16::try_from(told.events.len()).unwrap();
            let cmd_id = Uuid::new_v5(&told.key, &told.at.to_be_bytes());
            let frame = Frame { evt_idx, evt_cnt, cmd_id, ..frame(Kind::Event, term, seq, claim) };
            self.put(at, &told.key.to_string(), frame, value);
        }
    }

    /// The same records as a superseded owner would append them.
    pub fn tell_void(&mut self, told: &Told) {
        let at = Self::place(told.context, told.key);
        let now = self.lanes[&at];
        let versions = self.versions.clone();
        self.lanes.insert(at, Lane { term: now.term - 1, claim: Uuid::from_u128(7), seq: 1 });
        self.tell(told);
        self.lanes.insert(at, now);
        self.versions = versions;
    }

    /// This event of a key (the first is 1) will be damaged.
    pub fn damage(&mut self, context: Context, key: Uuid, version: i64, damage: Damage) {
        self.damaged.insert((context, key, version), damage);
    }

    /// Where the events of a key lie.
    pub fn offsets(&self, context: Context, key: Uuid) -> Vec<i64> {
        let of_key = |record: &event_log::log::Record| record.key == key.to_string();
        self.log.records(Self::place(context, key)).iter().filter(|it| of_key(it)).map(|it| it.offset).collect()
    }

    /// An event of a schema that we did not write, validly framed.
    pub fn unknown(&mut self, context: Context, key: Uuid, schema: u32) -> Partition {
        let at = Self::place(context, key);
        let Lane { term, claim, seq } = self.next(at);
        let value = [&[0], &schema.to_be_bytes()[..]].concat();
        self.put(at, &key.to_string(), frame(Kind::Event, term, seq, claim), value);
        at
    }

    fn next(&mut self, at: Partition) -> Lane {
        let lane = self.lanes.get_mut(&at).unwrap();
        let now = *lane;
        lane.seq += 1;
        now
    }

    fn put(&self, at: Partition, key: &str, frame: Frame, value: Vec<u8>) {
        self.log.foreign_append(at, &NewRecord { key: key.to_owned(), header: frame.encode(), value, trace: None });
    }
}

/// Every partition of every event topic.
pub fn places() -> impl Iterator<Item = Partition> {
    Context::ALL.into_iter().flat_map(|context| (0..PARTITIONS).map(move |number| Partition { context, number }))
}

fn meta(told: &Told, version: i64, index: usize) -> Meta {
    Meta {
        event_id: Uuid::new_v5(&told.key, format!("{}:{index}", told.at).as_bytes()),
        occurred_at: Timestamp(told.at),
        version,
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: "system".to_owned(),
    }
}

fn frame(kind: Kind, term: u32, seq: u64, claim: Uuid) -> Frame {
    Frame { kind, term, seq, evt_idx: 0, evt_cnt: 1, agg_ver: 0, claim, cmd_id: Uuid::nil(), cmd_hash: [0; 16] }
}
