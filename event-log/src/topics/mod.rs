//! The topics there have to be and what they are set to: made by `boxctl init`, checked by every service at its start.
//!
//! Invariant: nothing that exists is ever changed here; what is wrong is refused with its name.

mod check;
mod cluster;
mod copy;
mod durability;
mod init;
mod inspect;
pub mod moving;

pub use check::check;
pub use copy::schema_copy;
pub use durability::sync_every_append;
pub use init::{Report, init};
pub use inspect::{Broker, SettingState, Shape, TopicState, brokers, inspect, partitions};

use domain::root::Context;
use schemas::{PERSON_KEY_TOPIC, RegistryError, SCHEMA_COPY_TOPIC};

use crate::kafka::{CompactedTopic, KafkaSettings};
use crate::log::LogError;

/// Kafka's own default, and more than the producer's largest batch.
const TOPIC_MAX_BYTES: u32 = 1_048_588;
const DAY_MS: &str = "86400000";
const PARTITION_OWNER_TOPIC: &str = "partition-owners";
const OPERATOR_ACTION_TOPIC: &str = "operator-actions";

/// How many partitions and copies there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Partitions of every event topic, fixed for life.
    pub partitions: u32,
    /// Copies of every partition.
    pub replication: u32,
    /// Copies that have to be written before an append is acknowledged.
    pub min_insync: u32,
}

impl Layout {
    /// One broker.
    pub fn local(partitions: u32) -> Self {
        Self { partitions, replication: 1, min_insync: 1 }
    }

    /// Three brokers or more, of which one may be away.
    pub fn production(partitions: u32) -> Self {
        Self { partitions, replication: 3, min_insync: 2 }
    }
}

/// What is wrong, or cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// Kafka does not answer; waiting may help.
    #[error("Kafka cannot be asked")]
    Kafka(#[from] LogError),
    /// The registry does not answer, or wrongly.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Topics are made by `boxctl init`.
    #[error("the topic {topic} does not exist: run `boxctl init`")]
    Missing { topic: String },
    /// The count is fixed for life, because it decides where every key lies.
    #[error("the topic {topic} has {found} partitions instead of {expected}; the number can never be changed")]
    Partitions { topic: String, found: u32, expected: u32 },
    /// The topic would lose or misplace records.
    #[error("the topic {topic} is set to {setting}={found}; it must be {expected}")]
    Setting { topic: String, setting: &'static str, found: String, expected: String },
    /// Kafka does not make or delete the topic.
    #[error("Kafka refuses to {asked} the topic {topic}: {detail}")]
    Refused { asked: &'static str, topic: String, detail: String },
    /// The copy is written by `boxctl init`.
    #[error("the topic {topic} does not hold the schema of {subject} (id {id}): run `boxctl init`")]
    SchemaNotCopied { topic: String, subject: String, id: u32 },
    /// Somebody else wrote there.
    #[error("the topic {topic} holds a record at offset {offset} that is no schema")]
    NotASchema { topic: String, offset: i64 },
}

impl TopicsError {
    /// Whether waiting may help.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Kafka(_) | Self::Registry(RegistryError::Unreachable { .. }))
    }
}

/// Deletes every topic of a namespace, and with them everything that ever happened there: for tests and measurements.
///
/// # Errors
/// Kafka does not answer or refuses.
///
/// # Panics
/// Without a namespace: those are the topics of an installation.
pub async fn forget(settings: &KafkaSettings) -> Result<(), TopicsError> {
    assert!(!settings.namespace.is_empty(), "only a namespace of its own is deleted");
    let topics = all(settings, 1);
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    cluster::Cluster::connect(settings)?.delete(&names).await
}

/// The compacted topic of the persons' data keys.
pub fn person_keys(settings: &KafkaSettings, partitions: u32) -> CompactedTopic {
    CompactedTopic { name: settings.name(PERSON_KEY_TOPIC), partitions }
}

/// The compacted topic of schema ids.
pub fn event_schemas(settings: &KafkaSettings) -> CompactedTopic {
    CompactedTopic { name: settings.name(SCHEMA_COPY_TOPIC), partitions: 1 }
}

/// The compacted topic of who serves which partition number: a hint where to send commands.
pub fn partition_owners(settings: &KafkaSettings) -> CompactedTopic {
    CompactedTopic { name: settings.name(PARTITION_OWNER_TOPIC), partitions: 1 }
}

/// The topic of what operators did. It is read and written as the compacted ones are, but keeps every record for ever.
pub fn operator_actions(settings: &KafkaSettings) -> CompactedTopic {
    CompactedTopic { name: settings.name(OPERATOR_ACTION_TOPIC), partitions: 1 }
}

/// A topic as it has to be.
struct Topic {
    name: String,
    partitions: u32,
    settings: Vec<Setting>,
    /// What a new one is set to beside that; nobody insists on it.
    more: Vec<(String, String)>,
}

/// A setting of a topic; new topics get the value.
struct Setting {
    name: &'static str,
    value: String,
    rule: Rule,
}

/// Which values an existing topic may have.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Exactly,
    AtLeast,
    AtMost,
}

impl Setting {
    fn new(name: &'static str, value: impl Into<String>, rule: Rule) -> Self {
        Self { name, value: value.into(), rule }
    }

    fn allows(&self, found: &str) -> bool {
        let numbers = || found.parse::<i64>().ok().zip(self.value.parse::<i64>().ok());
        match self.rule {
            Rule::Exactly => found == self.value,
            Rule::AtLeast => numbers().is_some_and(|(found, least)| found >= least),
            Rule::AtMost => numbers().is_some_and(|(found, most)| found <= most),
        }
    }

    fn expected(&self) -> String {
        match self.rule {
            Rule::Exactly => self.value.clone(),
            Rule::AtLeast => format!("{} or more", self.value),
            Rule::AtMost => format!("{} or less", self.value),
        }
    }
}

/// Every topic that is needed.
fn all(settings: &KafkaSettings, partitions: u32) -> Vec<Topic> {
    let events = Context::ALL.iter().map(|context| Topic {
        name: settings.name(context.topic()),
        partitions,
        settings: event_settings(),
        more: Vec::new(),
    });
    let keys = person_keys(settings, partitions);
    let mut key_settings = compacted_settings();
    // A tombstone takes effect within a day, so that a forgotten person is.
    key_settings.push(Setting::new("segment.ms", DAY_MS, Rule::AtMost));
    key_settings.push(Setting::new("max.compaction.lag.ms", DAY_MS, Rule::AtMost));
    let copies = event_schemas(settings);
    let owners = partition_owners(settings);
    let actions = operator_actions(settings);
    let others = [
        (keys, key_settings),
        (copies, compacted_settings()),
        (owners, compacted_settings()),
        (actions, event_settings()),
    ];
    let others = others.into_iter().map(|(CompactedTopic { name, partitions }, settings)| Topic {
        name,
        partitions,
        settings,
        more: Vec::new(),
    });
    events.chain(others).collect()
}

fn event_settings() -> Vec<Setting> {
    let mut settings = vec![
        Setting::new("cleanup.policy", "delete", Rule::Exactly),
        Setting::new("retention.ms", "-1", Rule::Exactly),
        Setting::new("retention.bytes", "-1", Rule::Exactly),
    ];
    settings.extend(common_settings());
    settings
}

fn compacted_settings() -> Vec<Setting> {
    let mut settings = vec![Setting::new("cleanup.policy", "compact", Rule::Exactly)];
    settings.extend(common_settings());
    settings
}

fn common_settings() -> [Setting; 3] {
    [
        Setting::new("message.timestamp.type", "LogAppendTime", Rule::Exactly),
        Setting::new("max.message.bytes", TOPIC_MAX_BYTES.to_string(), Rule::AtLeast),
        Setting::new("unclean.leader.election.enable", "false", Rule::Exactly),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::PRODUCER_MAX_BYTES;

    #[test]
    fn the_producers_largest_batch_fits_every_topic() {
        const { assert!(TOPIC_MAX_BYTES >= PRODUCER_MAX_BYTES) }
    }

    #[test]
    fn every_topic_carries_the_namespace() {
        let topics = all(&KafkaSettings::new("localhost:9092", "one", "test"), 4);
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let expected = [
            "one.catalog-events",
            "one.inventory-events",
            "one.order-events",
            "one.payment-events",
            "one.ticket-events",
            "one.queue-events",
            "one.account-events",
            "one.person-keys",
            "one.event-schemas",
            "one.partition-owners",
            "one.operator-actions",
        ];
        assert_eq!(names, expected);
        assert_eq!(KafkaSettings::new("localhost:9092", "", "test").name("order-events"), "order-events");
    }

    #[test]
    fn a_setting_allows_what_its_rule_says() {
        let setting = |rule| Setting::new("any", "100", rule);
        assert!(setting(Rule::Exactly).allows("100") && !setting(Rule::Exactly).allows("101"));
        assert!(setting(Rule::AtLeast).allows("101") && !setting(Rule::AtLeast).allows("99"));
        assert!(setting(Rule::AtMost).allows("99") && !setting(Rule::AtMost).allows("101"));
        assert!(!setting(Rule::AtMost).allows("many"));
    }
}
