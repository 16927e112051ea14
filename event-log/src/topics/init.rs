//! Making topics and registering schemas, once; doing it again changes nothing.

use schemas::{Ids, Registry, SchemaRecord, register_all};

use super::cluster::Cluster;
use super::{Layout, Topic, TopicsError, all, copy, event_schemas};
use crate::kafka::KafkaSettings;

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// The topics that were made now.
    pub created: Vec<String>,
    /// The topics that were there.
    pub existing: Vec<String>,
    /// The subjects whose schema ids were copied now.
    pub copied: Vec<String>,
    /// The id of every schema.
    pub ids: Ids,
}

/// Makes the topics that are missing, registers the schemas, and copies their ids to `event-schemas`.
///
/// # Errors
/// Something does not answer, or is there but wrong: then nothing of it is changed.
pub async fn init(settings: &KafkaSettings, registry_url: &str, layout: Layout) -> Result<Report, TopicsError> {
    let cluster = Cluster::connect(settings)?;
    let topics = all(settings, layout.partitions);
    let known = cluster.partitions().await?;
    let (existing, missing): (Vec<&Topic>, Vec<&Topic>) = topics.iter().partition(|it| known.contains_key(&it.name));
    let (created, existing) = (names(&missing), names(&existing));
    let existing_topics = all(settings, layout.partitions).into_iter().filter(|it| known.contains_key(&it.name));
    cluster.compare(&existing_topics.collect::<Vec<Topic>>()).await?;
    if missing.is_empty() {
        cluster.compare(&topics).await?;
    } else {
        cluster.create(&missing, layout).await?;
        cluster.compare_new(&topics).await?;
    }
    let (ids, copied) = register(&cluster, registry_url).await?;
    Ok(Report { created, existing, copied, ids })
}

async fn register(cluster: &Cluster, registry_url: &str) -> Result<(Ids, Vec<String>), TopicsError> {
    let log = &cluster.log;
    let settings = log.settings();
    let copy = copy::read(log).await?;
    // Before anything is registered: a registry that forgot its ids would give them out anew.
    let copied: Vec<SchemaRecord> = copy.values().cloned().collect();
    Registry::new(registry_url)?.verify(&copied).await?;
    let ids = register_all(registry_url, &settings.namespace).await?;
    let lacking = copy::lacking(log, &copy, &ids);
    let topic = event_schemas(settings);
    for record in &lacking {
        log.append_compacted(&topic, record.key().as_bytes(), Some(&record.encode())).await?;
    }
    Ok((ids, lacking.into_iter().map(|record| record.subject).collect()))
}

fn names(topics: &[&Topic]) -> Vec<String> {
    topics.iter().map(|topic| topic.name.clone()).collect()
}
