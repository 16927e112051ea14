//! The loop around an owner: takes what came, lets it do what it can, and performs what it wants.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use domain::root::Root;
use domain::value::Actor;
use uuid::Uuid;

use super::beside::{Beside, Standing};
use super::keep::{Beginning, Keeper};
use super::standby::Duty;
use super::status::Meters;
use super::{Input, Reply, Status, Surroundings};
use crate::crash::{self, Point};
use crate::log::{Followed, Following, NewRecord, Partition, Reports};
use crate::owner::{Now, Outcome, Output, Owner, Phase, Settings};
use crate::state::State;
use crate::validity::Position;

/// Inputs taken between two steps, at most.
const INPUTS: usize = 4096;
/// So many batches of records are on their way from the log to the owner, at most: it reads faster than folding goes.
const AHEAD: usize = 16;
/// Nobody sleeps longer than this.
const NAP: Duration = Duration::from_secs(1);
/// Where more than one command came at a time, more are on their way: those that come within so long are decided together.
/// Every batch costs its own round trip, wake-ups and a write to disk, whatever its size.
const GATHER: Duration = Duration::from_millis(3);
/// The same where nobody waits for an answer: only sagas asked.
const GATHER_FOR_SAGAS: Duration = Duration::from_millis(8);
/// Between two publications of how it stands, while nothing else than numbers changes.
const PUBLISH: Duration = Duration::from_millis(10);
/// How long a shutdown waits for what is in flight.
const SHUTDOWN: Duration = Duration::from_secs(8);

/// The latest answer to a question, and which question it was. It does not go through the mailbox, because the answer may
/// be given on the owner's own thread, which must not wait for room in it.
type Answered = Arc<Mutex<Option<(u64, bool)>>>;

/// An owner with everything around it.
pub(super) struct Driver<A: Root> {
    pub(super) partition: Partition,
    pub(super) settings: Settings,
    pub(super) duty: Duty,
    pub(super) owner: Owner<A, Reply<A>>,
    pub(super) surroundings: Surroundings,
    pub(super) keeper: Keeper,
    pub(super) inputs: SyncSender<Input<A>>,
    pub(super) beside: Arc<Beside>,
    meters: Meters,
    /// When its status was last published.
    published: Duration,
    unpublished: bool,
    /// Until when it gathers what comes, because more than one came at a time.
    gathering: Duration,
    /// What follows the log, and one for each batch of records that is on its way from there.
    pub(super) following: Option<(Box<dyn Following>, Receiver<()>)>,
    pub(super) generation: u64,
    /// How often it was asked for something to go on from.
    pub(super) loads: u64,
    /// The last question whether the partition is still meant to be ours.
    asked: u64,
    vouched: Answered,
    void: u64,
    in_doubt: u64,
    broken: Option<String>,
    pub(super) recovery: Recovery,
}

/// Commands that came at a time.
#[derive(Default)]
struct Came {
    of_sagas: usize,
    of_others: usize,
}

impl Came {
    fn count<A: Root>(&mut self, input: &Input<A>) {
        match input {
            Input::Submit(submission) if submission.by == Actor::System => self.of_sagas += 1,
            Input::Submit(_) => self.of_others += 1,
            _ => {}
        }
    }

    /// For how long to wait for more after that.
    fn gather(&self) -> Duration {
        match (self.of_sagas + self.of_others, self.of_others) {
            (0 | 1, _) => Duration::ZERO,
            (_, 0) => GATHER_FOR_SAGAS,
            _ => GATHER,
        }
    }
}

/// How long it takes to serve, and what was read for it.
pub(super) struct Recovery {
    since: Duration,
    replayed: u64,
    took_ms: Option<u64>,
    /// When there was a state to go on from, when the log's end was last reached, and when the claim was sent.
    loaded: Duration,
    folded: Duration,
    claimed: Duration,
    /// Whether it goes on with what it stood by with.
    stood_by: bool,
}

impl Recovery {
    pub(super) fn beginning(since: Duration, took_ms: Option<u64>) -> Self {
        Self { since, replayed: 0, took_ms, loaded: since, folded: since, claimed: since, stood_by: false }
    }

    fn until(&self, moment: Duration) -> u64 {
        u64::try_from(moment.saturating_sub(self.since).as_millis()).expect("less than 584 million years")
    }
}

impl<A: Root> Driver<A> {
    pub(super) fn new(
        settings: Settings,
        surroundings: Surroundings,
        inputs: SyncSender<Input<A>>,
        beside: Arc<Beside>,
    ) -> Self {
        let partition = settings.partition;
        let since = (surroundings.clock)().mono;
        let duty = if beside.is_promoted() { Duty::Own } else { Duty::StandBy };
        Self {
            partition,
            settings: settings.clone(),
            duty,
            keeper: Keeper::new(surroundings.snapshots.clone(), partition, settings.partitions),
            owner: Owner::loading(settings, surroundings.codec.clone(), Box::new(surroundings.new_claim)),
            surroundings,
            inputs,
            beside,
            meters: Meters::of(partition),
            published: Duration::ZERO,
            unpublished: false,
            gathering: Duration::ZERO,
            following: None,
            generation: 0,
            loads: 0,
            asked: 0,
            vouched: Answered::default(),
            void: 0,
            in_doubt: 0,
            broken: None,
            recovery: Recovery::beginning(since, None),
        }
    }

    pub(super) fn run(mut self, received: &Receiver<Input<A>>) {
        if catch_unwind(AssertUnwindSafe(|| self.serve(received))).is_ok() {
            return;
        }
        metrics::counter!("boxoffice_owner_panics_total").increment(1);
        if self.duty != Duty::Own {
            return self.run_anew(received);
        }
        let (partition, beside) = (self.partition, Arc::clone(&self.beside));
        drop(self);
        tracing::error!(%partition, "the owner panicked: the partition is not served until the process starts again");
        let why = "its owner panicked; the log of this process says why".to_owned();
        let broken = Status { serving: false, broken: Some(why), ..beside.status() };
        Meters::of(partition).show(&broken, broken.snapshot.map_or_else(Default::default, |taken| taken.at));
        beside.publish(broken);
        turn_away(received);
    }

    fn serve(&mut self, received: &Receiver<Input<A>>) {
        if self.duty != Duty::Wait {
            self.load(None);
        }
        let mut leaving: Option<Duration> = None;
        loop {
            self.gather(leaving.is_some());
            let now = self.now();
            let wake_at = self.owner.wake_at(now).filter(|_| self.duty == Duty::Own);
            let wait = wake_at.map_or(NAP, |at| at.saturating_sub(now.mono));
            let nap = if self.unpublished { PUBLISH } else { NAP };
            let mut next = match received.recv_timeout(wait.min(nap)) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => unreachable!("it holds a sender itself"),
            };
            let now = self.now();
            let mut came = Came::default();
            for _ in 0..INPUTS {
                let Some(input) = next.take().or_else(|| received.try_recv().ok()) else {
                    break;
                };
                came.count(&input);
                match input {
                    Input::Shutdown => {
                        self.owner.leave();
                        leaving = leaving.or(Some(now.mono + SHUTDOWN));
                    }
                    Input::Submit(submission) if leaving.is_some() => (submission.reply)(Outcome::NotServed),
                    input => self.take(input, now),
                }
            }
            self.gathering = now.mono + came.gather();
            self.look_beside(now);
            let outputs = self.owner.step(now);
            self.perform(outputs, now);
            if self.duty == Duty::Own {
                self.keeper.look(self.owner.to_keep(), now);
            }
            self.publish(now);
            if leaving.is_some_and(|until| now.mono >= until || self.owner.is_idle()) {
                return self.leave(received);
            }
        }
    }

    /// Waits for more to come, if it is to. Nothing is lost by not waiting.
    fn gather(&self, leaving: bool) {
        let left = self.gathering.saturating_sub(self.now().mono);
        if !leaving && !left.is_zero() && self.owner.phase() == Phase::Serving {
            thread::sleep(left);
        }
    }

    fn take(&mut self, input: Input<A>, now: Now) {
        let outputs = match input {
            Input::Submit(submission) => match self.owner.submit(submission) {
                Ok(()) => return,
                Err(submission) => vec![Output::Answer(submission.reply, Outcome::Overloaded)],
            },
            Input::Loaded(load, _) if load != self.loads => return,
            Input::Loaded(_, Ok(beginning)) => self.begin(beginning, now),
            Input::Loaded(_, Err(broken)) => {
                self.examined();
                self.owner.refuse(broken)
            }
            Input::Delivered(reports) => {
                self.meters.appends.delivered(&reports, now.mono);
                self.owner.delivered(reports, now)
            }
            Input::Followed(generation, _) if generation != self.generation => return,
            Input::Followed(_, Followed::Records(records)) => {
                self.arrived();
                self.recovery.replayed += records.len() as u64;
                let mut outputs = Vec::new();
                for record in records {
                    self.keeper.count(record.key.len() + record.header.len() + record.value.len());
                    outputs.extend(self.owner.read(record, now));
                }
                outputs
            }
            Input::Followed(_, Followed::End(end)) => {
                self.arrived();
                self.recovery.folded = now.mono;
                self.owner.reached_end(end, now)
            }
            Input::Followed(_, Followed::Lost { start, end }) => self.owner.lost(start, end),
            Input::Look | Input::Shutdown => return,
        };
        self.perform(outputs, now);
    }

    /// Has the state loaded elsewhere: the disk and the log may keep it waiting, and callers have deadlines. Unless the log
    /// has what this position was reached by: then there is one.
    pub(super) fn load(&mut self, standing: Option<Position>) {
        self.loads += 1;
        let (load, log, inputs) = (self.loads, Arc::clone(&self.surroundings.log), self.inputs.clone());
        let loaded = move |found| {
            // An owner that is gone needs no state.
            let _ = inputs.send(Input::Loaded(load, found));
        };
        if !self.keeper.load(log, standing, loaded) {
            let now = self.now();
            let outputs = self.begin(Beginning::Anew(None, None), now);
            self.perform(outputs, now);
        }
    }

    fn begin(&mut self, beginning: Beginning<A>, now: Now) -> Vec<Output<A, Reply<A>>> {
        self.recovery.loaded = now.mono;
        let (loaded, end) = match beginning {
            Beginning::Anew(loaded, end) => (loaded, end),
            Beginning::AsItStands(end) => {
                self.duty = Duty::Own;
                self.recovery.stood_by = true;
                self.recovery.folded = now.mono;
                self.owner.expect_end(end);
                self.owner.ask_now(now);
                return self.owner.reached_end(end, now);
            }
        };
        self.examined();
        let state = match loaded {
            Some(loaded) => {
                self.keeper.began_with(loaded.taken);
                loaded.state
            }
            None => State::default(),
        };
        self.owner.expect_end(end.unwrap_or(0));
        self.owner.loaded(state)
    }

    /// If what was folded has been examined, it was found wanting.
    fn examined(&mut self) {
        if self.duty == Duty::Examine {
            self.forget();
            self.duty = Duty::Own;
        }
    }

    fn look_beside(&mut self, now: Now) {
        self.look_for_promotion(now);
        self.beside.take_settled().into_iter().for_each(|at| self.owner.settled(at));
        let answered = self.vouched.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, vouched)) = answered.filter(|(asked, _)| *asked == self.asked) {
            let outputs = self.owner.vouched(vouched, now);
            self.perform(outputs, now);
        }
    }

    fn perform(&mut self, outputs: Vec<Output<A, Reply<A>>>, now: Now) {
        let partition = self.partition;
        for output in outputs {
            match output {
                Output::Follow(from) => self.follow(from),
                Output::Unfollow => {
                    self.generation += 1;
                    self.following = None;
                }
                Output::Vouch if self.duty == Duty::Own => self.vouch(),
                Output::Vouch => {
                    let outputs = self.owner.vouched(false, now);
                    self.perform(outputs, now);
                }
                Output::Append { claim, first_seq, records } => self.append(claim, first_seq, records),
                Output::Answer(reply, outcome) => reply(outcome),
                Output::Send(sent) => (self.surroundings.outbox)(partition, sent),
                Output::Serving { term } => self.serving(term, now),
                Output::Doubt { reason, in_doubt } => {
                    self.in_doubt += in_doubt as u64;
                    self.meters.in_doubt.increment(in_doubt as u64);
                    self.recovery = Recovery::beginning(now.mono, self.recovery.took_ms);
                    tracing::warn!(%partition, in_doubt, reason, "gave up what was not acknowledged, and reads on");
                }
                // Its owner has told.
                Output::Void(_) if self.duty != Duty::Own => {}
                Output::Void(why) => {
                    self.void += 1;
                    self.meters.void.increment(1);
                    tracing::warn!(%partition, reason = ?why, "a record does not count");
                }
                Output::Broken(broken) if self.duty != Duty::Own => self.gone_wrong(&broken),
                Output::Broken(broken) => {
                    tracing::error!(%partition, error = %broken, "the partition is broken and not served");
                    self.broken = Some(broken.to_string());
                }
            }
        }
    }

    fn serving(&mut self, term: u32, now: Now) {
        let next = self.owner.state().position.next;
        let recovery_ms = self.recovery.until(now.mono);
        let Recovery { loaded, folded, claimed, stood_by, .. } = self.recovery;
        let [loaded_ms, folded_ms, claimed_ms] = [loaded, folded, claimed].map(|at| self.recovery.until(at));
        self.recovery.took_ms = Some(recovery_ms);
        let replayed = self.recovery.replayed;
        let snapshot = self.keeper.taken().map(|taken| taken.offset);
        tracing::info!(
            partition = %self.partition, term, next_offset = next, recovery_ms, loaded_ms, folded_ms, claimed_ms, replayed, snapshot_offset = snapshot,
            stood_by,
            "serving the partition"
        );
    }

    fn follow(&mut self, from: i64) {
        self.generation += 1;
        let generation = self.generation;
        let inputs = self.inputs.clone();
        let (ahead, under_way) = sync_channel(AHEAD);
        let follower = Arc::new(move |followed| {
            // An owner that is gone, or follows anew, needs no more of these records.
            if ahead.send(()).is_ok() {
                let _ = inputs.send(Input::Followed(generation, followed));
            }
        });
        self.following = Some((self.surroundings.log.follow(self.partition, from, follower), under_way));
    }

    /// One batch fewer is on its way.
    fn arrived(&self) {
        if let Some((_, under_way)) = &self.following {
            // There is one for every batch.
            let _ = under_way.try_recv();
        }
    }

    fn vouch(&mut self) {
        self.asked += 1;
        let (asked, answered, inputs) = (self.asked, Arc::clone(&self.vouched), self.inputs.clone());
        let vouched = Box::new(move |vouched| {
            *answered.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, vouched));
            // If there is no room, then the owner is about to look anyway.
            let _ = inputs.try_send(Input::Look);
        });
        (self.surroundings.vouch)(self.partition, vouched);
    }

    fn append(&mut self, claim: Uuid, first_seq: u64, mut records: Vec<NewRecord>) {
        let (bytes, now) = (records.iter().map(NewRecord::size).sum(), self.now().mono);
        self.meters.appends.sent(claim, first_seq, records.len(), bytes, now);
        self.keeper.count(bytes);
        if first_seq == 0 {
            self.recovery.claimed = now;
        }
        let (partition, has_events) = (self.partition, crash::has_events(&records));
        if has_events {
            crash::point(Point::BeforeAppend, partition);
        }
        let cut = crash::cut(partition, &records);
        records.truncate(cut.unwrap_or(records.len()));
        let inputs = self.inputs.clone();
        let reports: Reports = Arc::new(move |reports| {
            if cut.is_some() {
                crash::end();
            }
            if has_events {
                crash::point(Point::AfterAppend, partition);
            }
            // An owner that is gone answers nobody.
            let _ = inputs.send(Input::Delivered(reports));
        });
        self.surroundings.log.append(self.partition, claim, first_seq, records, reports);
    }

    /// Shows how it stands: at once if that is news, else not more often than worth while.
    fn publish(&mut self, now: Now) {
        let serving = self.owner.phase() == Phase::Serving;
        let standing = Standing::of(serving, self.broken.is_some());
        self.unpublished = serving && standing == self.beside.standing() && now.mono < self.published + PUBLISH;
        if !self.unpublished {
            self.publish_now(now);
        }
    }

    fn publish_now(&mut self, now: Now) {
        self.published = now.mono;
        let serving = self.owner.phase() == Phase::Serving;
        let state = self.owner.state();
        let status = Status {
            serving,
            broken: self.broken.clone(),
            term: state.position.term,
            claim: state.position.claim,
            next: state.position.next,
            lag: self.owner.lag(),
            caught_up: self.duty == Duty::Wait || self.owner.has_caught_up(),
            waiting: self.owner.waiting(),
            outbox: state.outbox.len(),
            open_sends: self.owner.open_sends(),
            watched: state.watched.clone(),
            void: self.void,
            in_doubt: self.in_doubt,
            snapshot: self.keeper.taken(),
            recovery_ms: self.recovery.took_ms,
            replayed: self.recovery.replayed,
        };
        if self.duty == Duty::Own {
            self.meters.show(&status, now.wall);
        }
        self.beside.publish(status);
    }

    /// The end: everybody is answered, those too that come while the snapshot is written.
    fn leave(&mut self, received: &Receiver<Input<A>>) {
        let now = self.now();
        let outputs = self.owner.give_up();
        self.perform(outputs, now);
        self.following = None;
        let owned = self.duty == Duty::Own;
        if owned && self.broken.is_none() {
            self.keeper.finish(self.owner.to_keep(), now);
        }
        let until = now.mono + super::keep::FINISH;
        while self.now().mono < until && self.keeper.is_writing((self.surroundings.clock)()) {
            if let Ok(Input::Submit(submission)) = received.recv_timeout(Duration::from_millis(5)) {
                (submission.reply)(Outcome::NotServed);
            }
        }
        while let Ok(input) = received.try_recv() {
            if let Input::Submit(submission) = input {
                (submission.reply)(Outcome::NotServed);
            }
        }
        self.publish_now(now);
        self.beside.publish(Status { serving: false, ..self.beside.status() });
        if !owned {
            return;
        }
        self.meters.clear();
        tracing::info!(partition = %self.partition, next_offset = self.owner.state().position.next, "left the partition");
    }

    fn now(&self) -> Now {
        (self.surroundings.clock)()
    }
}

/// Answers whoever still comes, until the process ends.
fn turn_away<A: Root>(received: &Receiver<Input<A>>) {
    while let Ok(input) = received.recv() {
        match input {
            Input::Submit(submission) => (submission.reply)(Outcome::Broken),
            Input::Shutdown => return,
            Input::Loaded(..) | Input::Delivered(_) | Input::Followed(..) | Input::Look => {}
        }
    }
}
