//! Warm consumers: a fresh one takes half a second to its first record.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::types::RDKafkaErrorCode;

use super::tail::{NOTICE, Run, Start, Tail, Tailed};
use super::{KafkaSettings, failed};
use crate::log::LogError;

/// Transport problems pass by themselves: they are logged, and polling goes on.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        // Reaching the end is no problem, and is handed over where it is asked for.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        tracing::warn!(%error, reason, "the Kafka consumer reports a problem and goes on");
    }
}

impl ConsumerContext for Quiet {}

pub(super) type Client = BaseConsumer<Quiet>;
/// A topic and a partition of it.
pub(super) type Place = (String, i32);

struct Warm {
    client: Arc<Client>,
    /// What it is assigned, and whether that has been stopped but not yet unassigned.
    taken: HashMap<Place, Arc<AtomicBool>>,
    /// What it has been told about.
    topics: HashSet<String>,
}

impl Warm {
    fn new(client: Arc<Client>) -> Self {
        Self { client, taken: HashMap::new(), topics: HashSet::new() }
    }
}

/// A place on a consumer.
struct Reserved {
    client: Arc<Client>,
    new_topic: bool,
}

/// One consumer, and more only while one partition has several followers.
pub(super) struct Pool {
    config: ClientConfig,
    first: Arc<Client>,
    warm: Mutex<Vec<Warm>>,
    released: Condvar,
}

impl Pool {
    /// Opens the first consumer, so that it is warm when it is needed.
    pub(super) fn open(settings: &KafkaSettings) -> Result<Self, LogError> {
        let config = config(settings);
        let first = client(&config)?;
        let warm = Mutex::new(vec![Warm::new(Arc::clone(&first))]);
        Ok(Self { config, first, warm, released: Condvar::new() })
    }

    /// A client to ask things.
    pub(super) fn any(&self) -> &Client {
        &self.first
    }

    /// Follows a partition on a thread of its own, and returns at once.
    pub(super) fn tail(
        self: &Arc<Self>,
        topic: String,
        partition: i32,
        from: Start,
        hand_over: impl FnMut(Tailed) + Send + 'static,
    ) -> Tail {
        let stopped = Arc::new(AtomicBool::new(false));
        let pool = Arc::clone(self);
        let tail = Tail { stopped: Arc::clone(&stopped) };
        let name = format!("tail-{partition}");
        let run = move || {
            let place = (topic, partition);
            let Some(Reserved { client, new_topic }) = pool.reserve(&place, &stopped) else {
                return;
            };
            Run::new(&client, &place, from, stopped, hand_over).run(new_topic);
            pool.release(&client, &place);
        };
        thread::Builder::new().name(name).spawn(run).expect("the operating system gives a thread");
        tail
    }

    /// A consumer that does not have the partition. One that is about to give it up is waited for.
    fn reserve(&self, place: &Place, stopped: &Arc<AtomicBool>) -> Option<Reserved> {
        let mut warm = self.lock();
        while !stopped.load(Ordering::Acquire) {
            if let Some(free) = warm.iter_mut().find(|warm| !warm.taken.contains_key(place)) {
                free.taken.insert(place.clone(), Arc::clone(stopped));
                let new_topic = free.topics.insert(place.0.clone());
                return Some(Reserved { client: Arc::clone(&free.client), new_topic });
            }
            let ends = warm.iter().any(|warm| warm.taken[place].load(Ordering::Acquire));
            if !ends {
                match client(&self.config) {
                    Ok(client) => {
                        warm.push(Warm::new(client));
                        continue;
                    }
                    Err(error) => tracing::error!(%error, "cannot follow a partition; trying again"),
                }
            }
            let waited = self.released.wait_timeout(warm, NOTICE);
            warm = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn release(&self, client: &Arc<Client>, place: &Place) {
        for warm in self.lock().iter_mut().filter(|warm| Arc::ptr_eq(&warm.client, client)) {
            warm.taken.remove(place);
        }
        self.released.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Warm>> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(config: &ClientConfig) -> Result<Arc<Client>, LogError> {
    let client = BaseConsumer::from_config_and_context(config, Quiet);
    let client = Arc::new(client.map_err(|error| failed("create a Kafka consumer", &error))?);
    // Its own queue carries errors and callbacks, which have to be served; records go to the partitions' queues.
    let weak = Arc::downgrade(&client);
    let serve = move || {
        while let Some(client) = weak.upgrade() {
            match client.poll(NOTICE) {
                None => {}
                Some(Ok(message)) => {
                    let (topic, partition) = (message.topic(), message.partition());
                    tracing::warn!(
                        topic,
                        partition.number = partition,
                        offset = message.offset(),
                        "a record came by the wrong queue"
                    );
                }
                Some(Err(error)) => tracing::debug!(%error, "the Kafka consumer goes on after a problem"),
            }
        }
    };
    let spawned = thread::Builder::new().name("kafka-consumer".to_owned()).spawn(serve);
    spawned.map_err(|error| failed("start a consumer's thread", &error))?;
    Ok(client)
}

/// How every consumer is set up.
pub(super) fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = settings.client();
    config
        // Never joined, and nothing is committed in it; without a name there is no assignment.
        .set("group.id", settings.name("boxoffice-tail"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "10")
        // A fetch for every record would cost more than the record; what is less waits for the 10 ms above.
        .set("fetch.min.bytes", "65536")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "16384")
        .set("check.crcs", "true");
    settings.finish(config)
}
