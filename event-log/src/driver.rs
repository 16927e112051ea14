//! Runs an owner on a thread of its own: carries commands, delivery reports and records in, and its wishes out.
//!
//! Invariant: a panic stops its own partition only, and loudly. Nothing of the owner's state is used after it, whoever
//! waited is left in doubt, and later callers are answered. It is not started again: what made it panic lies in the log or
//! comes again, and a process that ends would take the other partitions with it, again and again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::root::Root;
use imbl::OrdSet;
use schemas::Codec;
use uuid::Uuid;

use crate::log::{Delivered, Followed, Following, Log, Partition, Reports};
use crate::owner::{Now, Outcome, Output, Owner, Phase, Send as Sent, Settings, Submission};
use crate::state::State;

/// Gets the outcome of a command, on the owner's thread; must not block.
pub type Reply<A> = Box<dyn FnOnce(Outcome<A>) + Send>;
/// Tells both clocks.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;
/// Gets what the outbox wants done, on the owner's thread; must not block.
pub type Outbox = Arc<dyn Fn(Partition, Sent) + Send + Sync>;

enum Input<A: Root> {
    Submit(Submission<A, Reply<A>>),
    Delivered(Vec<Delivered>),
    Followed(u64, Followed),
    Settled((i64, usize)),
    Shutdown,
}

/// How an owner stands, for readiness, metrics and whoever asks about open things.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Whether it serves.
    pub serving: bool,
    /// Why it stopped for good, if it did.
    pub broken: Option<String>,
    /// The current term.
    pub term: u32,
    /// The next offset of the acknowledged state.
    pub next: i64,
    /// How many commands wait.
    pub waiting: usize,
    /// How many events have something in the outbox.
    pub outbox: usize,
    /// What something outside has to be asked about.
    pub watched: OrdSet<Uuid>,
    /// How many records did not count.
    pub void: u64,
    /// How many callers were left in doubt.
    pub in_doubt: u64,
}

/// The way to an owner. Cheap to clone.
pub struct Mailbox<A: Root> {
    partition: Partition,
    inputs: SyncSender<Input<A>>,
    status: Arc<Mutex<Status>>,
}

impl<A: Root> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { partition: self.partition, inputs: self.inputs.clone(), status: Arc::clone(&self.status) }
    }
}

impl<A: Root> Mailbox<A> {
    /// Which partition.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Puts a command in. Its reply is called once, here if the mailbox is full; or dropped, if the owner ends before.
    pub fn submit(&self, submission: Submission<A, Reply<A>>) {
        let (submission, outcome) = match self.inputs.try_send(Input::Submit(submission)) {
            Ok(()) => return,
            Err(TrySendError::Full(Input::Submit(submission))) => (submission, Outcome::Overloaded),
            Err(TrySendError::Disconnected(Input::Submit(submission))) => (submission, Outcome::TooLate),
            Err(_) => unreachable!("what comes back is what was sent"),
        };
        (submission.reply)(outcome);
    }

    /// Something that the outbox wanted was answered.
    pub fn settled(&self, at: (i64, usize)) {
        // An owner that is gone re-sends at the next start.
        let _ = self.inputs.send(Input::Settled(at));
    }

    /// How the owner stands.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops intake; the thread ends once what is in flight is acknowledged or in doubt.
    pub fn shut_down(&self) {
        // An owner that is gone has shut down.
        let _ = self.inputs.send(Input::Shutdown);
    }
}

/// What an owner's thread works with.
pub struct Surroundings {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Encodes and decodes.
    pub codec: Codec,
    /// Both clocks.
    pub clock: Clock,
    /// Makes claims.
    pub new_claim: fn() -> Uuid,
    /// Where outgoing commands go.
    pub outbox: Outbox,
}

/// Starts the owner of a partition from a state (empty, or of a snapshot).
///
/// # Errors
/// The operating system gives no thread.
pub fn start<A: Root>(
    settings: Settings,
    state: State<A>,
    surroundings: Surroundings,
) -> std::io::Result<(Mailbox<A>, JoinHandle<()>)>
where
    A::Error: Send,
{
    let partition = settings.partition;
    let (inputs, received) = sync_channel(settings.mailbox + 1024);
    let status = Arc::new(Mutex::new(Status::default()));
    let mailbox = Mailbox { partition, inputs: inputs.clone(), status: Arc::clone(&status) };
    let (owner, outputs) = Owner::new(settings, surroundings.codec.clone(), state, Box::new(surroundings.new_claim));
    let driver = Driver {
        partition,
        owner,
        surroundings,
        inputs,
        status,
        following: None,
        generation: 0,
        void: 0,
        in_doubt: 0,
        broken: None,
    };
    let thread =
        std::thread::Builder::new().name(partition.to_string()).spawn(move || driver.run(&received, outputs))?;
    Ok((mailbox, thread))
}

struct Driver<A: Root> {
    partition: Partition,
    owner: Owner<A, Reply<A>>,
    surroundings: Surroundings,
    inputs: SyncSender<Input<A>>,
    status: Arc<Mutex<Status>>,
    following: Option<Box<dyn Following>>,
    generation: u64,
    void: u64,
    in_doubt: u64,
    broken: Option<String>,
}

/// Inputs taken between two steps, at most.
const INPUTS: usize = 4096;
/// How long a shutdown waits for what is in flight.
const SHUTDOWN: Duration = Duration::from_secs(8);

impl<A: Root> Driver<A> {
    fn run(self, received: &Receiver<Input<A>>, outputs: Vec<Output<A, Reply<A>>>) {
        let (partition, status) = (self.partition, Arc::clone(&self.status));
        if catch_unwind(AssertUnwindSafe(|| self.serve(received, outputs))).is_ok() {
            return;
        }
        metrics::counter!("boxoffice_owner_panics_total").increment(1);
        tracing::error!(%partition, "the owner panicked: the partition is not served until the process starts again");
        {
            let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
            status.serving = false;
            status.broken = Some("its owner panicked; the log of this process says why".to_owned());
        }
        turn_away(received);
    }

    fn serve(mut self, received: &Receiver<Input<A>>, outputs: Vec<Output<A, Reply<A>>>) {
        self.perform(outputs);
        let mut leaving: Option<Duration> = None;
        loop {
            let now = (self.surroundings.clock)();
            let wait = self.owner.wake_at(now).map_or(Duration::from_secs(1), |at| at.saturating_sub(now.mono));
            let mut next = match received.recv_timeout(wait.min(Duration::from_secs(1))) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = (self.surroundings.clock)();
            for _ in 0..INPUTS {
                let Some(input) = next.take().or_else(|| received.try_recv().ok()) else {
                    break;
                };
                match input {
                    Input::Shutdown => leaving = leaving.or(Some(now.mono + SHUTDOWN)),
                    Input::Submit(submission) if leaving.is_some() => (submission.reply)(Outcome::TooLate),
                    input => self.take(input, now),
                }
            }
            let outputs = self.owner.step(now);
            self.perform(outputs);
            self.publish();
            if leaving.is_some_and(|until| now.mono >= until || self.owner.is_idle()) {
                tracing::info!(partition = %self.partition, "left the partition");
                return;
            }
        }
    }

    fn take(&mut self, input: Input<A>, now: Now) {
        let outputs = match input {
            Input::Submit(submission) => match self.owner.submit(submission) {
                Ok(()) => return,
                Err(submission) => vec![Output::Answer(submission.reply, Outcome::Overloaded)],
            },
            Input::Delivered(reports) => self.owner.delivered(reports, now),
            Input::Followed(generation, _) if generation != self.generation => return,
            Input::Followed(_, Followed::Records(records)) => {
                let mut outputs = Vec::new();
                for record in records {
                    outputs.extend(self.owner.read(record, now));
                }
                outputs
            }
            Input::Followed(_, Followed::End(end)) => self.owner.reached_end(end, now),
            Input::Followed(_, Followed::Lost { start, end }) => self.owner.lost(start, end),
            Input::Settled(at) => {
                self.owner.settled(at);
                return;
            }
            Input::Shutdown => return,
        };
        self.perform(outputs);
    }

    fn perform(&mut self, outputs: Vec<Output<A, Reply<A>>>) {
        let partition = self.partition;
        for output in outputs {
            match output {
                Output::Follow(from) => self.follow(from),
                Output::Unfollow => {
                    self.generation += 1;
                    self.following = None;
                }
                Output::Append { claim, first_seq, records } => self.append(claim, first_seq, records),
                Output::Answer(reply, outcome) => reply(outcome),
                Output::Send(sent) => (self.surroundings.outbox)(partition, sent),
                Output::Serving { term } => {
                    let next = self.owner.state().position.next;
                    tracing::info!(%partition, term, next, "serving the partition");
                }
                Output::Doubt { reason, in_doubt } => {
                    self.in_doubt += in_doubt as u64;
                    metrics::counter!("boxoffice_in_doubt_total").increment(in_doubt as u64);
                    tracing::warn!(%partition, in_doubt, reason, "gave up what was not acknowledged, and reads on");
                }
                Output::Void(why) => {
                    self.void += 1;
                    metrics::counter!("boxoffice_void_records_total").increment(1);
                    tracing::warn!(%partition, ?why, "a record does not count");
                }
                Output::Broken(broken) => {
                    tracing::error!(%partition, error = %broken, "the partition is broken and not served");
                    self.broken = Some(broken.to_string());
                }
            }
        }
    }

    fn follow(&mut self, from: i64) {
        self.generation += 1;
        let generation = self.generation;
        let inputs = self.inputs.clone();
        let follower = Arc::new(move |followed| {
            // An owner that is gone needs no more records.
            let _ = inputs.send(Input::Followed(generation, followed));
        });
        self.following = Some(self.surroundings.log.follow(self.partition, from, follower));
    }

    fn append(&self, claim: Uuid, first_seq: u64, records: Vec<crate::log::NewRecord>) {
        metrics::histogram!("boxoffice_batch_records").record(records.len() as f64);
        metrics::counter!("boxoffice_appended_records_total").increment(records.len() as u64);
        let inputs = self.inputs.clone();
        let reports: Reports = Arc::new(move |reports| {
            // An owner that is gone answers nobody.
            let _ = inputs.send(Input::Delivered(reports));
        });
        self.surroundings.log.append(self.partition, claim, first_seq, records, reports);
    }

    fn publish(&self) {
        let state = self.owner.state();
        let status = Status {
            serving: self.owner.phase() == Phase::Serving,
            broken: self.broken.clone(),
            term: state.position.term,
            next: state.position.next,
            waiting: self.owner.waiting(),
            outbox: state.outbox.len(),
            watched: state.watched.clone(),
            void: self.void,
            in_doubt: self.in_doubt,
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Answers whoever still comes, until the process ends.
fn turn_away<A: Root>(received: &Receiver<Input<A>>) {
    while let Ok(input) = received.recv() {
        match input {
            Input::Submit(submission) => (submission.reply)(Outcome::Broken),
            Input::Shutdown => return,
            Input::Delivered(_) | Input::Followed(..) | Input::Settled(_) => {}
        }
    }
}
