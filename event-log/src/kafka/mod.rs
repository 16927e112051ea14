//! The log on Kafka: one idempotent producer, and warm consumers with a thread for every partition that is followed.
//!
//! Invariant: appends of one partition reach the broker in the order of the calls, or are reported as errors.

mod compacted;
pub mod copying;
pub mod membership;
mod pool;
mod producer;
mod tail;

pub use compacted::{CompactedFollowed, CompactedFollower, CompactedTopic, KeyedRecord};

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use domain::value::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use crate::batch::Batch;
use crate::log::{Bounds, Followed, Follower, Following, Log, LogError, NewRecord, Partition, Record, Reports};
use pool::Pool;
use producer::{Outgoing, Producer};
use tail::{Start, Tailed};

/// The largest batch the producer sends, in bytes; every topic has to take it.
pub const PRODUCER_MAX_BYTES: u32 = 1_000_000;

/// How long a question to the broker may take.
pub(crate) const ASKING: Duration = Duration::from_secs(5);

/// How Kafka is reached.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// Bootstrap servers, `host:port`, separated by commas.
    pub bootstrap: String,
    /// Prefixes topics and groups, so that tests share a broker; empty in production.
    pub namespace: String,
    /// Names this process in the broker's logs and quotas.
    pub client_id: String,
    /// How long a record waits for others to join its request; whole milliseconds. 0 is fastest, 1 ms halves the
    /// processor's work at low load.
    pub linger: Duration,
    /// More properties of librdkafka, such as those for TLS and SASL; they win over ours.
    pub properties: Vec<(String, String)>,
}

impl KafkaSettings {
    /// Settings without linger and more properties.
    pub fn new(bootstrap: impl Into<String>, namespace: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            namespace: namespace.into(),
            client_id: client_id.into(),
            linger: Duration::ZERO,
            properties: Vec::new(),
        }
    }

    /// The full name of a topic or group.
    pub fn name(&self, base: &str) -> String {
        match self.namespace.as_str() {
            "" => base.to_owned(),
            namespace => format!("{namespace}.{base}"),
        }
    }

    /// What every client of this Kafka is set to, for clients that are not the log's own.
    pub fn client_config(&self) -> ClientConfig {
        self.finish(self.client())
    }

    /// What producers, consumers and administration have in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", &self.client_id)
            // Without these a frozen broker stalls the client for as long as it is frozen.
            .set("socket.timeout.ms", "3000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "250")
            .set("topic.metadata.refresh.fast.interval.ms", "50");
        config
    }

    /// The given properties come last.
    pub(crate) fn finish(&self, mut config: ClientConfig) -> ClientConfig {
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }
}

/// The log on Kafka. Dropping it neither blocks nor loses what is under way: a thread of its own waits for that.
pub struct KafkaLog {
    settings: KafkaSettings,
    producer: Producer,
    consumers: Arc<Pool>,
}

impl KafkaLog {
    /// Makes the clients. They connect by themselves, and again whenever it is needed: this does not wait for the broker.
    ///
    /// # Errors
    /// A property that librdkafka does not take.
    pub fn connect(settings: KafkaSettings) -> Result<Self, LogError> {
        let producer = Producer::start(&settings)?;
        let consumers = Arc::new(Pool::open(&settings)?);
        Ok(Self { settings, producer, consumers })
    }

    /// How it was connected.
    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// What the cluster says about all its topics. Blocks for up to 5 seconds.
    pub(crate) fn metadata(&self) -> Result<Metadata, LogError> {
        let metadata = self.consumers.any().fetch_metadata(None, ASKING);
        metadata.map_err(|error| failed("ask Kafka for its topics", &error))
    }

    /// Where a partition of any topic begins and ends.
    pub(crate) fn bounds_of(&self, topic: &str, partition: i32) -> Result<Bounds, LogError> {
        let bounds = self.consumers.any().fetch_watermarks(topic, partition, ASKING);
        let (start, end) = bounds.map_err(|error| failed("ask Kafka where a partition begins and ends", &error))?;
        Ok(Bounds { start, end })
    }

    /// The offset of a partition's first record that was appended at this time or later; its end if there is none. May
    /// block for seconds.
    ///
    /// # Errors
    /// The log does not answer.
    pub fn offset_at(&self, at: Partition, time: Timestamp) -> Result<i64, LogError> {
        let attempted = "ask Kafka for the offset of a time";
        let mut asked = TopicPartitionList::with_capacity(1);
        let topic = self.topic(at);
        let added = asked.add_partition_offset(&topic, number(at.number), Offset::Offset(time.0.max(0) / 1000));
        added.map_err(|error| failed(attempted, &error))?;
        let found = self.consumers.any().offsets_for_times(asked, ASKING);
        let found = found.map_err(|error| failed(attempted, &error))?;
        match found.elements().first().map(TopicPartitionListElem::offset) {
            Some(Offset::Offset(offset)) => Ok(offset),
            // Nothing is that young.
            _ => Ok(self.bounds(at)?.end),
        }
    }

    fn topic(&self, at: Partition) -> String {
        self.settings.name(at.context.topic())
    }
}

impl Log for KafkaLog {
    /// An error of enqueuing may be reported before the results of earlier batches; it is an error all the same.
    fn append(&self, to: Partition, claim: Uuid, first_seq: u64, records: Vec<NewRecord>, reports: Reports) {
        let batch = Arc::new(Batch::new(claim, first_seq, records.len(), reports));
        let outgoing = records.iter().map(|record| Outgoing {
            key: record.key.as_bytes(),
            header: Some(&record.header),
            value: Some(&record.value),
            trace: record.trace.as_deref(),
        });
        self.producer.append(&self.topic(to), number(to.number), &batch, outgoing);
    }

    /// Every partition that is followed has a thread; a follower that blocks slows only its own. One that was dropped
    /// while it blocked holds up the next follower of the same partition until it returns.
    fn follow(&self, at: Partition, from: i64, follower: Follower) -> Box<dyn Following> {
        let hand_over = move |tailed| match tailed {
            Tailed::Records(records) => {
                let records = records.into_iter().map(|raw| Record {
                    offset: raw.offset,
                    timestamp: raw.timestamp,
                    key: raw.key,
                    header: raw.header,
                    value: raw.value.unwrap_or_else(Bytes::new),
                    trace: raw.trace,
                });
                follower(Followed::Records(records.collect()));
            }
            Tailed::End(end) => follower(Followed::End(end)),
            Tailed::Lost { start, end } => follower(Followed::Lost { start, end }),
        };
        Box::new(self.consumers.tail(self.topic(at), number(at.number), Start::At(from), hand_over))
    }

    fn bounds(&self, at: Partition) -> Result<Bounds, LogError> {
        self.bounds_of(&self.topic(at), number(at.number))
    }

    fn record(&self, at: Partition, offset: i64) -> Result<Option<Record>, LogError> {
        // Also tells an unreachable broker from a slow one.
        let Bounds { start, end } = self.bounds(at)?;
        if !(start..end).contains(&offset) {
            return Ok(None);
        }
        let (found, first) = sync_channel(1);
        let hand_over = move |followed| {
            // The first answer is the one that counts.
            let _ = found.try_send(followed);
        };
        let following = self.follow(at, offset, Arc::new(hand_over));
        let followed = first.recv_timeout(ASKING);
        drop(following);
        match followed {
            Ok(Followed::Records(records)) => Ok(records.into_iter().next().filter(|record| record.offset == offset)),
            Ok(Followed::End(_) | Followed::Lost { .. }) => Ok(None),
            Err(error) => Err(failed("read a record from Kafka", &error)),
        }
    }
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).expect("Kafka numbers partitions with 31 bits")
}

fn failed(attempted: &'static str, error: &dyn std::error::Error) -> LogError {
    LogError { attempted, detail: error.to_string() }
}
