//! Where the schemas of other writers come from.

use std::collections::BTreeMap;
use std::pin::Pin;

use crate::registry::RegistryError;

/// The text of a schema, or `None` if nobody knows the id.
pub type SourceAnswer<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, RegistryError>> + Send + 'a>>;

/// Answers which schema has an id: the registry, or a copy of it.
pub trait SchemaSource: Send + Sync {
    /// The schema with this id.
    fn schema(&self, id: u32) -> SourceAnswer<'_>;
}

/// Knows nothing; for a log in memory, where every writer is this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSource;

impl SchemaSource for NoSource {
    fn schema(&self, _id: u32) -> SourceAnswer<'_> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Texts by id, as the topic `event-schemas` holds them.
impl SchemaSource for BTreeMap<u32, String> {
    fn schema(&self, id: u32) -> SourceAnswer<'_> {
        Box::pin(std::future::ready(Ok(self.get(&id).cloned())))
    }
}
