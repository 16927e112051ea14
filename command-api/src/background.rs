//! What runs beside the requests: keys for personal data, the outbox, questions to payment providers, and what instances
//! tell each other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::ids::DataKeyId;
use event_log::kafka::{CompactedTopic, KafkaLog};
use event_log::topics;
use futures::FutureExt;
use futures::future::BoxFuture;
use schemas::sealed::MasterKey;
use schemas::{Codec, PersonKey};
use service_kit::health::Health;
use service_kit::priority;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::cluster::announce::Announcer;
use crate::cluster::directory::Directory;
use crate::cluster::peers::Peers;
use crate::cluster::store;
use crate::config::Config;
use crate::effects::Effects;
use crate::http::{App, Joins};
use crate::outbox::{self, Wanted};
use crate::owners::Owners;
use crate::person_keys::{KeyPool, KeyStore};
use crate::watch;

/// Background work that panicked begins again after so long.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// A stop waits so long for background work.
const STOP: Duration = Duration::from_secs(5);
/// How often stores of snapshots are compared while instances come and go.
const COMPARE_EVERY: Duration = Duration::from_secs(10);

/// Everything that runs until the process ends.
pub struct Background {
    tasks: TaskTracker,
    ended: CancellationToken,
    /// What events cause is carried out by threads of its own, which stand behind those that answer people.
    behind: Behind,
}

struct KafkaKeys {
    log: Arc<KafkaLog>,
    topic: CompactedTopic,
}

impl KeyStore for KafkaKeys {
    fn keep(&self, key: PersonKey, value: Vec<u8>) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            let name = key.key_id.hyphenated().to_string();
            self.log.append_compacted(&self.topic, name.as_bytes(), Some(&value)).await?;
            Ok(())
        })
    }

    fn forget(&self, key: DataKeyId) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            self.log.append_compacted(&self.topic, key.to_string().as_bytes(), None).await?;
            Ok(())
        })
    }
}

impl Background {
    /// Starts what the owners need, and what handlers work with.
    ///
    /// # Errors
    /// The payment settings are wrong.
    pub fn start(
        config: &Config,
        owners: &Arc<Owners>,
        health: &Health,
        wanted: UnboundedReceiver<Wanted>,
        codec: Codec,
        log: &Arc<KafkaLog>,
    ) -> anyhow::Result<(Self, App)> {
        let gateways = Arc::new(config.payments.providers.gateways(&config.common.public_url)?);
        let (give_up, lasting) = (config.payments.give_up, config.secrets.keys());
        let topic = topics::person_keys(log.settings(), config.common.partitions);
        let store: Arc<dyn KeyStore> = Arc::new(KafkaKeys { log: Arc::clone(log), topic });
        let effects = Effects::new(Arc::clone(owners), Arc::clone(&gateways), Arc::clone(&store), give_up, lasting);
        let effects = Arc::new(effects);
        let background = Self { tasks: TaskTracker::new(), ended: CancellationToken::new(), behind: Behind::start()? };
        let pool = background.fill_keys(config, store, codec, health);
        background.dispatch(owners, &effects, wanted, health);
        let (watched, every, ended) = (Arc::clone(owners), config.payments.status_every, background.ended.clone());
        let watching = move || watch::run(Arc::clone(&watched), Arc::clone(&effects), every, ended.clone());
        background.keep_running("payment-status", watching);
        let backstop = i64::try_from(config.payments.hold_backstop.as_secs()).context("the hold backstop")?;
        let (auth, keys) = (config.secrets.auth(), config.secrets.keys());
        let app = App::new(Arc::clone(owners), auth, keys, gateways, pool, Joins::new(config.joins), backstop);
        Ok((background, app))
    }

    /// Tells the other instances what is served here.
    pub fn announce(&self, announcer: Announcer, owners: &Arc<Owners>) {
        let (announcer, owners, ended) = (Arc::new(announcer), Arc::clone(owners), self.ended.clone());
        let announcing = move || Arc::clone(&announcer).run(Arc::clone(&owners), ended.clone());
        self.keep_running("partition-owners", announcing);
    }

    /// Keeps partitions of other instances ready.
    pub fn stand_by(&self, owners: &Arc<Owners>) {
        let owners = Arc::clone(owners);
        self.keep_running("standbys", move || Arc::clone(&owners).stand_by());
    }

    /// Looks from time to time whether an instance that came later keeps its snapshots elsewhere.
    pub fn compare_stores(&self, config: &Config, store: Uuid, directory: &Arc<Directory>, peers: Peers) {
        let (folder, url) = (config.cluster.snapshot_dir.clone(), config.owners.url.clone());
        let directory = Arc::clone(directory);
        let comparing = async move {
            loop {
                tokio::time::sleep(COMPARE_EVERY).await;
                if let Err(error) = store::shared(&folder, store, &url, &directory, &peers).await {
                    tracing::error!(error = %error, "what moves between these instances is read from the log's beginning");
                }
            }
        };
        self.tasks.spawn(self.ended.clone().run_until_cancelled_owned(comparing));
    }

    /// Ends everything, bounded.
    pub async fn stop(self) {
        self.ended.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "not everything in the background ended in time");
        }
    }

    fn fill_keys(&self, config: &Config, keys: Arc<dyn KeyStore>, codec: Codec, health: &Health) -> Arc<KeyPool> {
        let pool = KeyPool::new(config.key_pool);
        let master = MasterKey::new(*config.master_key.expose());
        let (filled, ended) = (Arc::clone(&pool), self.ended.clone());
        let fill = move || Arc::clone(&filled).fill(Arc::clone(&keys), master.clone(), codec.clone(), ended.clone());
        self.keep_running("person-keys", fill);
        let probed = Arc::clone(&pool);
        health.register_probe("person-keys", move || match probed.ready() {
            0 => Err("no key for personal data is ready".to_owned()),
            _ => Ok(()),
        });
        pool
    }

    fn dispatch(
        &self,
        owners: &Arc<Owners>,
        effects: &Arc<Effects>,
        wanted: UnboundedReceiver<Wanted>,
        health: &Health,
    ) {
        let dispatch = outbox::dispatch(Arc::clone(owners), Arc::clone(effects), wanted);
        let dispatch = self.ended.clone().run_until_cancelled_owned(dispatch);
        let dispatching = self.tasks.spawn_on(dispatch, self.behind.handle());
        health.register_probe("outbox", move || match dispatching.is_finished() {
            true => Err("nothing that events cause is carried out any more".to_owned()),
            false => Ok(()),
        });
    }

    fn keep_running<F>(&self, name: &'static str, work: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(keep_running(name, work, self.ended.clone()));
    }
}

/// Threads that stand behind the others. Whatever runs on them ends where it waits when this is dropped.
struct Behind(Option<Runtime>);

impl Behind {
    fn start() -> anyhow::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.enable_all().thread_name("behind").on_thread_start(priority::behind_others);
        builder.build().map(|runtime| Self(Some(runtime))).context("starting the threads behind the others")
    }

    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it ends when it is dropped").handle()
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // Dropping it would wait, which no task of another runtime may.
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Runs something until it ends or the process does, wherever it waits; a panic only makes it begin again.
async fn keep_running<F>(name: &'static str, work: impl Fn() -> F, shutdown: CancellationToken)
where
    F: Future<Output = ()>,
{
    let work = async {
        while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
            metrics::counter!("boxoffice_background_panics_total", "task" => name).increment(1);
            tracing::error!(task = name, "background work panicked and begins again");
            tokio::time::sleep(AFTER_PANIC).await;
        }
    };
    // What it waits for may never come: an owner that has left answers nobody.
    shutdown.run_until_cancelled(work).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn background_work_survives_a_panic_and_ends_with_the_process() {
        let begun = AtomicU32::new(0);
        let work = || async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) > 1, "as the test wants");
            std::future::pending::<()>().await;
        };
        let shutdown = CancellationToken::new();
        let stop = async {
            while begun.load(Ordering::Relaxed) < 3 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            shutdown.cancel();
        };
        tokio::join!(keep_running("test", work, shutdown.clone()), stop);
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
