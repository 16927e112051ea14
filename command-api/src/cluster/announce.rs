//! Tells the other instances what this one serves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_log::kafka::{CompactedTopic, KafkaLog};
use service_kit::clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::directory::{Directory, Served};
use crate::owners::Owners;

/// How soon it is noticed that a partition is served.
const LOOK: Duration = Duration::from_millis(25);
/// What was written is in the topic, and read again, long before.
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// Who announces, and where.
pub struct Announcer {
    /// The log.
    pub log: Arc<KafkaLog>,
    /// `partition-owners`.
    pub topic: CompactedTopic,
    /// What the topic says.
    pub directory: Arc<Directory>,
    /// Where our commands are taken.
    pub url: String,
    /// Our name.
    pub instance: String,
    /// The store of our snapshots.
    pub store: Uuid,
}

impl Announcer {
    /// Keeps the topic right about what is served here, until the process ends. Nothing is taken back when a partition is
    /// given up: the successor writes over it, and until then we say ourselves that we do not serve it.
    pub async fn run(self: Arc<Self>, owners: Arc<Owners>, shutdown: CancellationToken) {
        let mut serving = BTreeMap::new();
        let mut written: HashMap<u32, Instant> = HashMap::new();
        while !shutdown.is_cancelled() {
            let now_serving = owners.serving();
            if now_serving != serving {
                serving = now_serving;
                // Whoever waits for a partition of ours need not wait for the topic.
                self.directory.ring();
                written.clear();
            }
            let now = clock::monotonic();
            written.retain(|_, at| now.duration_since(*at) < WRITE_AGAIN);
            let due = self.due(&serving).into_iter().filter(|(number, _)| !written.contains_key(number));
            let due: Vec<(u32, Served)> = due.collect();
            written.extend(due.iter().map(|(number, _)| (*number, now)));
            futures::future::join_all(due.iter().map(|(number, served)| self.write(*number, served))).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is served here and the topic does not end with. A later term than ours means that we are about to learn that
    /// the partition is ours no longer.
    fn due(&self, serving: &BTreeMap<u32, u32>) -> Vec<(u32, Served)> {
        let ours = serving.iter().map(|(number, term)| {
            let (url, instance) = (self.url.clone(), self.instance.clone());
            (*number, Served { url, instance, store: self.store, term: *term })
        });
        let later = |number, term| self.directory.owner(number).is_some_and(|served| served.term > term);
        ours.filter(|(number, served)| {
            !later(*number, served.term) && self.directory.last(*number).as_ref() != Some(served)
        })
        .collect()
    }

    async fn write(&self, number: u32, served: &Served) {
        let key = number.to_string();
        match self.log.append_compacted(&self.topic, key.as_bytes(), Some(&served.encode())).await {
            Ok(()) => {
                tracing::info!(
                    partition.number = number,
                    term = served.term,
                    "announced that the partition is served here"
                )
            }
            Err(error) => {
                tracing::warn!(partition.number = number, %error, "a partition could not be announced; trying again")
            }
        }
    }
}
