//! The topic of the copies: made where it does not exist, and written without gaps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use event_log::kafka::KafkaSettings;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::headers::Copy;
use crate::row::Row;

/// How long a question to Kafka may take, and a topic to appear.
pub(super) const ASKING: Duration = Duration::from_secs(20);
/// Kafka acknowledges within so long, or we end; the next run goes on.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);
/// Between two attempts to hand something over to a client whose queue is full.
const FULL: Duration = Duration::from_millis(5);
/// Between two looks for a topic that was made.
const AGAIN: Duration = Duration::from_millis(50);

/// Remembers the first record that could not be written.
struct Watcher(Arc<Mutex<Option<String>>>);

impl ClientContext for Watcher {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            fail(&self.0, reason);
        } else {
            tracing::debug!(%error, reason, "the Kafka producer reports a problem and goes on");
        }
    }
}

impl ProducerContext for Watcher {
    type DeliveryOpaque = ();

    fn delivery(&self, delivery: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = delivery {
            fail(&self.0, &error.to_string());
        }
    }
}

fn fail(failed: &Mutex<Option<String>>, why: &str) {
    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.to_owned());
}

/// The topic of the copies.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) created: bool,
    producer: ThreadedProducer<Watcher>,
    failed: Arc<Mutex<Option<String>>>,
}

impl Target {
    /// Makes it where it does not exist: kept for ever, with the times of the log.
    pub(super) fn open(settings: &KafkaSettings, to: &str, partitions: u32, replication: i32) -> anyhow::Result<Self> {
        let name = settings.name(to);
        let failed = Arc::new(Mutex::new(None));
        let mut config = settings.client_config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A record that is given up while later ones are written would be a gap.
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set("queue.buffering.max.kbytes", "65536");
        let producer = ThreadedProducer::from_config_and_context(&config, Watcher(Arc::clone(&failed)));
        let producer: ThreadedProducer<Watcher> = producer.context("make a producer for the copies")?;
        let admin = settings.client_config().create().context("make a client to look at the topic of the copies")?;
        let target = Self { created: create(&admin, &name, partitions, replication)?, name, producer, failed };
        let found = target.partitions()?;
        ensure!(
            found == partitions as usize,
            "the topic {} has {found} partitions instead of {partitions}: the copies of one would not keep their order",
            target.name
        );
        Ok(target)
    }

    /// Brokers take a moment until they know a topic that was made.
    fn partitions(&self) -> anyhow::Result<usize> {
        let asking = || format!("ask for the partitions of {}", self.name);
        let asked = Instant::now();
        loop {
            let metadata = self.producer.client().fetch_metadata(Some(&self.name), ASKING).with_context(asking)?;
            let found = metadata.topics().first().with_context(asking)?.partitions().len();
            if found > 0 || asked.elapsed() > ASKING {
                return Ok(found);
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Hands a copy over, in order.
    pub(super) fn send(&self, partition: u32, row: &Row, copy: Copy) -> anyhow::Result<()> {
        self.healthy()?;
        let partition = i32::try_from(partition).context("Kafka numbers partitions with 31 bits")?;
        let mut record = BaseRecord::to(&self.name)
            .partition(partition)
            .key(&row.key[..])
            .payload(&copy.value)
            .timestamp(row.log_time.0 / 1000)
            .headers(copy.headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    record = back;
                    std::thread::sleep(FULL);
                    self.healthy()?;
                }
                Err((error, _)) => {
                    let place = format!("copy the event at offset {} of {} to {}", row.offset, row.at, self.name);
                    return Err(error).context(place);
                }
            }
        }
    }

    /// Waits until every copy is acknowledged.
    pub(super) fn flush(&self) -> anyhow::Result<()> {
        let flushed = self.producer.flush(ACKNOWLEDGED_WITHIN);
        self.healthy()?;
        flushed.with_context(|| format!("wait until Kafka has the copies in {}", self.name))
    }

    fn healthy(&self) -> anyhow::Result<()> {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => Ok(()),
            Some(why) => bail!("a copy could not be written to {}: {why}; run it again to go on", self.name),
        }
    }
}

/// Whether it was made now.
fn create(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
    partitions: u32,
    replication: i32,
) -> anyhow::Result<bool> {
    let count = i32::try_from(partitions).context("Kafka counts partitions with 31 bits")?;
    let topic = NewTopic::new(name, count, TopicReplication::Fixed(replication))
        .set("cleanup.policy", "delete")
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1")
        .set("message.timestamp.type", "CreateTime");
    let options = AdminOptions::new().operation_timeout(Some(ASKING)).request_timeout(Some(ASKING));
    let made = Handle::current().block_on(admin.create_topics([&topic], &options));
    match made.with_context(|| format!("make the topic {name}"))?.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => bail!("Kafka refuses to make the topic {name}: {code}"),
        None => bail!("Kafka says nothing about the topic {name}"),
    }
}
