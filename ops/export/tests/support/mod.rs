//! A log that lies there as it was written down, and exports of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use domain::root::Context;
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::{Bounds, Followed, Follower, Following, Log, LogError, NewRecord, Partition, Record, Reports};
use export::export::{Format, Job, Summary, run};
use export::range::Wanted;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use schemas::{Codec, Control};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Partitions of every topic.
pub const PARTITIONS: u32 = 2;
/// Records handed over at once.
const BATCH: usize = 7;

/// A log that does not change.
#[derive(Default, Clone)]
pub struct Written {
    pub records: BTreeMap<Partition, Vec<Record>>,
    /// After so many records of a partition nothing more can be read.
    pub lost_at: Option<i64>,
}

struct Nothing;

impl Following for Nothing {}

impl Log for Written {
    fn append(&self, _: Partition, _: Uuid, _: u64, _: Vec<NewRecord>, _: Reports) {
        unreachable!("nobody writes")
    }

    fn follow(&self, at: Partition, from: i64, follower: Follower) -> Box<dyn Following> {
        let all = self.records.get(&at).cloned().unwrap_or_default();
        let lost_at = self.lost_at.unwrap_or(i64::MAX);
        std::thread::spawn(move || {
            let (start, end) = (0, i64::try_from(all.len()).unwrap());
            let rest: Vec<Record> = all.into_iter().filter(|it| it.offset >= from && it.offset < lost_at).collect();
            rest.chunks(BATCH).for_each(|some| follower(Followed::Records(some.to_vec())));
            follower(if end > lost_at { Followed::Lost { start, end } } else { Followed::End(end) });
        });
        Box::new(Nothing)
    }

    fn bounds(&self, at: Partition) -> Result<Bounds, LogError> {
        Ok(Bounds { start: 0, end: i64::try_from(self.records.get(&at).map_or(0, Vec::len)).unwrap() })
    }

    fn record(&self, at: Partition, offset: i64) -> Result<Option<Record>, LogError> {
        let all = self.records.get(&at);
        Ok(all.and_then(|all| all.get(usize::try_from(offset).unwrap())).cloned())
    }
}

impl Written {
    /// Writes a record down as it is.
    pub fn push(&mut self, at: Partition, time: Timestamp, frame: &Frame, key: &str, value: Vec<u8>) {
        let all = self.records.entry(at).or_default();
        let offset = i64::try_from(all.len()).unwrap();
        let (key, header) = (key.as_bytes().to_vec().into(), frame.encode().to_vec().into());
        all.push(Record { offset, timestamp: time, key, header, value: value.into(), trace: None });
    }

    /// Writes a claim down.
    pub fn claim(&mut self, codec: &Codec, at: Partition, time: Timestamp, term: u32) -> Owner {
        let claim = Uuid::from_u128(0xc1a1_0000 + u128::from(term));
        let control = Control::Claimed { claim, term, instance: "made".to_owned(), url: "http://made".to_owned() };
        let owner = Owner { at, term, claim, seq: 1 };
        let frame = Frame { seq: 0, ..owner.frame(Kind::Claim, 0, 1, 0) };
        self.push(at, time, &frame, "_control", codec.encode_control(&control).unwrap());
        owner
    }
}

/// Whoever writes under a claim.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub at: Partition,
    pub term: u32,
    pub claim: Uuid,
    pub seq: u64,
}

impl Owner {
    /// The header of its next record.
    pub fn frame(&self, kind: Kind, evt_idx: u16, evt_cnt: u16, agg_ver: u64) -> Frame {
        let Self { term, claim, seq, .. } = *self;
        let cmd_id = Uuid::from_u128(u128::from(seq) - u128::from(evt_idx) + (u128::from(term) << 64));
        Frame { kind, term, seq, evt_idx, evt_cnt, agg_ver, claim, cmd_id, cmd_hash: [0; 16] }
    }

    /// Appends an event that is already encoded.
    pub fn event(&mut self, log: &mut Written, time: Timestamp, part: (u16, u16), key: &str, value: Vec<u8>) {
        let frame = self.frame(Kind::Event, part.0, part.1, 1);
        log.push(self.at, time, &frame, key, value);
        self.seq += 1;
    }
}

pub fn at(context: Context, number: u32) -> Partition {
    Partition { context, number }
}

pub fn job(wanted: Wanted, format: Format, out: &Path) -> Job {
    Job {
        wanted,
        format,
        out: Some(out.to_owned()),
        resume: false,
        follow: false,
        partitions: PARTITIONS,
        keep_rows: 10,
        namespace: String::new(),
    }
}

pub fn try_export(log: &Written, codec: &Codec, job: &Job) -> anyhow::Result<Summary> {
    run(Arc::new(log.clone()), codec, job, &|_| {}, &mut |_| {})
}

pub fn export(log: &Written, codec: &Codec, job: &Job) -> Summary {
    try_export(log, codec, job).unwrap()
}

/// The lines of a file.
pub fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows of a Parquet file, with the names of its columns.
pub fn rows(file: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| object(&row.unwrap())).collect()
}

fn object(row: &Row) -> Value {
    Value::Object(row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect::<Map<_, _>>())
}

/// Moments as microseconds, ids as text, other bytes as numbers: as serde writes our own types.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(it) => json!(it),
        Field::Int(it) => json!(it),
        Field::Long(it) | Field::TimestampMicros(it) => json!(it),
        Field::Str(it) => json!(it),
        Field::Bytes(it) => json!(it.data()),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("no column of ours holds {other:?}"),
    }
}
