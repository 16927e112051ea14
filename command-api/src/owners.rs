//! The partitions this process owns, and the way to the owner of any aggregate.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::inventory::Inventory;
use domain::order::Order;
use domain::payment::Payment;
use domain::root::Root;
use domain::show::Show;
use domain::ticket::TicketBatch;
use domain::value::{Actor, Fingerprint};
use event_log::driver::{self, Mailbox, Outbox, Status, Surroundings};
use event_log::log::{Log, Partition};
use event_log::owner::{Now, Outcome, Settings, Submission, Target};
use event_log::partition::partition_of;
use event_log::state::State;
use schemas::Codec;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::config::OwnerSettings;

/// One command with who sends it, before it has a destination.
#[derive(Debug, Clone)]
pub struct Request<C> {
    /// What is asked.
    pub ask: C,
    /// Who asks.
    pub by: Actor,
    /// What a repeat is recognised by.
    pub id: domain::ids::CommandId,
    /// HMAC of the body.
    pub hash: Fingerprint,
    /// The request that it all started with.
    pub correlation_id: Uuid,
    /// What caused it.
    pub causation_id: Uuid,
    /// Not decided later than this from now; never too late if none.
    pub within: Option<Duration>,
}

/// An aggregate type that owners of this process hold.
pub trait Held: Root {
    /// The mailboxes of this type's partitions, by number.
    fn mailboxes(owners: &Owners) -> &[Mailbox<Self>];
}

macro_rules! held {
    ($($root:ident in $field:ident;)*) => {
        /// The mailboxes of all owners.
        pub struct Owners {
            $($field: Vec<Mailbox<$root>>,)*
            threads: std::sync::Mutex<Vec<JoinHandle<()>>>,
        }

        $(impl Held for $root {
            fn mailboxes(owners: &Owners) -> &[Mailbox<Self>] {
                &owners.$field
            }
        })*

        impl Owners {
            /// Starts the owner of every partition. Each serves once its claim is back.
            ///
            /// # Errors
            /// The operating system gives no thread.
            pub fn start(setup: &Setup) -> std::io::Result<Self> {
                let mut threads = Vec::new();
                $(let $field = start_all::<$root>(setup, &mut threads)?;)*
                Ok(Self { $($field,)* threads: std::sync::Mutex::new(threads) })
            }

            /// How every owner stands.
            pub fn statuses(&self) -> Vec<(Partition, Status)> {
                let mut all = Vec::new();
                $(all.extend(self.$field.iter().map(|mailbox| (mailbox.partition(), mailbox.status())));)*
                all
            }

            /// Tells every owner that something its outbox wanted was answered.
            pub fn settled(&self, cause: Partition, at: (i64, usize)) {
                $(if cause.context == <$root as Root>::CONTEXT {
                    self.$field[cause.number as usize].settled(at);
                })*
            }

            fn shut_down_all(&self) {
                $(self.$field.iter().for_each(Mailbox::shut_down);)*
            }
        }
    };
}

held! {
    Show in shows;
    Inventory in inventories;
    Order in orders;
    Payment in payments;
    TicketBatch in tickets;
}

/// What owners are started with.
pub struct Setup {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Encodes and decodes.
    pub codec: Codec,
    /// Their settings.
    pub settings: OwnerSettings,
    /// Where outgoing commands go.
    pub outbox: Outbox,
}

fn start_all<A: Root>(setup: &Setup, threads: &mut Vec<JoinHandle<()>>) -> std::io::Result<Vec<Mailbox<A>>> {
    let partitions = setup.settings.partitions;
    let mut mailboxes = Vec::new();
    for number in 0..partitions {
        let settings = settings(&setup.settings, Partition { context: A::CONTEXT, number });
        let surroundings = Surroundings {
            log: Arc::clone(&setup.log),
            codec: setup.codec.clone(),
            clock: Arc::new(now),
            new_claim: service_kit::random::id,
            outbox: Arc::clone(&setup.outbox),
        };
        let (mailbox, thread) = driver::start(settings, State::<A>::default(), surroundings)?;
        mailboxes.push(mailbox);
        threads.push(thread);
    }
    Ok(mailboxes)
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
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let mono = service_kit::clock::monotonic();
    let since = mono.saturating_duration_since(*START.get_or_init(service_kit::clock::monotonic));
    Now { wall: service_kit::clock::now(), mono: since }
}

impl Owners {
    /// How many partitions every topic has.
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.shows.len()).expect("partitions are counted in 32 bits")
    }

    /// Where an aggregate of this type lies.
    pub fn partition_of<A: Root>(&self, target: Target) -> Partition {
        let number = match target {
            Target::Id(id) => partition_of(id, self.partitions()),
            Target::Serial(serial) => {
                u32::try_from(serial % u64::from(self.partitions())).expect("a remainder is less than the count")
            }
        };
        Partition { context: A::CONTEXT, number }
    }

    /// Sends a command to the owner of its aggregate and waits for what it led to.
    pub async fn ask<A: Held>(&self, target: Target, request: Request<A::Ask>) -> Outcome<A> {
        let (reply, answered) = oneshot::channel();
        let partition = self.partition_of::<A>(target);
        let submission = Submission {
            target,
            ask: request.ask,
            by: request.by,
            id: request.id,
            hash: request.hash,
            correlation_id: request.correlation_id,
            causation_id: request.causation_id,
            deadline: request.within.map(|within| now().mono + within),
            reply: Box::new(move |outcome| {
                // A caller that went away wants no answer.
                let _ = reply.send(outcome);
            }) as driver::Reply<A>,
        };
        A::mailboxes(self)[partition.number as usize].submit(submission);
        // An owner that ends drops what waits: it may or may not have been carried out.
        answered.await.unwrap_or(Outcome::InDoubt)
    }

    /// Whether every partition is served; else the first reason why not.
    ///
    /// # Errors
    /// What is not served yet, or broken.
    pub fn ready(&self) -> Result<(), String> {
        for (partition, status) in self.statuses() {
            match status.broken {
                Some(broken) => return Err(format!("{partition} is broken: {broken}")),
                None if !status.serving => return Err(format!("{partition} is not served yet")),
                None => {}
            }
        }
        Ok(())
    }

    /// Stops intake and waits, bounded, until what is in flight is acknowledged. Blocks.
    pub fn shut_down(&self) {
        self.shut_down_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("an owner's thread panicked");
            }
        }
    }

    /// Every payment that its provider has to be asked about.
    pub fn watched_payments(&self) -> Vec<Uuid> {
        self.payments.iter().flat_map(|mailbox| mailbox.status().watched).collect()
    }
}
