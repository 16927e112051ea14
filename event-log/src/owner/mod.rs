//! The owner of one partition: a step function without I/O (DESIGN.md, section 5).
//!
//! Invariant: nothing is answered, refusals included, before every record sent under the claim up to the answer's
//! batch was acknowledged at the one offset it can have if nobody else has written.

mod claim;
mod serve;

pub use claim::{CONTROL_KEY, absorb, decoded};

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use domain::ids::CommandId;
use domain::root::Root;
use domain::saga::Outgoing;
use domain::value::{Actor, Fingerprint, Timestamp};
use schemas::Codec;
use uuid::Uuid;

use crate::log::{Delivered, NewRecord, Partition, Record};
use crate::state::State;
use crate::validity::{Broken, Reader, Void};

/// What an owner has to know beside its state.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which partition.
    pub partition: Partition,
    /// How many partitions every topic has.
    pub partitions: u32,
    /// Who owns it, for people to read.
    pub instance: String,
    /// Where its commands are taken.
    pub url: String,
    /// No acknowledgement for so long means in doubt.
    pub ack_deadline: Duration,
    /// Answers that need no record of their own wait so long for a batch to join.
    pub barrier_after: Duration,
    /// No timer fires so soon after a take-over.
    pub takeover_grace: Duration,
    /// At most so many records without acknowledgement.
    pub in_flight: usize,
    /// At most so many commands waiting.
    pub mailbox: usize,
    /// Between two settled records.
    pub settle_every: Duration,
    /// A broker clock further off than this is not served with.
    pub clock_tolerance: Duration,
}

/// What time it is, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// UTC.
    pub wall: Timestamp,
    /// Since any fixed moment; never goes back.
    pub mono: Duration,
}

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The aggregate of this id.
    Id(Uuid),
    /// The aggregate that used this serial number.
    Serial(u64),
}

/// A command in the mailbox.
pub struct Submission<A: Root, R> {
    /// What it is for.
    pub target: Target,
    /// What is asked.
    pub ask: A::Ask,
    /// Who asks.
    pub by: Actor,
    /// What a repeat is recognised by.
    pub id: CommandId,
    /// HMAC of the body.
    pub hash: Fingerprint,
    /// The request that it all started with.
    pub correlation_id: Uuid,
    /// The command or event that caused it.
    pub causation_id: Uuid,
    /// Not decided after this moment of the monotonic clock.
    pub deadline: Option<Duration>,
    /// Whom to answer.
    pub reply: R,
}

/// What a command led to.
#[derive(Debug)]
pub enum Outcome<A: Root> {
    /// Carried out, now or before.
    Done(Box<Answer<A>>),
    /// The aggregate says no; nothing was written.
    Refused(A::Error),
    /// No aggregate has this serial number.
    NoSuchSerial,
    /// The id was used for another body.
    KeyReused,
    /// Its events would be larger than a frame may be.
    TooLarge,
    /// Not decided in time; nothing was written.
    TooLate,
    /// Too many wait already; nothing was written.
    Overloaded,
    /// It may or may not have been carried out. The same id again finds out.
    InDoubt,
    /// The partition cannot be served.
    Broken,
}

/// A command was carried out.
#[derive(Debug)]
pub struct Answer<A> {
    /// The aggregate's id.
    pub id: Uuid,
    /// The aggregate as it is now.
    pub state: A,
    /// Its version.
    pub version: u64,
    /// Whether this id had been carried out before.
    pub replayed: bool,
    /// How many events were written for it just now.
    pub written: usize,
    /// The last offset that the answer rests on.
    pub offset: i64,
    /// The log's name.
    pub identity: Uuid,
}

/// Something that the outbox wants done.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// The offset of the event that caused it, and the position among what it causes: names it in `settled`.
    pub at: (i64, usize),
    /// The event.
    pub causation_id: Uuid,
    /// The request that it all started with.
    pub correlation_id: Uuid,
    /// What has to be done.
    pub outgoing: Outgoing,
}

/// What the owner wants its driver to do, in order.
#[allow(clippy::large_enum_variant, reason = "outputs are moved once, straight to the driver")]
pub enum Output<A: Root, R> {
    /// Follow the partition from this offset; until the claim is back.
    Follow(i64),
    /// Stop following.
    Unfollow,
    /// Append these, the first one numbered so.
    Append { claim: Uuid, first_seq: u64, records: Vec<NewRecord> },
    /// Answer a caller.
    Answer(R, Outcome<A>),
    /// Get this done, and say `settled` when it was answered.
    Send(Send),
    /// It serves now.
    Serving { term: u32 },
    /// It serves no more, and tries again by itself.
    Doubt { reason: String, in_doubt: usize },
    /// A record did not count.
    Void(Void),
    /// It will never serve again without a person.
    Broken(Broken),
}

/// Where an owner is in its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Folds, and claims once it has reached the end (not before this moment).
    Folding { not_before: Duration },
    /// Has appended a claim, and folds until it comes back.
    Claiming { claim: Uuid, since: Duration },
    /// Owns the partition.
    Serving,
    /// Stopped for good.
    Broken,
}

/// Commands and timers decided on one root, and what they wait for.
struct Batch<A: Root, R> {
    /// The last sequence number in it.
    last_seq: u64,
    sent: Duration,
    after: State<A>,
    answers: Vec<(Option<R>, Outcome<A>)>,
}

/// The owner of one partition.
pub struct Owner<A: Root, R> {
    settings: Settings,
    codec: Codec,
    phase: Phase,
    reader: Reader,
    /// What is acknowledged, or while folding: read.
    acked: State<A>,
    /// What it will be when everything in flight is acknowledged.
    head: State<A>,
    /// Where the log ended when it was last reached, while folding.
    end: Option<i64>,
    saga: VecDeque<Submission<A, R>>,
    mailbox: VecDeque<Submission<A, R>>,
    in_flight: VecDeque<Batch<A, R>>,
    /// Decided, and waiting for a batch to join.
    unsent: Vec<(Option<R>, Outcome<A>)>,
    unsent_since: Duration,
    /// The offset and the moment of the claim, by both clocks.
    claimed_at: i64,
    claimed: (Timestamp, Duration),
    acked_seq: u64,
    attempts: u32,
    last_settled: Duration,
    /// Sent and not answered.
    open: BTreeMap<i64, HashSet<usize>>,
    /// Timers that led to nothing; not fired again for the same moment.
    idle_timers: HashMap<Uuid, Timestamp>,
    /// Makes claims unlike any other; handed in, because this is pure.
    new_claim: Box<dyn FnMut() -> Uuid + std::marker::Send>,
}

impl<A: Root, R> Owner<A, R> {
    /// An owner that goes on from a state. The first `step` asks to follow.
    pub fn new(
        settings: Settings,
        codec: Codec,
        state: State<A>,
        new_claim: Box<dyn FnMut() -> Uuid + std::marker::Send>,
    ) -> (Self, Vec<Output<A, R>>) {
        let from = state.position.next;
        let owner = Self {
            settings,
            codec,
            phase: Phase::Folding { not_before: Duration::ZERO },
            reader: Reader::at(state.position),
            head: state.clone(),
            acked: state,
            end: None,
            saga: VecDeque::new(),
            mailbox: VecDeque::new(),
            in_flight: VecDeque::new(),
            unsent: Vec::new(),
            unsent_since: Duration::ZERO,
            claimed_at: 0,
            claimed: (Timestamp::default(), Duration::ZERO),
            acked_seq: 0,
            attempts: 0,
            last_settled: Duration::ZERO,
            open: BTreeMap::new(),
            idle_timers: HashMap::new(),
            new_claim,
        };
        (owner, vec![Output::Follow(from)])
    }

    /// Where it is in its protocol.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The acknowledged state.
    pub fn state(&self) -> &State<A> {
        &self.acked
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        self.mailbox.len() + self.saga.len()
    }

    /// How many outgoing commands wait for their answer.
    pub fn open_sends(&self) -> usize {
        self.open.values().map(HashSet::len).sum()
    }

    /// Puts a command in the mailbox.
    ///
    /// # Errors
    /// The mailbox is full; the command comes back.
    #[allow(clippy::result_large_err, reason = "the caller gets its command back, to answer it")]
    pub fn submit(&mut self, submission: Submission<A, R>) -> Result<(), Submission<A, R>> {
        let lane = if submission.by == Actor::System { &mut self.saga } else { &mut self.mailbox };
        if lane.len() >= self.settings.mailbox {
            return Err(submission);
        }
        lane.push_back(submission);
        Ok(())
    }

    /// Whether nobody waits for anything.
    pub fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.in_flight.is_empty() && self.unsent.is_empty()
    }

    /// Something sent was answered (or its refusal was dealt with).
    pub fn settled(&mut self, at: (i64, usize)) {
        if let Some(open) = self.open.get_mut(&at.0) {
            open.remove(&at.1);
            if open.is_empty() {
                self.open.remove(&at.0);
            }
        }
    }

    /// Takes the next record of the log, while folding or claiming.
    pub fn read(&mut self, record: Record, now: Now) -> Vec<Output<A, R>> {
        match self.phase {
            Phase::Folding { .. } | Phase::Claiming { .. } => {}
            Phase::Serving | Phase::Broken => return Vec::new(),
        }
        match self.fold(record, now) {
            Ok(outputs) => outputs,
            Err(broken) => self.broken(broken),
        }
    }

    /// The log turned out not to have the position it was followed from.
    pub fn lost(&mut self, start: i64, end: i64) -> Vec<Output<A, R>> {
        let position = self.reader.next();
        self.broken(Broken::OutsideTheLog { position, start, end })
    }

    /// Takes delivery reports, in order of `seq`.
    pub fn delivered(&mut self, reports: Vec<Delivered>, now: Now) -> Vec<Output<A, R>> {
        for report in reports {
            // The claim's own report says nothing new: it was read back, and often comes after that.
            if self.phase != Phase::Serving || report.claim != self.head.position.claim || report.seq == 0 {
                continue;
            }
            let expected = self.claimed_at + i64::try_from(report.seq).expect("a claim has less than 2^63 records");
            let doubt = match report.result {
                _ if report.seq != self.acked_seq + 1 => Some("delivery reports came out of order".to_owned()),
                Ok(offset) if offset == expected => None,
                Ok(offset) => Some(format!("a record lies at offset {offset} instead of {expected}")),
                Err(error) => Some(error),
            };
            match doubt {
                None => self.acked_seq = report.seq,
                Some(reason) => return self.doubt(reason, now),
            }
        }
        self.acknowledge()
    }

    /// When `step` has to be called again though nothing happens.
    pub fn wake_at(&self, now: Now) -> Option<Duration> {
        match self.phase {
            Phase::Broken => None,
            Phase::Folding { not_before } => Some(not_before.max(now.mono + Duration::from_millis(500))),
            Phase::Claiming { since, .. } => Some(since + self.settings.ack_deadline),
            Phase::Serving => Some(self.wake_while_serving(now)),
        }
    }

    fn broken(&mut self, broken: Broken) -> Vec<Output<A, R>> {
        self.phase = Phase::Broken;
        let mut outputs = vec![Output::Unfollow];
        outputs.extend(self.turn_away());
        outputs.push(Output::Broken(broken));
        outputs
    }

    /// Nothing will ever be decided here.
    fn turn_away(&mut self) -> Vec<Output<A, R>> {
        let waiting = self.saga.drain(..).chain(self.mailbox.drain(..));
        waiting.map(|submission| Output::Answer(submission.reply, Outcome::Broken)).collect()
    }

    /// Gives up everything that is not acknowledged: the log will tell what became of it.
    fn doubt(&mut self, reason: String, now: Now) -> Vec<Output<A, R>> {
        self.reader = Reader::at(self.acked.position);
        self.head = self.acked.clone();
        self.phase = Phase::Folding { not_before: now.mono };
        self.end = None;
        let batches = self.in_flight.drain(..).flat_map(|batch| batch.answers);
        let callers: Vec<R> = batches.chain(self.unsent.drain(..)).filter_map(|(reply, _)| reply).collect();
        let mut outputs = vec![Output::Doubt { reason, in_doubt: callers.len() }];
        outputs.extend(callers.into_iter().map(|reply| Output::Answer(reply, Outcome::InDoubt)));
        outputs.push(Output::Follow(self.acked.position.next));
        outputs
    }
}
