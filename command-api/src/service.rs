//! Puts the process together: owners, outbox, effects, routes; and takes it apart again in order.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use event_log::kafka::{CompactedTopic, KafkaLog, KafkaSettings};
use event_log::learning::Learning;
use event_log::log::Log;
use event_log::topics;
use futures::FutureExt;
use futures::future::BoxFuture;
use schemas::sealed::MasterKey;
use schemas::{Codec, PersonKey, Registry};
use service_kit::health::Health;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

use crate::config::Config;
use crate::effects::Effects;
use crate::http::{self, App};
use crate::owners::{Owners, Setup};
use crate::payments::Gateways;
use crate::payments::payos::Payos;
use crate::person_keys::{KeyPool, KeyStore};
use crate::{outbox, watch};

/// The running write side.
pub struct Service {
    owners: Arc<Owners>,
    app: App,
    tasks: TaskTracker,
    background: CancellationToken,
}

/// Background work that panicked begins again after so long.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// A stop waits so long for background work.
const STOP: Duration = Duration::from_secs(5);

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
}

impl Service {
    /// Waits until Kafka and the registry answer, checks them, and starts everything. It serves once `health` says so.
    ///
    /// # Errors
    /// What answers is wrong: topics, schemas, settings.
    pub async fn start(config: &Config, health: &Health) -> anyhow::Result<Self> {
        let kafka = KafkaSettings::new(&config.common.kafka, &config.common.namespace, &config.common.instance);
        let ids = topics::check(&kafka, &config.common.registry, config.common.partitions).await?;
        let codec = Codec::new(ids, Registry::new(&config.common.registry)?);
        let topic = topics::person_keys(&kafka, config.common.partitions);
        let log = Arc::new(KafkaLog::connect(kafka)?);
        let keys: Arc<dyn KeyStore> = Arc::new(KafkaKeys { log: Arc::clone(&log), topic });
        let log = Arc::new(Learning::over(log, codec.clone(), tokio::runtime::Handle::current()));
        Self::start_on(config, health, log, codec, keys)
    }

    /// As `start`, on a log that is there.
    ///
    /// # Errors
    /// The payment settings are wrong, or the operating system gives no thread.
    pub fn start_on(
        config: &Config,
        health: &Health,
        log: Arc<dyn Log>,
        codec: Codec,
        keys: Arc<dyn KeyStore>,
    ) -> anyhow::Result<Self> {
        let gateways = Arc::new(gateways(config)?);
        let (collector, wanted) = outbox::collect();
        let setup = Setup { log, codec: codec.clone(), settings: config.owners.clone(), outbox: collector };
        let owners = Arc::new(Owners::start(&setup).context("starting the partition owners")?);
        let effects = Arc::new(Effects::new(Arc::clone(&owners), Arc::clone(&gateways), config.payments.give_up));
        let pool = KeyPool::new(config.key_pool);
        let background = CancellationToken::new();
        let tasks = TaskTracker::new();
        let master = MasterKey::new(*config.master_key.expose());
        let (filled, ended) = (Arc::clone(&pool), background.clone());
        let fill = move || Arc::clone(&filled).fill(Arc::clone(&keys), master.clone(), codec.clone(), ended.clone());
        tasks.spawn(keep_running("person-keys", fill, background.clone()));
        let dispatch = outbox::dispatch(Arc::clone(&owners), Arc::clone(&effects), wanted);
        let dispatching = tasks.spawn(background.clone().run_until_cancelled_owned(dispatch));
        health.register_probe("outbox", move || match dispatching.is_finished() {
            true => Err("nothing that events cause is carried out any more".to_owned()),
            false => Ok(()),
        });
        let (watched, every, ended) = (Arc::clone(&owners), config.payments.status_every, background.clone());
        let watching = move || watch::run(Arc::clone(&watched), Arc::clone(&effects), every, ended.clone());
        tasks.spawn(keep_running("payment-status", watching, background.clone()));
        watch_health(health, &owners, &pool);
        let backstop = i64::try_from(config.payments.hold_backstop.as_secs()).context("the hold backstop")?;
        let app = App::new(Arc::clone(&owners), config.secrets.auth(), config.secrets.keys(), gateways, pool, backstop);
        Ok(Self { owners, app, tasks, background })
    }

    /// The writing routes with their document.
    pub fn routes(&self) -> OpenApiRouter {
        http::routes(self.app.clone())
    }

    /// Stops intake, waits (bounded) for what is in flight, and ends what runs in the background.
    pub async fn stop(self) {
        let owners = Arc::clone(&self.owners);
        let left = tokio::task::spawn_blocking(move || owners.shut_down()).await;
        if let Err(error) = left {
            tracing::error!(%error, "the owners did not leave in order");
        }
        self.background.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "not everything in the background ended in time");
        }
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

fn gateways(config: &Config) -> anyhow::Result<Gateways> {
    let gateways = Gateways::new(&config.common.public_url);
    match &config.payments.payos {
        Some(settings) => Ok(gateways.with(Arc::new(Payos::new(settings.clone())?))),
        None => {
            tracing::warn!("no payment provider is set up: only free orders can be placed");
            Ok(gateways)
        }
    }
}

fn watch_health(health: &Health, owners: &Arc<Owners>, pool: &Arc<KeyPool>) {
    let owners = Arc::clone(owners);
    health.register_probe("partitions", move || owners.ready());
    let pool = Arc::clone(pool);
    health.register_probe("person-keys", move || match pool.ready() {
        0 => Err("no key for personal data is ready".to_owned()),
        _ => Ok(()),
    });
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
