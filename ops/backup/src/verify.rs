//! Whether a backup could be brought back: every checksum, every record decoded, every partition judged as its readers do.

use std::collections::BTreeMap;

use anyhow::Context as _;
use bytes::Bytes;
use domain::root::Context;
use domain::value::Timestamp;
use event_log::frame::{self, Frame, Kind};
use event_log::kafka::copying::WholeRecord;
use event_log::log::Record;
use event_log::validity::{Position, Reader, Verdict};
use schemas::Codec;
use serde::Serialize;
use uuid::Uuid;

use crate::files;
use crate::keys;
use crate::read::Backup;
use crate::take::digest;

/// So many faults are told one by one.
const SHOWN: usize = 20;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Records of the log.
    pub records: u64,
    /// Of these, events that count.
    pub events: u64,
    /// Of these, records that do not count.
    pub void: u64,
    /// Wrapped keys.
    pub keys: u64,
    /// Keys that were taken away.
    pub tombstones: u64,
    /// How many keys each master key wraps.
    pub master_keys: BTreeMap<Uuid, u64>,
    /// Everything that is wrong, or the beginning of it.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub wrong: u64,
}

impl Verified {
    fn fault(&mut self, what: impl Into<String>) {
        self.wrong += 1;
        if self.faults.len() < SHOWN {
            self.faults.push(what.into());
        }
    }
}

/// One partition while it is read.
struct Judging {
    reader: Option<Reader>,
    next: i64,
    identity: Option<Uuid>,
    last: Option<WholeRecord>,
    /// Nothing more is said of it.
    broken: bool,
}

/// Reads all of it.
///
/// # Errors
/// A file cannot be read, or is not what the manifest tells of: then nothing of it is worth much.
pub fn verify(backup: &Backup) -> anyhow::Result<Verified> {
    let mut found = Verified::default();
    for segment in &backup.manifest.segments {
        let sum = segment.sha256.as_ref().map(|_| files::digest(&backup.folder.file(&segment.file), segment.bytes));
        if sum.transpose()? != segment.sha256 {
            found.fault(format!("{} was changed: its checksum is wrong", segment.file));
        }
    }
    let codec = backup.texts.codec()?;
    let mut judging: BTreeMap<(String, u32), Judging> = BTreeMap::new();
    backup.blocks(|block| {
        let at = (block.topic.clone(), block.partition);
        let is_event = Context::ALL.iter().any(|context| context.topic() == block.topic);
        let one = judging.entry(at).or_insert_with(|| Judging {
            reader: is_event.then(|| Reader::at(Position::default())),
            next: 0,
            identity: None,
            last: None,
            broken: false,
        });
        for record in block.records()? {
            found.records += 1;
            if !one.broken {
                one.take(record, &codec, &mut found, &format!("{}/{}", block.topic, block.partition));
            }
        }
        Ok(())
    })?;
    for (topic, parts) in &backup.manifest.log {
        for (number, part) in (0..).zip(parts) {
            let one = judging.get(&(topic.clone(), number));
            let (next, identity) = one.map_or((0, None), |one| (one.next, one.identity));
            let last = one.and_then(|one| one.last.as_ref()).map(digest).unwrap_or_default();
            if !one.is_some_and(|one| one.broken) && (next, identity, &last) != (part.end, part.identity, &part.last) {
                found.fault(format!("{topic}/{number} goes to offset {next}, the manifest to {}", part.end));
            }
        }
    }
    verify_keys(backup, &codec, &mut found)?;
    Ok(found)
}

impl Judging {
    fn take(&mut self, record: WholeRecord, codec: &Codec, found: &mut Verified, at: &str) {
        let offset = record.offset;
        if offset != self.next {
            self.broken = true;
            return found.fault(format!("{at}: offset {} was expected, {offset} came", self.next));
        }
        self.next += 1;
        self.last = Some(record.clone());
        let Some(reader) = &mut self.reader else {
            return match record.value.as_deref().map(serde_json::from_slice::<serde_json::Value>) {
                Some(Ok(_)) => {}
                _ => found.fault(format!("{at}: the record at offset {offset} is not JSON")),
            };
        };
        let record = seen(record);
        match decoded(&record, codec) {
            Ok(frame) if offset == 0 && frame.kind == Kind::Claim => self.identity = Some(frame.claim),
            Ok(_) => {}
            Err(error) => found.fault(format!("{at}: the record at offset {offset} cannot be read: {error:#}")),
        }
        match reader.judge(record) {
            Ok(Verdict::Command(events)) => found.events += events.len() as u64,
            Ok(Verdict::Void(_)) => found.void += 1,
            Ok(_) => {}
            Err(broken) => {
                self.broken = true;
                found.fault(format!("{at}: {broken}"));
            }
        }
    }
}

fn decoded(record: &Record, codec: &Codec) -> anyhow::Result<Frame> {
    let frame = Frame::decode(&record.header).context("its header")?;
    match frame.kind {
        Kind::Event => drop(codec.decode(&record.value)?),
        Kind::Claim | Kind::Barrier | Kind::Settled => drop(codec.decode_control(&record.value)?),
    }
    Ok(frame)
}

/// As readers of events see it.
fn seen(record: WholeRecord) -> Record {
    let header = record.headers.into_iter().find(|(name, _)| name == frame::HEADER).and_then(|(_, value)| value);
    Record {
        offset: record.offset,
        timestamp: Timestamp(record.timestamp_ms.saturating_mul(1000)),
        key: Bytes::from(record.key.unwrap_or_default()),
        header: Bytes::from(header.unwrap_or_default()),
        value: Bytes::from(record.value.unwrap_or_default()),
        trace: None,
    }
}

fn verify_keys(backup: &Backup, codec: &Codec, found: &mut Verified) -> anyhow::Result<()> {
    keys::each(&backup.keys_in, &backup.manifest.keys, |partition, record| {
        let Some(value) = &record.value else {
            found.tombstones += 1;
            return Ok(());
        };
        found.keys += 1;
        let id = record.key.as_deref().and_then(|key| Uuid::try_parse_ascii(key).ok());
        match keys::decoded(codec, value) {
            Ok(key) if Some(key.key_id) == id => *found.master_keys.entry(key.master_key_id).or_default() += 1,
            Ok(_) => found.fault(format!("a key in partition {partition} at {} is another's", record.offset)),
            Err(error) => found.fault(format!("a key in partition {partition} at {}: {error:#}", record.offset)),
        }
        Ok(())
    })
}
