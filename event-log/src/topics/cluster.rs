//! Asking and telling Kafka about topics.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigSource, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataBroker, MetadataPartition, MetadataTopic};

use super::{Broker, Layout, Shape, Topic, TopicsError};
use crate::kafka::{ASKING, KafkaLog, KafkaSettings};
use crate::log::LogError;

/// How long a new topic may take until every question finds it.
pub(super) const APPEARS_WITHIN: Duration = Duration::from_secs(20);
/// More than the brokers of most clusters that may be behind.
const RIGHT_ANSWERS: u32 = 4;

const ASK_SETTINGS: &str = "ask Kafka for the settings of topics";
const ASK_BROKERS: &str = "ask Kafka for the settings of its brokers";
const ASK_CLUSTER: &str = "ask Kafka for its topics";

/// A cluster to look at and to make topics in.
pub(super) struct Cluster {
    pub(super) log: Arc<KafkaLog>,
    admin: AdminClient<DefaultClientContext>,
}

impl Cluster {
    pub(super) fn connect(settings: &KafkaSettings) -> Result<Self, LogError> {
        let log = Arc::new(KafkaLog::connect(settings.clone())?);
        let admin = settings.finish(settings.client()).create();
        let admin = admin.map_err(|error| unanswered("create the client for administration", &error))?;
        Ok(Self { log, admin })
    }

    /// How many partitions every topic of the cluster has.
    pub(super) async fn partitions(&self) -> Result<HashMap<String, u32>, LogError> {
        Ok(self.shapes().await?.into_iter().map(|(name, shape)| (name, shape.partitions)).collect())
    }

    /// How every topic of the cluster is made.
    pub(super) async fn shapes(&self) -> Result<HashMap<String, Shape>, LogError> {
        self.told(|metadata| {
            let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
            known.map(|topic| (topic.name().to_owned(), shape(topic))).collect()
        })
        .await
    }

    /// Every broker with its settings.
    pub(super) async fn brokers(&self) -> Result<Vec<Broker>, TopicsError> {
        let mut brokers = self
            .told(|metadata| {
                let broker = |it: &MetadataBroker| Broker {
                    id: it.id(),
                    address: format!("{}:{}", it.host(), it.port()),
                    settings: BTreeMap::new(),
                };
                metadata.brokers().iter().map(broker).collect::<Vec<_>>()
            })
            .await?;
        let options = AdminOptions::new().request_timeout(Some(ASKING));
        for broker in &mut brokers {
            let asked = [ResourceSpecifier::Broker(broker.id)];
            let answers = self.admin.describe_configs(&asked, &options).await;
            for answer in answers.map_err(|error| unanswered(ASK_BROKERS, &error))? {
                let answer = answer.map_err(|code| LogError { attempted: ASK_BROKERS, detail: code.to_string() })?;
                let open = answer.entries.into_iter().filter(|entry| !entry.is_sensitive);
                broker.settings.extend(open.filter_map(|entry| Some((entry.name, entry.value?))));
            }
        }
        Ok(brokers)
    }

    /// What the cluster says about itself.
    async fn told<T: Send + 'static>(&self, look: fn(&Metadata) -> T) -> Result<T, LogError> {
        let log = Arc::clone(&self.log);
        let asked = tokio::task::spawn_blocking(move || log.metadata().map(|metadata| look(&metadata)));
        let joined = |error: tokio::task::JoinError| LogError { attempted: ASK_CLUSTER, detail: error.to_string() };
        asked.await.map_err(joined)?
    }

    /// Makes the topics. One that exists meanwhile is no error.
    pub(super) async fn create(&self, topics: &[&Topic], layout: Layout) -> Result<(), TopicsError> {
        let min_insync = layout.min_insync.to_string();
        let new: Vec<NewTopic<'_>> = topics.iter().map(|topic| new_topic(topic, layout, &min_insync)).collect();
        let options = AdminOptions::new().operation_timeout(Some(APPEARS_WITHIN)).request_timeout(Some(APPEARS_WITHIN));
        let created = self.admin.create_topics(&new, &options).await;
        for result in created.map_err(|error| unanswered("create topics", &error))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(TopicsError::Refused { asked: "create", topic, detail: code.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Deletes these topics. One that does not exist is no error.
    pub(super) async fn delete(&self, names: &[&str]) -> Result<(), TopicsError> {
        let deleted = self.admin.delete_topics(names, &AdminOptions::new().request_timeout(Some(ASKING))).await;
        for result in deleted.map_err(|error| unanswered("delete topics", &error))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => {
                    return Err(TopicsError::Refused { asked: "delete", topic, detail: code.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Sets one more setting of each of these topics. Kafka replaces all settings of a topic at once, so what was set before is
    /// set again with it; nobody else may change them meanwhile.
    pub(super) async fn set_also(&self, topics: &[String], name: &str, value: &str) -> Result<(), TopicsError> {
        let mut wanted = self.own_settings(topics.iter().map(String::as_str)).await?;
        for all in wanted.values_mut() {
            all.insert(name.to_owned(), value.to_owned());
        }
        let all = wanted.iter().map(|(topic, all)| AlterConfig {
            specifier: ResourceSpecifier::Topic(topic),
            entries: all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        });
        let all: Vec<AlterConfig<'_>> = all.collect();
        let done = self.admin.alter_configs(&all, &AdminOptions::new().request_timeout(Some(ASKING))).await;
        for result in done.map_err(|error| unanswered("configure topics", &error))? {
            if let Err((OwnedResourceSpecifier::Topic(topic), code)) = result {
                return Err(TopicsError::Refused { asked: "configure", topic, detail: code.to_string() });
            }
        }
        Ok(())
    }

    /// Compares new topics with what has to be, once the cluster knows them. One broker learns of them after the other,
    /// and every question may go to another one: some answers in a row have to be right.
    ///
    /// # Errors
    /// The first difference that stays.
    pub(super) async fn compare_new(&self, topics: &[Topic]) -> Result<(), TopicsError> {
        let deadline = tokio::time::Instant::now() + APPEARS_WITHIN;
        let mut right = 0;
        while right < RIGHT_ANSWERS {
            match self.compare(topics).await {
                Ok(()) => right += 1,
                Err(TopicsError::Missing { .. } | TopicsError::Kafka(_)) if tokio::time::Instant::now() < deadline => {
                    right = 0;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Compares what there is with what has to be.
    ///
    /// # Errors
    /// The first difference.
    pub(super) async fn compare(&self, topics: &[Topic]) -> Result<(), TopicsError> {
        let found = self.partitions().await?;
        for topic in topics {
            match found.get(&topic.name) {
                None => {
                    return Err(TopicsError::Missing { topic: topic.name.clone() });
                }
                Some(&count) if count != topic.partitions => {
                    let (topic, expected) = (topic.name.clone(), topic.partitions);
                    return Err(TopicsError::Partitions { topic, found: count, expected });
                }
                Some(_) => {}
            }
        }
        self.compare_settings(topics).await
    }

    async fn compare_settings(&self, topics: &[Topic]) -> Result<(), TopicsError> {
        if topics.is_empty() {
            return Ok(());
        }
        let found = self.settings_of(topics.iter().map(|it| it.name.as_str())).await?;
        topics.iter().try_for_each(|topic| match found.get(&topic.name) {
            None => Err(LogError { attempted: ASK_SETTINGS, detail: format!("no answer about {}", topic.name) }.into()),
            Some(found) => compare_topic(topic, found),
        })
    }

    /// What these topics were set to themselves.
    pub(super) async fn own_settings(
        &self,
        topics: impl Iterator<Item = &str>,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, TopicsError> {
        let known = self.settings_of(topics).await?;
        let own = |entries: Vec<ConfigEntry>| {
            let own = entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
            own.map(|entry| (entry.name, entry.value.unwrap_or_default())).collect()
        };
        Ok(known.into_iter().map(|(topic, entries)| (topic, own(entries))).collect())
    }

    /// Every setting of these topics, wherever it comes from.
    pub(super) async fn settings_of(
        &self,
        topics: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, Vec<ConfigEntry>>, TopicsError> {
        let asked: Vec<ResourceSpecifier<'_>> = topics.map(ResourceSpecifier::Topic).collect();
        let options = AdminOptions::new().request_timeout(Some(ASKING));
        let answers = self.admin.describe_configs(&asked, &options).await;
        let mut found = HashMap::new();
        for answer in answers.map_err(|error| unanswered(ASK_SETTINGS, &error))? {
            let answer = answer.map_err(|code| LogError { attempted: ASK_SETTINGS, detail: code.to_string() })?;
            if let OwnedResourceSpecifier::Topic(name) = answer.specifier {
                found.insert(name, answer.entries);
            }
        }
        Ok(found)
    }
}

fn shape(topic: &MetadataTopic) -> Shape {
    let partitions = topic.partitions();
    let fewest = |count: fn(&MetadataPartition) -> usize| partitions.iter().map(count).min().unwrap_or(0);
    Shape {
        partitions: u32::try_from(partitions.len()).expect("Kafka counts partitions with 31 bits"),
        copies: fewest(|partition| partition.replicas().len()),
        in_sync: fewest(|partition| partition.isr().len()),
        leaderless: partitions.iter().filter(|partition| partition.leader() < 0).count(),
    }
}

fn compare_topic(topic: &Topic, found: &[ConfigEntry]) -> Result<(), TopicsError> {
    for setting in &topic.settings {
        let entry = found.iter().find(|entry| entry.name == setting.name);
        let found = entry.and_then(|entry| entry.value.as_deref()).unwrap_or("nothing");
        if !setting.allows(found) {
            return Err(TopicsError::Setting {
                topic: topic.name.clone(),
                setting: setting.name,
                found: found.to_owned(),
                expected: setting.expected(),
            });
        }
    }
    Ok(())
}

fn new_topic<'a>(topic: &'a Topic, layout: Layout, min_insync: &'a str) -> NewTopic<'a> {
    let partitions = i32::try_from(topic.partitions).expect("Kafka counts partitions with 31 bits");
    let replication = i32::try_from(layout.replication).expect("there are few brokers");
    let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(replication));
    let new = new.set("min.insync.replicas", min_insync);
    let more = topic.more.iter().filter(|(name, _)| topic.settings.iter().all(|setting| setting.name != name));
    let new = more.fold(new, |new, (name, value)| new.set(name, value));
    topic.settings.iter().fold(new, |new, setting| new.set(setting.name, &setting.value))
}

fn unanswered(attempted: &'static str, error: &KafkaError) -> LogError {
    LogError { attempted, detail: error.to_string() }
}
