//! What can go wrong between records and bytes.

use crate::registry::RegistryError;
use crate::write::Unfit;

/// A value does not fit its schema; only a bug can cause that.
#[derive(Debug, thiserror::Error)]
#[error("{name} does not fit its schema")]
pub struct EncodeError {
    pub(crate) name: &'static str,
    #[source]
    pub(crate) source: Unfit,
}

/// Why bytes are no record. None of them may be skipped by a reader of events.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Too short, or the first byte is not 0.
    #[error("the value does not start with 0 and a schema id")]
    NotFramed,
    /// Ask [`Codec::learn`] for it and decode again.
    #[error("the schema with id {0} is not known yet")]
    UnlearnedSchema(u32),
    /// A newer version of Boxoffice wrote it.
    #[error(
        "{name} (schema id {id}) is an event that this program does not know: it is too old for this log, deploy the version \
         that wrote it"
    )]
    UnknownEvent {
        /// The schema's id.
        id: u32,
        /// The record's full name.
        name: String,
    },
    /// The writer's schema cannot be resolved to ours.
    #[error("{name} was written by a schema (id {id}) that this program cannot read: {detail}")]
    Incompatible {
        /// The schema's id.
        id: u32,
        /// The record's full name.
        name: String,
        /// What does not fit.
        detail: String,
    },
    /// Another kind of record was asked for.
    #[error("{name} is not what was asked for")]
    Unexpected {
        /// The record's full name.
        name: &'static str,
    },
    /// The bytes do not follow their schema.
    #[error("the bytes of {name} do not follow its schema")]
    Malformed {
        /// The record's full name.
        name: &'static str,
        /// What Avro says, if it is not merely a wrong length.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// Why a schema could not be learned.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The registry has no such id.
    #[error("nobody knows the schema with id {0}")]
    NotFound(u32),
    /// What is registered under the id is no schema.
    #[error("what is registered under id {id} is not a schema: {detail}")]
    NotASchema {
        /// The id.
        id: u32,
        /// What is wrong with it.
        detail: String,
    },
    /// The source cannot be asked now.
    #[error("cannot ask for the schema with id {id}")]
    Source {
        /// The id.
        id: u32,
        /// Why.
        #[source]
        source: RegistryError,
    },
}
