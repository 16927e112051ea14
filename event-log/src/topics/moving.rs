//! Topics while a log is copied from one cluster to another.
//!
//! Invariant: while records are brought back, every topic keeps the time that a record brings along, which no service
//! starts with: a log that is not whole yet is refused by whoever would write to it.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::{Layout, Setting, Topic, TopicsError, all};
use crate::kafka::KafkaSettings;

/// Which clock stamps the records of a topic.
const CLOCK: &str = "message.timestamp.type";
/// The one of whoever writes; otherwise the broker's.
const BROUGHT: &str = "CreateTime";
const BROKERS: &str = "LogAppendTime";
/// Decided by how many brokers the cluster has.
const OF_THE_CLUSTER: &str = "min.insync.replicas";

/// What every topic is set to apart from the cluster's own defaults, by its name without the namespace.
pub type Set = BTreeMap<String, BTreeMap<String, String>>;

/// What the topics are set to.
///
/// # Errors
/// Kafka does not answer, or a topic is missing or not as it has to be.
pub async fn set(settings: &KafkaSettings, partitions: u32) -> Result<Set, TopicsError> {
    let cluster = Cluster::connect(settings)?;
    let topics = all(settings, partitions);
    cluster.compare(&topics).await?;
    let known = cluster.own_settings(topics.iter().map(|topic| topic.name.as_str())).await?;
    let prefix = settings.name("");
    let named = known.into_iter().map(|(name, mut own)| {
        own.remove(OF_THE_CLUSTER);
        (name.strip_prefix(&prefix).unwrap_or(&name).to_owned(), own)
    });
    Ok(named.collect())
}

/// What is there of the topics: how many partitions each has, by its name without the namespace.
///
/// # Errors
/// Kafka does not answer.
pub async fn present(settings: &KafkaSettings) -> Result<BTreeMap<String, u32>, TopicsError> {
    let known = Cluster::connect(settings)?.partitions().await?;
    let prefix = settings.name("");
    let names = all(settings, 1).into_iter().map(|topic| topic.name);
    let there = names.filter_map(|name| Some((name.strip_prefix(&prefix)?.to_owned(), *known.get(&name)?)));
    Ok(there.collect())
}

/// Makes the topics that are missing with these settings, and has all of them keep the time that records bring along.
///
/// # Errors
/// Kafka does not answer, refuses, or has a topic with another number of partitions.
pub async fn open(settings: &KafkaSettings, layout: Layout, was: &Set) -> Result<(), TopicsError> {
    let cluster = Cluster::connect(settings)?;
    let known = cluster.partitions().await?;
    let prefix = settings.name("");
    let mut topics = all(settings, layout.partitions);
    for topic in &mut topics {
        if let Some(&found) = known.get(&topic.name).filter(|found| **found != topic.partitions) {
            let (topic, expected) = (topic.name.clone(), topic.partitions);
            return Err(TopicsError::Partitions { topic, found, expected });
        }
        let own = was.get(topic.name.strip_prefix(&prefix).unwrap_or(&topic.name)).into_iter().flatten();
        let own = own.filter(|(name, _)| *name != CLOCK && *name != OF_THE_CLUSTER);
        topic.more = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        topic.settings.retain(|setting| setting.name != CLOCK);
        topic.settings.push(Setting::new(CLOCK, BROUGHT, super::Rule::Exactly));
    }
    let (there, missing): (Vec<&Topic>, Vec<&Topic>) = topics.iter().partition(|it| known.contains_key(&it.name));
    if !missing.is_empty() {
        cluster.create(&missing, layout).await?;
    }
    let names: Vec<String> = there.iter().map(|topic| topic.name.clone()).collect();
    if !names.is_empty() {
        cluster.set_also(&names, CLOCK, BROUGHT).await?;
    }
    cluster.compare_new(&topics).await
}

/// Whether records are being brought back: then some topic keeps their own time.
///
/// # Errors
/// Kafka does not answer.
pub async fn is_open(settings: &KafkaSettings) -> Result<bool, TopicsError> {
    let cluster = Cluster::connect(settings)?;
    let known = cluster.partitions().await?;
    let names: Vec<String> =
        all(settings, 1).into_iter().map(|topic| topic.name).filter(|name| known.contains_key(name)).collect();
    if names.is_empty() {
        return Ok(false);
    }
    let own = cluster.own_settings(names.iter().map(String::as_str)).await?;
    Ok(own.values().any(|own| own.get(CLOCK).is_some_and(|clock| clock == BROUGHT)))
}

/// Has the broker's clock stamp records again, as services require, and checks that every topic is as it has to be.
///
/// # Errors
/// Kafka does not answer or refuses, or a topic is not as it has to be.
pub async fn close(settings: &KafkaSettings, partitions: u32) -> Result<(), TopicsError> {
    let cluster = Cluster::connect(settings)?;
    let topics = all(settings, partitions);
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    cluster.set_also(&names, CLOCK, BROKERS).await?;
    // A broker may take a moment to tell what was just set.
    let deadline = tokio::time::Instant::now() + super::cluster::APPEARS_WITHIN;
    loop {
        match cluster.compare(&topics).await {
            Err(TopicsError::Setting { .. }) if tokio::time::Instant::now() < deadline => {}
            compared => return compared,
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
