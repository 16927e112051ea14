//! Which schema id each of our record types has.

use std::collections::BTreeMap;

use domain::root::Context;

use crate::catalog::{EventType, RecordType};
use crate::copy::SchemaRecord;

/// The ids of our own schemas, in both directions. Different types have different ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    by_record: Vec<u32>,
    by_id: BTreeMap<u32, RecordType>,
}

impl Ids {
    /// Fixed ids from 1 in the order of full names, for a log in memory.
    pub fn in_memory() -> Self {
        let mut records: Vec<RecordType> = RecordType::all().collect();
        records.sort_by_key(|record| record.full_name());
        let ids = (1..).zip(records).map(|(id, record)| (record, id));
        Self::new(ids.collect()).expect("every record is numbered once")
    }

    /// From an id for every record type; `Err` names two types with one id, or a type without one.
    pub(crate) fn new(ids: BTreeMap<RecordType, u32>) -> Result<Self, String> {
        let mut by_record = Vec::with_capacity(ids.len());
        let mut by_id = BTreeMap::new();
        for record in RecordType::all() {
            let id = *ids.get(&record).ok_or_else(|| format!("{} has no id", record.full_name()))?;
            by_record.push(id);
            if let Some(other) = by_id.insert(id, record) {
                return Err(format!("{} and {} have the same id {id}", other.full_name(), record.full_name()));
            }
        }
        Ok(Self { by_record, by_id })
    }

    /// The id under which this process writes a type.
    pub fn of(&self, record: RecordType) -> u32 {
        self.by_record[record.index()]
    }

    /// The id of an event type, by context and name.
    pub fn event(&self, context: Context, name: &str) -> Option<u32> {
        let mut types = EventType::ALL.iter().copied();
        let event = types.find(|event| event.context() == context && event.name() == name)?;
        Some(self.of(RecordType::Event(event)))
    }

    /// The type that this process writes under an id.
    pub fn record(&self, id: u32) -> Option<RecordType> {
        self.by_id.get(&id).copied()
    }

    /// What the topic `event-schemas` has to hold about these ids.
    pub fn records(&self, namespace: &str) -> Vec<SchemaRecord> {
        let records = self.by_id.iter();
        records
            .map(|(id, record)| SchemaRecord {
                id: *id,
                subject: record.subject(namespace),
                schema: record.text().to_owned(),
            })
            .collect()
    }
}
