//! The copy of the registry in the topic `event-schemas`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{Ids, SchemaRecord};
use serde_json::Value;

use super::{TopicsError, event_schemas};
use crate::kafka::KafkaLog;

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
        let no_schema = |_| TopicsError::NotASchema {
            topic: topic.name.clone(),
            offset: record.offset,
        };
        copy.insert(record.key, SchemaRecord::decode(&value).map_err(no_schema)?);
    }
    Ok(copy.into_values().map(|schema| (schema.id, schema)).collect())
}

/// Which of our ids the copy does not have yet.
///
/// # Errors
/// It has one of them with another schema.
pub(super) fn lacking(
    log: &KafkaLog,
    copy: &BTreeMap<u32, SchemaRecord>,
    ids: &Ids,
) -> Result<Vec<SchemaRecord>, TopicsError> {
    let topic = event_schemas(log.settings()).name;
    let mut lacking = Vec::new();
    for ours in ids.records(&log.settings().namespace) {
        match copy.get(&ours.id) {
            None => lacking.push(ours),
            Some(theirs) if same(&ours.schema, &theirs.schema) => {}
            Some(_) => {
                return Err(TopicsError::OtherSchema {
                    topic,
                    subject: ours.subject,
                    id: ours.id,
                });
            }
        }
    }
    Ok(lacking)
}

/// The layout of the text may differ.
fn same(ours: &str, theirs: &str) -> bool {
    let parsed = |text| serde_json::from_str::<Value>(text).ok();
    parsed(ours).is_some_and(|ours| parsed(theirs) == Some(ours))
}
