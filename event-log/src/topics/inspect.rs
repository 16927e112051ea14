//! Looking at every topic and broker, all differences at once: for operators, who want to know more than the first.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::cluster::Cluster;
use super::{Rule, Topic, TopicsError, all};
use crate::kafka::KafkaSettings;
use domain::root::Context;

/// A topic as it is, beside what it must be.
#[derive(Debug, Clone, Serialize)]
pub struct TopicState {
    /// Its name with the namespace.
    pub topic: String,
    /// How many partitions it must have.
    pub must_have: u32,
    /// How it is made; none if it does not exist.
    pub shape: Option<Shape>,
    /// Every setting that matters.
    pub settings: Vec<SettingState>,
}

/// How a topic is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Partitions.
    pub partitions: u32,
    /// Copies of the partition that has fewest.
    pub copies: usize,
    /// Copies that are up to date, of the partition that has fewest.
    pub in_sync: usize,
    /// Partitions that no broker leads: nothing of them can be read or written.
    pub leaderless: usize,
}

/// One setting of a topic.
#[derive(Debug, Clone, Serialize)]
pub struct SettingState {
    /// Kafka's name of it.
    pub name: &'static str,
    /// What it is.
    pub found: String,
    /// What would be right.
    pub expected: String,
    /// What to set it to, if it is wrong.
    pub value: String,
    /// Whether it is right.
    pub holds: bool,
}

/// A broker and its settings.
#[derive(Debug, Clone, Serialize)]
pub struct Broker {
    /// Kafka's number of it.
    pub id: i32,
    /// Where it says that it is reached.
    pub address: String,
    /// Every setting that is not secret.
    pub settings: BTreeMap<String, String>,
}

impl TopicState {
    /// Whether the topic is as it must be.
    pub fn holds(&self) -> bool {
        self.shape.is_some_and(|shape| shape.partitions == self.must_have && shape.leaderless == 0)
            && self.settings.iter().all(|setting| setting.holds)
    }

    /// A setting as it is.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| setting.found.as_str())
    }
}

/// How many partitions the event topics have; none if there are no topics.
///
/// # Errors
/// Kafka does not answer.
pub async fn partitions(settings: &KafkaSettings) -> Result<Option<u32>, TopicsError> {
    let shapes = Cluster::connect(settings)?.shapes().await?;
    Ok(shapes.get(&settings.name(Context::Catalog.topic())).map(|shape| shape.partitions))
}

/// Compares every topic of the namespace with what it must be. Event topics must have so many partitions; without a
/// number, as many as the first of them.
///
/// # Errors
/// Kafka does not answer.
pub async fn inspect(settings: &KafkaSettings, partitions: Option<u32>) -> Result<Vec<TopicState>, TopicsError> {
    let cluster = Cluster::connect(settings)?;
    let shapes = cluster.shapes().await?;
    let first = shapes.get(&settings.name(Context::Catalog.topic())).map(|shape| shape.partitions);
    let topics = all(settings, partitions.or(first).unwrap_or(1));
    let there = topics.iter().map(|topic| topic.name.as_str()).filter(|name| shapes.contains_key(*name));
    let there: Vec<&str> = there.collect();
    let found = if there.is_empty() { HashMap::new() } else { cluster.settings_of(there.into_iter()).await? };
    let state = |topic: &Topic| {
        let entries = found.get(&topic.name);
        let value = |name: &str| {
            let entry = entries.into_iter().flatten().find(|entry| entry.name == name);
            entry.and_then(|entry| entry.value.clone()).unwrap_or_else(|| "nothing".to_owned())
        };
        let settings = topic.settings.iter().map(|setting| {
            let found = value(setting.name);
            let (expected, holds) = (setting.expected(), setting.allows(&found));
            SettingState { name: setting.name, found, expected, value: setting.value.clone(), holds }
        });
        let shape = shapes.get(&topic.name).copied();
        let mut settings: Vec<SettingState> = settings.filter(|_| shape.is_some()).collect();
        settings.extend(shape.map(|shape| in_sync(&value("min.insync.replicas"), shape)));
        TopicState { topic: topic.name.clone(), must_have: topic.partitions, shape, settings }
    };
    Ok(topics.iter().map(state).collect())
}

/// More than there are copies would mean that nothing can be appended.
fn in_sync(found: &str, shape: Shape) -> SettingState {
    let rule = Rule::AtMost;
    let setting = super::Setting::new("min.insync.replicas", shape.copies.to_string(), rule);
    let (expected, holds) = (setting.expected(), setting.allows(found));
    SettingState { name: setting.name, found: found.to_owned(), expected, value: setting.value, holds }
}

/// Every broker with its settings.
///
/// # Errors
/// Kafka does not answer.
pub async fn brokers(settings: &KafkaSettings) -> Result<Vec<Broker>, TopicsError> {
    Cluster::connect(settings)?.brokers().await
}
