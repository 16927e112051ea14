//! The producer: appends in order without waiting, counts what is under way, and is replaced when it can do no more.
//!
//! Invariant: `flush` and `poll` are never called on a producer in use; they would run callbacks on a second thread.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use domain::trace::{TRACEPARENT, TraceContext};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use tokio::time::Instant;

use super::{KafkaSettings, PRODUCER_MAX_BYTES, failed};
use crate::batch::Batch;
use crate::frame::HEADER;
use crate::log::LogError;

/// librdkafka gives a record up after so long; the owner's own deadline comes long before.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// A producer with something under way and no report for so long is stuck.
const STUCK: Duration = Duration::from_secs(33);
/// How often the keeper looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long a producer that is given up may take to report what it has.
const FAREWELL: Duration = Duration::from_secs(5);

/// A record to append.
pub(super) struct Outgoing<'a> {
    pub(super) key: &'a [u8],
    /// The `frame` header, if it has one.
    pub(super) header: Option<&'a [u8]>,
    /// None is a tombstone.
    pub(super) value: Option<&'a [u8]>,
    /// The `traceparent` header, if it has one.
    pub(super) trace: Option<&'a TraceContext>,
}

impl Outgoing<'_> {
    fn headers(&self) -> Option<OwnedHeaders> {
        let frame = Header { key: HEADER, value: Some(self.header?) };
        let Some(trace) = self.trace else { return Some(OwnedHeaders::new_with_capacity(1).insert(frame)) };
        let trace = trace.to_string();
        // Behind the frame, which readers look for first.
        let traced = Header { key: TRACEPARENT, value: Some(trace.as_bytes()) };
        Some(OwnedHeaders::new_with_capacity(2).insert(frame).insert(traced))
    }
}

/// Appends; whoever serves as the producer at the moment.
pub(super) struct Producer {
    current: Arc<RwLock<Arc<Live>>>,
    keeper: Sender<Order>,
}

/// What the keeper is told.
enum Order {
    /// The records of a batch from this index on could not be enqueued.
    Refused { batch: Arc<Batch>, from: usize, to: usize, detail: String },
    /// The producer of this generation can do no more.
    Replace(u64),
    /// The log was dropped.
    Stop,
}

struct Live {
    producer: ThreadedProducer<Watcher>,
    generation: u64,
    health: Arc<Health>,
}

/// Counted by the appending threads and the reporting one.
struct Health {
    since: Instant,
    under_way: AtomicI64,
    /// Milliseconds after `since` of the last report, or of the first append after a pause.
    progressed: AtomicU64,
}

impl Health {
    fn progress(&self) {
        self.progressed.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).expect("less than 584 million years")
    }

    fn is_stuck(&self) -> bool {
        let silent_ms = self.elapsed_ms().saturating_sub(self.progressed.load(Ordering::Relaxed));
        self.under_way.load(Ordering::Relaxed) > 0 && u128::from(silent_ms) > STUCK.as_millis()
    }
}

/// Which record a delivery report is about.
pub(super) struct Slot {
    batch: Arc<Batch>,
    index: usize,
}

/// Takes delivery reports and errors, on the producer's own thread.
struct Watcher {
    generation: u64,
    health: Arc<Health>,
    keeper: Sender<Order>,
}

impl Watcher {
    fn give_up(&self) {
        // A keeper that is gone disposes of every producer.
        let _ = self.keeper.send(Order::Replace(self.generation));
    }
}

impl ClientContext for Watcher {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            tracing::error!(reason, "the Kafka producer failed for good and is replaced");
            self.give_up();
        } else {
            tracing::warn!(%error, reason, "the Kafka producer reports a problem and goes on");
        }
    }
}

impl ProducerContext for Watcher {
    type DeliveryOpaque = Box<Slot>;

    fn delivery(&self, delivery: &DeliveryResult<'_>, slot: Box<Slot>) {
        self.health.under_way.fetch_sub(1, Ordering::Relaxed);
        self.health.progress();
        let result = match delivery {
            // Only here does the offset mean anything.
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => {
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
                    self.give_up();
                }
                Err(error.to_string())
            }
        };
        slot.batch.report(slot.index, result);
    }
}

impl Producer {
    /// Creates the first producer early: its first append takes up to half a second otherwise.
    pub(super) fn start(settings: &KafkaSettings) -> Result<Self, LogError> {
        let config = config(settings);
        let (keeper, orders) = channel();
        let first = Live::create(&config, 0, keeper.clone())?;
        let current = Arc::new(RwLock::new(Arc::new(first)));
        let task = Keeper { config, current: Arc::clone(&current), keeper: keeper.clone(), replaced: Instant::now() };
        let spawned = thread::Builder::new().name("kafka-keeper".to_owned()).spawn(move || task.run(&orders));
        spawned.map_err(|error| failed("start the thread that looks after the producer", &error))?;
        Ok(Self { current, keeper })
    }

    /// Enqueues the records of a batch in order, without waiting.
    pub(super) fn append<'a>(
        &self,
        topic: &str,
        partition: i32,
        batch: &Arc<Batch>,
        records: impl ExactSizeIterator<Item = Outgoing<'a>>,
    ) {
        let live = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let to = records.len();
        for (index, record) in records.enumerate() {
            let Err(error) = live.enqueue(topic, partition, Slot { batch: Arc::clone(batch), index }, &record) else {
                continue;
            };
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
                let _ = self.keeper.send(Order::Replace(live.generation));
            }
            // Not reported here: the caller may be whom the report would have to wait for.
            let refused = Order::Refused { batch: Arc::clone(batch), from: index, to, detail: error.to_string() };
            self.keeper.send(refused).expect("the keeper ends after this was dropped");
            return;
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // A keeper that panicked needs no order.
        let _ = self.keeper.send(Order::Stop);
    }
}

impl Live {
    fn create(config: &ClientConfig, generation: u64, keeper: Sender<Order>) -> Result<Self, LogError> {
        let (under_way, progressed) = (AtomicI64::new(0), AtomicU64::new(0));
        let health = Arc::new(Health { since: Instant::now(), under_way, progressed });
        let watcher = Watcher { generation, health: Arc::clone(&health), keeper };
        let producer = ThreadedProducer::from_config_and_context(config, watcher)
            .map_err(|error| failed("create the Kafka producer", &error))?;
        Ok(Self { producer, generation, health })
    }

    fn enqueue(&self, topic: &str, partition: i32, slot: Slot, record: &Outgoing<'_>) -> Result<(), KafkaError> {
        let mut message = BaseRecord::with_opaque_to(topic, Box::new(slot)).partition(partition).key(record.key);
        message.payload = record.value;
        message.headers = record.headers();
        if self.health.under_way.fetch_add(1, Ordering::Relaxed) == 0 {
            self.health.progress();
        }
        self.producer.send(message).map_err(|(error, _)| {
            self.health.under_way.fetch_sub(1, Ordering::Relaxed);
            error
        })
    }
}

/// Reports what could not be enqueued, and replaces producers.
struct Keeper {
    config: ClientConfig,
    current: Arc<RwLock<Arc<Live>>>,
    keeper: Sender<Order>,
    replaced: Instant,
}

impl Keeper {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut given_up: Option<u64> = None;
        loop {
            match orders.recv_timeout(LOOK) {
                Ok(Order::Refused { batch, from, to, detail }) => {
                    (from..to).for_each(|index| batch.report(index, Err(detail.clone())));
                }
                Ok(Order::Replace(generation)) => given_up = given_up.max(Some(generation)),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let live = self.live();
            if given_up == Some(live.generation) || live.health.is_stuck() {
                self.replace(live);
            }
        }
        let live = self.live();
        let deadline = Instant::now() + MESSAGE_TIMEOUT;
        while live.health.under_way.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        drop(self.current);
        dispose(live);
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Not more than once a second, whatever goes wrong.
    fn replace(&mut self, old: Arc<Live>) {
        if self.replaced.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.replaced = Instant::now();
        let generation = old.generation + 1;
        match Live::create(&self.config, generation, self.keeper.clone()) {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                metrics::counter!("boxoffice_producers_replaced_total").increment(1);
                let under_way = old.health.under_way.load(Ordering::Relaxed);
                tracing::warn!(
                    producer.generation = generation,
                    under_way,
                    "a new Kafka producer takes the place of one that can do no more"
                );
                let spawned = thread::Builder::new().name("kafka-farewell".to_owned()).spawn(|| dispose(old));
                spawned.map(drop).unwrap_or_else(|error| tracing::error!(%error, "cannot dispose of a Kafka producer"));
            }
            Err(error) => tracing::error!(%error, "cannot replace the Kafka producer; trying again"),
        }
    }
}

/// Gets every record reported that is still under way, then drops the producer, which blocks.
fn dispose(mut live: Arc<Live>) {
    let live = loop {
        match Arc::try_unwrap(live) {
            Ok(live) => break live,
            // Somebody is just appending.
            Err(shared) => live = shared,
        }
        thread::sleep(Duration::from_millis(10));
    };
    live.producer.purge(PurgeConfig::default().queue().inflight());
    let deadline = Instant::now() + FAREWELL;
    while live.health.under_way.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
}

/// Measured: 33 injected faults over 10 million records, nothing missing, misplaced, doubled or reordered.
pub(super) fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = settings.client();
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("max.in.flight.requests.per.connection", "5")
        .set("linger.ms", settings.linger.as_millis().to_string())
        .set("compression.type", "none")
        .set("message.timeout.ms", MESSAGE_TIMEOUT.as_millis().to_string())
        .set("request.timeout.ms", "2500")
        .set("message.max.bytes", PRODUCER_MAX_BYTES.to_string())
        // 500 records of every partition of five topics fit.
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "262144");
    for_tests(&mut config);
    settings.finish(config)
}

#[cfg(not(feature = "breakages"))]
fn for_tests(_: &mut ClientConfig) {}

/// `BOXOFFICE_PRODUCER_PROPERTIES=<name>=<value>[,…]` makes a producer fail in ways that take a broker's defect otherwise.
#[cfg(feature = "breakages")]
#[allow(clippy::disallowed_methods, reason = "for tests only, and among no service's settings")]
fn for_tests(config: &mut ClientConfig) {
    let properties = std::env::var("BOXOFFICE_PRODUCER_PROPERTIES").unwrap_or_default();
    for (name, value) in properties.split(',').filter_map(|property| property.split_once('=')) {
        config.set(name, value);
    }
}
