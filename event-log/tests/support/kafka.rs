//! The real broker that all tests of a checkout share, apart by namespaces.

use std::sync::OnceLock;

use event_log::kafka::{KafkaLog, KafkaSettings};
use futures::executor::block_on;
use local_stack::{Endpoints, StackConfig, find_root, up};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::unique;

/// The servers; started by whoever comes first.
pub fn stack() -> &'static Endpoints {
    static STACK: OnceLock<Endpoints> = OnceLock::new();
    STACK.get_or_init(|| up(&StackConfig::for_tests(&find_root().unwrap()), &mut |line| eprintln!("{line}")).unwrap())
}

/// Settings of a namespace that nobody else has.
pub fn settings() -> KafkaSettings {
    let namespace = format!("test-{}", &unique().simple().to_string()[..12]);
    KafkaSettings::new(&stack().kafka, namespace, "event-log-test")
}

pub fn connect(settings: &KafkaSettings) -> KafkaLog {
    KafkaLog::connect(settings.clone()).unwrap()
}

pub fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &stack().kafka).create().unwrap()
}

/// Makes a topic with settings.
pub fn create(topic: &str, partitions: i32, set: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    new.config = set.to_vec();
    let created = block_on(admin().create_topics([&new], &AdminOptions::new())).unwrap();
    created.into_iter().for_each(|result| drop(result.unwrap()));
}

/// Makes an event topic as the log needs it.
pub fn create_events(topic: &str, partitions: i32) {
    create(topic, partitions, &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1")]);
}

/// The broker forgets everything below an offset.
pub fn forget_below(topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    block_on(admin().delete_records(&list, &AdminOptions::new())).unwrap();
}

/// The topic is deleted and made anew.
pub fn recreate(topic: &str, partitions: i32) {
    let deleted = block_on(admin().delete_topics(&[topic], &AdminOptions::new())).unwrap();
    deleted.into_iter().for_each(|result| drop(result.unwrap()));
    for _ in 0..100 {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let created = block_on(admin().create_topics([&new], &AdminOptions::new())).unwrap();
        if created.into_iter().all(|result| result.is_ok()) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the topic cannot be made anew");
}

/// Makes an event topic on another broker than the shared one.
pub fn create_on(broker: &str, topic: &str, partitions: i32) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> = config.set("bootstrap.servers", broker).create().unwrap();
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let created = block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
    created.into_iter().for_each(|result| drop(result.unwrap()));
}
