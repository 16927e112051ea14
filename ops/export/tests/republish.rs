//! Copies carry what CloudEvents asks for, and say where they come from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::root::Context;
use event_log::kafka::KafkaSettings;
use event_log::log::Log;
use export::republish::{Copied, Copying, Value, run};
use local_stack::{StackConfig, find_root, up};
use mixes::{Fate, Orders, START, Writer};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};
use schemas::Codec;

use crate::support::{PARTITIONS, Written, at};

const PATIENCE: Duration = Duration::from_secs(30);

fn log(codec: &Codec, events: u64) -> Written {
    let mut log = Written::default();
    for number in 0..PARTITIONS {
        let mix = Orders::new(u64::from(number), 3, Fate::Mixed);
        let mut writer = Writer::new(codec.clone(), mix, &Default::default(), Default::default(), START);
        while writer.events < events {
            let record = writer.next().unwrap();
            let frame = event_log::frame::Frame::decode(&record.header).unwrap();
            log.push(at(Context::Order, number), START, &frame, &record.key, record.value);
        }
    }
    log
}

/// Whatever lies in a topic.
fn all(settings: &KafkaSettings, topic: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer =
        settings.client_config().set("group.id", "reads").set("enable.partition.eof", "false").create().unwrap();
    let mut list = TopicPartitionList::new();
    let mut left = 0;
    for partition in 0..i32::try_from(PARTITIONS).unwrap() {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        let (start, end) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
        left += end - start;
    }
    consumer.assign(&list).unwrap();
    let mut all = Vec::new();
    while (all.len() as i64) < left {
        all.extend(consumer.poll(PATIENCE).map(|it| it.unwrap().detach()));
    }
    all
}

fn headers(message: &OwnedMessage) -> BTreeMap<String, String> {
    let headers = message.headers().unwrap();
    headers.iter().map(|it| (it.key.to_owned(), String::from_utf8(it.value.unwrap().to_vec()).unwrap())).collect()
}

async fn copy(log: &Written, codec: &Codec, settings: &KafkaSettings, value: Value, to: &str) -> Copied {
    let (log, codec, settings): (Arc<dyn Log>, _, _) = (Arc::new(log.clone()), codec.clone(), settings.clone());
    let copying = Copying {
        topics: vec![Context::Order],
        to: to.to_owned(),
        value,
        follow: false,
        partitions: PARTITIONS,
        replication: 1,
        schemas: "http://registry/schemas/ids/".to_owned(),
    };
    let work = move || run(log, &codec, &settings, &copying, &|_| {}, &mut |_| {});
    tokio::task::spawn_blocking(work).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_cloud_events_and_are_made_once() {
    let stack = tokio::task::spawn_blocking(|| up(&StackConfig::for_tests(&find_root().unwrap()), &mut |_| {}));
    let kafka = stack.await.unwrap().unwrap().kafka;
    let namespace = format!("r{}", std::process::id());
    let settings = KafkaSettings::new(kafka, &namespace, "republish-test");
    let codec = Codec::in_memory();
    let (short, long) = (log(&codec, 30), log(&codec, 70));
    let to = format!("facts-{}", tempfile::tempdir().unwrap().path().file_name().unwrap().to_str().unwrap());
    let to = to.replace('.', "");
    // Positions are kept of topics that exist.
    let admin: AdminClient<DefaultClientContext> = settings.client_config().create().unwrap();
    let partitions = i32::try_from(PARTITIONS).unwrap();
    let source = settings.name(Context::Order.topic());
    let new = NewTopic::new(&source, partitions, TopicReplication::Fixed(1));
    admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await.unwrap();
    let first = copy(&short, &codec, &settings, Value::Avro, &to).await;
    assert!(first.created);
    let second = copy(&long, &codec, &settings, Value::Avro, &to).await;
    assert_eq!((second.created, second.found, first.copied + second.copied), (false, 0, 140));
    let topic = settings.name(&to);
    let copies = all(&settings, &topic);
    assert_eq!(copies.len(), 140);
    for message in &copies {
        let headers = headers(message);
        let record = &long.records[&at(Context::Order, headers["ce_logpartition"].parse().unwrap())]
            [headers["ce_logoffset"].parse::<usize>().unwrap()];
        let (meta, event) = codec.decode(&record.value).unwrap();
        assert_eq!(message.payload().unwrap(), &record.value[..]);
        assert_eq!(message.key().unwrap(), &record.key[..]);
        assert_eq!(message.partition().to_string(), headers["ce_logpartition"]);
        assert_eq!(message.timestamp().to_millis(), Some(record.timestamp.0 / 1000));
        assert_eq!(headers["ce_specversion"], "1.0");
        assert_eq!(headers["ce_id"], meta.event_id.to_string());
        assert_eq!(headers["ce_type"], format!("boxoffice.order.{}", event.name()));
        assert_eq!(headers["ce_source"], format!("/boxoffice/{namespace}/order-events"));
        assert_eq!(headers["ce_subject"], event.aggregate().to_string());
        let time: jiff::Timestamp = headers["ce_time"].parse().unwrap();
        assert_eq!(time.as_microsecond(), meta.occurred_at.0);
        let id = schemas::schema_id(&record.value).unwrap();
        assert_eq!(headers["ce_dataschema"], format!("http://registry/schemas/ids/{id}"));
        assert_eq!(headers["content-type"], "application/avro");
    }
    let json = format!("{to}-json");
    copy(&short, &codec, &settings, Value::Json, &json).await;
    for message in all(&settings, &settings.name(&json)) {
        let value: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let headers = headers(&message);
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key("ce_dataschema"), "the schema is Avro's");
        assert_eq!(value["meta"]["event_id"], headers["ce_id"]);
        assert_eq!(value["order"], headers["ce_subject"]);
    }
}
