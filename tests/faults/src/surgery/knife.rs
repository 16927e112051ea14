//! Takes a topic apart and puts it together again.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use domain::root::Context;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::{Delivered, Followed, Log as _, NewRecord, Partition, Record};
use event_log::topics::{self, Layout};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use uuid::Uuid;

/// Kafka answers within so long.
const ANSWER: Duration = Duration::from_secs(30);
/// A topic is gone, and there again, within so many looks.
const LOOKS: u32 = 60;
const LOOK: Duration = Duration::from_millis(500);

/// Where to cut.
#[derive(Debug, Clone)]
pub(super) struct Knife {
    pub(super) settings: KafkaSettings,
    pub(super) registry: String,
    pub(super) partitions: u32,
}

impl Knife {
    /// Every record of a topic, by partition.
    pub(super) async fn copy(&self, context: Context) -> anyhow::Result<Vec<Vec<Record>>> {
        let (settings, partitions) = (self.settings.clone(), self.partitions);
        let copied = tokio::task::spawn_blocking(move || {
            let log = KafkaLog::connect(settings)?;
            (0..partitions).map(|number| copy(&log, Partition { context, number })).collect()
        });
        copied.await.context("copy a topic")?
    }

    /// Deletes a topic and makes it anew.
    pub(super) async fn recreate(&self, context: Context) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.settings.bootstrap).create()?;
        let name = self.settings.name(context.topic());
        let deleted = admin.delete_topics(&[&name], &AdminOptions::new()).await?;
        for result in deleted {
            result.map_err(|(topic, code)| anyhow!("{topic} cannot be deleted: {code}"))?;
        }
        for _ in 0..LOOKS {
            // The deletion takes a moment, in which it neither is there nor can be made.
            tokio::time::sleep(LOOK).await;
            let made = topics::init(&self.settings, &self.registry, Layout::local(self.partitions)).await;
            if made.is_ok_and(|report| report.created.iter().any(|topic| topic.contains(context.topic()))) {
                return Ok(());
            }
        }
        bail!("{name} is not made anew")
    }

    /// Puts records back where they were; the log must be empty.
    pub(super) async fn restore(&self, context: Context, all: Vec<Vec<Record>>) -> anyhow::Result<()> {
        let settings = self.settings.clone();
        let restored = tokio::task::spawn_blocking(move || {
            let log = KafkaLog::connect(settings)?;
            for (number, records) in (0..).zip(all) {
                restore(&log, Partition { context, number }, records)?;
            }
            Ok(())
        });
        restored.await.context("put records back")?
    }

    /// Where a partition ends.
    pub(super) async fn end(&self, at: Partition) -> anyhow::Result<i64> {
        let settings = self.settings.clone();
        let asked = tokio::task::spawn_blocking(move || Ok(KafkaLog::connect(settings)?.bounds(at)?.end));
        asked.await.context("ask where a partition ends")?
    }
}

fn copy(log: &KafkaLog, at: Partition) -> anyhow::Result<Vec<Record>> {
    let end = log.bounds(at)?.end;
    let (sender, received) = channel();
    // Nobody listens any more once the end is reached.
    let following = log.follow(at, 0, Arc::new(move |followed| drop(sender.send(followed))));
    let mut all: Vec<Record> = Vec::new();
    while i64::try_from(all.len()).expect("few") < end {
        match received.recv_timeout(ANSWER).with_context(|| format!("read {at}"))? {
            Followed::Records(records) => all.extend(records),
            Followed::End(_) => {}
            Followed::Lost { start, end } => bail!("{at} begins at {start} and ends at {end}"),
        }
    }
    drop(following);
    Ok(all)
}

fn restore(log: &KafkaLog, at: Partition, records: Vec<Record>) -> anyhow::Result<()> {
    let expected: Vec<i64> = records.iter().map(|record| record.offset).collect();
    let records = records.into_iter().map(|record| {
        Ok(NewRecord {
            key: String::from_utf8(record.key.to_vec()).context("keys are text")?,
            header: record.header.as_ref().try_into().context("every record has a frame header")?,
            value: record.value.to_vec(),
            trace: record.trace,
        })
    });
    let records = records.collect::<anyhow::Result<Vec<_>>>()?;
    let (sender, received) = channel();
    log.append(at, Uuid::nil(), 0, records, Arc::new(move |reports| drop(sender.send(reports))));
    let mut found = Vec::new();
    while found.len() < expected.len() {
        for Delivered { result, .. } in received.recv_timeout(ANSWER).with_context(|| format!("append to {at}"))? {
            found.push(result.map_err(|error| anyhow!("append to {at}: {error}"))?);
        }
    }
    ensure!(found == expected, "{at} is not what it was");
    Ok(())
}
