//! Topics and schemas on the real servers: made once, checked for ever.

use std::time::Duration;

use domain::root::Context;
use event_log::kafka::KafkaSettings;
use event_log::topics::{Layout, TopicsError, check, event_schemas, init, sync_every_append};
use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use schemas::SchemaRecord;

use crate::support::kafka::{admin, connect, create, settings, stack};

/// One of every context, three compacted ones, and that of operators' actions.
const TOPICS: usize = Context::ALL.len() + 4;
const LAYOUT: Layout = Layout { partitions: 2, replication: 1, min_insync: 1 };

fn registry() -> &'static str {
    &stack().registry
}

#[tokio::test]
async fn init_makes_everything_once_and_check_agrees() {
    let settings = settings();
    let refused = check(&settings, registry(), 2).await.unwrap_err();
    let message = format!("the topic {} does not exist: run `boxctl init`", settings.name("catalog-events"));
    assert_eq!(refused.to_string(), message);

    let first = init(&settings, registry(), LAYOUT).await.unwrap();
    assert_eq!((first.created.len(), first.existing.len()), (TOPICS, 0));
    assert_eq!(first.copied.len(), first.ids.records("").len());

    let second = init(&settings, registry(), LAYOUT).await.unwrap();
    assert_eq!((second.created.len(), second.existing.len(), second.copied.len()), (0, TOPICS, 0));
    assert_eq!(second.ids, first.ids);
    assert_eq!(check(&settings, registry(), 2).await.unwrap(), first.ids);

    let refused = check(&settings, registry(), 3).await.unwrap_err();
    assert!(matches!(refused, TopicsError::Partitions { found: 2, expected: 3, .. }), "{refused}");
    let refused = init(&settings, registry(), Layout::local(3)).await.unwrap_err();
    assert!(matches!(refused, TopicsError::Partitions { found: 2, expected: 3, .. }), "{refused}");
}

#[tokio::test]
async fn in_d1_every_append_of_what_cannot_be_made_anew_is_synced_and_nothing_else_changes() {
    let settings = settings();
    // An operator chose something that we do not insist on.
    let right = [("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1"), ("segment.bytes", "20000000")];
    create(&settings.name("order-events"), 2, &right);
    let made = init(&settings, registry(), LAYOUT).await.unwrap();
    let set = async |topic: &str, setting: &str| {
        let name = settings.name(topic);
        let asked = [ResourceSpecifier::Topic(&name)];
        let mut answers = admin().describe_configs(&asked, &AdminOptions::new()).await.unwrap();
        let answer = answers.remove(0).unwrap();
        answer.get(setting).and_then(|entry| entry.value.clone()).unwrap()
    };
    assert_ne!(set("order-events", "flush.messages").await, "1", "D2 is the default");

    sync_every_append(&settings).await.unwrap();
    for topic in Context::ALL.iter().map(|context| context.topic()) {
        assert_eq!(set(topic, "flush.messages").await, "1", "{topic}");
    }
    for topic in ["person-keys", "operator-actions"] {
        assert_eq!(set(topic, "flush.messages").await, "1", "{topic}");
    }
    for topic in ["event-schemas", "partition-owners"] {
        assert_ne!(set(topic, "flush.messages").await, "1", "{topic} can be made anew");
    }
    assert_eq!(set("order-events", "segment.bytes").await, "20000000");
    assert_eq!(check(&settings, registry(), 2).await.unwrap(), made.ids);
}

#[tokio::test]
async fn a_wrong_setting_is_refused_by_name() {
    let wrong = [
        ("catalog-events", "cleanup.policy", "compact"),
        ("order-events", "retention.ms", "3600000"),
        ("payment-events", "retention.bytes", "1000000000"),
        ("ticket-events", "message.timestamp.type", "CreateTime"),
        ("inventory-events", "max.message.bytes", "900000"),
        ("inventory-events", "unclean.leader.election.enable", "true"),
        ("person-keys", "max.compaction.lag.ms", "9223372036854775807"),
        ("person-keys", "segment.ms", "604800000"),
        ("operator-actions", "retention.ms", "604800000"),
    ];
    for (topic, setting, value) in wrong {
        let settings = settings();
        let right = [
            ("cleanup.policy", if topic == "person-keys" { "compact" } else { "delete" }),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("message.timestamp.type", "LogAppendTime"),
            ("segment.ms", "86400000"),
            ("max.compaction.lag.ms", "86400000"),
        ];
        let mut set: Vec<(&str, &str)> = right.into_iter().filter(|(name, _)| *name != setting).collect();
        set.push((setting, value));
        let partitions = if topic == "operator-actions" { 1 } else { 2 };
        create(&settings.name(topic), partitions, &set);
        let refused = init(&settings, registry(), LAYOUT).await.unwrap_err();
        let message = format!("the topic {} is set to {setting}={value}; ", settings.name(topic));
        assert!(refused.to_string().starts_with(&message), "{refused}");
    }
}

#[tokio::test]
async fn a_registry_that_answers_differently_is_refused() {
    let settings = settings();
    let made = init(&settings, registry(), LAYOUT).await.unwrap();
    // As if the log had been written with another registry: one id means something else there.
    let ours = made.ids.records(&settings.namespace).remove(0);
    let theirs = SchemaRecord { schema: r#"{"type":"record","name":"Other","fields":[]}"#.to_owned(), ..ours.clone() };
    let log = connect(&settings);
    log.append_compacted(&event_schemas(&settings), theirs.key().as_bytes(), Some(&theirs.encode())).await.unwrap();
    for refused in
        [check(&settings, registry(), 2).await.unwrap_err(), init(&settings, registry(), LAYOUT).await.unwrap_err()]
    {
        let message = refused.to_string();
        assert!(message.contains(&format!("id {}", ours.id)) && message.contains(&ours.subject), "{message}");
    }
}

#[tokio::test]
async fn a_schema_that_was_not_copied_is_named() {
    let settings = settings();
    let made = init(&settings, registry(), LAYOUT).await.unwrap();
    let record = made.ids.records(&settings.namespace).remove(3);
    let log = connect(&settings);
    log.append_compacted(&event_schemas(&settings), record.key().as_bytes(), None).await.unwrap();
    let refused = check(&settings, registry(), 2).await.unwrap_err();
    let message = format!("does not hold the schema of {} (id {}): run `boxctl init`", record.subject, record.id);
    assert!(refused.to_string().ends_with(&message), "{refused}");
    assert_eq!(init(&settings, registry(), LAYOUT).await.unwrap().copied, [record.subject]);
    check(&settings, registry(), 2).await.unwrap();
}

#[tokio::test]
async fn what_is_unreachable_is_waited_for() {
    let nowhere = KafkaSettings::new("127.0.0.1:1", "none", "test");
    let waiting = tokio::time::timeout(Duration::from_secs(7), check(&nowhere, registry(), 2)).await;
    assert!(waiting.is_err(), "{waiting:?}");

    let settings = settings();
    init(&settings, registry(), LAYOUT).await.unwrap();
    let waiting = check(&settings, "http://127.0.0.1:1", 2);
    let waiting = tokio::time::timeout(Duration::from_secs(3), waiting).await;
    assert!(waiting.is_err(), "{waiting:?}");
}

#[tokio::test]
async fn more_copies_than_brokers_are_refused() {
    let settings = settings();
    let refused = init(&settings, registry(), Layout::production(2)).await.unwrap_err();
    assert!(matches!(&refused, TopicsError::Refused { .. }), "{refused}");
}
