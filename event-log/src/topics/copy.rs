//! The copy of the registry in the topic `event-schemas`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{Ids, SchemaRecord};

use super::{TopicsError, event_schemas};
use crate::kafka::{KafkaLog, KafkaSettings};

/// A few hundred small records.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// Reads the copy: the last record of every id.
pub(super) async fn read(log: &KafkaLog) -> Result<BTreeMap<u32, SchemaRecord>, TopicsError> {
    let topic = event_schemas(log.settings());
    let mut copy = BTreeMap::new();
    for record in log.read_compacted(&topic, READ_WITHIN).await? {
        let Some(value) = record.value else {
            copy.remove(&record.key);
            continue;
        };
        let no_schema = |_| TopicsError::NotASchema { topic: topic.name.clone(), offset: record.offset };
        copy.insert(record.key, SchemaRecord::decode(&value).map_err(no_schema)?);
    }
    Ok(copy.into_values().map(|schema| (schema.id, schema)).collect())
}

/// The copy of a namespace's registry, by id.
///
/// # Errors
/// Kafka does not answer, or something else is in the topic.
pub async fn schema_copy(settings: &KafkaSettings) -> Result<Vec<SchemaRecord>, TopicsError> {
    Ok(read(&KafkaLog::connect(settings.clone())?).await?.into_values().collect())
}

/// Which of our ids the copy does not have yet. One that it has means our schema, where the registry was compared with
/// both.
pub(super) fn lacking(log: &KafkaLog, copy: &BTreeMap<u32, SchemaRecord>, ids: &Ids) -> Vec<SchemaRecord> {
    let ours = ids.records(&log.settings().namespace).into_iter();
    ours.filter(|ours| !copy.contains_key(&ours.id)).collect()
}
