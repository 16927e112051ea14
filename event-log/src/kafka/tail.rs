//! Following one partition, by a queue and a thread of its own.
//!
//! The queue of its own is needed because the client tells neither the topic of an end nor of a lost position.
//! Invariant: what a follower gets is without gaps and repetitions, and belongs to its own assignment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::trace::{TRACEPARENT, TraceContext};
use domain::value::Timestamp;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::ASKING;
use super::pool::{Client, Place, Quiet};
use crate::frame::HEADER;
use crate::log::{Following, Traced};

/// How soon a dropped following is noticed.
pub(super) const NOTICE: Duration = Duration::from_millis(100);
/// Records handed over at once, at most …
const RECORDS: usize = 512;
/// … and about so many bytes.
const BYTES: usize = 1024 * 1024;
/// Records are copied into blocks of so many bytes: an allocation for each would cost more than folding it.
const BLOCK: usize = 64 * 1024;
/// Between two attempts at something that failed.
const RETRY: Duration = Duration::from_millis(200);

/// Where to begin.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// At this offset, and every offset from there on has to come.
    At(i64),
    /// At the first record there is; compaction leaves gaps.
    Beginning,
}

/// A record as the client has it.
pub(super) struct Raw {
    pub(super) offset: i64,
    pub(super) timestamp: Timestamp,
    pub(super) key: Bytes,
    /// The `frame` header; empty if it has none.
    pub(super) header: Bytes,
    /// None is a tombstone.
    pub(super) value: Option<Bytes>,
    /// The `traceparent` header, if it has a sound one.
    pub(super) trace: Traced,
}

/// What a tail hands over.
pub(super) enum Tailed {
    Records(Vec<Raw>),
    /// Everything below this offset was handed over, and there was no more.
    End(i64),
    /// The position is outside the log; nothing more comes.
    Lost {
        start: i64,
        end: i64,
    },
}

/// A partition is followed until this is dropped.
pub(super) struct Tail {
    pub(super) stopped: Arc<AtomicBool>,
}

impl Following for Tail {}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
    }
}

/// One assignment of one partition.
pub(super) struct Run<'a, F> {
    client: &'a Arc<Client>,
    place: &'a Place,
    /// The offset to hand over next; unknown before the first record if it began at the beginning.
    next: Option<i64>,
    gapless: bool,
    /// Where an assignment was renewed because of a gap.
    realigned: Option<i64>,
    /// Where the next records are copied to.
    block: BytesMut,
    stopped: Arc<AtomicBool>,
    hand_over: F,
}

enum Step {
    Continue,
    Flush,
    End,
    Realign,
    Lost,
}

impl<'a, F: FnMut(Tailed)> Run<'a, F> {
    /// An assignment to be made.
    pub(super) fn new(
        client: &'a Arc<Client>,
        place: &'a Place,
        from: Start,
        stopped: Arc<AtomicBool>,
        hand_over: F,
    ) -> Self {
        let next = match from {
            Start::At(offset) => Some(offset),
            Start::Beginning => None,
        };
        let block = BytesMut::new();
        Self { client, place, next, gapless: next.is_some(), realigned: None, block, stopped, hand_over }
    }

    /// Assigns the partition, hands over what comes until it is stopped, and gives the partition back.
    pub(super) fn run(&mut self, new_topic: bool) {
        let Some(queue) = self.client.split_partition_queue(&self.place.0, self.place.1) else {
            tracing::error!(
                topic = self.place.0,
                partition.number = self.place.1,
                "a partition that cannot be followed"
            );
            return;
        };
        if new_topic {
            // The client asks for new topics once a second only.
            if let Err(error) = self.client.fetch_metadata(Some(&self.place.0), ASKING) {
                tracing::debug!(topic = self.place.0, %error, "cannot ask about a topic; the client will");
            }
        }
        self.assign();
        while !self.stopped() && self.turn(&queue) {}
        self.unassign();
    }

    /// Takes what there is without waiting for more, and hands it over. Tells whether to go on.
    fn turn(&mut self, queue: &PartitionQueue<Quiet>) -> bool {
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut step = Step::Continue;
        let mut wait = NOTICE;
        while matches!(step, Step::Continue) && records.len() < RECORDS && bytes < BYTES {
            let Some(event) = queue.poll(wait) else { break };
            wait = Duration::ZERO;
            step = match event {
                Ok(message) => self.message(&message, &mut records, &mut bytes),
                Err(error) => self.error(&error),
            };
        }
        if self.stopped() {
            return false;
        }
        if !records.is_empty() {
            (self.hand_over)(Tailed::Records(records));
        }
        match step {
            Step::Continue | Step::Flush => true,
            Step::End => {
                (self.hand_over)(Tailed::End(self.next.unwrap_or(0)));
                true
            }
            Step::Realign => {
                self.unassign();
                self.assign();
                true
            }
            Step::Lost => {
                self.lost();
                false
            }
        }
    }

    fn message(&mut self, message: &BorrowedMessage<'_>, records: &mut Vec<Raw>, bytes: &mut usize) -> Step {
        let offset = message.offset();
        match self.next {
            Some(next) if offset < next => return Step::Continue,
            // If it is still there when asked for again, then it is the log's, and the reader has to judge it.
            Some(next) if offset > next && self.gapless && self.realigned != Some(next) => {
                tracing::warn!(
                    topic = self.place.0,
                    partition.number = self.place.1,
                    next_offset = next,
                    offset,
                    "a gap; reading again"
                );
                self.realigned = Some(next);
                return Step::Realign;
            }
            _ => {}
        }
        self.next = Some(offset + 1);
        // What is kept of a compacted topic must not keep the records around it.
        let block = if self.gapless { BLOCK } else { 0 };
        let raw = raw(message, &mut self.block, block);
        *bytes += raw.key.len() + raw.header.len() + raw.value.as_ref().map_or(0, Bytes::len);
        records.push(raw);
        Step::Continue
    }

    fn error(&self, error: &KafkaError) -> Step {
        match error {
            KafkaError::PartitionEOF(_) => Step::End,
            _ => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::LogTruncation) => Step::Lost,
                _ => {
                    let (topic, partition) = self.place;
                    tracing::warn!(topic, partition.number = partition, %error, "reading a partition goes on after a problem");
                    Step::Flush
                }
            },
        }
    }

    fn lost(&mut self) {
        let (topic, partition) = self.place;
        while !self.stopped() {
            match self.client.fetch_watermarks(topic, *partition, ASKING) {
                Ok((start, end)) => return (self.hand_over)(Tailed::Lost { start, end }),
                Err(error) => {
                    tracing::warn!(topic, partition.number = partition, %error, "cannot ask where a partition ends; trying again")
                }
            }
            thread::sleep(RETRY);
        }
    }

    fn assign(&self) {
        let offset = self.next.map_or(Offset::Beginning, Offset::Offset);
        while !self.stopped() {
            match self.client.incremental_assign(&self.list(offset)) {
                Ok(()) => return,
                Err(error) => {
                    let (topic, partition) = self.place;
                    tracing::warn!(topic, partition.number = partition, %error, "cannot assign a partition; trying again");
                }
            }
            thread::sleep(RETRY);
        }
    }

    fn unassign(&self) {
        if let Err(error) = self.client.incremental_unassign(&self.list(Offset::Invalid)) {
            tracing::warn!(topic = self.place.0, partition.number = self.place.1, %error, "a partition was not assigned");
        }
    }

    fn list(&self, offset: Offset) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(1);
        let added = list.add_partition_offset(&self.place.0, self.place.1, offset);
        added.expect("an offset that the log gave out, or none");
        list
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// Copies a record out of the client's memory, into what is left of a block, or into a new one of at least this size.
fn raw(message: &BorrowedMessage<'_>, block: &mut BytesMut, size: usize) -> Raw {
    let key = message.key().unwrap_or_default();
    let headers = message.headers();
    let header = headers.and_then(|headers| headers.iter().find(|header| header.key == HEADER));
    let header = header.and_then(|header| header.value).unwrap_or_default();
    let value = message.payload();
    let parts = [key, header, value.unwrap_or_default()];
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    if block.capacity() < length {
        *block = BytesMut::with_capacity(size.max(length));
    }
    parts.iter().for_each(|part| block.extend_from_slice(part));
    let mut whole = block.split().freeze();
    let key = whole.split_to(key.len());
    let header = whole.split_to(header.len());
    Raw {
        offset: message.offset(),
        timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
        key,
        header,
        value: value.map(|_| whole),
        trace: headers.filter(|headers| headers.count() > 1).and_then(traced),
    }
}

/// Nonsense is no trace: nothing else depends on it.
fn traced(headers: &BorrowedHeaders) -> Traced {
    let header = headers.iter().find(|header| header.key == TRACEPARENT)?;
    let context = std::str::from_utf8(header.value?).ok().and_then(TraceContext::parse)?;
    context.sampled.then(|| Arc::new(context))
}
