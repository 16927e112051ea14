//! The partitions this process owns, and the way to the owner of any aggregate, here or in another instance.
//!
//! Invariant: a command goes to at most one other instance at a time, and is asked for again only if nothing can have come
//! of it.

mod holding;
mod request;
mod standbys;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::payment::Payment;
use domain::value::Actor;
use event_log::driver::Status;
use event_log::kafka::membership::Assignee;
use event_log::log::Partition;
use event_log::owner::{Outcome, Target};
use event_log::partition::partition_of;
use service_kit::clock;
use uuid::Uuid;

use crate::cluster::directory::Directory;
use crate::pressure::Pressure;
use holding::Holding;
pub use holding::{Held, Mailboxes, Setup, now};
pub use request::Request;
use standbys::Standbys;

/// What is not served just now is looked for again after so long, if nothing changes before.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// An instance that serves others well is not called unready while it takes a partition over, for so long.
const TAKING_OVER: Duration = Duration::from_secs(15);

/// The owners of this process's partitions.
pub struct Owners {
    setup: Setup,
    held: RwLock<BTreeMap<u32, Arc<Holding>>>,
    standbys: Standbys,
    pressure: Arc<Pressure>,
    /// Whether everything it had was served once.
    begun: AtomicBool,
}

impl Owners {
    /// Without a partition; the group hands them out.
    pub fn new(setup: Setup) -> Arc<Self> {
        let (held, begun) = (RwLock::default(), AtomicBool::new(false));
        Arc::new(Self { setup, held, standbys: Standbys::default(), pressure: Arc::default(), begun })
    }

    /// With every partition, where there is no group.
    pub fn of_everything(setup: Setup) -> Arc<Self> {
        let owners = Self::new(setup);
        let all: Vec<u32> = (0..owners.partitions()).collect();
        owners.assigned(&all);
        owners
    }

    /// Whether people wait too long.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// How many partitions every topic has.
    pub fn partitions(&self) -> u32 {
        self.setup.settings.partitions
    }

    /// Where an aggregate of this type lies.
    pub fn partition_of<A: Held>(&self, target: Target) -> Partition {
        let number = match target {
            Target::Id(id) => partition_of(id, self.partitions()),
            Target::Serial(serial) => {
                u32::try_from(serial % u64::from(self.partitions())).expect("a remainder is less than the count")
            }
        };
        Partition { context: A::CONTEXT, number }
    }

    /// Sends a command to the owner of its aggregate, wherever that is, and waits for what it led to. While nobody serves
    /// the partition it waits until somebody does, within the command's time.
    pub async fn ask<A: Held>(&self, target: Target, request: Request<A::Ask>) -> Outcome<A> {
        // Nearly always somebody serves it, and listening for changes costs everybody a lock.
        match self.ask_once(target, &request).await {
            Outcome::NotServed => self.ask_until_served(target, request).await,
            outcome => outcome,
        }
    }

    async fn ask_until_served<A: Held>(&self, target: Target, mut request: Request<A::Ask>) -> Outcome<A> {
        let (within, begun) = (request.within, clock::monotonic());
        loop {
            let mut changed = pin!(self.directory().changed());
            // Before the look, so that no change is missed after it.
            changed.as_mut().enable();
            request.within = within.map(|within| within.saturating_sub(begun.elapsed()));
            match self.ask_once(target, &request).await {
                Outcome::NotServed => {}
                outcome => return outcome,
            }
            let left = within.map_or(LOOK_AGAIN, |within| within.saturating_sub(begun.elapsed()));
            if left.is_zero() {
                return Outcome::NotServed;
            }
            let _ = tokio::time::timeout(left.min(LOOK_AGAIN), changed).await;
        }
    }

    async fn ask_once<A: Held>(&self, target: Target, request: &Request<A::Ask>) -> Outcome<A> {
        let number = self.partition_of::<A>(target).number;
        if self.holds(number) {
            return self.ask_here(target, request.clone()).await;
        }
        match (self.directory().owner(number), &self.setup.peers) {
            (Some(served), Some(peers)) if served.url != self.setup.settings.url => {
                peers.ask(&served.url, target, request).await
            }
            _ => Outcome::NotServed,
        }
    }

    /// As `ask`, and never from another instance: what is not served here is not served.
    pub async fn ask_here<A: Held>(&self, target: Target, request: Request<A::Ask>) -> Outcome<A> {
        match self.holding(self.partition_of::<A>(target).number) {
            Some(holding) => {
                let (by_us, begun) = (request.by == Actor::System, clock::monotonic());
                let outcome = holding.ask(target, request).await;
                if !by_us {
                    self.pressure.note(begun.elapsed());
                }
                outcome
            }
            None => Outcome::NotServed,
        }
    }

    /// How every owner of this process stands.
    pub fn statuses(&self) -> Vec<(Partition, Status)> {
        self.all().iter().flat_map(|holding| holding.statuses()).collect()
    }

    /// Every number that is served here in all its contexts, with the term of its claim on `catalog-events`.
    pub fn serving(&self) -> BTreeMap<u32, u32> {
        self.all().iter().filter_map(|holding| Some((holding.number(), holding.term()?))).collect()
    }

    /// Every number that is ours.
    pub fn numbers(&self) -> BTreeSet<u32> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Something an owner's outbox wanted was answered. Where the partition is ours no longer, whoever has it sends it again.
    pub fn settled(&self, cause: Partition, at: (i64, usize)) {
        if let Some(holding) = self.holding(cause.number) {
            holding.settled(cause.context, at);
        }
    }

    /// Whether everything that is ours is served; a partition that is just being taken over counts for a while.
    ///
    /// # Errors
    /// What is not served, or broken.
    pub fn ready(&self) -> Result<(), String> {
        let begun = self.begun.load(Ordering::Relaxed);
        for holding in self.all() {
            let patience = if begun { TAKING_OVER } else { Duration::ZERO };
            for (partition, status) in holding.statuses() {
                match status.broken {
                    Some(broken) => return Err(format!("{partition} is broken: {broken}")),
                    None if !status.serving && holding.age() >= patience => {
                        return Err(format!("{partition} is not served yet"));
                    }
                    None => {}
                }
            }
        }
        self.begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Gives everything up in order, and waits for that, bounded. Blocks: not to be called on a thread of the runtime.
    pub fn shut_down(&self) {
        let all: Vec<u32> = self.numbers().into_iter().collect();
        self.revoked(&all);
    }

    /// Every payment of ours that its provider has to be asked about.
    pub fn watched_payments(&self) -> Vec<Uuid> {
        let watched = |holding: &Arc<Holding>| Payment::mailbox(holding.mailboxes()).status().watched;
        self.all().iter().flat_map(watched).collect()
    }

    fn directory(&self) -> &Directory {
        &self.setup.directory
    }

    fn holds(&self, number: u32) -> bool {
        self.held.read().unwrap_or_else(PoisonError::into_inner).contains_key(&number)
    }

    fn holding(&self, number: u32) -> Option<Arc<Holding>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    fn all(&self) -> Vec<Arc<Holding>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Assignee for Owners {
    fn assigned(&self, numbers: &[u32]) {
        for number in numbers {
            // Until it is ours, nobody begins to stand by for it.
            let mut standing = self.standbys.lock();
            let started = match standing.remove(number) {
                Some(standby) => Ok(standby.promoted()),
                None => Holding::start(*number, &self.setup),
            };
            match started {
                Ok(holding) => {
                    let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
                    held.insert(*number, Arc::new(holding));
                }
                Err(error) => {
                    tracing::error!(partition.number = number, %error, "the owners of a partition cannot be started")
                }
            }
        }
        metrics::gauge!("boxoffice_partitions_held").set(self.numbers().len() as f64);
    }

    /// Effects that are under way get a moment, while the partition is still served; then nothing is taken any more, what is
    /// in flight is acknowledged or in doubt, and the outbox is left to the successor.
    fn revoked(&self, numbers: &[u32]) {
        let holding = |number: &u32| self.holding(*number);
        let leaving: Vec<Arc<Holding>> = numbers.iter().filter_map(holding).collect();
        holding::let_effects_end(&leaving);
        {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            held.retain(|number, _| !numbers.contains(number));
        }
        holding::end(&leaving);
        metrics::gauge!("boxoffice_partitions_held").set(self.numbers().len() as f64);
    }
}
