//! The log that is asked, with everything that reads it.

use std::sync::Arc;

use anyhow::Context as _;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::learning::Learning;
use event_log::log::Log;
use event_log::topics;
use schemas::{Codec, Registry};
use tokio::runtime::Handle;

use crate::init::{LOCAL_PARTITIONS, Place};

/// What a consumer may fetch ahead over all partitions, kilobytes.
const AHEAD_KB: usize = 64 * 1024;
/// And for one of them, at least and at most.
const AHEAD_OF_ONE_KB: (usize, usize) = (1024, 16 * 1024);

/// A log and what reads it.
pub(super) struct Site {
    pub(super) settings: KafkaSettings,
    pub(super) registry: Registry,
    pub(super) partitions: u32,
    pub(super) codec: Codec,
}

impl Site {
    /// That of the environment, or the local stack, which is started.
    pub(super) async fn find() -> anyhow::Result<Self> {
        let place = Place::from_environment()?;
        let partitions = place.partitions.unwrap_or(LOCAL_PARTITIONS);
        let (kafka, registry_url) = place.servers().await?;
        let settings = KafkaSettings::new(&kafka, &place.namespace, "boxctl");
        let ids = topics::check(&settings, &registry_url, partitions).await.context("look at the topics")?;
        let registry = Registry::new(&registry_url)?;
        let codec = Codec::new(ids, registry.clone());
        Ok(Self { settings, registry, partitions, codec })
    }

    /// A log that hands over nothing whose schema is not known. So many partitions are read at once.
    pub(super) fn log(&self, at_once: usize) -> anyhow::Result<Arc<dyn Log>> {
        let (least, most) = AHEAD_OF_ONE_KB;
        let ahead = (AHEAD_KB / at_once.max(1)).clamp(least, most);
        let mut settings = self.settings.clone();
        settings.properties.push(("queued.max.messages.kbytes".to_owned(), ahead.to_string()));
        let log = Arc::new(KafkaLog::connect(settings)?);
        Ok(Arc::new(Learning::over(log, self.codec.clone(), Handle::current())))
    }
}
