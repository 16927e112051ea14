//! Folding the log and claiming the partition.

use std::time::Duration;

use domain::breakage::{Breakage, broken};
use domain::ids::CommandId;
use domain::root::Root;
use domain::value::{Fingerprint, Timestamp};
use imbl::OrdMap;
use schemas::Control;
use uuid::Uuid;

use super::{Now, Output, Owner, Phase};
use crate::frame::{Frame, Kind};
use crate::log::{NewRecord, Record};
use crate::state::{Folded, State};
use crate::validity::{Broken, Valid, Verdict};

/// The key of control records.
pub const CONTROL_KEY: &str = "_control";

/// Decodes the events of one valid command for folding.
///
/// # Errors
/// A value of an unknown type, or of another context.
pub fn decoded<A: Root>(codec: &schemas::Codec, valid: Vec<Valid>) -> Result<Folded<A>, Broken> {
    let first = valid.first().expect("a command has an event");
    let (command, hash, offset) = (first.frame.cmd_id, first.frame.cmd_hash, first.record.offset);
    let trace = first.record.trace.clone();
    let mut events = Vec::with_capacity(valid.len());
    for Valid { record, .. } in valid {
        let undecodable = |detail: String| Broken::Undecodable { offset: record.offset, detail };
        let (meta, event) = codec.decode(&record.value).map_err(|error| undecodable(error.to_string()))?;
        let event = A::Event::try_from(event).map_err(|_| undecodable("it belongs to another topic".to_owned()))?;
        events.push((meta, event));
    }
    Ok(Folded { command: CommandId(command), hash: Fingerprint(hash), offset, events, trace })
}

/// Folds what one verdict says into a state. Tells who claimed, if it was a claim.
///
/// # Errors
/// A value that cannot be decoded.
pub fn absorb<A: Root>(
    state: &mut State<A>,
    codec: &schemas::Codec,
    verdict: Verdict,
    partitions: u32,
) -> Result<(), Broken> {
    match verdict {
        Verdict::Command(valid) => state.fold(decoded(codec, valid)?, partitions, None),
        Verdict::Settled(Valid { record, .. }) => {
            let undecodable = |detail: String| Broken::Undecodable { offset: record.offset, detail };
            match codec.decode_control(&record.value).map_err(|error| undecodable(error.to_string()))? {
                Control::Settled { below } => state.settle(below),
                other => return Err(undecodable(format!("a watermark was expected, not {other:?}"))),
            }
        }
        Verdict::Claimed { .. } | Verdict::Barrier | Verdict::Partial | Verdict::Void(_) => {}
    }
    Ok(())
}

impl<A: Root, R> Owner<A, R> {
    /// Everything up to the log's end has been read.
    pub fn reached_end(&mut self, end: i64, now: Now) -> Vec<Output<A, R>> {
        self.end = Some(end);
        self.ask_to_claim(now)
    }

    /// Asks whether it is still meant to own the partition, if everything was read and it is time to.
    pub(super) fn ask_to_claim(&mut self, now: Now) -> Vec<Output<A, R>> {
        let Phase::Folding { not_before } = self.phase else { return Vec::new() };
        if self.leaving || now.mono < not_before || self.is_behind() {
            return Vec::new();
        }
        self.phase = Phase::Vouching { since: now.mono };
        vec![Output::Vouch]
    }

    /// The answer to the last question whether it is still meant to own the partition. Without it nothing is claimed:
    /// a stale member would drive out its successor.
    pub fn vouched(&mut self, vouched: bool, now: Now) -> Vec<Output<A, R>> {
        let Phase::Vouching { .. } = self.phase else { return Vec::new() };
        if !vouched || self.leaving {
            self.stand_by(now);
            return Vec::new();
        }
        self.unvouched = 0;
        if self.is_behind() {
            self.phase = Phase::Folding { not_before: now.mono };
            return Vec::new();
        }
        let current = self.reader.position().term;
        if self.claimed.1 > Duration::ZERO && broken(Breakage::NoReclaim) {
            return self.own(current, now.wall, now);
        }
        let claim = (self.new_claim)();
        self.phase = Phase::Claiming { claim, until: now.mono + self.settings.ack_deadline, failed: false };
        let term = current + 1;
        let record = self.claim_record(claim, term);
        vec![Output::Append { claim, first_seq: 0, records: vec![record] }]
    }

    /// Whether the log is known to go on behind what was read.
    fn is_behind(&self) -> bool {
        self.end.is_none_or(|end| self.reader.next() < end)
    }

    pub(super) fn fold(&mut self, record: Record, now: Now) -> Result<Vec<Output<A, R>>, Broken> {
        let verdict = self.reader.judge(record)?;
        let mut outputs = Vec::new();
        if let Verdict::Void(void) = verdict {
            outputs.push(Output::Void(void));
        }
        let claimed = match &verdict {
            Verdict::Claimed { claim, term, at } => Some((*claim, *term, *at)),
            _ => None,
        };
        absorb(&mut self.acked, &self.codec, verdict, self.settings.partitions)?;
        self.acked.position = self.reader.position();
        match (self.phase, claimed) {
            (Phase::Claiming { claim: ours, .. }, Some((claim, term, at)))
                if claim == ours || broken(Breakage::ServeForeignClaim) =>
            {
                self.acked.position.claim = ours;
                outputs.extend(self.own(term, at, now));
            }
            // Somebody else was faster, or it is our claim of before: wait, fold, try again.
            (Phase::Vouching { .. } | Phase::Claiming { .. }, Some(_)) => self.back_off(now),
            _ => {}
        }
        Ok(outputs)
    }

    /// Claims again between 0.5 s and 30 s later, doubling, at random so that two do not meet again.
    pub(super) fn back_off(&mut self, now: Now) {
        self.phase = Phase::Folding { not_before: now.mono + self.pause() };
    }

    fn pause(&mut self) -> Duration {
        let wait = self.random_wait(1000 << self.attempts.min(5)).min(30_000);
        self.attempts += 1;
        Duration::from_millis(wait)
    }

    /// An error says nothing about the log: the claim may come back as long as another one is put off anyhow. Nobody
    /// waits for an acknowledgement that was denied.
    pub(super) fn claim_failed(&mut self, reported: Uuid, now: Now) {
        if let Phase::Claiming { claim, failed: false, .. } = self.phase
            && claim == reported
        {
            self.phase = Phase::Claiming { claim, until: now.mono + self.pause(), failed: true };
        }
    }

    /// The claim did not come back in time. For one that had failed, that time was the back-off.
    pub(super) fn claim_again(&mut self, failed: bool, now: Now) -> Vec<Output<A, R>> {
        if !failed {
            self.back_off(now);
            return Vec::new();
        }
        self.phase = Phase::Folding { not_before: now.mono };
        self.ask_to_claim(now)
    }

    /// Asks again between 0.2 s and 2 s later: nobody is disturbed by it, and a new assignment is soon noticed.
    pub(super) fn stand_by(&mut self, now: Now) {
        let wait = self.random_wait(200 << self.unvouched.min(4)).min(2000);
        self.unvouched += 1;
        self.phase = Phase::Folding { not_before: now.mono + Duration::from_millis(wait) };
    }

    /// There is news: it need not wait any longer before it asks.
    pub fn ask_now(&mut self, now: Now) {
        self.unvouched = 0;
        if let Phase::Folding { .. } = self.phase {
            self.phase = Phase::Folding { not_before: now.mono };
        }
    }

    fn random_wait(&mut self, base: u64) -> u64 {
        let random = u64::from((self.new_claim)().as_bytes()[0]);
        base / 2 + base * random / 256
    }

    fn own(&mut self, term: u32, broker: Timestamp, now: Now) -> Vec<Output<A, R>> {
        let off = Duration::from_micros(broker.0.abs_diff(now.wall.0));
        if off > self.settings.clock_tolerance {
            self.back_off(now);
            let reason = format!("the broker's clock and ours are {} ms apart", off.as_millis());
            return vec![Output::Doubt { reason, in_doubt: 0 }];
        }
        self.phase = Phase::Serving;
        self.attempts = 0;
        let read = self.acked.position.seq;
        self.claimed_at = self.acked.position.next - i64::try_from(read).expect("a claim has less than 2^63 records");
        self.claimed = (now.wall, now.mono);
        self.acked_seq = read - 1;
        self.head = self.acked.clone();
        self.last_settled = now.mono;
        self.idle.clear();
        let mut outputs = vec![Output::Unfollow, Output::Serving { term }];
        let outbox = if broken(Breakage::OutboxNotResent) { OrdMap::new() } else { self.acked.outbox.clone() };
        for (offset, caused) in &outbox {
            outputs.extend(self.send(*offset, caused));
        }
        outputs
    }

    fn claim_record(&self, claim: Uuid, term: u32) -> NewRecord {
        let value =
            Control::Claimed { claim, term, instance: self.settings.instance.clone(), url: self.settings.url.clone() };
        self.control_record(Kind::Claim, term, 0, claim, &value)
    }

    pub(super) fn control_record(&self, kind: Kind, term: u32, seq: u64, claim: Uuid, value: &Control) -> NewRecord {
        let frame = Frame {
            kind,
            term,
            seq,
            evt_idx: 0,
            evt_cnt: 1,
            agg_ver: 0,
            claim,
            cmd_id: Uuid::nil(),
            cmd_hash: [0; 16],
        };
        let value = self.codec.encode_control(value).expect("control records always fit their schema");
        NewRecord { key: CONTROL_KEY.to_owned(), header: frame.encode(), value, trace: None }
    }
}
