//! How durable an acknowledged append is: as long as a process lives, or on disk (class D1).

use super::cluster::Cluster;
use super::{TopicsError, all, event_schemas, partition_owners};
use crate::kafka::KafkaSettings;

/// Has Kafka sync every append to disk before it answers: of events, and of the keys that make their personal data
/// readable. What `init` set is set again with it, because Kafka replaces all settings of a topic at once.
///
/// # Errors
/// Kafka does not answer or refuses.
pub async fn sync_every_append(settings: &KafkaSettings) -> Result<(), TopicsError> {
    // Both can be made anew from what there is.
    let others = [event_schemas(settings).name, partition_owners(settings).name];
    let cluster = Cluster::connect(settings)?;
    for topic in all(settings, 1).into_iter().filter(|topic| !others.contains(&topic.name)) {
        let common = topic.settings.iter().map(|it| (it.name, it.value.as_str()));
        let values: Vec<(&str, &str)> = common.chain([("flush.messages", "1")]).collect();
        cluster.configure(std::slice::from_ref(&topic.name), &values).await?;
    }
    Ok(())
}
