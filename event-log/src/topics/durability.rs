//! How durable an acknowledged append is: as long as a process lives, or on disk (class D1).

use domain::root::Context;

use super::cluster::Cluster;
use super::{TopicsError, event_settings};
use crate::kafka::KafkaSettings;

/// Has Kafka sync every append to an event topic to disk before it answers. What `init` set is set again with it,
/// because Kafka replaces all settings of a topic at once.
///
/// # Errors
/// Kafka does not answer or refuses.
pub async fn sync_every_append(settings: &KafkaSettings) -> Result<(), TopicsError> {
    let topics: Vec<String> = Context::ALL.iter().map(|context| settings.name(context.topic())).collect();
    let common = event_settings();
    let mut values: Vec<(&str, &str)> = common.iter().map(|it| (it.name, it.value.as_str())).collect();
    values.push(("flush.messages", "1"));
    Cluster::connect(settings)?.configure(&topics, &values).await
}
