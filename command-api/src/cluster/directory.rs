//! Who serves which partition number, as the compacted topic `partition-owners` has it.
//!
//! It is a hint where to send commands, never a permission: whoever is asked knows by itself whether it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use event_log::kafka::{CompactedFollowed, CompactedFollower, KeyedRecord};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use uuid::Uuid;

/// Who serves a partition number. The key of its record is the number in decimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Where its commands are taken.
    pub url: String,
    /// The instance's name.
    pub instance: String,
    /// The store of its snapshots.
    pub store: Uuid,
    /// The term of its claim on `catalog-events`: somebody of an earlier term who wrote late is not believed.
    pub term: u32,
}

#[derive(Default)]
struct Known {
    /// Of the latest term.
    served: BTreeMap<u32, Served>,
    /// What lies last in the topic, and what compaction keeps.
    last: BTreeMap<u32, Served>,
    caught_up: bool,
}

/// The topic as far as it was read, and a bell that rings at every change.
#[derive(Default)]
pub struct Directory {
    known: RwLock<Known>,
    changed: Notify,
}

impl Served {
    /// Its value in the topic.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it is plain data")
    }

    /// What a record says; none if it was not written by us, or taken away.
    pub fn decode(record: &KeyedRecord) -> Option<(u32, Self)> {
        let number = std::str::from_utf8(&record.key).ok()?.parse().ok()?;
        Some((number, serde_json::from_slice(record.value.as_deref()?).ok()?))
    }
}

/// The owners that records tell of, in the order they lie there.
pub fn owners(records: &[KeyedRecord]) -> BTreeMap<u32, Served> {
    let directory = Directory::default();
    directory.read(records);
    let known = directory.known();
    known.served.clone()
}

impl Directory {
    /// Keeps it up to date while the topic is followed.
    pub fn follower(self: &Arc<Self>) -> CompactedFollower {
        let directory = Arc::clone(self);
        Arc::new(move |followed| match followed {
            CompactedFollowed::Records(records) => directory.read(&records),
            CompactedFollowed::CaughtUp => {
                directory.known.write().unwrap_or_else(PoisonError::into_inner).caught_up = true;
                directory.ring();
            }
        })
    }

    /// Who serves a number, as far as anybody said.
    pub fn owner(&self, number: u32) -> Option<Served> {
        self.known().served.get(&number).cloned()
    }

    /// What the topic ends with for a number.
    pub fn last(&self, number: u32) -> Option<Served> {
        self.known().last.get(&number).cloned()
    }

    /// Every owner of another address, with the store of its snapshots.
    pub fn others(&self, url: &str) -> BTreeSet<(String, Uuid)> {
        let known = self.known();
        let others = known.served.values().filter(|served| served.url != url);
        others.map(|served| (served.url.clone(), served.store)).collect()
    }

    /// Whether everything that was there at the start has been read.
    pub fn is_caught_up(&self) -> bool {
        self.known().caught_up
    }

    /// Ends at the next change, also one that comes before it is awaited but after it was enabled.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Wakes everybody who waits for a change.
    pub fn ring(&self) {
        self.changed.notify_waiters();
    }

    fn read(&self, records: &[KeyedRecord]) {
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            for record in records {
                let Some((number, served)) = Served::decode(record) else {
                    tracing::warn!(offset = record.offset, "a record of partition-owners that names no owner");
                    continue;
                };
                if known.served.get(&number).is_none_or(|before| before.term <= served.term) {
                    known.served.insert(number, served.clone());
                }
                known.last.insert(number, served);
            }
        }
        self.ring();
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn served(instance: &str, term: u32) -> Served {
        let url = format!("http://{instance}");
        Served { url, instance: instance.to_owned(), store: Uuid::nil(), term }
    }

    fn record(key: &str, value: Option<Vec<u8>>) -> KeyedRecord {
        KeyedRecord {
            partition: 0,
            offset: 0,
            timestamp: domain::value::Timestamp(0),
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: value.map(Bytes::from),
        }
    }

    #[test]
    fn who_claimed_last_is_believed_whoever_wrote_last() {
        let directory = Arc::new(Directory::default());
        let follower = directory.follower();
        let told = |instance, term| record("3", Some(served(instance, term).encode()));
        follower(CompactedFollowed::Records(vec![told("a", 4), told("b", 5), told("a", 4)]));
        assert_eq!(directory.owner(3), Some(served("b", 5)));
        assert_eq!(directory.last(3), Some(served("a", 4)), "whoever reads anew sees only this: b has to write again");
        assert_eq!(directory.owner(2), None);
        assert_eq!(directory.others("http://a").len(), 1);
        assert!(directory.others("http://b").is_empty());
        assert!(!directory.is_caught_up());
        follower(CompactedFollowed::CaughtUp);
        assert!(directory.is_caught_up());
    }

    #[test]
    fn what_names_no_owner_changes_nothing() {
        let directory = Directory::default();
        let good = served("a", 1).encode();
        directory.read(&[record("0", Some(good.clone()))]);
        directory.read(&[record("0", None), record("x", Some(good)), record("0", Some(b"{}".to_vec()))]);
        assert_eq!(directory.owner(0), Some(served("a", 1)));
    }

    #[tokio::test]
    async fn a_change_rings() {
        let directory = Directory::default();
        let mut changed = std::pin::pin!(directory.changed());
        changed.as_mut().enable();
        directory.read(&[record("0", Some(served("a", 1).encode()))]);
        changed.await;
    }
}
