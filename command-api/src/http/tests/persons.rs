//! Forgetting a person: what was answered is done, whatever happens in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::ids::DataKeyId;
use domain::root::Context;
use domain::value::Role;
use event_log::frame::{Frame, Kind};
use event_log::log::Partition;
use event_log::memory::MemoryLog;
use futures::future::{BoxFuture, FutureExt};
use schemas::PersonKey;
use serde_json::{Value, json};
use service_kit::random;

use super::world::{Answer, World, new_log, post};
use crate::person_keys::KeyStore;

/// Takes note of the keys that it is to forget, once it answers.
#[derive(Default)]
struct Store {
    answers: AtomicBool,
    refused: AtomicBool,
    forgotten: Mutex<Vec<DataKeyId>>,
}

impl KeyStore for Store {
    fn keep(&self, _: PersonKey, _: Vec<u8>) -> BoxFuture<'_, anyhow::Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn forget(&self, key: DataKeyId) -> BoxFuture<'_, anyhow::Result<()>> {
        let answers = self.answers.load(Ordering::Relaxed);
        match answers {
            true => self.forgotten.lock().unwrap().push(key),
            false => self.refused.store(true, Ordering::Relaxed),
        }
        async move { if answers { Ok(()) } else { anyhow::bail!("nobody answers") } }.boxed()
    }
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let waited = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), waited).await.unwrap_or_else(|_| panic!("{what} never came"));
}

/// Two orders, and their keys in the order of ids.
fn orders() -> (Value, [DataKeyId; 2]) {
    let mut keys = [DataKeyId(random::opaque_id()), DataKeyId(random::opaque_id())];
    keys.sort();
    let order = |key: &DataKeyId| json!({"order": random::opaque_id(), "show": random::opaque_id(), "key": key});
    (json!({"orders": keys.iter().map(order).collect::<Vec<_>>()}), keys)
}

async fn erase(world: &World, path: &str, body: &Value) -> Answer {
    world.send(post(path).bearer(&world.token("sue", Role::Support)).body(body.clone())).await
}

/// How many events there are about persons.
fn events(log: &MemoryLog) -> usize {
    let records = (0..2).flat_map(|number| log.records(Partition { context: Context::Account, number }));
    records.filter(|record| Frame::decode(&record.header).unwrap().kind == Kind::Event).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_over_takes_the_keys_away() {
    let (log, store) = (new_log(), Arc::new(Store::default()));
    let path = format!("/v1/persons/{}/erase", random::opaque_id());
    let (body, keys) = orders();
    let before = World::over(log.clone(), Arc::clone(&store) as Arc<dyn KeyStore>);
    let answer = erase(&before, &path, &body).await.is(200);
    assert_eq!(answer.body["erased"], 2);
    until("an attempt", || store.refused.load(Ordering::Relaxed)).await;
    drop(before);
    assert!(store.forgotten.lock().unwrap().is_empty(), "it came to its end between the event and the keys");

    store.answers.store(true, Ordering::Relaxed);
    let after = World::over(log.clone(), Arc::clone(&store) as Arc<dyn KeyStore>);
    until("the end of the keys", || store.forgotten.lock().unwrap().len() >= 2).await;
    assert_eq!(*store.forgotten.lock().unwrap(), keys);
    // Again changes nothing, and what is new is one more event.
    assert_eq!(erase(&after, &path, &body).await.is(200).body["erased"], 2);
    assert_eq!(events(&log), 1);
    assert_eq!(erase(&after, &path, &orders().0).await.is(200).body["erased"], 4);
    assert_eq!(events(&log), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_support_and_admins_may() {
    let world = World::start();
    let path = format!("/v1/persons/{}/erase", random::opaque_id());
    let (body, _) = orders();
    world.send(post(&path).body(body.clone())).await.problem(401, "unauthorized");
    for role in [Role::Buyer, Role::Organizer, Role::Staff] {
        let stranger = world.token("stranger", role);
        world.send(post(&path).bearer(&stranger).body(body.clone())).await.problem(403, "forbidden");
    }
    erase(&world, &path, &json!({"orders": []})).await.problem(422, "validation");
    let admin = world.token("ada", Role::Admin);
    world.send(post(&path).bearer(&admin).body(body)).await.is(200);
}
