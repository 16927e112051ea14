//! Compacted topics: the last value of every key, and tombstones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::value::Timestamp;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::producer::Outgoing;
use super::tail::{Start, Tail, Tailed};
use super::{KafkaLog, number};
use crate::batch::Batch;
use crate::log::{Delivered, Following, LogError};
use crate::partition::partition_of_key;

/// An append that is not acknowledged for so long is an error; it may still be in the topic.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// A compacted topic. Its keys are distributed as those of event topics are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactedTopic {
    /// The full name, namespace included.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
}

/// A record of a compacted topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRecord {
    /// The partition it lies in.
    pub partition: u32,
    /// Its place there.
    pub offset: i64,
    /// When it was appended.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Bytes,
    /// The value; none if it is a tombstone.
    pub value: Option<Bytes>,
}

/// What following a compacted topic yields.
#[derive(Debug, Clone)]
pub enum CompactedFollowed {
    /// More records, in the order of their partition. One key may come several times; the last one counts.
    Records(Vec<KeyedRecord>),
    /// Everything that was there when following began has been handed over. Comes once.
    CaughtUp,
}

/// Gets what following yields, from several threads.
pub type CompactedFollower = Arc<dyn Fn(CompactedFollowed) + Send + Sync>;

struct Tails {
    _tails: Vec<Tail>,
}

impl Following for Tails {}

impl KafkaLog {
    /// Appends a value, or a tombstone, and waits until it is acknowledged.
    ///
    /// # Errors
    /// Not acknowledged within 10 seconds; it may be in the topic all the same.
    pub async fn append_compacted(
        &self,
        topic: &CompactedTopic,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), LogError> {
        let attempted = "append to a compacted topic";
        let partition = partition_of_key(key, topic.partitions);
        let (reported, result) = oneshot::channel();
        let reported = Mutex::new(Some(reported));
        let reports = Arc::new(move |delivered: Vec<Delivered>| {
            let sender = reported.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let (Some(sender), Some(delivered)) = (sender, delivered.into_iter().next()) {
                // Nobody waits any more once the deadline is over.
                let _ = sender.send(delivered.result);
            }
        });
        let batch = Arc::new(Batch::new(Uuid::nil(), 0, 1, reports));
        let record = Outgoing { key, header: None, value, trace: None };
        self.producer.append(&topic.name, number(partition), &batch, std::iter::once(record));
        let detail = match tokio::time::timeout(ACKNOWLEDGED_WITHIN, result).await {
            Ok(Ok(Ok(_offset))) => return Ok(()),
            Ok(Ok(Err(detail))) => detail,
            Ok(Err(_)) => "the producer was dropped".to_owned(),
            Err(_) => format!("no acknowledgement within {} s", ACKNOWLEDGED_WITHIN.as_secs()),
        };
        Err(LogError { attempted, detail: format!("{}: {detail}", topic.name) })
    }

    /// Hands over every record of every partition from the beginning on, and goes on with new ones.
    pub fn follow_compacted(&self, topic: &CompactedTopic, follower: CompactedFollower) -> Box<dyn Following> {
        let behind = Arc::new(AtomicUsize::new(topic.partitions as usize));
        let tail = |partition: u32| {
            let follower = Arc::clone(&follower);
            let behind = Arc::clone(&behind);
            let mut ended = false;
            let hand_over = move |tailed| match tailed {
                Tailed::Records(records) => {
                    let records = records.into_iter().map(|raw| KeyedRecord {
                        partition,
                        offset: raw.offset,
                        timestamp: raw.timestamp,
                        key: raw.key,
                        value: raw.value,
                    });
                    follower(CompactedFollowed::Records(records.collect()));
                }
                Tailed::End(_) if !ended => {
                    ended = true;
                    if behind.fetch_sub(1, Ordering::AcqRel) == 1 {
                        follower(CompactedFollowed::CaughtUp);
                    }
                }
                Tailed::End(_) => {}
                // The position was one that the log had given out: the topic was deleted and made anew.
                Tailed::Lost { start, end } => {
                    tracing::error!(
                        partition.number = partition,
                        start_offset = start,
                        end_offset = end,
                        "a compacted topic lost records that had been read"
                    );
                }
            };
            self.consumers.tail(topic.name.clone(), number(partition), Start::Beginning, hand_over)
        };
        Box::new(Tails { _tails: (0..topic.partitions).map(tail).collect() })
    }

    /// Reads what a compacted topic holds now, tombstones included.
    ///
    /// # Errors
    /// Its end is not reached in time.
    pub async fn read_compacted(&self, topic: &CompactedTopic, within: Duration) -> Result<Vec<KeyedRecord>, LogError> {
        let (sender, mut followed) = mpsc::unbounded_channel();
        let follower: CompactedFollower = Arc::new(move |item| {
            // Nobody waits any more once the deadline is over.
            let _ = sender.send(item);
        });
        let following = self.follow_compacted(topic, follower);
        let read = async {
            let mut records = Vec::new();
            while let Some(CompactedFollowed::Records(more)) = followed.recv().await {
                records.extend(more);
            }
            records
        };
        let records = tokio::time::timeout(within, read).await;
        drop(following);
        records.map_err(|_| LogError {
            attempted: "read a compacted topic",
            detail: format!("the end of {} was not reached within {} s", topic.name, within.as_secs()),
        })
    }
}
