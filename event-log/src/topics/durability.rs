//! How durable an acknowledged append is: as long as a process lives, or on disk (class D1).

use super::cluster::Cluster;
use super::{TopicsError, all, event_schemas, partition_owners};
use crate::kafka::KafkaSettings;

/// Has Kafka sync every append to disk before it answers: of events, and of the keys that make their personal data readable.
/// Everything else that is set for the topics stays as it is.
///
/// # Errors
/// Kafka does not answer or refuses.
pub async fn sync_every_append(settings: &KafkaSettings) -> Result<(), TopicsError> {
    // Both can be made anew from what there is.
    let others = [event_schemas(settings).name, partition_owners(settings).name];
    let topics = all(settings, 1).into_iter().map(|topic| topic.name).filter(|name| !others.contains(name));
    Cluster::connect(settings)?.set_also(&topics.collect::<Vec<_>>(), "flush.messages", "1").await
}
