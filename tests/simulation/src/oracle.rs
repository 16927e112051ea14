//! A reader of its own: which records count, and what they add up to, in another way than the code under test.
//!
//! Whether a record counts depends only on what lies before it, so the oracle reads along, and is never wrong later.

use std::collections::{BTreeMap, HashMap};

use check::{Facts, Logged};
use domain::event::Event;
use domain::ids::CommandId;
use domain::root::{Context, Meta};
use domain::saga::{self, Outgoing};
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::Record;
use schemas::{Codec, Control};
use uuid::Uuid;

use crate::part::Kept;
use crate::world::place;

/// What one aggregate was, from an offset on.
#[derive(Debug, Clone)]
pub struct Was {
    /// The offset of the last event that made it so.
    pub offset: i64,
    /// Its version.
    pub version: u64,
    /// The aggregate.
    pub state: Kept,
}

/// A command that counts.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Its id.
    pub id: CommandId,
    /// HMAC of its body.
    pub hash: [u8; 16],
    /// The offset of its first event.
    pub first: i64,
    /// The offset of its last event.
    pub last: i64,
    /// When it was decided.
    pub at: Timestamp,
}

/// An event that counts.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its header.
    pub frame: Frame,
    /// Where.
    pub offset: i64,
    /// What it says of itself.
    pub meta: Meta,
    /// The event.
    pub event: Event,
}

/// A claim that counts.
#[derive(Debug, Clone, Copy)]
pub struct Reign {
    /// Whose.
    pub claim: Uuid,
    /// When, by the broker's clock.
    pub at: Timestamp,
}

/// Everything that counts in one partition.
#[derive(Debug)]
pub struct Lane {
    /// Whose.
    pub context: Context,
    /// The offset to read next.
    pub next: i64,
    /// The claims that took the partition one after another.
    pub reigns: Vec<Reign>,
    /// The sequence number of the last record of the current claim that counts.
    seq: u64,
    hole: bool,
    /// The events of a command that is not whole yet.
    part: Vec<Line>,
    /// Every command that counts, in order.
    pub counted: Vec<Counted>,
    by_id: HashMap<CommandId, usize>,
    histories: BTreeMap<Uuid, Vec<Was>>,
    /// What every event that counts makes others do.
    pub causes: BTreeMap<i64, Vec<Outgoing>>,
    /// Below this offset everything caused was answered, says the log.
    pub settled: i64,
    /// Serial numbers used up.
    pub serials: BTreeMap<u64, (i64, Uuid)>,
    /// When the last event was decided.
    pub last: Timestamp,
    /// Events that count.
    pub events: u64,
    /// Every event that counts.
    pub log: Vec<Line>,
    /// What must not be, and is.
    pub wrong: Vec<String>,
}

impl Lane {
    /// Before the first record.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            next: 0,
            reigns: Vec::new(),
            seq: 0,
            hole: false,
            part: Vec::new(),
            counted: Vec::new(),
            by_id: HashMap::new(),
            histories: BTreeMap::new(),
            causes: BTreeMap::new(),
            settled: 0,
            serials: BTreeMap::new(),
            last: Timestamp::default(),
            events: 0,
            log: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Reads the next record.
    pub fn read(&mut self, record: &Record, codec: &Codec, grace_us: i64) {
        assert_eq!(record.offset, self.next, "the log has no gaps");
        self.next += 1;
        let frame = Frame::decode(&record.header).expect("only we write to this log");
        match frame.kind {
            Kind::Claim if frame.term as usize == self.reigns.len() + 1 => {
                self.reigns.push(Reign { claim: frame.claim, at: record.timestamp });
                (self.seq, self.hole) = (0, false);
                self.part.clear();
            }
            Kind::Claim => {}
            _ if self.reigns.last().is_none_or(|reign| reign.claim != frame.claim) => {}
            _ if frame.seq <= self.seq => {}
            _ if self.hole || frame.seq != self.seq + 1 => self.hole = true,
            kind => {
                self.seq = frame.seq;
                match kind {
                    Kind::Event => self.event(frame, record, codec, grace_us),
                    Kind::Settled => self.watermark(record, codec),
                    Kind::Barrier | Kind::Claim => {}
                }
            }
        }
    }

    fn watermark(&mut self, record: &Record, codec: &Codec) {
        match codec.decode_control(&record.value) {
            Ok(Control::Settled { below }) => self.settled = self.settled.max(below),
            other => self.wrong.push(format!("a watermark was expected at {}, not {other:?}", record.offset)),
        }
    }

    fn event(&mut self, frame: Frame, record: &Record, codec: &Codec, grace_us: i64) {
        let (meta, event) = codec.decode(&record.value).expect("what was encoded can be decoded");
        if event.context() != self.context {
            self.wrong.push(format!("{} lies in {}", event.name(), self.context.topic()));
        }
        self.part.push(Line { frame, offset: record.offset, meta, event });
        if frame.evt_idx + 1 < frame.evt_cnt {
            return;
        }
        let whole = std::mem::take(&mut self.part);
        if whole.len() != usize::from(frame.evt_cnt) {
            self.wrong.push(format!("the command that ends at {} is not whole", record.offset));
            return;
        }
        self.command(whole, grace_us);
    }

    fn command(&mut self, whole: Vec<Line>, grace_us: i64) {
        let Line { frame, offset: first, meta, event } = &whole[0];
        let (aggregate, id, first, at) = (event.aggregate(), CommandId(frame.cmd_id), *first, meta.occurred_at);
        let last = whole.last().map_or(first, |line| line.offset);
        let counted = Counted { id, hash: frame.cmd_hash, first, last, at };
        if let Some(before) = self.by_id.insert(id, self.counted.len()) {
            // A day later nobody remembers; timers and sagas never wait so long.
            if self.counted[before].at.plus_s(24 * 3600) > at {
                self.wrong.push(format!("command {id} took effect at {} and at {first}", self.counted[before].first));
            }
        }
        self.counted.push(counted);
        let mut state = self.now(aggregate).cloned().unwrap_or_else(|| Was {
            offset: -1,
            version: 0,
            state: Kept::fresh(self.context),
        });
        for (n, line) in (0..).zip(whole) {
            let Line { frame, offset, ref meta, ref event } = line;
            self.look_at(offset, meta, event, grace_us);
            state.version += 1;
            if (frame.agg_ver, meta.version.unsigned_abs()) != (state.version, state.version) {
                self.wrong.push(format!(
                    "the event at {offset} gives version {} after {}",
                    frame.agg_ver,
                    state.version - 1
                ));
            }
            let caused = saga::react(event, meta);
            if !caused.is_empty() {
                // A record that came twice may lie within a frame; causes are numbered as if there were none.
                self.causes.insert(first + n, caused);
            }
            state.state.apply(event.clone());
            self.last = self.last.max(meta.occurred_at);
            self.events += 1;
            self.log.push(line);
        }
        self.histories.entry(aggregate).or_default().push(Was { offset: last, ..state });
    }

    /// What can be said of one event alone.
    fn look_at(&mut self, offset: i64, meta: &Meta, event: &Event, grace_us: i64) {
        use domain::{inventory, order, payment, queue};
        if let Event::Payment(payment::Event::PaymentRequested(requested)) = event {
            let serial = requested.serial.unsigned_abs();
            if let Some((before, _)) = self.serials.insert(serial, (offset, requested.payment.0)) {
                self.wrong.push(format!("the payments at {before} and {offset} have the serial number {serial}"));
            }
        }
        let ended = matches!(
            event,
            Event::Inventory(inventory::Event::ReservationExpired(_))
                | Event::Order(order::Event::OrderOverdue(_))
                | Event::Queue(queue::Event::QueueExpired(_) | queue::Event::CheckoutExpired(_))
        );
        let reign = self.reigns.last().expect("what counts has a claim");
        if ended && self.reigns.len() > 1 && meta.occurred_at.0 < reign.at.0 + grace_us {
            self.wrong.push(format!("{} at {offset} ended something within the grace of the claim", event.name()));
        }
        if meta.occurred_at < self.last {
            self.wrong.push(format!("{} at {offset} lies before the event in front of it", event.name()));
        }
    }

    /// A command, if it counts.
    pub fn find(&self, id: CommandId) -> Option<&Counted> {
        self.by_id.get(&id).map(|at| &self.counted[*at])
    }

    /// The aggregate as it is now.
    pub fn now(&self, id: Uuid) -> Option<&Was> {
        self.histories.get(&id)?.last()
    }

    /// The aggregate as it was at an offset; none before its first event.
    pub fn at(&self, id: Uuid, offset: i64) -> Option<&Was> {
        let history = self.histories.get(&id)?;
        let after = history.partition_point(|was| was.offset <= offset);
        history[..after].last()
    }

    /// Everything that the aggregate was from an offset on; `None` stands for what no event had touched.
    pub fn since(&self, id: Uuid, offset: i64) -> Vec<Option<&Was>> {
        let history = self.histories.get(&id).map_or(&[][..], Vec::as_slice);
        let after = history.partition_point(|was| was.offset <= offset);
        let before = after.checked_sub(1).map(|at| &history[at]);
        [before].into_iter().chain(history[after..].iter().map(Some)).collect()
    }

    /// Every aggregate as it is now.
    pub fn aggregates(&self) -> impl Iterator<Item = (&Uuid, &Was)> {
        self.histories.iter().filter_map(|(id, history)| Some((id, history.last()?)))
    }
}

/// Everything that the laws of a box office are checked on.
pub fn facts(lanes: &[Lane]) -> Facts {
    Facts::of(lanes.iter().enumerate().flat_map(|(context, lane)| {
        lane.log.iter().map(move |kept| Logged {
            place: place(context),
            offset: kept.offset,
            appended_at: kept.meta.occurred_at,
            frame: kept.frame,
            meta: &kept.meta,
            event: &kept.event,
        })
    }))
}
