//! The copy of the registry in the topic `event-schemas`: a registry that forgot its ids would misread the whole log.

use serde::{Deserialize, Serialize};

/// The compacted topic of the copy, without the namespace.
pub const SCHEMA_COPY_TOPIC: &str = "event-schemas";

/// One registered schema. JSON, because it must be readable when there is no registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRecord {
    /// The registry's id.
    pub id: u32,
    /// The subject it was registered under.
    pub subject: String,
    /// The schema's text.
    pub schema: String,
}

/// A record of the copy that is none.
#[derive(Debug, thiserror::Error)]
#[error("a record of {SCHEMA_COPY_TOPIC} cannot be read")]
pub struct CopyError(#[from] serde_json::Error);

impl SchemaRecord {
    /// The record's key: the id, decimal.
    pub fn key(&self) -> String {
        self.id.to_string()
    }

    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a number and two strings are always JSON")
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// When it is not such JSON.
    pub fn decode(value: &[u8]) -> Result<Self, CopyError> {
        Ok(serde_json::from_slice(value)?)
    }
}
