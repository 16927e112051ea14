//! The record that holds one person's data key, wrapped.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The compacted topic of the keys, without the namespace; a tombstone forgets a person.
pub const PERSON_KEY_TOPIC: &str = "person-keys";

/// A wrapped data key. Opened by [`crate::sealed::MasterKeys::unwrap`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonKey {
    /// What ciphertexts name it by.
    pub key_id: Uuid,
    /// The master key that wraps it.
    pub master_key_id: Uuid,
    /// The data key as ciphertext.
    #[serde(with = "serde_bytes")]
    pub wrapped: Vec<u8>,
}
