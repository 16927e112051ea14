//! From commands to records: versions, frames, sequence numbers, and the control records between them.

use std::collections::{HashMap, VecDeque};

use bytes::BytesMut;
use domain::event::Event;
use domain::ids::derived;
use domain::root::Meta;
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::{NewRecord, Record};
use event_log::owner::CONTROL_KEY;
use event_log::validity::Position;
use schemas::{Codec, Control};
use uuid::Uuid;

use crate::{Dice, Mix, SETTLED_EVERY, STEP_US};

/// Writes a history down, record by record, as the owner of one claim would.
pub struct Writer<M> {
    codec: Codec,
    mix: M,
    dice: Dice,
    versions: HashMap<Uuid, u64>,
    at: Timestamp,
    term: u32,
    claim: Uuid,
    seq: u64,
    next: i64,
    made: VecDeque<NewRecord>,
    commands: usize,
    settle_below: i64,
    /// How many events were made.
    pub events: u64,
}

impl<M: Mix> Writer<M> {
    /// Goes on from a position, with a claim of its own. `versions` are those of the aggregates that exist already.
    pub fn new(codec: Codec, mix: M, from: &Position, versions: HashMap<Uuid, u64>, at: Timestamp) -> Self {
        let mut dice = Dice::new(from.next.unsigned_abs() ^ 0x0bad_cafe);
        let (term, claim) = (from.term + 1, dice.id());
        let mut writer = Self {
            codec,
            mix,
            dice,
            versions,
            at,
            term,
            claim,
            seq: 0,
            next: from.next,
            made: VecDeque::new(),
            commands: 0,
            settle_below: from.next,
            events: 0,
        };
        let (instance, url) = ("made".to_owned(), "http://127.0.0.1:9".to_owned());
        writer.control(Kind::Claim, &Control::Claimed { claim, term, instance, url });
        writer
    }

    /// The claim it writes under.
    pub fn claim(&self) -> Uuid {
        self.claim
    }

    /// Where its next record lies.
    pub fn next_offset(&self) -> i64 {
        self.next - i64::try_from(self.made.len()).expect("few are waiting")
    }

    /// The moment of its next command.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What it was made from.
    pub fn mix(&self) -> &M {
        &self.mix
    }

    /// Says that everything caused until now has been answered.
    pub fn settle(&mut self) {
        self.control(Kind::Settled, &Control::Settled { below: self.next });
    }

    /// What was made and not taken yet, without anything new.
    pub fn rest(&mut self) -> Vec<NewRecord> {
        self.made.drain(..).collect()
    }

    fn command(&mut self) {
        let events = self.mix.next(self.at);
        let Some(root) = events.first().map(Event::aggregate) else { return };
        // From the aggregate: writers of other partitions roll the same dice.
        let command = derived(root, "command", self.versions.get(&root).map_or(1, |version| version + 1));
        let hash = self.dice.id().into_bytes();
        let count = u16::try_from(events.len()).expect("a command has few events");
        for (index, event) in (0..).zip(&events) {
            let id = event.aggregate();
            let version = self.versions.entry(id).or_default();
            *version += 1;
            let meta = Meta {
                event_id: derived(command, "event", *version),
                occurred_at: self.at,
                version: i64::try_from(*version).expect("few events"),
                correlation_id: self.dice.id(),
                causation_id: command,
                actor: "system".to_owned(),
            };
            let frame = Frame {
                kind: Kind::Event,
                term: self.term,
                seq: self.seq,
                evt_idx: index,
                evt_cnt: count,
                agg_ver: *version,
                claim: self.claim,
                cmd_id: command,
                cmd_hash: hash,
            };
            let value = self.codec.encode(&meta, event).expect("made events fit their schemas");
            self.push(id.hyphenated().to_string(), &frame, value);
            self.events += 1;
        }
        self.at = Timestamp(self.at.0 + STEP_US);
        self.commands += 1;
        if self.commands.is_multiple_of(SETTLED_EVERY) {
            // What the last second caused is still under way.
            let below = std::mem::replace(&mut self.settle_below, self.next);
            self.control(Kind::Settled, &Control::Settled { below });
        }
    }

    fn control(&mut self, kind: Kind, value: &Control) {
        let frame = Frame {
            kind,
            term: self.term,
            seq: self.seq,
            evt_idx: 0,
            evt_cnt: 1,
            agg_ver: 0,
            claim: self.claim,
            cmd_id: Uuid::nil(),
            cmd_hash: [0; 16],
        };
        let value = self.codec.encode_control(value).expect("control records fit their schemas");
        self.push(CONTROL_KEY.to_owned(), &frame, value);
    }

    fn push(&mut self, key: String, frame: &Frame, value: Vec<u8>) {
        self.made.push_back(NewRecord { key, header: frame.encode(), value, trace: None });
        self.seq += 1;
        self.next += 1;
    }
}

impl<M: Mix> Iterator for Writer<M> {
    type Item = NewRecord;

    fn next(&mut self) -> Option<NewRecord> {
        if self.made.is_empty() {
            self.command();
        }
        self.made.pop_front()
    }
}

/// Records as they come back from the log: copied into blocks, as the consumer does it.
pub fn records<'a>(first: i64, timestamp: Timestamp, new: impl IntoIterator<Item = &'a NewRecord>) -> Vec<Record> {
    let mut block = BytesMut::new();
    let copied = new.into_iter().zip(first..).map(|(new, offset)| {
        let length = new.key.len() + new.header.len() + new.value.len();
        if block.capacity() < length {
            block = BytesMut::with_capacity(length.max(64 * 1024));
        }
        [new.key.as_bytes(), &new.header, &new.value].iter().for_each(|part| block.extend_from_slice(part));
        let mut value = block.split().freeze();
        let key = value.split_to(new.key.len());
        let header = value.split_to(new.header.len());
        Record { offset, timestamp, key, header, value, trace: None }
    });
    copied.collect()
}
