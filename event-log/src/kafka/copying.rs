//! Copying partitions record by record, with everything that lies in them: for backups and what is brought back from them.
//!
//! Invariant: what is read has no gap unless the topic is compacted; what is written lies at the offset it was told, or
//! [`Placer::finish`] fails.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::pool::Quiet;
use super::{ASKING, KafkaSettings, failed, number, pool, producer};
use crate::log::{Bounds, LogError};

/// Kafka hands something over at least so often while something is read.
const SILENCE: Duration = Duration::from_secs(30);
/// What was handed to the producer is in the log within so long.
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);
/// Partitions are asked about by so many at once.
const ASKERS: usize = 8;
/// While the producer's queue is full.
const FULL: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_millis(100);

/// A record with everything that Kafka keeps of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeRecord {
    /// Its place.
    pub offset: i64,
    /// When it was appended, in milliseconds.
    pub timestamp_ms: i64,
    /// The key, if it has one.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Every header, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// One partition of any topic, by its full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spot {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
}

/// A piece of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where.
    pub at: Spot,
    /// The first offset.
    pub from: i64,
    /// The offset behind the last one.
    pub to: i64,
}

/// Reads pieces of partitions. Every call blocks.
pub struct Copier {
    client: Arc<BaseConsumer<Quiet>>,
}

impl Copier {
    /// A consumer that is kept warm.
    ///
    /// # Errors
    /// A property that librdkafka does not take.
    pub fn connect(settings: &KafkaSettings) -> Result<Self, LogError> {
        let client = BaseConsumer::from_config_and_context(&pool::config(settings), Quiet);
        Ok(Self { client: Arc::new(client.map_err(|error| failed("create a Kafka consumer", &error))?) })
    }

    /// Where these partitions begin and end now, in their order.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn bounds(&self, spots: &[Spot]) -> Result<Vec<Bounds>, LogError> {
        let each = spots.len().div_ceil(ASKERS).max(1);
        let ask = |spot: &Spot| {
            let (start, end) = self
                .client
                .fetch_watermarks(&spot.topic, number(spot.partition), ASKING)
                .map_err(|error| failed("ask Kafka where a partition begins and ends", &error))?;
            Ok(Bounds { start, end })
        };
        thread::scope(|scope| {
            let asked: Vec<_> = spots.chunks(each).map(|some| scope.spawn(|| some.iter().map(ask).collect())).collect();
            let answers = asked.into_iter().map(|asked| asked.join().expect("asking Kafka never panics"));
            answers.collect::<Result<Vec<Vec<Bounds>>, LogError>>().map(|bounds| bounds.concat())
        })
    }

    /// How many members these consumer groups have together.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn members(&self, groups: &[String]) -> Result<usize, LogError> {
        let listed = self.client.fetch_group_list(None, ASKING);
        let listed = listed.map_err(|error| failed("ask Kafka for its consumer groups", &error))?;
        let ours = listed.groups().iter().filter(|group| groups.iter().any(|name| name == group.name()));
        Ok(ours.map(|group| group.members().len()).sum())
    }

    /// Hands over every record of these pieces, those of each piece in order, with the piece's index; all that is given out
    /// must be there.
    ///
    /// # Errors
    /// Kafka is silent for 30 seconds, a record is missing, or whatever `take` says.
    pub fn read<E: From<LogError>>(
        &self,
        stretches: &[Stretch],
        mut take: impl FnMut(usize, WholeRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let wanted: Vec<&Stretch> = stretches.iter().filter(|it| it.from < it.to).collect();
        // By topic and partition: which piece, and the offset that comes next.
        let mut pieces: HashMap<&str, HashMap<i32, (usize, i64)>> = HashMap::new();
        for (index, Stretch { at, from, .. }) in stretches.iter().enumerate().filter(|(_, it)| it.from < it.to) {
            pieces.entry(&at.topic).or_default().insert(number(at.partition), (index, *from));
        }
        let mut left = wanted.len();
        let assigned = self.assign(&wanted)?;
        let mut heard = monotonic();
        while left > 0 {
            let Some(message) = self.poll(&mut heard)? else { continue };
            let piece = pieces.get_mut(message.topic()).and_then(|of| of.get_mut(&message.partition()));
            let Some((index, next)) = piece else { continue };
            if message.offset() < *next || *next >= stretches[*index].to {
                continue;
            }
            if message.offset() > *next {
                return Err(missing(&stretches[*index].at, *next, message.offset()).into());
            }
            *next += 1;
            left -= usize::from(*next == stretches[*index].to);
            take(*index, whole(&message))?;
        }
        drop(assigned);
        Ok(())
    }

    /// Hands over what a compacted partition holds from an offset on, up to its end.
    ///
    /// # Errors
    /// Kafka is silent for 30 seconds, or whatever `take` says.
    pub fn read_compacted<E: From<LogError>>(
        &self,
        stretch: &Stretch,
        mut take: impl FnMut(WholeRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        if stretch.from >= stretch.to {
            return Ok(());
        }
        let _assigned = self.assign(&[stretch])?;
        let mut heard = monotonic();
        loop {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    heard = monotonic();
                    let offset = message.offset();
                    if offset >= stretch.from && offset < stretch.to {
                        take(whole(&message))?;
                    }
                    if offset + 1 >= stretch.to {
                        return Ok(());
                    }
                }
                // Only this partition is assigned.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => tracing::debug!(%error, "the Kafka consumer goes on after a problem"),
                None => silent(heard)?,
            }
        }
    }

    fn poll(&self, heard: &mut Instant) -> Result<Option<BorrowedMessage<'_>>, LogError> {
        match self.client.poll(POLL) {
            Some(Ok(message)) => {
                *heard = monotonic();
                Ok(Some(message))
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::LogTruncation) => {
                    Err(failed("read a partition whose end was known", &error))
                }
                _ => {
                    tracing::debug!(%error, "the Kafka consumer goes on after a problem");
                    silent(*heard).map(|()| None)
                }
            },
            None => silent(*heard).map(|()| None),
        }
    }

    fn assign(&self, stretches: &[&Stretch]) -> Result<Assigned<'_>, LogError> {
        let mut list = TopicPartitionList::with_capacity(stretches.len());
        for Stretch { at, from, .. } in stretches {
            let added = list.add_partition_offset(&at.topic, number(at.partition), Offset::Offset(*from));
            added.map_err(|error| failed("name where to read a partition from", &error))?;
        }
        self.client.assign(&list).map_err(|error| failed("assign partitions", &error))?;
        Ok(Assigned(&self.client))
    }
}

/// Given back when it is dropped.
struct Assigned<'a>(&'a BaseConsumer<Quiet>);

impl Drop for Assigned<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.unassign() {
            tracing::warn!(%error, "partitions were not assigned");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "only how long Kafka is silent; nothing depends on it")]
fn monotonic() -> Instant {
    Instant::now()
}

fn silent(heard: Instant) -> Result<(), LogError> {
    if heard.elapsed() < SILENCE {
        return Ok(());
    }
    let detail = format!("nothing came for {} s", SILENCE.as_secs());
    Err(LogError { attempted: "read partitions", detail })
}

fn missing(at: &Spot, expected: i64, found: i64) -> LogError {
    let detail = format!("{}/{}: offset {expected} was expected, {found} came", at.topic, at.partition);
    LogError { attempted: "read every record of a partition", detail }
}

fn whole(message: &BorrowedMessage<'_>) -> WholeRecord {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    WholeRecord {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
    }
}

/// What became of what was placed.
#[derive(Default)]
struct Fate {
    placed: AtomicU64,
    wrong: Mutex<Option<String>>,
}

impl Fate {
    fn fail(&self, detail: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(detail);
    }

    fn check(&self) -> Result<(), LogError> {
        match self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            None => Ok(()),
            Some(detail) => Err(LogError { attempted: "write records where they were", detail }),
        }
    }
}

struct Placing(Arc<Fate>);

impl ClientContext for Placing {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the Kafka producer reports a problem and goes on");
    }
}

impl ProducerContext for Placing {
    /// The offset that a record has to get; none if any will do.
    type DeliveryOpaque = Box<Option<i64>>;

    fn delivery(&self, delivery: &DeliveryResult<'_>, expected: Box<Option<i64>>) {
        self.0.placed.fetch_add(1, Ordering::Relaxed);
        match delivery {
            Ok(message) if expected.is_none_or(|expected| expected == message.offset()) => {}
            Ok(message) => self.0.fail(format!(
                "{}/{}: a record that lay at offset {} got {}; somebody else writes there",
                message.topic(),
                message.partition(),
                expected.unwrap_or_default(),
                message.offset()
            )),
            Err((error, message)) => self.0.fail(format!("{}/{}: {error}", message.topic(), message.partition())),
        }
    }
}

/// Writes records where they were, many at once.
pub struct Placer {
    producer: ThreadedProducer<Placing>,
    fate: Arc<Fate>,
}

impl Placer {
    /// A producer that gathers large batches.
    ///
    /// # Errors
    /// A property that librdkafka does not take.
    pub fn connect(settings: &KafkaSettings) -> Result<Self, LogError> {
        let fate = Arc::<Fate>::default();
        let mut config = producer::config(settings);
        config.set("linger.ms", "20").set("batch.num.messages", "20000").set("message.timeout.ms", "60000");
        let producer = ThreadedProducer::from_config_and_context(&config, Placing(Arc::clone(&fate)));
        let producer = producer.map_err(|error| failed("create the Kafka producer", &error))?;
        Ok(Self { producer, fate })
    }

    /// Hands a record over with the time it had, and the offset that it has to get, if that matters. Waits while too many
    /// are under way.
    ///
    /// # Errors
    /// An earlier one failed, or got another offset.
    pub fn place(&self, at: &Spot, record: &WholeRecord, offset: Option<i64>) -> Result<(), LogError> {
        let mut message = BaseRecord::<[u8], [u8], Box<Option<i64>>>::with_opaque_to(&at.topic, Box::new(offset));
        message = message.partition(number(at.partition)).timestamp(record.timestamp_ms);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            let insert = |all: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
                all.insert(Header { key: key.as_str(), value: value.as_deref() })
            };
            message.headers = Some(record.headers.iter().fold(headers, insert));
        }
        loop {
            self.fate.check()?;
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    message = back;
                    thread::sleep(FULL);
                }
                Err((error, _)) => return Err(failed("hand a record to the producer", &error)),
            }
        }
    }

    /// How many records Kafka has answered for.
    pub fn placed(&self) -> u64 {
        self.fate.placed.load(Ordering::Relaxed)
    }

    /// Waits until everything is in the log.
    ///
    /// # Errors
    /// A record failed, or lies elsewhere.
    pub fn finish(self) -> Result<(), LogError> {
        let flushed = self.producer.flush(DELIVERED_WITHIN);
        self.fate.check()?;
        flushed.map_err(|error| failed("wait until every record is in the log", &error))
    }
}
