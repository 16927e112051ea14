//! Partition numbers that others own, kept ready here in case that they end without a word.
//!
//! Invariant: a number is stood by for or ours, never both.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Owners;
use super::holding::{self, Holding};

/// Between two looks for what could be stood by for; at the start the group hands out partitions meanwhile.
const LOOK: Duration = Duration::from_secs(2);

/// What is stood by for.
#[derive(Default)]
pub(super) struct Standbys {
    standing: Mutex<BTreeMap<u32, Holding>>,
    ended: CancellationToken,
}

impl Standbys {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Holding>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owners {
    /// Stands by for what others own, one number after the other, until it is told to end.
    pub async fn stand_by(self: Arc<Self>) {
        if self.setup.standbys == 0 {
            return;
        }
        while self.standbys.ended.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            self.stand_by_for_one_more();
        }
    }

    /// Ends what stands by, and begins nothing more. Blocks, bounded.
    pub fn stand_by_no_more(&self) {
        self.standbys.ended.cancel();
        let standing = std::mem::take(&mut *self.standbys.lock());
        let standing: Vec<Arc<Holding>> = standing.into_values().map(Arc::new).collect();
        holding::end(&standing);
        show(0);
    }

    /// What is ours comes first, and one that reads a long log has the time that it needs for itself.
    fn stand_by_for_one_more(&self) {
        let mut standing = self.standbys.lock();
        // One that was promoted stands by no more.
        show(standing.len());
        let busy = self.all().iter().any(|holding| holding.term().is_none())
            || standing.values().any(|standby| !standby.has_caught_up());
        if busy || self.standbys.ended.is_cancelled() || standing.len() >= self.setup.standbys {
            return;
        }
        let ours = self.numbers();
        let all = from_here_on(&self.setup.settings.url, self.partitions());
        let mut others = all.filter(|number| !ours.contains(number) && !standing.contains_key(number));
        let Some(number) = others.next() else { return };
        match Holding::stand_by(number, &self.setup) {
            Ok(standby) => {
                tracing::info!(partition.number = number, "stands by for a partition");
                standing.insert(number, standby);
            }
            Err(error) => {
                tracing::error!(partition.number = number, %error, "standbys of a partition cannot be started")
            }
        }
        show(standing.len());
    }
}

/// Every number, for each instance in another order, so that they do not all stand by for the same few.
fn from_here_on(url: &str, partitions: u32) -> impl Iterator<Item = u32> {
    let mut hasher = DefaultHasher::new();
    url.hash(&mut hasher);
    let first = u32::try_from(hasher.finish() % u64::from(partitions)).expect("a remainder is less than the count");
    (0..partitions).map(move |it| (first + it) % partitions)
}

fn show(standing: usize) {
    metrics::gauge!("boxoffice_partitions_standing_by").set(standing as f64);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_has_its_turn_and_not_everybody_begins_with_the_same() {
        let firsts: BTreeSet<u32> = (0..20)
            .map(|n| {
                let order: Vec<u32> = from_here_on(&format!("http://127.0.0.1:{n}"), 64).collect();
                assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 64);
                order[0]
            })
            .collect();
        assert!(firsts.len() > 10, "{firsts:?}");
    }
}
