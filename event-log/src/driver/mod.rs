//! Runs an owner on a thread of its own: carries commands, delivery reports and records in, and its wishes out.
//!
//! Invariant: a panic stops its own partition only, and loudly. Nothing of the owner's state is used after it, whoever
//! waited is left in doubt, and later callers are answered. It is not started again: what made it panic lies in the log or
//! comes again, and a process that ends would take the other partitions with it, again and again.

mod beside;
mod keep;
mod run;
mod standby;
mod status;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use domain::root::Root;
use schemas::Codec;
use uuid::Uuid;

use crate::log::{Delivered, Followed, Log, Partition};
use crate::owner::{Now, Outcome, Send as Sent, Settings, Submission};
use crate::snapshot::Snapshots;
use crate::validity::Broken;
use beside::Beside;
pub use beside::Standing;
use keep::Beginning;
use run::Driver;
pub use status::Status;

/// Gets the outcome of a command, on the owner's thread; must not block.
pub type Reply<A> = Box<dyn FnOnce(Outcome<A>) + Send>;
/// Tells both clocks.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;
/// Gets what the outbox wants done, on the owner's thread; must not block.
pub type Outbox = Arc<dyn Fn(Partition, Sent) + Send + Sync>;
/// Gets the answer whether this process is still meant to own a partition. Not calling it is a no.
pub type Vouched = Box<dyn FnOnce(bool) + Send>;
/// Asked before every claim, on the owner's thread; must not block. The answer may come from any thread.
pub type Vouch = Arc<dyn Fn(Partition, Vouched) + Send + Sync>;

/// Says yes at once: for tests, and for a process that has no other beside it.
pub fn vouch_always() -> Vouch {
    Arc::new(|_, vouched| vouched(true))
}

enum Input<A: Root> {
    Submit(Submission<A, Reply<A>>),
    /// What to begin with, and the how manieth time; or why there is nothing to begin with.
    Loaded(u64, Result<Beginning<A>, Broken>),
    Delivered(Vec<Delivered>),
    Followed(u64, Followed),
    /// Something lies beside.
    Look,
    Shutdown,
}

/// The way to an owner. Cheap to clone.
pub struct Mailbox<A: Root> {
    partition: Partition,
    inputs: SyncSender<Input<A>>,
    beside: Arc<Beside>,
}

impl<A: Root> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { partition: self.partition, inputs: self.inputs.clone(), beside: Arc::clone(&self.beside) }
    }
}

impl<A: Root> Mailbox<A> {
    /// Which partition.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Puts a command in. Its reply is called once, here if the mailbox is full or the owner is gone; or dropped, if the
    /// owner ends at this very moment: then it is in doubt.
    pub fn submit(&self, submission: Submission<A, Reply<A>>) {
        let (submission, outcome) = match self.inputs.try_send(Input::Submit(submission)) {
            Ok(()) => return,
            Err(TrySendError::Full(Input::Submit(submission))) => (submission, Outcome::Overloaded),
            Err(TrySendError::Disconnected(Input::Submit(submission))) => (submission, Outcome::NotServed),
            Err(_) => unreachable!("what comes back is what was sent"),
        };
        (submission.reply)(outcome);
    }

    /// Something that the outbox wanted was answered.
    pub fn settled(&self, at: (i64, usize)) {
        if self.beside.settle(at) {
            self.look();
        }
    }

    /// The partition is meant to be served here: a standby goes on as its owner. Again changes nothing.
    pub fn promote(&self) {
        self.beside.promote();
        self.look();
    }

    fn look(&self) {
        // If there is no room, then it is about to look anyway; and if it is gone, its successor finds out.
        let _ = self.inputs.try_send(Input::Look);
    }

    /// Whether to put a command in.
    pub fn standing(&self) -> Standing {
        self.beside.standing()
    }

    /// How the owner stands, or stood a few milliseconds ago.
    pub fn status(&self) -> Status {
        self.beside.status()
    }

    /// Stops intake, which is answered `NotServed` from now on. The thread ends once what is in flight is acknowledged or
    /// in doubt (8 s at most) and a snapshot is written (5 s at most).
    pub fn shut_down(&self) {
        // An owner that is gone has shut down.
        let _ = self.inputs.send(Input::Shutdown);
    }
}

/// What an owner's thread works with. Cheap to clone.
#[derive(Clone)]
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
    /// Whether a claim is still wanted.
    pub vouch: Vouch,
    /// Where its state is kept, so that a restart need not read the whole log.
    pub snapshots: Option<Arc<Snapshots>>,
    /// Called on the owner's thread before anything else.
    pub begin: fn(Partition),
}

/// Starts the owner of a partition, from its newest usable snapshot, else from the beginning of the log.
///
/// # Errors
/// The operating system gives no thread.
pub fn start<A: Root>(settings: Settings, surroundings: Surroundings) -> std::io::Result<(Mailbox<A>, JoinHandle<()>)>
where
    A::Error: Send,
{
    spawn(settings, surroundings, true)
}

/// Starts a standby of a partition that somebody else owns: it keeps what the log folds to, and nothing else. It claims,
/// answers, sends and writes nothing until it is promoted. Whatever goes wrong with it before is told in the log of the
/// process and forgotten: then its promotion is a start as any other.
///
/// # Errors
/// The operating system gives no thread.
pub fn stand_by<A: Root>(
    settings: Settings,
    surroundings: Surroundings,
) -> std::io::Result<(Mailbox<A>, JoinHandle<()>)>
where
    A::Error: Send,
{
    spawn(settings, surroundings, false)
}

fn spawn<A: Root>(
    settings: Settings,
    surroundings: Surroundings,
    promoted: bool,
) -> std::io::Result<(Mailbox<A>, JoinHandle<()>)>
where
    A::Error: Send,
{
    let partition = settings.partition;
    let begin = surroundings.begin;
    let (inputs, received) = sync_channel(settings.mailbox + 1024);
    let beside = Arc::new(Beside::new(promoted));
    let mailbox = Mailbox { partition, inputs: inputs.clone(), beside: Arc::clone(&beside) };
    let driver = Driver::new(settings, surroundings, inputs, beside);
    let thread = std::thread::Builder::new().name(partition.to_string()).spawn(move || {
        begin(partition);
        driver.run(&received);
    })?;
    Ok((mailbox, thread))
}
