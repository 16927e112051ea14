//! One partition number while it is ours: an owner for every context, each on a thread of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use domain::account::Account;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::payment::Payment;
use domain::queue::WaitingRoom;
use domain::root::{Context, Root};
use domain::show::Show;
use domain::ticket::TicketBatch;
use event_log::driver::{self, Mailbox, Outbox, Standing, Status, Surroundings, Vouch};
use event_log::log::{Log, Partition};
use event_log::owner::{Now, Outcome, Settings, Submission, Target};
use event_log::snapshot::Snapshots;
use schemas::Codec;
use service_kit::spans::{Kind, Span};
use service_kit::{clock, priority, trace};
use tokio::sync::oneshot;

use super::Request;
use crate::cluster::directory::Directory;
use crate::cluster::peers::Peers;
use crate::config::OwnerSettings;
use crate::outbox::{Collector, Tenure};

/// Effects under way get so long to end before their partition is given up.
const EFFECTS_END: Duration = Duration::from_secs(2);
/// An owner that has not ended by then is left to itself; its appends are void once another has claimed.
const OWNERS_END: Duration = Duration::from_secs(14);

/// What owners are started with.
pub struct Setup {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Encodes and decodes.
    pub codec: Codec,
    /// Their settings.
    pub settings: OwnerSettings,
    /// Where outgoing commands go.
    pub outbox: Collector,
    /// Who serves what is not ours.
    pub directory: Arc<Directory>,
    /// The way there; none where this instance is alone.
    pub peers: Option<Peers>,
    /// Says whether a partition is still ours.
    pub vouch: Vouch,
    /// Where restarts begin; none to read the whole log.
    pub snapshots: Option<Arc<Snapshots>>,
    /// At most so many partition numbers of others are stood by for.
    pub standbys: usize,
}

impl Setup {
    /// For a single process without a group, other instances and snapshots.
    pub fn alone(log: Arc<dyn Log>, codec: Codec, settings: OwnerSettings, outbox: Collector) -> Self {
        let vouch = driver::vouch_always();
        let directory = Arc::default();
        Self { log, codec, settings, outbox, directory, peers: None, vouch, snapshots: None, standbys: 0 }
    }
}

/// An aggregate type that owners hold.
pub trait Held: Root {
    /// The mailbox of this type's owner.
    fn mailbox(of: &Mailboxes) -> &Mailbox<Self>;
}

macro_rules! held {
    ($($root:ident in $field:ident;)*) => {
        /// The mailboxes of one partition number, one for every context.
        pub struct Mailboxes {
            $($field: Mailbox<$root>,)*
        }

        $(impl Held for $root {
            fn mailbox(of: &Mailboxes) -> &Mailbox<Self> {
                &of.$field
            }
        })*

        impl Mailboxes {
            fn start(
                number: u32,
                setup: &Setup,
                outbox: &Outbox,
                duty: Duty,
            ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
                $(let $field = start::<$root>(number, setup, outbox, duty)?;)*
                let threads = vec![$($field.1,)*];
                Ok((Self { $($field: $field.0,)* }, threads))
            }

            fn statuses(&self) -> Vec<(Partition, Status)> {
                vec![$((self.$field.partition(), self.$field.status()),)*]
            }

            fn settled(&self, context: Context, at: (i64, usize)) {
                $(if context == <$root as Root>::CONTEXT {
                    self.$field.settled(at);
                })*
            }

            fn promote(&self) {
                $(self.$field.promote();)*
            }

            fn shut_down(&self) {
                $(self.$field.shut_down();)*
            }
        }
    };
}

held! {
    Show in show;
    WaitingRoom in waiting_room;
    Inventory in inventory;
    Order in order;
    Payment in payment;
    TicketBatch in ticket_batch;
    Account in account;
}

/// What a partition number is held for.
#[derive(Debug, Clone, Copy)]
enum Duty {
    Own,
    StandBy,
}

fn start<A: Root>(
    number: u32,
    setup: &Setup,
    outbox: &Outbox,
    duty: Duty,
) -> std::io::Result<(Mailbox<A>, JoinHandle<()>)>
where
    A::Error: Send,
{
    let settings = settings(&setup.settings, Partition { context: A::CONTEXT, number });
    let surroundings = Surroundings {
        log: Arc::clone(&setup.log),
        codec: setup.codec.clone(),
        clock: Arc::new(now),
        new_claim: service_kit::random::id,
        outbox: Arc::clone(outbox),
        vouch: Arc::clone(&setup.vouch),
        snapshots: setup.snapshots.clone(),
        begin,
    };
    match duty {
        Duty::Own => driver::start(settings, surroundings),
        Duty::StandBy => driver::stand_by(settings, surroundings),
    }
}

/// People wait for a place and for stock. The rest is mostly what sagas make of it.
fn begin(partition: Partition) {
    match partition.context {
        Context::Catalog | Context::Queue | Context::Inventory => {}
        Context::Order | Context::Payment | Context::Ticket | Context::Account => priority::behind_others(),
    }
}

fn settings(common: &OwnerSettings, partition: Partition) -> Settings {
    Settings {
        partition,
        partitions: common.partitions,
        instance: common.instance.clone(),
        url: common.url.clone(),
        ack_deadline: common.ack_deadline,
        barrier_after: common.barrier_after,
        takeover_grace: common.takeover_grace,
        in_flight: 500,
        mailbox: common.mailbox,
        settle_every: Duration::from_secs(1),
        clock_tolerance: Duration::from_secs(2),
    }
}

/// Both clocks.
pub fn now() -> Now {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let mono = clock::monotonic();
    let since = mono.saturating_duration_since(*START.get_or_init(clock::monotonic));
    Now { wall: clock::now(), mono: since }
}

/// One partition number of ours, or one of others that is stood by for.
pub(super) struct Holding {
    number: u32,
    since: Instant,
    mailboxes: Mailboxes,
    threads: Mutex<Vec<JoinHandle<()>>>,
    tenure: Arc<Tenure>,
}

impl Holding {
    /// Starts its owners. Each serves once its claim is back.
    pub(super) fn start(number: u32, setup: &Setup) -> std::io::Result<Self> {
        Self::with(number, setup, Duty::Own)
    }

    /// Follows what its owners write, wherever they are.
    pub(super) fn stand_by(number: u32, setup: &Setup) -> std::io::Result<Self> {
        Self::with(number, setup, Duty::StandBy)
    }

    fn with(number: u32, setup: &Setup, duty: Duty) -> std::io::Result<Self> {
        let tenure = Arc::new(Tenure::default());
        let (mailboxes, threads) = Mailboxes::start(number, setup, &setup.outbox.during(&tenure), duty)?;
        Ok(Self { number, since: clock::monotonic(), mailboxes, threads: Mutex::new(threads), tenure })
    }

    /// It is ours from now on: what stood by goes on as its owners.
    pub(super) fn promoted(self) -> Self {
        self.mailboxes.promote();
        Self { since: clock::monotonic(), ..self }
    }

    /// Whether what stands by has read all that there was.
    pub(super) fn has_caught_up(&self) -> bool {
        let caught_up = |(_, status): (Partition, Status)| status.caught_up;
        self.statuses().into_iter().all(caught_up)
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
    }

    pub(super) fn statuses(&self) -> Vec<(Partition, Status)> {
        self.mailboxes.statuses()
    }

    pub(super) fn settled(&self, context: Context, at: (i64, usize)) {
        self.mailboxes.settled(context, at);
    }

    /// The term of the claim on `catalog-events`, if every context is served.
    pub(super) fn term(&self) -> Option<u32> {
        let statuses = self.statuses();
        let all = statuses.iter().all(|(_, status)| status.serving);
        let catalog = statuses.iter().find(|(partition, _)| partition.context == Context::Catalog);
        catalog.filter(|_| all).map(|(_, status)| status.term)
    }

    /// Asks its owner, if that serves: what waits in the mailbox of one that does not yet may wait too long to say no.
    pub(super) async fn ask<A: Held>(&self, target: Target, request: Request<A::Ask>) -> Outcome<A> {
        let mailbox = A::mailbox(&self.mailboxes);
        if mailbox.standing() == Standing::NotServing {
            return Outcome::NotServed;
        }
        let mut span = Span::below(trace::step(), Kind::Producer, command_to(A::CONTEXT));
        if let Some(span) = &mut span {
            span.set("partition", mailbox.partition().to_string());
            span.set("command.id", request.id.to_string());
        }
        let (reply, answered) = oneshot::channel();
        mailbox.submit(Submission {
            target,
            ask: request.ask,
            by: request.by,
            id: request.id,
            hash: request.hash,
            correlation_id: request.correlation_id,
            causation_id: request.causation_id,
            trace: span.as_ref().map(Span::context).or_else(trace::step).map(Arc::new),
            deadline: request.within.map(|within| now().mono + within),
            reply: Box::new(move |outcome| {
                // A caller that went away wants no answer.
                let _ = reply.send(outcome);
            }) as driver::Reply<A>,
        });
        // An owner that panics drops what waits: it may or may not have been carried out.
        let outcome = answered.await.unwrap_or(Outcome::InDoubt);
        if let Some(span) = &mut span {
            span.set("outcome", word(&outcome));
        }
        outcome
    }
}

/// The name of the step in which a command is decided and acknowledged.
const fn command_to(context: Context) -> &'static str {
    match context {
        Context::Catalog => "command show",
        Context::Queue => "command waiting room",
        Context::Inventory => "command inventory",
        Context::Order => "command order",
        Context::Payment => "command payment",
        Context::Ticket => "command tickets",
        Context::Account => "command person",
    }
}

/// What a command led to, in a word.
fn word<A: Root>(outcome: &Outcome<A>) -> &'static str {
    match outcome {
        Outcome::Done(answer) if answer.replayed => "repeated",
        Outcome::Done(_) => "done",
        Outcome::Refused(_) => "refused",
        Outcome::NoSuchSerial => "no-such-serial",
        Outcome::KeyReused => "key-reused",
        Outcome::TooLarge => "too-large",
        Outcome::TooLate => "too-late",
        Outcome::Overloaded => "overloaded",
        Outcome::NotServed => "not-served",
        Outcome::InDoubt => "in-doubt",
        Outcome::Broken => "broken",
    }
}

/// Begins nothing new of their outboxes, and waits, bounded, for calls to the world outside that are under way: one that is
/// cut off has to be made again, and a payment page that was made twice is lost to its buyer.
pub(super) fn let_effects_end(holdings: &[Arc<Holding>]) {
    holdings.iter().for_each(|holding| holding.tenure.begin_to_end());
    let begun = clock::monotonic();
    while !holdings.iter().all(|holding| holding.tenure.effects_ended()) {
        if begun.elapsed() >= EFFECTS_END {
            tracing::info!("effects that are still under way are left to the successor");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the owners: intake first, everywhere, then what is in flight, bounded.
pub(super) fn end(holdings: &[Arc<Holding>]) {
    holdings.iter().for_each(|holding| holding.mailboxes.shut_down());
    let begun = clock::monotonic();
    for holding in holdings {
        let threads = std::mem::take(&mut *holding.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            while !thread.is_finished() && begun.elapsed() < OWNERS_END {
                std::thread::sleep(Duration::from_millis(2));
            }
            if !thread.is_finished() {
                tracing::error!(partition.number = holding.number, "an owner does not end, and is left to itself");
            } else if thread.join().is_err() {
                tracing::error!(partition.number = holding.number, "an owner's thread panicked");
            }
        }
        holding.tenure.end();
    }
}
