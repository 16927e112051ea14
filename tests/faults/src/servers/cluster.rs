//! What Kafka says about the topics of a run, and a way to set one of them differently.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::root::Context;
use event_log::kafka::KafkaSettings;
use local_stack::Server;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use service_kit::clock;

use crate::run::Site;

const ASKING: Duration = Duration::from_secs(5);
/// Brokers copy what they missed within so long.
const CAUGHT_UP: Duration = Duration::from_secs(60);

/// Where one partition lies.
#[derive(Debug, Clone)]
pub(super) struct Copies {
    topic: String,
    number: i32,
    leader: i32,
    all: Vec<i32>,
    in_sync: Vec<i32>,
}

/// The topics of one run.
#[derive(Clone)]
pub(super) struct Topics {
    settings: KafkaSettings,
}

impl Topics {
    pub(super) fn of(site: &Site) -> Self {
        let plan = site.shop().running.plan();
        Self { settings: KafkaSettings::new(&plan.endpoints.kafka, &plan.namespace, "faults") }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings.bootstrap).set("client.id", "faults");
        config
    }

    /// Every partition of our topics.
    pub(super) async fn look(&self) -> anyhow::Result<Vec<Copies>> {
        let (client, prefix) = (self.client(), self.settings.name(""));
        let asked = tokio::task::spawn_blocking(move || -> anyhow::Result<Vec<Copies>> {
            let consumer: BaseConsumer = client.create()?;
            let metadata = consumer.fetch_metadata(None, ASKING).context("ask Kafka for its topics")?;
            let ours = metadata.topics().iter().filter(|topic| topic.name().starts_with(&prefix));
            let copies = |topic: &rdkafka::metadata::MetadataTopic| {
                let name = topic.name().to_owned();
                let one = move |it: &rdkafka::metadata::MetadataPartition| Copies {
                    topic: name.clone(),
                    number: it.id(),
                    leader: it.leader(),
                    all: it.replicas().to_vec(),
                    in_sync: it.isr().to_vec(),
                };
                topic.partitions().iter().map(one).collect::<Vec<_>>()
            };
            Ok(ours.flat_map(copies).collect())
        });
        asked.await.context("wait for Kafka")?
    }

    /// The broker that leads a partition.
    pub(super) async fn leader(&self, context: Context, number: i32) -> anyhow::Result<Server> {
        let name = self.settings.name(context.topic());
        let all = self.look().await?;
        let found = all.iter().find(|it| it.topic == name && it.number == number).context("the topic is there")?;
        Server::broker(found.leader).with_context(|| format!("nobody leads {found:?}"))
    }

    /// Waits until every partition has so many copies that are in sync.
    pub(super) async fn in_sync(&self, copies: usize) -> anyhow::Result<()> {
        let begun = clock::monotonic();
        loop {
            let seen = self.look().await;
            let wrong = |it: &&Copies| it.in_sync.len() != copies;
            match &seen {
                Ok(all) if !all.is_empty() && !all.iter().any(|it| wrong(&it)) => return Ok(()),
                _ if begun.elapsed() < CAUGHT_UP => tokio::time::sleep(Duration::from_millis(200)).await,
                Ok(all) => {
                    let first = all.iter().find(wrong);
                    bail!("after {} s not {copies} copies are in sync: {first:?}", CAUGHT_UP.as_secs())
                }
                Err(error) => bail!("Kafka does not tell its copies: {error:#}"),
            }
        }
    }

    /// Makes sure that every partition has so many copies.
    pub(super) async fn have_copies(&self, copies: usize) -> anyhow::Result<()> {
        let all = self.look().await?;
        let wrong = all.iter().find(|it| it.all.len() != copies);
        ensure!(!all.is_empty() && wrong.is_none(), "void: not {copies} copies: {wrong:?}");
        Ok(())
    }

    /// Sets a topic differently; what else was set of it stays. Gives what it was before.
    pub(super) async fn set(&self, context: Context, name: &str, value: &str) -> anyhow::Result<String> {
        let topic = self.settings.name(context.topic());
        let admin: AdminClient<DefaultClientContext> = self.client().create().context("make a client")?;
        let options = AdminOptions::new().request_timeout(Some(ASKING));
        let asked = admin.describe_configs(&[ResourceSpecifier::Topic(&topic)], &options).await?;
        let described = asked.into_iter().next().context("an answer about the topic")?;
        let described = described.map_err(|code| anyhow::anyhow!("the topic's settings: {code}"))?;
        ensure!(matches!(&described.specifier, OwnedResourceSpecifier::Topic(it) if *it == topic), "another topic");
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(name, value);
        let mut before = None;
        for entry in &described.entries {
            let Some(old) = &entry.value else { continue };
            if entry.name == name {
                before = Some(old.clone());
            } else if entry.source == ConfigSource::DynamicTopic {
                altered = altered.set(&entry.name, old);
            }
        }
        for result in admin.alter_configs([&altered], &options).await? {
            result.map_err(|(_, code)| anyhow::anyhow!("set {name} of {topic}: {code}"))?;
        }
        before.with_context(|| format!("{topic} has no setting {name}"))
    }
}
