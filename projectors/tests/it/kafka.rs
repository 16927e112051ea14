//! The same on a real Kafka and registry: events, keys, and a process of its own that refuses what is not prepared.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::{Log, NewRecord, Partition, Reports};
use event_log::topics::{Layout, init, person_keys};
use projectors::{LAYOUTS, Logs};
use schemas::{Codec, PersonKey, Registry};
use uuid::Uuid;

use crate::database::{Database, endpoints, filled_once, told};
use crate::lanes::{Lanes, PARTITIONS, places};
use crate::story::everything;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_kafka_gives_the_same_rows_as_one_in_memory() {
    let stack = endpoints().await;
    let database = Database::new().await;
    let settings = KafkaSettings::new(&stack.kafka, &database.namespace, "projectors-test");
    let ids = init(&settings, &stack.registry, Layout::local(PARTITIONS)).await.unwrap().ids;
    let codec = Codec::new(ids, Registry::new(&stack.registry).unwrap());
    let lanes = told_with(codec);
    let expected = filled_once(&lanes).await;
    let log = Arc::new(KafkaLog::connect(settings.clone()).unwrap());
    copy(&lanes, &log, &BTreeMap::new());
    let key = PersonKey { key_id: Uuid::from_u128(1), master_key_id: Uuid::nil(), wrapped: vec![1] };
    let value = lanes.codec.encode_person_key(&key).unwrap();
    let topic = person_keys(&settings, PARTITIONS);
    log.append_compacted(&topic, key.key_id.to_string().as_bytes(), Some(&value)).await.unwrap();
    let running = database.run_logs(Logs::kafka(log, PARTITIONS), &lanes, database.settings());
    database.caught_up(&lanes).await;
    running.until("readiness", |why| why.is_empty()).await;
    let rows = database.rows().await;
    let events = |name: &String| !name.starts_with("person_keys");
    assert!(rows.iter().filter(|(name, _)| events(name)).eq(expected.iter().filter(|(name, _)| events(name))));
    assert_eq!(database.view("person_keys").await[0]["wrapped"], "\\x01");
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_refuses_topics_that_nobody_made() {
    let stack = endpoints().await;
    let database = Database::new().await;
    let mut process = Command::new(env!("CARGO_BIN_EXE_projectors"));
    process
        .env("BOXOFFICE_KAFKA", &stack.kafka)
        .env("BOXOFFICE_REGISTRY", &stack.registry)
        .env("BOXOFFICE_POSTGRES", &stack.postgres)
        .env("BOXOFFICE_NAMESPACE", &database.namespace)
        .env("BOXOFFICE_LISTEN", "127.0.0.1:0");
    let ended = tokio::task::spawn_blocking(move || process.output().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap();
    let error = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success());
    assert!(error.contains("does not exist: run `boxctl init`"), "{error}");
    let made = "select count(*) from pg_namespace where nspname like $1";
    let made = sqlx::query_scalar::<_, i64>(made).bind(format!("{}%", database.namespace));
    assert_eq!(made.fetch_one(&database.pool).await.unwrap(), 0, "nothing of {} was made", LAYOUTS.len());
}

fn told_with(codec: Codec) -> Lanes {
    let mut lanes = Lanes::with(codec);
    everything().told.iter().for_each(|it| lanes.tell(it));
    let other = told(&everything());
    assert!(places().all(|place| lanes.end(place) == other.end(place)));
    lanes
}

/// Appends what lies in a log in memory from these offsets on (or from the start) to the one on Kafka.
pub fn copy(lanes: &Lanes, log: &KafkaLog, from: &BTreeMap<Partition, i64>) {
    let nobody: Reports = Arc::new(|_| {});
    for place in places() {
        let from = from.get(&place).map_or(0, |from| usize::try_from(*from).unwrap());
        let records = lanes.log.records(place).into_iter().skip(from).map(|record| NewRecord {
            key: String::from_utf8(record.key.to_vec()).unwrap(),
            header: record.header[..].try_into().unwrap(),
            value: record.value.to_vec(),
            trace: record.trace,
        });
        log.append(place, Uuid::nil(), 0, records.collect(), Arc::clone(&nobody));
    }
}
