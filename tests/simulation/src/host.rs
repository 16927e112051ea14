//! An owner of any kind of aggregate, as the world drives it.

use std::time::Duration;

use domain::account::Account;
use domain::ids::CommandId;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::payment::Payment;
use domain::queue::WaitingRoom;
use domain::root::Context;
use domain::show::Show;
use domain::ticket::TicketBatch;
use domain::value::Timestamp;
use event_log::log::{Delivered, Log, NewRecord, Partition, Record};
use event_log::owner::{Now, Output, Owner, Phase, Send as Sent, Settings, absorb};
use event_log::snapshot;
use event_log::state::State;
use event_log::validity::{Broken, Position, Reader, Void};
use schemas::Codec;
use uuid::Uuid;

use crate::part::{Asked, Kept, Part, Said, said, submission};
use crate::world::PARTITIONS;

/// What an owner wants, of any kind.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Out {
    /// Follow the log from here.
    Follow(i64),
    /// Stop following.
    Unfollow,
    /// Ask the group.
    Vouch,
    /// Append these.
    Append { claim: Uuid, first_seq: u64, records: Vec<NewRecord> },
    /// Answer an ask.
    Answer(u32, Said),
    /// Get this done.
    Send(Sent),
    /// It serves.
    Serving(u32),
    /// It gave up what was not acknowledged.
    Doubt,
    /// A record did not count.
    Void(Void),
    /// It stopped for good.
    Broken(Broken),
}

/// Everything of a state that two folds of the same records must agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    bytes: Vec<u8>,
    timers: Vec<(Timestamp, Uuid)>,
    rounds: Vec<(Timestamp, Uuid)>,
    watched: Vec<Uuid>,
    serial: u64,
}

impl Image {
    /// What differs, if anything does.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        match () {
            () if self.timers != other.timers => Some("timers"),
            () if self.rounds != other.rounds => Some("rounds"),
            () if self.watched != other.watched => Some("watched payments"),
            () if self.serial != other.serial => Some("serial numbers"),
            () if self.bytes != other.bytes => Some("aggregates, repeats or outbox"),
            () => None,
        }
    }
}

/// An owner of any kind of aggregate.
pub trait Host {
    /// Does what can be done now.
    fn step(&mut self, now: Now) -> Vec<Out>;
    /// Takes delivery reports.
    fn delivered(&mut self, reports: Vec<Delivered>, now: Now) -> Vec<Out>;
    /// Takes records.
    fn read(&mut self, records: Vec<Record>, now: Now) -> Vec<Out>;
    /// The log ends here.
    fn reached_end(&mut self, end: i64, now: Now) -> Vec<Out>;
    /// The log does not have the position.
    fn lost(&mut self, start: i64, end: i64) -> Vec<Out>;
    /// The group's answer.
    fn vouched(&mut self, vouched: bool, now: Now) -> Vec<Out>;
    /// Puts a command in the mailbox; false if it is full.
    fn submit(&mut self, asked: Asked, deadline: Option<Duration>, reply: u32) -> bool;
    /// Something that it wanted was answered.
    fn settled(&mut self, at: (i64, usize));
    /// Begins with a snapshot, or with nothing. Tells whether the snapshot was usable.
    fn load(&mut self, snapshot: Option<&[u8]>, log: &dyn Log) -> Option<Vec<Out>>;
    /// It is to go.
    fn leave(&mut self);
    /// It goes now.
    fn give_up(&mut self) -> Vec<Out>;
    /// Whether nobody waits for anything.
    fn is_idle(&self) -> bool;
    /// Where it is in its protocol.
    fn phase(&self) -> Phase;
    /// When it wants to be stepped again.
    fn wake_at(&self, now: Now) -> Option<Duration>;
    /// Its acknowledged state as a file's bytes; none while there is no log.
    fn snapshot(&self, now: Timestamp) -> Option<Vec<u8>>;
    /// The offset up to which what a snapshot now holds was read; none while there is no log.
    fn position(&self) -> Option<i64>;
    /// Payments to ask about.
    fn watched(&self) -> Vec<Uuid>;
    /// How many causes are not settled.
    fn outbox(&self) -> usize;
    /// Every aggregate with its version.
    fn aggregates(&self) -> Vec<(Uuid, u64, Kept)>;
    /// What the whole log leads to.
    ///
    /// # Errors
    /// It cannot be read.
    fn replay(&self, records: &[Record]) -> Result<Image, String>;
    /// Whether these commands would be recognised.
    ///
    /// # Errors
    /// The first that would not.
    fn remembers(&self, commands: &mut dyn Iterator<Item = (CommandId, [u8; 16])>) -> Result<(), String>;
    /// What a snapshot leads to when everything after it is read; nothing if it is not used.
    ///
    /// # Errors
    /// It cannot be read on.
    fn leads_to(&self, snapshot: &[u8], records: &[Record], log: &dyn Log) -> Result<Option<Image>, String>;
    /// The earliest that something ends or goes on.
    fn next_timer(&self) -> Option<Timestamp>;
}

/// An owner of one kind.
struct Hosted<A: Part> {
    owner: Owner<A, u32>,
    codec: Codec,
    at: Partition,
    partitions: u32,
}

/// A new owner that has loaded nothing yet.
pub fn host(settings: Settings, codec: &Codec, new_claim: Box<dyn FnMut() -> Uuid + Send>) -> Box<dyn Host> {
    match settings.partition.context {
        Context::Catalog => hosted::<Show>(settings, codec, new_claim),
        Context::Inventory => hosted::<Inventory>(settings, codec, new_claim),
        Context::Order => hosted::<Order>(settings, codec, new_claim),
        Context::Payment => hosted::<Payment>(settings, codec, new_claim),
        Context::Ticket => hosted::<TicketBatch>(settings, codec, new_claim),
        Context::Queue => hosted::<WaitingRoom>(settings, codec, new_claim),
        Context::Account => hosted::<Account>(settings, codec, new_claim),
    }
}

/// A snapshot of a log that has another name, at an offset.
pub fn foreign(at: Partition, offset: i64, now: Timestamp) -> Vec<u8> {
    match at.context {
        Context::Catalog => foreign_of::<Show>(at, offset, now),
        Context::Inventory => foreign_of::<Inventory>(at, offset, now),
        Context::Order => foreign_of::<Order>(at, offset, now),
        Context::Payment => foreign_of::<Payment>(at, offset, now),
        Context::Ticket => foreign_of::<TicketBatch>(at, offset, now),
        Context::Queue => foreign_of::<WaitingRoom>(at, offset, now),
        Context::Account => foreign_of::<Account>(at, offset, now),
    }
}

fn foreign_of<A: Part>(at: Partition, next: i64, now: Timestamp) -> Vec<u8> {
    let other = Uuid::from_u128(0xf0);
    let position = Position { next, identity: Some(other), term: 1, claim: other, seq: 1, hole: false };
    let mut state = State::<A>::default();
    state.position = position;
    snapshot::to_bytes(at, PARTITIONS, &state, now).expect("it names a log")
}

fn hosted<A: Part>(settings: Settings, codec: &Codec, new_claim: Box<dyn FnMut() -> Uuid + Send>) -> Box<dyn Host> {
    let (at, partitions) = (settings.partition, settings.partitions);
    let owner = Owner::<A, u32>::loading(settings, codec.clone(), new_claim);
    Box::new(Hosted { owner, codec: codec.clone(), at, partitions })
}

fn out<A: Part>(output: Output<A, u32>) -> Out {
    match output {
        Output::Follow(from) => Out::Follow(from),
        Output::Unfollow => Out::Unfollow,
        Output::Vouch => Out::Vouch,
        Output::Append { claim, first_seq, records } => Out::Append { claim, first_seq, records },
        Output::Answer(reply, outcome) => Out::Answer(reply, said(outcome)),
        Output::Send(sent) => Out::Send(sent),
        Output::Serving { term } => Out::Serving(term),
        Output::Doubt { .. } => Out::Doubt,
        Output::Void(void) => Out::Void(void),
        Output::Broken(broken) => Out::Broken(broken),
    }
}

fn outs<A: Part>(outputs: Vec<Output<A, u32>>) -> Vec<Out> {
    outputs.into_iter().map(out).collect()
}

fn image<A: Part>(state: &State<A>, partitions: u32) -> Image {
    let mut bytes = Vec::new();
    state.store(&mut bytes).expect("a state can be stored");
    Image {
        bytes,
        timers: state.timers.iter().copied().collect(),
        rounds: state.rounds.iter().copied().collect(),
        watched: state.watched.iter().copied().collect(),
        serial: state.next_serial(0, partitions, Timestamp(0)),
    }
}

impl<A: Part> Hosted<A> {
    fn read_on(&self, mut state: State<A>, records: &[Record]) -> Result<Image, String> {
        let (from, mut reader) = (state.position.next, Reader::at(state.position));
        for record in records.iter().skip_while(|record| record.offset < from) {
            let verdict = reader.judge(record.clone()).map_err(|broken| broken.to_string())?;
            absorb(&mut state, &self.codec, verdict, self.partitions).map_err(|broken| broken.to_string())?;
            state.position = reader.position();
        }
        Ok(image(&state, self.partitions))
    }
}

impl<A: Part> Host for Hosted<A> {
    fn step(&mut self, now: Now) -> Vec<Out> {
        outs(self.owner.step(now))
    }

    fn delivered(&mut self, reports: Vec<Delivered>, now: Now) -> Vec<Out> {
        outs(self.owner.delivered(reports, now))
    }

    fn read(&mut self, records: Vec<Record>, now: Now) -> Vec<Out> {
        records.into_iter().flat_map(|record| outs(self.owner.read(record, now))).collect()
    }

    fn reached_end(&mut self, end: i64, now: Now) -> Vec<Out> {
        outs(self.owner.reached_end(end, now))
    }

    fn lost(&mut self, start: i64, end: i64) -> Vec<Out> {
        outs(self.owner.lost(start, end))
    }

    fn vouched(&mut self, vouched: bool, now: Now) -> Vec<Out> {
        outs(self.owner.vouched(vouched, now))
    }

    fn submit(&mut self, asked: Asked, deadline: Option<Duration>, reply: u32) -> bool {
        self.owner.submit(submission(asked, deadline, reply)).is_ok()
    }

    fn settled(&mut self, at: (i64, usize)) {
        self.owner.settled(at);
    }

    fn load(&mut self, snapshot: Option<&[u8]>, log: &dyn Log) -> Option<Vec<Out>> {
        let state = match snapshot {
            None => State::default(),
            Some(bytes) => {
                let judged = snapshot::from_bytes::<A>(bytes, self.at, self.partitions, log);
                judged.expect("a log in memory answers").ok()?.state
            }
        };
        Some(outs(self.owner.loaded(state)))
    }

    fn leave(&mut self) {
        self.owner.leave();
    }

    fn give_up(&mut self) -> Vec<Out> {
        outs(self.owner.give_up())
    }

    fn is_idle(&self) -> bool {
        self.owner.is_idle()
    }

    fn phase(&self) -> Phase {
        self.owner.phase()
    }

    fn wake_at(&self, now: Now) -> Option<Duration> {
        self.owner.wake_at(now)
    }

    fn snapshot(&self, now: Timestamp) -> Option<Vec<u8>> {
        snapshot::to_bytes(self.at, self.partitions, self.owner.to_keep(), now)
    }

    fn position(&self) -> Option<i64> {
        let position = self.owner.state().position;
        position.identity.map(|_| position.next)
    }

    fn watched(&self) -> Vec<Uuid> {
        self.owner.state().watched.iter().copied().collect()
    }

    fn outbox(&self) -> usize {
        self.owner.state().outbox.len()
    }

    fn aggregates(&self) -> Vec<(Uuid, u64, Kept)> {
        let all = self.owner.state().aggregates();
        all.map(|(id, entry)| (*id, entry.version, entry.state.clone().kept())).collect()
    }

    fn leads_to(&self, snapshot: &[u8], records: &[Record], log: &dyn Log) -> Result<Option<Image>, String> {
        let judged = snapshot::from_bytes::<A>(snapshot, self.at, self.partitions, log).map_err(|it| it.to_string())?;
        judged.ok().map(|loaded| self.read_on(loaded.state, records)).transpose()
    }

    fn replay(&self, records: &[Record]) -> Result<Image, String> {
        self.read_on(State::default(), records)
    }

    fn remembers(&self, commands: &mut dyn Iterator<Item = (CommandId, [u8; 16])>) -> Result<(), String> {
        for (id, hash) in commands {
            match self.owner.state().repeat(id) {
                Some(repeat) if repeat.hash.0 == hash => {}
                other => return Err(format!("command {id} counts, and the owner remembers {other:?}")),
            }
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        let state = self.owner.state();
        let first = |timers: &imbl::OrdSet<(Timestamp, Uuid)>| timers.get_min().map(|(at, _)| *at);
        first(&state.timers).into_iter().chain(first(&state.rounds)).min()
    }
}
