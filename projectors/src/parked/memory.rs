//! The same in memory. Nobody wishes anything there: whoever drives it asks by itself.

use event_log::log::Partition;
use uuid::Uuid;

use super::{Aside, Parking, Place, Wish};
use crate::memory::{MemoryTransaction, ToldToFail};

impl Parking for MemoryTransaction {
    async fn parked(&mut self, places: &[Partition]) -> Result<Vec<(Partition, String, u64)>, ToldToFail> {
        let mut keys: Vec<(Partition, String, u64)> = Vec::new();
        for aside in self.asides().values().filter(|aside| places.contains(&aside.place)) {
            match keys.iter_mut().find(|(place, key, _)| *place == aside.place && *key == aside.key) {
                Some((_, _, events)) => *events += 1,
                None => keys.push((aside.place, aside.key.clone(), 1)),
            }
        }
        Ok(keys)
    }

    async fn are_parked(&mut self, keys: &[Place]) -> Result<bool, ToldToFail> {
        let parked = |(place, key): &Place| self.asides().values().any(|it| it.place == *place && it.key == *key);
        Ok(keys.iter().all(parked))
    }

    async fn put_aside(&mut self, events: &[Aside]) -> Result<(), ToldToFail> {
        for aside in events {
            self.asides_mut().insert((aside.place, aside.offset), aside.clone());
        }
        Ok(())
    }

    async fn queue(&mut self, at: &Place, most: usize) -> Result<Vec<Aside>, ToldToFail> {
        let of_key = self.asides().values().filter(|aside| (aside.place, &aside.key) == (at.0, &at.1));
        Ok(of_key.take(most).cloned().collect())
    }

    async fn release(&mut self, at: &Place, through: i64) -> Result<(), ToldToFail> {
        let gone: Vec<Aside> = self.queue(at, usize::MAX).await?;
        for aside in gone.iter().take_while(|aside| aside.offset <= through) {
            self.asides_mut().remove(&(aside.place, aside.offset));
        }
        Ok(())
    }

    async fn blame(&mut self, at: &Place, offset: i64, reason: &str) -> Result<(), ToldToFail> {
        let of_key: Vec<Aside> = self.queue(at, usize::MAX).await?;
        for mut aside in of_key {
            aside.reason = (aside.offset == offset).then(|| reason.to_owned());
            self.asides_mut().insert((aside.place, aside.offset), aside);
        }
        Ok(())
    }

    async fn skip(&mut self, at: &Place, offset: i64, _why: &str) -> Result<bool, ToldToFail> {
        let known = self.asides().get(&(at.0, offset)).is_some_and(|it| it.key == at.1 && it.reason.is_some());
        if known {
            self.asides_mut().remove(&(at.0, offset));
        }
        Ok(known)
    }

    async fn wishes(&mut self, _places: &[Partition]) -> Result<Vec<Wish>, ToldToFail> {
        Ok(Vec::new())
    }

    async fn answer(&mut self, _wish: Uuid, _outcome: &str) -> Result<(), ToldToFail> {
        Ok(())
    }
}
