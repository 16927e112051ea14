//! What was ours is served by others: only then may this process close its connections.
//!
//! The others ask here as long as nobody has claimed after us. A connection that closes under such a request leaves its
//! caller in doubt, though nothing can have come of it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use service_kit::clock;

use super::directory::Directory;
use super::peers::Peers;

/// Whoever stands in front has noticed by then that this process is not ready any more.
const NOTICED: Duration = Duration::from_secs(1);
/// Take-over takes less; whoever supervises this process is not more patient for ever.
const SUCCEEDED: Duration = Duration::from_secs(4);
/// Between two questions whether there is anybody to take over.
const LOOK: Duration = Duration::from_millis(250);

/// Who takes over from us.
pub struct Succession {
    /// Who serves what.
    pub directory: Arc<Directory>,
    /// The way to the others.
    pub peers: Peers,
    /// Where our commands are taken.
    pub url: String,
}

impl Succession {
    /// Waits, bounded, until all of these numbers are served by others, or nobody is there who could.
    pub async fn wait(&self, numbers: &BTreeSet<u32>) {
        let begun = clock::monotonic();
        while self.has_others().await {
            let mut changed = pin!(self.directory.changed());
            changed.as_mut().enable();
            let served = self.is_served(numbers);
            match begun.elapsed() {
                elapsed if served && elapsed >= NOTICED => return,
                elapsed if elapsed >= SUCCEEDED => {
                    tracing::warn!("not everything that was ours is served by others yet");
                    return;
                }
                _ => drop(tokio::time::timeout(LOOK, changed).await),
            }
        }
    }

    fn is_served(&self, numbers: &BTreeSet<u32>) -> bool {
        let by_others = |number: &u32| self.directory.owner(*number).is_some_and(|served| served.url != self.url);
        numbers.iter().all(by_others)
    }

    /// Whether another instance is a member of the group: one that is about to end, too, takes nothing over.
    async fn has_others(&self) -> bool {
        let others: BTreeSet<String> = self.directory.others(&self.url).into_iter().map(|(url, _)| url).collect();
        let asking = others.iter().map(|url| self.peers.partitions(url, LOOK));
        futures::future::join_all(asking).await.into_iter().any(|report| report.is_ok_and(|report| report.member))
    }
}

#[cfg(test)]
mod tests {
    use service_kit::keys::Secret32;

    use super::*;
    use crate::cluster::signature::InternalKey;

    #[tokio::test]
    async fn whoever_is_alone_waits_for_nobody() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let peers = Peers::new(InternalKey::new(&Secret32::new([1; 32]))).unwrap();
        let alone = Succession { directory: Arc::default(), peers, url: "http://a".to_owned() };
        let waited = tokio::time::timeout(NOTICED / 2, alone.wait(&BTreeSet::from([0, 1]))).await;
        assert!(waited.is_ok());
        assert!(!alone.is_served(&BTreeSet::from([0])) && alone.is_served(&BTreeSet::new()));
    }
}
