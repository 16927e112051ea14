//! Puts the process together: owners, outbox, effects, routes; and takes it apart again in order.

use std::sync::Arc;

use anyhow::Context as _;
use event_log::kafka::{CompactedTopic, KafkaLog, KafkaSettings};
use event_log::learning::Learning;
use event_log::log::Log;
use event_log::topics;
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
        tasks.spawn(Arc::clone(&pool).fill(keys, master, codec, background.clone()));
        let ended = background.clone();
        let dispatch = outbox::dispatch(Arc::clone(&owners), Arc::clone(&effects), wanted);
        tasks.spawn(async move { ended.run_until_cancelled_owned(dispatch).await });
        let every = config.payments.status_every;
        tasks.spawn(watch::run(Arc::clone(&owners), effects, every, background.clone()));
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
        self.tasks.wait().await;
    }
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
