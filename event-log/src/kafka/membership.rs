//! Who works on which partition number: a consumer group that reads nothing.
//!
//! It is liveness only; safety never depends on it (DESIGN.md, section 5).
//! Invariant: a number is given up, or its owner has had its time to, before the group can give it to another member. Only
//! a member that was thrown out (it was silent for longer than its session) gives up late.

mod vouch;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use domain::root::Context;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::{KafkaSettings, failed, number};
use crate::log::LogError;
pub use vouch::Vouched;
use vouch::Voucher;

/// How soon a wish to leave is noticed.
const NOTICE: Duration = Duration::from_millis(50);
/// A client that can do no more is made anew after so long.
const ANEW: Duration = Duration::from_secs(1);
/// Leaving the group takes no longer, once everything is given up.
const FAREWELL: Duration = Duration::from_secs(3);
/// A member that does not answer the group's wish for so long is thrown out; giving up takes less.
const UNRESPONSIVE: Duration = Duration::from_secs(60);

/// Gets told which partition numbers are ours. Called from the membership's own thread, one call after the other.
pub trait Assignee: Send + Sync + 'static {
    /// These are ours from now on, beside those that are already. Must not block.
    fn assigned(&self, numbers: &[u32]);

    /// These are ours no longer. Blocks, bounded, until they are given up: another gets them when this returns.
    fn revoked(&self, numbers: &[u32]);
}

/// What the group says of us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the group knows us; a member may have nothing to do.
    pub member: bool,
    /// What is ours.
    pub assigned: BTreeSet<u32>,
}

/// The membership of one process in one group. Dropping it leaves the group, without waiting for that.
pub struct Membership {
    shared: Arc<Shared>,
    voucher: Voucher,
}

/// What the threads of a membership share.
struct Shared {
    topic: String,
    partitions: u32,
    assignee: Arc<dyn Assignee>,
    standing: Mutex<Standing>,
    consumer: Mutex<Weak<Member>>,
    leaving: AtomicBool,
    left: Mutex<bool>,
    has_left: Condvar,
}

/// The client, with what its rebalances lead to.
type Member = BaseConsumer<Rebalanced>;

struct Rebalanced(Arc<Shared>);

impl Membership {
    /// Joins a group on the partitions of `catalog-events`. This does not wait for the broker.
    ///
    /// # Errors
    /// A property that librdkafka does not take, or the operating system gives no thread.
    pub fn join(
        settings: &KafkaSettings,
        group: &str,
        partitions: u32,
        session_timeout: Duration,
        assignee: Arc<dyn Assignee>,
    ) -> Result<Self, LogError> {
        let shared = Arc::new(Shared {
            topic: settings.name(Context::Catalog.topic()),
            partitions,
            assignee,
            standing: Mutex::default(),
            consumer: Mutex::default(),
            leaving: AtomicBool::new(false),
            left: Mutex::new(false),
            has_left: Condvar::new(),
        });
        let config = config(settings, group, session_timeout);
        let first = shared.subscribed(&config)?;
        let voucher = Voucher::start(&shared).map_err(|error| failed("start a thread of the group", &error))?;
        let member = Arc::clone(&shared);
        let run = move || member.run(&config, first);
        let thread = thread::Builder::new().name("membership".to_owned()).spawn(run);
        thread.map_err(|error| failed("start a thread of the group", &error))?;
        Ok(Self { shared, voucher })
    }

    /// What the group says of us.
    pub fn standing(&self) -> Standing {
        self.shared.standing().clone()
    }

    /// Asks the group's coordinator whether a number is still ours, by a commit that a stale member is refused. The reply
    /// comes from another thread, false after a few seconds without an answer.
    pub fn vouch(&self, number: u32, reply: Vouched) {
        self.voucher.ask(number, reply);
    }

    /// Gives up everything, then leaves the group, so that others take over at once and not after our session's end.
    /// Blocks until that is done, at most `limit`; tells whether it is.
    pub fn leave(&self, limit: Duration) -> bool {
        self.shared.leaving.store(true, Ordering::Release);
        let left = self.shared.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, _) =
            self.shared.has_left.wait_timeout_while(left, limit, |left| !*left).unwrap_or_else(PoisonError::into_inner);
        *left
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.shared.leaving.store(true, Ordering::Release);
    }
}

/// How a client ended.
enum Ended {
    Leaving,
    Fatal,
}

impl Shared {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn subscribed(self: &Arc<Self>, config: &ClientConfig) -> Result<Arc<Member>, LogError> {
        let member = BaseConsumer::from_config_and_context(config, Rebalanced(Arc::clone(self)))
            .map_err(|error| failed("create the client of a group", &error))?;
        member.subscribe(&[&self.topic]).map_err(|error| failed("join a group", &error))?;
        let member = Arc::new(member);
        *self.consumer.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&member);
        Ok(member)
    }

    fn run(self: &Arc<Self>, config: &ClientConfig, first: Arc<Member>) {
        if catch_unwind(AssertUnwindSafe(|| self.take_part(config, first))).is_err() {
            tracing::error!("the membership's thread panicked: this process takes no part any more");
            *self.standing() = Standing::default();
        }
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.has_left.notify_all();
    }

    fn take_part(self: &Arc<Self>, config: &ClientConfig, first: Arc<Member>) {
        let mut member = Some(first);
        while !self.is_leaving() {
            let Some(current) = member.take() else {
                thread::sleep(ANEW);
                match self.subscribed(config) {
                    Ok(anew) => member = Some(anew),
                    Err(error) => tracing::error!(%error, "the group cannot be joined again"),
                }
                continue;
            };
            match self.poll(&current) {
                // Given up while the group still hears from us: a client that has unsubscribed sends no heartbeats.
                Ended::Leaving => self.give_up_all(),
                Ended::Fatal => {
                    tracing::error!("the group's client can do no more, and is made anew");
                    self.give_up_all();
                }
            }
            farewell(current);
        }
        self.give_up_all();
    }

    fn poll(&self, member: &Member) -> Ended {
        while !self.is_leaving() {
            match member.poll(NOTICE) {
                // Its partitions are paused: a record slips through at most between assigning and pausing.
                None | Some(Ok(_)) => {}
                Some(Err(KafkaError::MessageConsumptionFatal(_))) => return Ended::Fatal,
                Some(Err(error)) => tracing::debug!(%error, "the group's client reports a problem and goes on"),
            }
        }
        Ended::Leaving
    }

    fn assigned(&self, numbers: &[u32]) {
        if self.is_leaving() {
            return;
        }
        let fresh: Vec<u32> = {
            let mut standing = self.standing();
            standing.member = true;
            numbers.iter().copied().filter(|number| standing.assigned.insert(*number)).collect()
        };
        tracing::info!(partition.numbers = ?fresh, "the group gives us partitions");
        if !fresh.is_empty() {
            self.assignee.assigned(&fresh);
        }
    }

    /// Nothing is vouched for from the first moment on.
    fn revoked(&self, numbers: &[u32], lost: bool) {
        let ours: Vec<u32> = {
            let mut standing = self.standing();
            standing.member = standing.member && !lost;
            numbers.iter().copied().filter(|number| standing.assigned.remove(number)).collect()
        };
        if !ours.is_empty() {
            let begun = Instant::now();
            self.assignee.revoked(&ours);
            let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(partition.numbers = ?ours, lost, took_ms, "gave partitions up");
        }
    }

    fn give_up_all(&self) {
        let all: Vec<u32> = self.standing().assigned.iter().copied().collect();
        self.revoked(&all, true);
    }

    fn numbers(&self, list: &TopicPartitionList) -> Vec<u32> {
        let all = list.elements();
        let ours = all.iter().filter(|element| element.topic() == self.topic);
        let numbers = ours.filter_map(|element| u32::try_from(element.partition()).ok());
        numbers.filter(|number| *number < self.partitions).collect()
    }
}

/// Leaves the group. Nothing is left to revoke by now, and whoever vouches gets a moment to end: the last one to hold the
/// client closes it, which blocks.
fn farewell(member: Arc<Member>) {
    member.unsubscribe();
    let until = Instant::now() + FAREWELL;
    while Instant::now() < until {
        // What comes is of no interest any more; polling lets the group's wishes be answered.
        drop(member.poll(Duration::from_millis(10)));
        let released = Arc::strong_count(&member) == 1;
        if released && member.assignment().is_ok_and(|list| list.count() == 0) {
            break;
        }
    }
}

impl ClientContext for Rebalanced {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the group's client reports a problem and goes on");
    }
}

impl ConsumerContext for Rebalanced {
    /// In place of the default, which asks the client for its protocol: a client that closes does not answer that well.
    fn rebalance(&self, member: &Member, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let shared = &self.0;
        let numbers = shared.numbers(list);
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if let Err(error) = assign(member, list) {
                tracing::error!(%error, "an assignment cannot be taken");
            }
            shared.assigned(&numbers);
            return;
        }
        let lost = member.assignment_lost();
        if lost {
            tracing::warn!(partition.numbers = ?numbers, "the group has thrown us out: others may have our partitions already");
        }
        shared.revoked(&numbers, lost);
        if let Err(error) = member.incremental_unassign(list) {
            tracing::debug!(%error, "a revocation is taken whole");
            if let Err(error) = member.unassign() {
                tracing::warn!(%error, "a revocation cannot be taken");
            }
        }
    }
}

/// From a fixed offset, so that none is looked for, and paused at once: nothing is read.
fn assign(member: &Member, list: &mut TopicPartitionList) -> Result<(), KafkaError> {
    list.set_all_offsets(Offset::Offset(0))?;
    member.incremental_assign(list)?;
    member.pause(list)
}

fn config(settings: &KafkaSettings, group: &str, session_timeout: Duration) -> ClientConfig {
    let session_ms = session_timeout.as_millis();
    let mut config = settings.client();
    config
        .set("group.id", settings.name(group))
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session_ms.to_string())
        .set("heartbeat.interval.ms", (session_ms / 6).max(100).to_string())
        .set("max.poll.interval.ms", UNRESPONSIVE.max(session_timeout).as_millis().to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest");
    settings.finish(config)
}

/// The list that is committed to vouch for numbers. An offset has to be in it: a commit of none is not even sent.
fn offsets(topic: &str, numbers: impl Iterator<Item = u32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for it in numbers {
        list.add_partition_offset(topic, number(it), Offset::Offset(0)).expect("0 is an offset");
    }
    list
}
