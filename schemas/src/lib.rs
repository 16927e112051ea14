//! The Avro contract of every event: schema files, codec, registry client, sealed personal data.
//!
//! The `.avsc` files under `avro/` are the contract. Whatever was ever released stays readable (`golden/`).

mod catalog;
mod codec;
mod control;
mod copy;
mod datum;
mod error;
mod ids;
mod kept;
mod learned;
mod person_key;
mod registry;
pub mod sealed;
mod shape;
mod source;
mod upcast;
mod write;

pub use catalog::{EventType, RecordType};
pub use codec::{Codec, schema_id};
pub use control::Control;
pub use copy::{CopyError, SCHEMA_COPY_TOPIC, SchemaRecord};
pub use error::{DecodeError, EncodeError, LearnError};
pub use ids::Ids;
pub use person_key::{PERSON_KEY_TOPIC, PersonKey};
pub use registry::{RegisteredVersion, Registry, RegistryError, Standing, lookup_all, register_all};
pub use source::{NoSource, SchemaSource, SourceAnswer};
