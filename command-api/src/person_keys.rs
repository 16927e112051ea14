//! A small store of keys for personal data whose loss is ruled out: each was acknowledged in the log before it is used.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::ids::DataKeyId;
use futures::future::BoxFuture;
use ring::rand::SystemRandom;
use schemas::sealed::{DataKey, MasterKey, MasterKeys};
use schemas::{Codec, PersonKey};
use service_kit::backoff::Backoff;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Where wrapped keys are kept: the compacted topic `person-keys`.
pub trait KeyStore: Send + Sync + 'static {
    /// Appends a key and waits for the acknowledgement.
    ///
    /// # Errors
    /// It is not known to be there.
    fn keep(&self, key: PersonKey, value: Vec<u8>) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Takes a key away for ever, by a tombstone, and waits for the acknowledgement.
    ///
    /// # Errors
    /// It is not known to be gone.
    fn forget(&self, key: DataKeyId) -> BoxFuture<'_, anyhow::Result<()>>;
}

/// The keys that are ready.
pub struct KeyPool {
    ready: Mutex<Vec<DataKey>>,
    /// Told when the pool is half empty.
    wanted: Notify,
    /// Told of every key that comes, new or given back.
    arrived: Notify,
    size: usize,
}

impl KeyPool {
    /// An empty pool of this size; `fill` keeps it full.
    pub fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            ready: Mutex::new(Vec::with_capacity(size)),
            wanted: Notify::new(),
            arrived: Notify::new(),
            size,
        })
    }

    /// A key for one person's data, waited for while others hold them all; none if that takes longer than `limit`.
    /// Most of a rush is refused and gives its keys back, so that a small pool serves many.
    pub async fn take(&self, limit: Duration) -> Option<DataKey> {
        let until = Instant::now() + limit;
        loop {
            let mut arrived = pin!(self.arrived.notified());
            // Before the look, so that no arrival is missed after it.
            arrived.as_mut().enable();
            if let Some(key) = self.try_take() {
                return Some(key);
            }
            timeout_at(until, arrived).await.ok()?;
        }
    }

    fn try_take(&self) -> Option<DataKey> {
        let (key, left) = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            (ready.pop(), ready.len())
        };
        if left <= self.size / 2 {
            self.wanted.notify_one();
        }
        key
    }

    /// Takes a key back that protects nothing, because what was sealed with it was refused: a refusal leaves nothing behind.
    pub fn give_back(&self, key: DataKey) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        self.arrived.notify_one();
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Keeps the pool full until the process ends.
    pub async fn fill(
        self: Arc<Self>,
        store: Arc<dyn KeyStore>,
        master: MasterKey,
        codec: Codec,
        shutdown: CancellationToken,
    ) {
        let masters = MasterKeys::new(master, []);
        let mut backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(5));
        while !shutdown.is_cancelled() {
            match self.top_up(store.as_ref(), &masters, &codec).await {
                Ok(()) => {
                    backoff.reset();
                    tokio::select! {
                        () = self.wanted.notified() => {}
                        () = shutdown.cancelled() => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "keys for personal data could not be stored; trying again"
                    );
                    backoff.wait().await;
                }
            }
        }
    }

    async fn top_up(&self, store: &dyn KeyStore, masters: &MasterKeys, codec: &Codec) -> anyhow::Result<()> {
        let random = SystemRandom::new();
        let missing = self.size.saturating_sub(self.ready());
        let mut fresh = Vec::with_capacity(missing);
        for _ in 0..missing {
            let key = DataKey::generate(service_kit::random::id(), &random)?;
            let wrapped = masters.wrap(&key, &random)?;
            let value = codec.encode_person_key(&wrapped)?;
            fresh.push((key, wrapped, value));
        }
        let kept = fresh.into_iter().map(|(key, wrapped, value)| async move {
            store.keep(wrapped, value).await?;
            Ok::<_, anyhow::Error>(key)
        });
        for kept in futures::future::join_all(kept).await {
            self.give_back(kept?);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use schemas::Codec;

    use super::*;

    /// Says that it keeps and forgets everything.
    pub(crate) struct Kept;

    impl KeyStore for Kept {
        fn keep(&self, _: PersonKey, _: Vec<u8>) -> BoxFuture<'_, anyhow::Result<()>> {
            Box::pin(async { Ok(()) })
        }

        fn forget(&self, _: DataKeyId) -> BoxFuture<'_, anyhow::Result<()>> {
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test]
    async fn a_pool_of_any_size_is_filled_again() {
        for size in [1, 2, 3] {
            let (pool, end) = (KeyPool::new(size), CancellationToken::new());
            let filling =
                Arc::clone(&pool).fill(Arc::new(Kept), MasterKey::new([1; 32]), Codec::in_memory(), end.clone());
            let filling = tokio::spawn(filling);
            let taken = async {
                for _ in 0..3 * size {
                    pool.take(Duration::from_secs(5)).await.unwrap();
                }
            };
            tokio::time::timeout(Duration::from_secs(5), taken).await.unwrap();
            end.cancel();
            filling.await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_finds_none_waits_for_one_that_is_given_back() {
        let pool = KeyPool::new(1);
        pool.give_back(DataKey::new(service_kit::random::id(), [1; 32]));
        let key = pool.take(Duration::ZERO).await.unwrap();
        assert!(pool.take(Duration::from_millis(20)).await.is_none());
        let (waited, ()) = tokio::join!(pool.take(Duration::from_secs(60)), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            pool.give_back(key);
        });
        assert!(waited.is_some());
    }
}
