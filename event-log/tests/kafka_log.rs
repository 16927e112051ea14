//! What only a real broker, or one that answers with errors, can show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::root::Context;
use event_log::kafka::{CompactedFollowed, CompactedTopic, KafkaLog, KafkaSettings};
use event_log::log::{Delivered, Followed, Log, Partition};
use event_log::partition::partition_of_key;
use local_stack::{EphemeralStack, Server, Signal, kill, restart};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use uuid::Uuid;

use crate::support::collector::Collector;
use crate::support::{AT, kafka, numbered};

const CLAIM: Uuid = Uuid::from_u128(7);

fn log() -> (KafkaLog, KafkaSettings) {
    let settings = kafka::settings();
    kafka::create_events(&settings.name(AT.context.topic()), 4);
    (kafka::connect(&settings), settings)
}

fn append(log: &KafkaLog, first: u64, count: u64) -> Vec<Delivered> {
    let reports = Collector::default();
    log.append(AT, CLAIM, first, (first..first + count).map(|seq| numbered(seq, 50)).collect(), reports.reports());
    reports.count(usize::try_from(count).unwrap())
}

#[test]
fn what_cannot_be_enqueued_ends_the_batch() {
    let (log, _) = log();
    let reports = Collector::default();
    let sizes = [50, 50, 2_000_000, 50, 50];
    let records = sizes.iter().zip(0..).map(|(size, seq)| numbered(seq, *size)).collect();
    log.append(AT, CLAIM, 0, records, reports.reports());
    let reported = reports.count(5);
    let seen: Vec<(u64, bool)> = reported.iter().map(|it| (it.seq, it.result.is_ok())).collect();
    assert_eq!(seen, [(0, true), (1, true), (2, false), (3, false), (4, false)]);
    assert_eq!(log.bounds(AT).unwrap().end, 2, "nothing behind the error was enqueued");
    assert_eq!(append(&log, 5, 1)[0].result, Ok(2), "the producer goes on");
}

#[test]
fn a_follower_that_blocks_slows_only_itself() {
    let (log, _) = log();
    let other = Partition { number: 2, ..AT };
    let blocked = Arc::new(AtomicBool::new(true));
    let until = Arc::clone(&blocked);
    let slow = log.follow(
        AT,
        0,
        Arc::new(move |_| {
            while until.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }),
    );
    append(&log, 0, 10);
    let followed = Collector::default();
    let _following = log.follow(other, 0, followed.follower());
    followed.end(0);
    blocked.store(false, Ordering::Relaxed);
    drop(slow);
}

#[test]
fn a_log_that_was_made_anew_is_lost() {
    let (log, settings) = log();
    append(&log, 0, 10);
    let followed = Collector::default();
    let _following = log.follow(AT, 0, followed.follower());
    followed.end(10);
    kafka::recreate(&settings.name(AT.context.topic()), 4);
    let reader = kafka::connect(&settings);
    let anew = Collector::default();
    let _anew = reader.follow(AT, 10, anew.follower());
    assert_eq!(anew.lost(), (0, 0));
    let whole = Collector::default();
    let _whole = reader.follow(AT, 0, whole.follower());
    assert!(whole.end(0).is_empty());
    // The one that was already following may not notice, but must never hand over what does not continue.
    assert_eq!(followed.records().len(), 10);
}

#[test]
fn dropping_the_log_loses_nothing_that_is_under_way() {
    let (log, settings) = log();
    let reports = Collector::default();
    log.append(AT, CLAIM, 0, (0..2000).map(|seq| numbered(seq, 50)).collect(), reports.reports());
    drop(log);
    assert!(reports.count(2000).iter().all(|it| it.result.is_ok()));
    assert_eq!(kafka::connect(&settings).bounds(AT).unwrap().end, 2000);
}

#[test]
fn a_fatal_producer_is_replaced() {
    let mock = MockCluster::new(1).unwrap();
    let topic = format!("mock.{}", Context::Inventory.topic());
    mock.create_topic(&topic, 4, 1).unwrap();
    let log = KafkaLog::connect(KafkaSettings::new(mock.bootstrap_servers(), "mock", "test")).unwrap();
    assert!(append(&log, 0, 1)[0].result.is_ok());
    mock.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    // Records of one batch may leave in more than one request: those after the failed one may arrive (and are void).
    let failed = append(&log, 1, 3);
    assert!(failed[0].result.is_err(), "{failed:?}");
    // Until it is replaced every append is an error, and every one is reported.
    for attempt in 0..100 {
        std::thread::sleep(Duration::from_millis(100));
        if append(&log, 4 + attempt, 1)[0].result.is_ok() {
            return;
        }
    }
    panic!("no new producer came");
}

#[test]
fn an_unreachable_broker_is_an_error_of_asking() {
    let log = KafkaLog::connect(KafkaSettings::new("127.0.0.1:1", "none", "test")).unwrap();
    let error = log.bounds(AT).unwrap_err();
    assert!(error.to_string().starts_with("ask Kafka where a partition begins and ends: "), "{error}");
    let followed = Collector::<Followed>::default();
    drop(log.follow(AT, 0, followed.follower()));
}

#[tokio::test]
async fn a_compacted_topic_keeps_values_and_tombstones() {
    let settings = kafka::settings();
    let topic = CompactedTopic { name: settings.name("person-keys"), partitions: 3 };
    kafka::create(&topic.name, 3, &[("cleanup.policy", "compact")]);
    let log = kafka::connect(&settings);
    let keys: Vec<String> = (0..20).map(|n| format!("key-{n}")).collect();
    for key in &keys {
        log.append_compacted(&topic, key.as_bytes(), Some(format!("value of {key}").as_bytes())).await.unwrap();
    }
    log.append_compacted(&topic, b"key-3", None).await.unwrap();
    let records = log.read_compacted(&topic, Duration::from_secs(20)).await.unwrap();
    assert_eq!(records.len(), 21);
    for record in &records {
        assert_eq!(record.partition, partition_of_key(&record.key, 3));
    }
    let three: Vec<bool> = records.iter().filter(|it| &*it.key == b"key-3").map(|it| it.value.is_some()).collect();
    assert_eq!(three, [true, false]);
    assert_eq!(records.iter().find(|it| &*it.key == b"key-7").unwrap().value.as_deref(), Some(&b"value of key-7"[..]));
}

#[tokio::test]
async fn following_a_compacted_topic_catches_up_once_and_goes_on() {
    let settings = kafka::settings();
    let topic = CompactedTopic { name: settings.name("person-keys"), partitions: 2 };
    kafka::create(&topic.name, 2, &[("cleanup.policy", "compact")]);
    let log = kafka::connect(&settings);
    log.append_compacted(&topic, b"before", Some(b"1")).await.unwrap();
    let seen = Collector::<CompactedFollowed>::default();
    let to = seen.clone();
    let _following = log.follow_compacted(&topic, Arc::new(move |item| to.extend([item])));
    let caught_up = |all: &[CompactedFollowed]| matches!(all.last(), Some(CompactedFollowed::CaughtUp));
    assert_eq!(seen.until("caught up", caught_up).len(), 2);
    log.append_compacted(&topic, b"after", Some(b"2")).await.unwrap();
    let all = seen.until("one more", |all| all.len() == 3);
    assert!(matches!(&all[2], CompactedFollowed::Records(records) if &*records[0].key == b"after"));
}

#[tokio::test]
async fn a_compacted_append_without_a_topic_is_an_error() {
    let settings = kafka::settings();
    let topic = CompactedTopic { name: settings.name("nothing"), partitions: 1 };
    let error = kafka::connect(&settings).append_compacted(&topic, b"key", Some(b"value")).await.unwrap_err();
    assert!(error.to_string().contains("nothing: "), "{error}");
}

#[test]
fn a_broker_that_dies_and_comes_back_loses_nothing_acknowledged() {
    let stack = EphemeralStack::start(&mut |_| {}).unwrap();
    let broker = &stack.endpoints().kafka;
    let settings = KafkaSettings::new(broker, "", "event-log-test");
    kafka::create_on(broker, AT.context.topic(), 4);
    let log = kafka::connect(&settings);
    let followed = Collector::default();
    let _following = log.follow(AT, 0, followed.follower());
    append(&log, 0, 100);
    followed.end(100);
    kill(stack.config(), Server::Kafka, Signal::Kill).unwrap();
    // Appended while nobody is there: it lands later, or is reported as lost.
    let reports = Collector::default();
    log.append(AT, CLAIM, 100, (100..150).map(|seq| numbered(seq, 50)).collect(), reports.reports());
    assert!(log.bounds(AT).is_err());
    restart(stack.config(), Server::Kafka).unwrap();
    let reported = reports.count(50);
    let acknowledged: Vec<i64> = reported.iter().filter_map(|it| it.result.clone().ok()).collect();
    assert_eq!(acknowledged, (100..150).collect::<Vec<i64>>());
    assert_eq!(append(&log, 150, 1)[0].result, Ok(150));
    let records = followed.end(151);
    let numbers: Vec<u8> = records.iter().map(|record| record.value[0]).collect();
    assert_eq!(numbers, (0..151).collect::<Vec<u8>>(), "the same follower goes on");
    assert_eq!(reports.all().len(), 50);
}
