//! The owner of one partition: a step function without I/O (DESIGN.md, section 5).
//!
//! Invariant: nothing is answered, refusals included, before every record sent under the claim up to the answer's
//! batch was acknowledged at the one offset it can have if nobody else has written.

mod claim;
mod serve;
mod settle;
mod timers;
mod types;

pub use claim::{CONTROL_KEY, absorb, decoded};
pub use types::{Answer, Now, Outcome, Output, Phase, Send, Settings, Submission, Target};

use std::collections::VecDeque;
use std::time::Duration;

use domain::breakage::{Breakage, broken};
use domain::root::Root;
use domain::value::{Actor, Timestamp};
use schemas::Codec;
use uuid::Uuid;

use crate::log::{Delivered, Record};
use crate::state::State;
use crate::validity::{Broken, Reader};
use settle::Open;
use timers::Idle;

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
    /// How far the log is known to go at least.
    expected_end: i64,
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
    /// Claims that came to nothing, one after another.
    attempts: u32,
    /// How often, one after another, nobody vouched for it.
    unvouched: u32,
    /// It is being shut down: nothing new is begun.
    leaving: bool,
    last_settled: Duration,
    /// Sent and not answered.
    open: Open,
    idle: Idle,
    /// Makes claims unlike any other; handed in, because this is pure.
    new_claim: Box<dyn FnMut() -> Uuid + std::marker::Send>,
}

impl<A: Root, R> Owner<A, R> {
    /// An owner that goes on from a state.
    pub fn new(
        settings: Settings,
        codec: Codec,
        state: State<A>,
        new_claim: Box<dyn FnMut() -> Uuid + std::marker::Send>,
    ) -> (Self, Vec<Output<A, R>>) {
        let mut owner = Self::loading(settings, codec, new_claim);
        let outputs = owner.loaded(state);
        (owner, outputs)
    }

    /// An owner whose state is still to come. It takes commands, and tells those that cannot wait so long.
    pub fn loading(settings: Settings, codec: Codec, new_claim: Box<dyn FnMut() -> Uuid + std::marker::Send>) -> Self {
        let state = State::default();
        Self {
            settings,
            codec,
            phase: Phase::Loading,
            reader: Reader::at(state.position),
            head: state.clone(),
            acked: state,
            end: None,
            expected_end: 0,
            saga: VecDeque::new(),
            mailbox: VecDeque::new(),
            in_flight: VecDeque::new(),
            unsent: Vec::new(),
            unsent_since: Duration::ZERO,
            claimed_at: 0,
            claimed: (Timestamp::default(), Duration::ZERO),
            acked_seq: 0,
            attempts: 0,
            unvouched: 0,
            leaving: false,
            last_settled: Duration::ZERO,
            open: Open::default(),
            idle: Idle::default(),
            new_claim,
        }
    }

    /// The state to go on from: empty, or of a snapshot.
    pub fn loaded(&mut self, state: State<A>) -> Vec<Output<A, R>> {
        assert_eq!(self.phase, Phase::Loading, "a state is loaded once");
        let from = state.position.next;
        self.phase = Phase::Folding { not_before: Duration::ZERO };
        self.reader = Reader::at(state.position);
        // Nobody decides on it before the claim is back; a second root of all this would be kept, and copied from, in vain.
        self.head = State::default();
        self.acked = state;
        vec![Output::Follow(from)]
    }

    /// Where it is in its protocol.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The acknowledged state.
    pub fn state(&self) -> &State<A> {
        &self.acked
    }

    /// What may be written down: it is acknowledged.
    pub fn to_keep(&self) -> &State<A> {
        if broken(Breakage::SnapshotOfHead) { &self.head } else { &self.acked }
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        self.mailbox.len() + self.saga.len()
    }

    /// The log is known to go as far as this offset; only `lag` rests on it.
    pub fn expect_end(&mut self, end: i64) {
        self.expected_end = end;
    }

    /// How many records it still has to read, as far as it knows; 0 once it serves.
    pub fn lag(&self) -> i64 {
        match self.phase {
            Phase::Serving | Phase::Broken => 0,
            Phase::Loading | Phase::Folding { .. } | Phase::Vouching { .. } | Phase::Claiming { .. } => {
                let end = self.expected_end.max(self.end.unwrap_or(0));
                (end - self.reader.next()).max(0)
            }
        }
    }

    /// Whether it has read as far as the log is known to go.
    pub fn has_caught_up(&self) -> bool {
        !matches!(self.phase, Phase::Loading) && self.end.is_some() && self.lag() == 0
    }

    /// How many outgoing commands wait for their answer.
    pub fn open_sends(&self) -> usize {
        self.open.len()
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

    /// It is to be given up: if it serves, what waits is still decided; else whoever waits is told that nobody serves
    /// it here. It claims no more, and no timer fires. Idle means that it can go.
    pub fn leave(&mut self) {
        self.leaving = true;
    }

    /// It goes now: answers whoever is left.
    pub fn give_up(&mut self) -> Vec<Output<A, R>> {
        let mut outputs = self.turn_away(|| Outcome::NotServed);
        outputs.extend(
            self.unacknowledged_callers().into_iter().map(|(reply, _)| Output::Answer(reply, Outcome::InDoubt)),
        );
        outputs
    }

    /// Takes the next record of the log, while folding or claiming.
    pub fn read(&mut self, record: Record, now: Now) -> Vec<Output<A, R>> {
        match self.phase {
            Phase::Folding { .. } | Phase::Vouching { .. } | Phase::Claiming { .. } => {}
            Phase::Loading | Phase::Serving | Phase::Broken => return Vec::new(),
        }
        match self.fold(record, now) {
            Ok(outputs) => outputs,
            Err(broken) => self.broken(broken),
        }
    }

    /// There is no state that it may begin with.
    pub fn refuse(&mut self, broken: Broken) -> Vec<Output<A, R>> {
        self.broken(broken)
    }

    /// The log turned out not to have the position it was followed from.
    pub fn lost(&mut self, start: i64, end: i64) -> Vec<Output<A, R>> {
        let position = self.reader.next();
        self.broken(Broken::OutsideTheLog { position, start, end })
    }

    /// Takes delivery reports, in order of `seq`.
    pub fn delivered(&mut self, reports: Vec<Delivered>, now: Now) -> Vec<Output<A, R>> {
        for report in reports {
            if report.result.is_err() {
                self.claim_failed(report.claim, now);
            }
            // The claim's own report says nothing new: it was read back, and often comes after that.
            if self.phase != Phase::Serving || report.claim != self.head.position.claim || report.seq == 0 {
                continue;
            }
            let expected = self.claimed_at + i64::try_from(report.seq).expect("a claim has less than 2^63 records");
            let doubt = match report.result {
                _ if broken(Breakage::AckLastRecordAlone) && !self.ends_a_batch(report.seq) => None,
                Ok(_) if broken(Breakage::AckLastRecordAlone) => None,
                Err(_) if broken(Breakage::ExpectPreviousPlusOne) => {
                    self.claimed_at -= 1;
                    None
                }
                _ if report.seq != self.acked_seq + 1 && !broken(Breakage::OutOfOrderDelivery) => {
                    Some("delivery reports came out of order".to_owned())
                }
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
            Phase::Loading => Some(now.mono + Duration::from_millis(500)),
            Phase::Vouching { since } => Some(since + self.settings.ack_deadline),
            Phase::Claiming { until, .. } => Some(until),
            Phase::Serving => Some(self.wake_while_serving(now)),
        }
    }

    fn broken(&mut self, broken: Broken) -> Vec<Output<A, R>> {
        self.phase = Phase::Broken;
        let mut outputs = vec![Output::Unfollow];
        outputs.extend(self.turn_away(|| Outcome::Broken));
        outputs.push(Output::Broken(broken));
        outputs
    }

    /// Nothing more will be decided here.
    fn turn_away(&mut self, outcome: impl Fn() -> Outcome<A>) -> Vec<Output<A, R>> {
        let waiting = self.saga.drain(..).chain(self.mailbox.drain(..));
        waiting.map(|submission| Output::Answer(submission.reply, outcome())).collect()
    }

    /// Whoever waits for something decided but not acknowledged.
    fn unacknowledged_callers(&mut self) -> Vec<(R, Outcome<A>)> {
        let batches = self.in_flight.drain(..).flat_map(|batch| batch.answers);
        batches.chain(self.unsent.drain(..)).filter_map(|(reply, outcome)| Some((reply?, outcome))).collect()
    }

    fn ends_a_batch(&self, seq: u64) -> bool {
        self.in_flight.iter().any(|batch| batch.last_seq == seq)
    }

    /// Gives up everything that is not acknowledged: the log will tell what became of it.
    fn doubt(&mut self, reason: String, now: Now) -> Vec<Output<A, R>> {
        if broken(Breakage::StateOfDoubtKept) {
            self.head.position = self.acked.position;
            self.acked = self.head.clone();
        }
        self.reader = Reader::at(self.acked.position);
        self.head = self.acked.clone();
        self.phase = Phase::Folding { not_before: now.mono };
        self.end = None;
        let callers = self.unacknowledged_callers();
        let mut outputs = vec![Output::Doubt { reason, in_doubt: callers.len() }];
        let told = |decided| if broken(Breakage::DoubtAsSuccess) { decided } else { Outcome::InDoubt };
        outputs.extend(callers.into_iter().map(|(reply, decided)| Output::Answer(reply, told(decided))));
        outputs.push(Output::Follow(self.acked.position.next));
        outputs
    }
}
