//! Persons' keys: the last word of the compacted topic counts, and what it no longer has is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use domain::value::Timestamp;
use event_log::kafka::{CompactedFollowed, CompactedFollower, KeyedRecord};
use event_log::log::Following;
use projectors::{FollowKeys, Logs, wipe};
use schemas::{Codec, PersonKey};
use service_kit::clock;
use uuid::Uuid;

use crate::database::{Database, Running};
use crate::lanes::Lanes;

/// A compacted topic of one partition.
#[derive(Clone, Default)]
struct Topic {
    records: Arc<Mutex<BTreeMap<i64, KeyedRecord>>>,
}

struct Tail(#[allow(dead_code, reason = "the thread ends with it")] Arc<()>);

impl Following for Tail {}

impl Topic {
    fn put(&self, id: u128, key: Option<&str>) {
        let id = Uuid::from_u128(id);
        let key = key.map(|wrapped| {
            let key = PersonKey { key_id: id, master_key_id: Uuid::nil(), wrapped: wrapped.as_bytes().to_vec() };
            Bytes::from(Codec::in_memory().encode_person_key(&key).unwrap())
        });
        self.put_raw(&id.to_string(), key);
    }

    fn put_raw(&self, key: &str, value: Option<Bytes>) {
        let mut records = self.records.lock().unwrap();
        let offset = records.last_key_value().map_or(0, |(offset, _)| offset + 1);
        let key = Bytes::copy_from_slice(key.as_bytes());
        records.insert(offset, KeyedRecord { partition: 0, offset, timestamp: Timestamp(1), key, value });
    }

    /// Everything up to an offset is forgotten.
    fn compact(&self, below: i64) {
        self.records.lock().unwrap().retain(|offset, _| *offset >= below);
    }

    fn source(&self) -> FollowKeys {
        let topic = self.clone();
        Arc::new(move |follower: CompactedFollower| -> Box<dyn Following> {
            let (alive, topic) = (Arc::new(()), topic.clone());
            let followed = Arc::downgrade(&alive);
            std::thread::spawn(move || {
                let (mut next, mut caught_up) = (0, false);
                while followed.upgrade().is_some() {
                    let records: Vec<KeyedRecord> =
                        topic.records.lock().unwrap().range(next..).map(|(_, record)| record.clone()).collect();
                    next = records.last().map_or(next, |record| record.offset + 1);
                    if !records.is_empty() {
                        follower(CompactedFollowed::Records(records));
                    }
                    if !caught_up {
                        caught_up = true;
                        follower(CompactedFollowed::CaughtUp);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            Box::new(Tail(alive))
        })
    }
}

fn start(database: &Database, lanes: &Lanes, topic: &Topic) -> Running {
    database.run_logs(Logs::new(lanes.shared(), Some(topic.source())), lanes, database.settings())
}

/// Waits until the view has exactly these keys.
async fn shown(database: &Database, expected: &[(u128, &str)]) {
    let started = clock::monotonic();
    let hex = |text: &str| text.bytes().fold("\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
    let mut expected: Vec<(String, String)> =
        expected.iter().map(|(id, key)| (Uuid::from_u128(*id).to_string(), hex(key))).collect();
    expected.sort();
    loop {
        let rows = database.view("person_keys").await;
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let mut rows: Vec<(String, String)> =
            rows.iter().map(|row| (text(&row["key_id"]), text(&row["wrapped"]))).collect();
        rows.sort();
        if rows == expected {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{rows:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ready(running: &Running) {
    running.until("readiness of the keys", |why| !why.contains_key("read model person_keys")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_about_a_key_counts() {
    let (database, lanes, topic) = (Database::new().await, Lanes::new(), Topic::default());
    [1, 2, 3].iter().for_each(|id| topic.put(*id, Some("first")));
    topic.put(2, Some("again"));
    let running = start(&database, &lanes, &topic);
    ready(&running).await;
    shown(&database, &[(1, "first"), (2, "again"), (3, "first")]).await;
    topic.put(3, None);
    shown(&database, &[(1, "first"), (2, "again")]).await;
    // Emptied while nothing happens.
    wipe(&database.pool, &database.namespace, "person_keys").await.unwrap();
    shown(&database, &[(1, "first"), (2, "again")]).await;
    running.stop().await;
    // Taken away and compacted while nobody read.
    topic.put(4, Some("new"));
    topic.compact(3);
    let running = start(&database, &lanes, &topic);
    shown(&database, &[(2, "again"), (4, "new")]).await;
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slower_process_does_not_bring_a_key_back() {
    let (database, lanes, topic) = (Database::new().await, Lanes::new(), Topic::default());
    topic.put(1, Some("first"));
    topic.put(1, None);
    let running = start(&database, &lanes, &topic);
    ready(&running).await;
    shown(&database, &[]).await;
    // It has come to the first record only.
    let slow = Topic::default();
    slow.put(1, Some("first"));
    let slower = start(&database, &lanes, &slow);
    ready(&slower).await;
    shown(&database, &[]).await;
    running.stop().await;
    slower.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_key_is_loud_and_the_others_are_shown() {
    let (database, lanes, topic) = (Database::new().await, Lanes::new(), Topic::default());
    topic.put_raw("not an id", None);
    topic.put(1, Some("first"));
    let running = start(&database, &lanes, &topic);
    shown_eventually(&database).await;
    running
        .until("a complaint", |why| why.get("read model person_keys").is_some_and(|why| why.contains("no id")))
        .await;
    running.stop().await;
    database.drop().await;
}

async fn shown_eventually(database: &Database) {
    let started = clock::monotonic();
    // The view is not there before the first start of a namespace.
    while database.position("shows", crate::lanes::places().next().unwrap()).await.is_none() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shown(database, &[(1, "first")]).await;
}
