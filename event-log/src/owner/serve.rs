//! Serving in batches: decide, encode, append, and answer once the prefix is acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use domain::breakage::{Breakage, broken};
use domain::ids::CommandId;
use domain::root::{Issued, Meta, Root};
use domain::value::{Actor, Fingerprint, Timestamp};
use futures::FutureExt;
use schemas::Control;
use uuid::Uuid;

use super::{Answer, Batch, Now, Outcome, Output, Owner, Phase, Submission, Target};
use crate::frame::{Frame, Kind};
use crate::log::{NewRecord, Traced};
use crate::state::Folded;

/// A command's events are at most so many …
const FRAME_EVENTS: usize = 500;
/// … and so many bytes.
const FRAME_BYTES: usize = 512 * 1024;
/// Records in one batch, about.
const BATCH: usize = 250;

/// One command to decide, from the mailbox or from a timer.
pub(super) struct Deciding<A: Root> {
    pub(super) id: Uuid,
    pub(super) ask: A::Ask,
    pub(super) by: Actor,
    pub(super) command: CommandId,
    pub(super) hash: Fingerprint,
    pub(super) correlation_id: Uuid,
    pub(super) causation_id: Uuid,
    pub(super) trace: Traced,
}

impl<A: Root, R> Owner<A, R> {
    /// Does whatever can be done now.
    pub fn step(&mut self, now: Now) -> Vec<Output<A, R>> {
        let mut outputs = self.drop_late(now);
        match self.phase {
            Phase::Broken => outputs.extend(self.turn_away(|| Outcome::Broken)),
            Phase::Loading | Phase::Folding { .. } | Phase::Vouching { .. } | Phase::Claiming { .. }
                if self.leaving =>
            {
                outputs.extend(self.turn_away(|| Outcome::NotServed));
            }
            Phase::Loading => {}
            Phase::Folding { .. } => outputs.extend(self.ask_to_claim(now)),
            Phase::Vouching { since } if now.mono >= since + self.settings.ack_deadline => self.stand_by(now),
            Phase::Vouching { .. } => {}
            Phase::Claiming { until, failed, .. } if now.mono >= until => outputs.extend(self.claim_again(failed, now)),
            Phase::Claiming { .. } => {}
            Phase::Serving => match self.in_flight.front() {
                Some(batch) if now.mono >= batch.sent + self.settings.ack_deadline => {
                    outputs.extend(self.doubt("no acknowledgement in time".to_owned(), now));
                }
                _ => outputs.extend(self.serve(now)),
            },
        }
        outputs
    }

    /// While nobody decides, what is too late is answered at once, wherever in its mailbox: what sagas ask waits for ever,
    /// and may stand in front of somebody who does not.
    fn drop_late(&mut self, now: Now) -> Vec<Output<A, R>> {
        if self.phase == Phase::Serving {
            return Vec::new();
        }
        let mut outputs = Vec::new();
        let is_late = |submission: &Submission<A, R>| submission.deadline.is_some_and(|at| at <= now.mono);
        for lane in [&mut self.saga, &mut self.mailbox] {
            if !lane.iter().any(is_late) {
                continue;
            }
            let (late, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(lane).into_iter().partition(is_late);
            *lane = kept;
            outputs.extend(late.into_iter().map(|submission| Output::Answer(submission.reply, Outcome::TooLate)));
        }
        outputs
    }

    fn serve(&mut self, now: Now) -> Vec<Output<A, R>> {
        let mut outputs = Vec::new();
        loop {
            let mut records = Vec::new();
            self.fire_timers(now, &mut records);
            let more = self.drain(now, &mut records, &mut outputs);
            if broken(Breakage::AnswerFromHead) || records.is_empty() && broken(Breakage::NoBarrier) {
                outputs.extend(answered(std::mem::take(&mut self.unsent)));
            }
            self.settle(now, &mut records);
            let overdue = !self.unsent.is_empty() && now.mono >= self.unsent_since + self.settings.barrier_after;
            if records.is_empty() && overdue {
                records.push(self.control(Kind::Barrier, &Control::Barrier));
            }
            if !records.is_empty() {
                outputs.push(self.send_batch(now, records));
            }
            if !more {
                return outputs;
            }
        }
    }

    /// Decides what waits, sagas first, while there is room. Tells whether there is more to do at once.
    fn drain(&mut self, now: Now, records: &mut Vec<NewRecord>, outputs: &mut Vec<Output<A, R>>) -> bool {
        loop {
            if self.is_full() {
                return false;
            }
            if records.len() >= BATCH {
                return true;
            }
            let Some(submission) = self.saga.pop_front().or_else(|| self.mailbox.pop_front()) else {
                return false;
            };
            if submission.deadline.is_some_and(|at| at <= now.mono) && !broken(Breakage::DeadlineIgnored) {
                outputs.push(Output::Answer(submission.reply, Outcome::TooLate));
                continue;
            }
            self.take(submission, now, records);
        }
    }

    fn take(&mut self, submission: Submission<A, R>, now: Now, records: &mut Vec<NewRecord>) {
        let Submission { target, ask, by, id: command, hash, correlation_id, causation_id, trace, reply, .. } =
            submission;
        let id = match target {
            Target::Id(id) => Some(id),
            Target::Serial(serial) => self.head.by_serial(serial),
        };
        let reply = Some(reply);
        let known = self.head.repeat(command).filter(|_| !broken(Breakage::RepeatsIgnored));
        let about = A::about(&ask, &by);
        let outcome = match (known, id) {
            (Some(repeat), _) if repeat.hash != hash && !broken(Breakage::RepeatBodyIgnored) => Outcome::KeyReused,
            (Some(repeat), _) => Outcome::Done(Box::new(self.answer(repeat.aggregate, &about, true, 0))),
            (None, None) => Outcome::NoSuchSerial,
            (None, Some(id)) => {
                let deciding = Deciding { id, ask, by, command, hash, correlation_id, causation_id, trace };
                self.decide(deciding, &about, now, records)
            }
        };
        self.conclude(reply, outcome, now);
    }

    fn conclude(&mut self, reply: Option<R>, outcome: Outcome<A>, now: Now) {
        if self.unsent.is_empty() {
            self.unsent_since = now.mono;
        }
        self.unsent.push((reply, outcome));
    }

    /// One command on the head's root: nothing changes unless its whole frame is encoded and fits.
    pub(super) fn decide(
        &mut self,
        deciding: Deciding<A>,
        about: &A::About,
        now: Now,
        records: &mut Vec<NewRecord>,
    ) -> Outcome<A> {
        let Deciding { id, ask, by, command, hash, correlation_id, causation_id, trace } = deciding;
        let at = self.time(now);
        let stale = broken(Breakage::DecideOnAckedState) || causation_id == command.0 && broken(Breakage::TimerTwice);
        let before = if stale { &self.acked } else { &self.head }.get(id);
        let version = before.map_or(0, |entry| entry.version);
        let mut after = before.map(|entry| entry.state.clone()).unwrap_or_default();
        let serial = self.head.next_serial(self.settings.partition.number, self.settings.partitions, at);
        let actor = by.principal();
        let issued = Issued { command: ask, by, at, fingerprint: hash, serial };
        let sink = EventSink::default();
        let verdict = after.handle(issued, &(), &sink).now_or_never().expect("handle never waits");
        if let Err(refusal) = verdict {
            return Outcome::Refused(refusal);
        }
        let events = sink.collect().now_or_never().expect("collect never waits");
        if events.is_empty() {
            return Outcome::Done(Box::new(self.answer(id, about, false, 0)));
        }
        let written = events.len();
        let meta = |n: usize| {
            let version = version + n as u64 + 1;
            Meta {
                // A client's key may be used again after a day: another command, and other events.
                event_id: domain::ids::derived(command.0, "event", version),
                occurred_at: at,
                version: i64::try_from(version).expect("versions are small"),
                correlation_id,
                causation_id,
                actor: actor.clone(),
            }
        };
        let events: Vec<(Meta, A::Event)> = events.into_iter().enumerate().map(|(n, event)| (meta(n), event)).collect();
        let trace = trace.or_else(|| self.head.trace_of(id));
        let frame = self.frame(id, command, hash, &events, &trace);
        if frame.is_none() && !broken(Breakage::StateBeforeEncoding) {
            return Outcome::TooLarge;
        }
        let offset = self.offset_of(self.head.position.seq);
        self.head.fold(Folded { command, hash, offset, events, trace }, self.settings.partitions, Some(after));
        let Some(frame) = frame else { return Outcome::TooLarge };
        records.extend(frame);
        self.advance(written as u64);
        Outcome::Done(Box::new(self.answer(id, about, false, written)))
    }

    /// The records of one command, or none if they are more than a frame may be.
    fn frame(
        &self,
        id: Uuid,
        command: CommandId,
        hash: Fingerprint,
        events: &[(Meta, A::Event)],
        trace: &Traced,
    ) -> Option<Vec<NewRecord>> {
        if events.len() > FRAME_EVENTS {
            return None;
        }
        let position = self.head.position;
        let count = u16::try_from(events.len()).expect("at most 500");
        let key = id.hyphenated().to_string();
        let mut size = 0;
        let mut records = Vec::with_capacity(events.len());
        for (n, (meta, event)) in events.iter().enumerate() {
            let value = self.codec.encode(meta, &event.clone().into()).expect("every event fits its schema");
            let frame = Frame {
                kind: Kind::Event,
                term: position.term,
                seq: position.seq + n as u64,
                evt_idx: u16::try_from(n).expect("at most 500"),
                evt_cnt: count,
                agg_ver: u64::try_from(meta.version).expect("versions are positive"),
                claim: position.claim,
                cmd_id: command.0,
                cmd_hash: hash.0,
            };
            let record = NewRecord { key: key.clone(), header: frame.encode(), value, trace: trace.clone() };
            size += record.size();
            records.push(record);
        }
        (size <= FRAME_BYTES).then_some(records)
    }

    fn answer(&self, id: Uuid, about: &A::About, replayed: bool, written: usize) -> Answer<A> {
        let entry = self.head.get(id);
        Answer {
            id,
            state: entry.map(|entry| entry.state.relevant(about)).unwrap_or_default(),
            version: entry.map_or(0, |entry| entry.version),
            replayed,
            written,
            offset: self.head.position.next - 1,
            identity: self.head.position.identity.expect("an owner has read its claim"),
        }
    }

    pub(super) fn control(&mut self, kind: Kind, value: &Control) -> NewRecord {
        let position = self.head.position;
        let record = self.control_record(kind, position.term, position.seq, position.claim, value);
        self.advance(1);
        record
    }

    fn send_batch(&mut self, now: Now, records: Vec<NewRecord>) -> Output<A, R> {
        let position = self.head.position;
        let last_seq = position.seq - 1;
        let first_seq = position.seq - records.len() as u64;
        let answers = std::mem::take(&mut self.unsent);
        self.in_flight.push_back(Batch { last_seq, sent: now.mono, after: self.head.clone(), answers });
        Output::Append { claim: position.claim, first_seq, records }
    }

    pub(super) fn wake_while_serving(&self, now: Now) -> Duration {
        let mut wake = now.mono + Duration::from_secs(1);
        if let Some(batch) = self.in_flight.front() {
            wake = wake.min(batch.sent + self.settings.ack_deadline);
        }
        if !self.unsent.is_empty() {
            wake = wake.min(self.unsent_since + self.settings.barrier_after);
        }
        // While there is no room, only an acknowledgement (or its deadline) makes a difference.
        if !self.is_full() {
            wake = wake.min(self.wake_for_timers(now).unwrap_or(wake));
        }
        if self.settleable().is_some() {
            wake = wake.min(self.last_settled + self.settings.settle_every);
        }
        wake
    }

    /// The wall clock at the claim plus monotonic time since, never before the last event.
    pub(super) fn time(&self, now: Now) -> Timestamp {
        let since = now.mono.saturating_sub(self.claimed.1).as_micros();
        let since = i64::try_from(since).expect("less than 292,000 years");
        Timestamp(self.claimed.0.0.saturating_add(since)).max(self.head.last)
    }

    fn unacknowledged(&self) -> usize {
        usize::try_from(self.head.position.seq - 1 - self.acked_seq).expect("few are in flight")
    }

    pub(super) fn is_full(&self) -> bool {
        self.unacknowledged() >= self.settings.in_flight
    }

    fn offset_of(&self, seq: u64) -> i64 {
        self.claimed_at + i64::try_from(seq).expect("a claim has less than 2^63 records")
    }

    fn advance(&mut self, records: u64) {
        self.head.position.seq += records;
        self.head.position.next = self.offset_of(self.head.position.seq);
    }
}

/// The answers to those who wait for one.
pub(super) fn answered<A: Root, R>(answers: Vec<(Option<R>, Outcome<A>)>) -> impl Iterator<Item = Output<A, R>> {
    answers.into_iter().filter_map(|(reply, outcome)| Some(Output::Answer(reply?, outcome)))
}
