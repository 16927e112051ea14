//! What a service checks before it starts.

use std::error::Error;
use std::time::Duration;

use schemas::{Ids, Registry, SchemaRecord, lookup_all};

use super::cluster::Cluster;
use super::{TopicsError, all, copy, event_schemas};
use crate::kafka::KafkaSettings;

/// Between two attempts, at most.
const PAUSE: Duration = Duration::from_secs(5);

/// Waits, for ever if need be, until Kafka and the registry answer; then checks topics and schemas and gives the ids of
/// our schemas. Dropping the future ends the waiting.
///
/// # Errors
/// What answers is wrong: the error names the topic and the setting, or the schema.
pub async fn check(settings: &KafkaSettings, registry_url: &str, partitions: u32) -> Result<Ids, TopicsError> {
    let cluster = Cluster::connect(settings)?;
    let mut pause = Duration::from_millis(250);
    loop {
        let error = match once(&cluster, registry_url, partitions).await {
            Err(error) if error.is_unreachable() => error,
            result => return result,
        };
        let cause = error.source().map(ToString::to_string);
        tracing::warn!(%error, cause, "waiting for what is needed to start");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
    }
}

async fn once(cluster: &Cluster, registry_url: &str, partitions: u32) -> Result<Ids, TopicsError> {
    let log = &cluster.log;
    let settings = log.settings();
    cluster.compare(&all(settings, partitions)).await?;
    let copy = copy::read(log).await?;
    let copied: Vec<SchemaRecord> = copy.values().cloned().collect();
    Registry::new(registry_url)?.verify(&copied).await?;
    let ids = lookup_all(registry_url, &settings.namespace).await?;
    match copy::lacking(log, &copy, &ids).into_iter().next() {
        None => Ok(ids),
        Some(SchemaRecord { id, subject, .. }) => {
            Err(TopicsError::SchemaNotCopied { topic: event_schemas(settings).name, subject, id })
        }
    }
}
