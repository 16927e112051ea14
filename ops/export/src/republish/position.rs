//! How far the copies have come.
//!
//! The position lies in Kafka, as what a consumer group of the name `boxctl-republish-<topic>` has committed, so that tools
//! show the lag; its metadata hold what a reader needs to judge the next record. It may be older than the copies: what the
//! topic holds behind the end that was noted with it is looked through, so that nothing is copied again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::root::Context;
use event_log::kafka::KafkaSettings;
use event_log::log::Partition;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::headers::{OFFSET, PARTITION, SOURCE, source};
use super::target::{ASKING, Target};
use crate::lane::{Lane, Mark};

/// A topic that holds something says so within this time.
const SILENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// What is committed for one partition of the log.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Noted {
    mark: Mark,
    /// Where the partition of the copies ended then.
    copies: i64,
}

/// Reads and writes positions.
pub(super) struct Positions {
    consumer: BaseConsumer,
    settings: KafkaSettings,
    to: String,
    /// Copies that lay behind their position.
    pub(super) found: u64,
}

impl Positions {
    pub(super) fn open(settings: &KafkaSettings, target: &Target) -> anyhow::Result<Self> {
        let mut config = settings.client_config();
        config
            .set("group.id", format!("boxctl-republish-{}", target.name))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false")
            .set("auto.offset.reset", "error");
        let consumer = config.create().context("make a consumer for the positions of the copies")?;
        Ok(Self { consumer, settings: settings.clone(), to: target.name.clone(), found: 0 })
    }

    /// Where each of these is to be gone on with.
    pub(super) fn find(&mut self, places: &[Partition]) -> anyhow::Result<Vec<Mark>> {
        let noted = self.committed(places)?;
        let mut marks: BTreeMap<Partition, Mark> = noted.iter().map(|(at, it)| (*at, it.mark)).collect();
        let mut begins: BTreeMap<u32, i64> = BTreeMap::new();
        for at in places {
            let copies = noted.get(at).map_or(0, |it| it.copies);
            let begin = begins.entry(at.number).or_insert(copies);
            *begin = copies.min(*begin);
        }
        for (number, begin) in begins {
            self.look_through(number, begin, &mut marks)?;
        }
        Ok(places.iter().map(|at| marks.get(at).copied().unwrap_or_default()).collect())
    }

    fn committed(&self, places: &[Partition]) -> anyhow::Result<BTreeMap<Partition, Noted>> {
        let mut list = TopicPartitionList::new();
        for at in places {
            list.add_partition(&self.topic(at.context), number(at.number)?);
        }
        let found = self.consumer.committed_offsets(list, ASKING).context("ask how far the copies have come")?;
        let mut noted = BTreeMap::new();
        for at in places {
            let found = found.find_partition(&self.topic(at.context), number(at.number)?);
            // What is no note of ours says nothing; then the copies themselves do.
            let note = found.and_then(|it| serde_json::from_str(it.metadata()).ok());
            noted.extend(note.map(|note| (*at, note)));
        }
        Ok(noted)
    }

    /// Finds the copies that lie behind the positions.
    fn look_through(&mut self, number_: u32, begin: i64, marks: &mut BTreeMap<Partition, Mark>) -> anyhow::Result<()> {
        let partition = number(number_)?;
        let looking = || format!("look through {}/{number_}", self.to);
        let (start, end) = self.consumer.fetch_watermarks(&self.to, partition, ASKING).with_context(looking)?;
        let mut next = begin.max(start);
        if next >= end {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.to, partition, Offset::Offset(next)).with_context(looking)?;
        self.consumer.assign(&list).with_context(looking)?;
        let mut heard = Instant::now();
        while next < end {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    next = message.offset() + 1;
                    heard = Instant::now();
                    if let Some((at, offset)) = origin(&message, &self.settings.namespace) {
                        let mark = marks.entry(at).or_default();
                        self.found += u64::from(offset >= mark.below);
                        mark.below = mark.below.max(offset + 1);
                    }
                }
                Some(Err(error)) => tracing::debug!(%error, "looking through the copies goes on after a problem"),
                None => {}
            }
            if heard.elapsed() > SILENCE {
                bail!("{}/{number_} cannot be looked through: Kafka says nothing", self.to);
            }
        }
        self.consumer.unassign().with_context(looking)
    }

    /// Keeps how far these are; everything before must be acknowledged.
    pub(super) fn keep(&self, lanes: &[Lane]) -> anyhow::Result<()> {
        let mut ends: BTreeMap<u32, i64> = BTreeMap::new();
        let mut list = TopicPartitionList::new();
        for lane in lanes {
            let partition = number(lane.at.number)?;
            let copies = match ends.get(&lane.at.number) {
                Some(end) => *end,
                None => {
                    let asked = self.consumer.fetch_watermarks(&self.to, partition, ASKING);
                    let (_, end) = asked.with_context(|| format!("ask where {} ends", self.to))?;
                    *ends.entry(lane.at.number).or_insert(end)
                }
            };
            let mark = lane.mark();
            let note = serde_json::to_string(&Noted { mark, copies }).context("write a position")?;
            let mut one = list.add_partition(&self.topic(lane.at.context), partition);
            one.set_offset(Offset::Offset(mark.position.next.max(mark.below))).context("write a position")?;
            one.set_metadata(note);
        }
        self.consumer.commit(&list, CommitMode::Sync).context("keep how far the copies have come")
    }

    fn topic(&self, context: Context) -> String {
        self.settings.name(context.topic())
    }
}

/// Where a copy comes from; none if it is no copy of ours.
fn origin(message: &BorrowedMessage<'_>, namespace: &str) -> Option<(Partition, i64)> {
    let headers = message.headers()?;
    let of = |name: &str| {
        let found = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    let from = of(SOURCE)?;
    let context = Context::ALL.into_iter().find(|it| source(namespace, it.topic()) == from)?;
    let at = Partition { context, number: of(PARTITION)?.parse().ok()? };
    Some((at, of(OFFSET)?.parse().ok()?))
}

fn number(partition: u32) -> anyhow::Result<i32> {
    i32::try_from(partition).context("Kafka numbers partitions with 31 bits")
}
