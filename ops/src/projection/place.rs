//! Where the box office is, and what to reach it by.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics;
use projectors::generations::{Overview, Standing, overview};
use projectors::rebuild::Job;
use projectors::{LAYOUTS, Layout, Logs, Names, Settings};
use schemas::{Codec, Registry};
use serde_json::Value;
use service_kit::config::Env;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::audit::{self, Deed};
use crate::check::Place;

/// A connection that cannot be had by then is an error.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(10);
/// A partition's records that wait in memory: rebuilding reads many partitions at once.
const QUEUED_KB: &str = "4096";
/// Who lacks more records than this fills without secondary indexes.
const BULK: i64 = 50_000;
/// How long a batch waits for more records.
const LINGER: Duration = Duration::from_millis(20);

/// A box office, its read models and its log.
pub(super) struct Office {
    pub(super) pool: PgPool,
    pub(super) names: Names,
    pub(super) namespace: String,
    pub(super) partitions: u32,
    pub(super) kafka: KafkaSettings,
    registry: String,
}

impl Office {
    /// What the environment says, or the local stack.
    pub(super) fn of(namespace: Option<&str>) -> anyhow::Result<Self> {
        let place = Env::from_process().read(Place::read)?;
        let namespace = namespace.unwrap_or(&place.namespace).to_owned();
        let partitions = place.partitions;
        let endpoints = place.endpoints()?;
        // The error would show the URL with its password.
        let unusable = |_| anyhow::anyhow!("BOXOFFICE_POSTGRES is no usable postgres:// URL");
        let options: PgConnectOptions = endpoints.postgres.parse().map_err(unusable)?;
        let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(ACQUIRE_LIMIT);
        let pool = pool.connect_lazy_with(options.application_name("boxctl"));
        let mut kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "boxctl");
        kafka.properties.push(("queued.max.messages.kbytes".to_owned(), QUEUED_KB.to_owned()));
        let names = Names::of(&namespace)?;
        Ok(Self { pool, names, namespace, partitions, kafka, registry: endpoints.registry })
    }

    /// Every read model that there is.
    pub(super) async fn overview(&self) -> anyhow::Result<Overview> {
        let all = overview(&self.pool, &self.names).await;
        all.context("look at the read models in Postgres (the projectors make them when they first run)")
    }

    /// One of them.
    pub(super) async fn standing(&self, name: &str) -> anyhow::Result<Standing> {
        let mut all = self.overview().await?;
        all.remove(name).with_context(|| unknown(name))
    }

    /// What this program's code knows of one, by its name.
    pub(super) fn layout(name: &str) -> anyhow::Result<Layout> {
        LAYOUTS.iter().find(|layout| layout.name == name).copied().with_context(|| unknown(name))
    }

    /// What fills one of its generations here.
    pub(super) async fn job(&self, layout: Layout, (batch, lanes): (u32, u32)) -> anyhow::Result<Job> {
        let checked = topics::check(&self.kafka, &self.registry, self.partitions).await;
        let ids = checked.context("look at the topics and schemas")?;
        let codec = Codec::new(ids, Registry::new(&self.registry)?);
        let log = Arc::new(KafkaLog::connect(self.kafka.clone())?);
        let settings = Settings {
            batch_records: usize::try_from(batch).context("a batch is too large")?,
            linger: LINGER,
            ..Settings::new(&self.namespace, self.partitions)
        };
        let logs = Logs::kafka(log, self.partitions);
        Ok(Job { layout, settings, logs, codec, pool: self.pool.clone(), lanes, bulk: BULK })
    }

    /// Records what was done.
    pub(super) async fn done(&self, command: &str, what: Value) -> anyhow::Result<()> {
        audit::record(&self.kafka, Deed { command: format!("projection {command}"), what, why: None }).await
    }
}

fn unknown(name: &str) -> String {
    format!("there is no read model {name:?}: {}", LAYOUTS.map(|layout| layout.name).join(", "))
}

/// Refuses a command for another version of the code.
pub(super) fn known(layout: &Layout, version: u32) -> anyhow::Result<()> {
    if layout.version != version {
        bail!(
            "this program folds version {} of {}, and that is version {version}: use the boxctl of that release",
            layout.version,
            layout.name
        );
    }
    Ok(())
}
