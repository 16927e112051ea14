//! Personal data as ciphertext, AES-256-GCM: one data key per person, wrapped by a master key.
//!
//! A ciphertext is 1 byte version (1), 16 bytes key id, 12 bytes nonce, then the encrypted bytes with their 16-byte tag.
//! Version, key id and the caller's context are authenticated with it, so that it cannot be moved elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use domain::value::Sealed;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::person_key::PersonKey;

const VERSION: u8 = 1;
const KEY_ID_END: usize = 17;
const HEADER_BYTES: usize = KEY_ID_END + NONCE_LEN;
const MASTER_KEY_ID_CONTEXT: &[u8] = b"boxoffice master key id";
const WRAP_CONTEXT: &[u8] = b"boxoffice data key";

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// Why a ciphertext stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key is gone: the person was forgotten.
    #[error("the personal data was erased")]
    Erased,
    /// It is no ciphertext of ours.
    #[error("the bytes are no ciphertext of a known version")]
    Malformed,
    /// It was changed, or belongs to something else.
    #[error("the ciphertext was changed or belongs to something else")]
    Tampered,
    /// The data key is wrapped by a master key that this process was not given.
    #[error("the master key {0} is not configured")]
    UnknownMasterKey(Uuid),
}

/// The key of one person's data.
#[derive(Clone)]
pub struct DataKey {
    /// What ciphertexts name it by.
    pub id: Uuid,
    key: [u8; 32],
}

impl DataKey {
    /// A key with known bytes.
    pub fn new(id: Uuid, key: [u8; 32]) -> Self {
        Self { id, key }
    }

    /// A new key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(id: Uuid, random: &dyn SecureRandom) -> Result<Self, NoRandomness> {
        Ok(Self { id, key: random_bytes(random)? })
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A key from the environment that wraps data keys.
#[derive(Clone)]
pub struct MasterKey {
    id: Uuid,
    key: [u8; 32],
}

impl MasterKey {
    /// Its id follows from its bytes, so that nobody has to configure one.
    pub fn new(key: [u8; 32]) -> Self {
        let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        let tag = ring::hmac::sign(&hmac, MASTER_KEY_ID_CONTEXT);
        let mut id = [0; 16];
        id.copy_from_slice(&tag.as_ref()[..16]);
        Self { id: uuid::Builder::from_custom_bytes(id).into_uuid(), key }
    }

    /// What wrapped keys name it by.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The master key in use, and older ones that still unwrap.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    current: MasterKey,
    all: BTreeMap<Uuid, MasterKey>,
}

impl MasterKeys {
    /// Wraps with `current`; unwraps with any.
    pub fn new(current: MasterKey, older: impl IntoIterator<Item = MasterKey>) -> Self {
        let all = older.into_iter().chain([current.clone()]).map(|key| (key.id, key)).collect();
        Self { current, all }
    }

    /// The record that holds a data key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn wrap(&self, data_key: &DataKey, random: &dyn SecureRandom) -> Result<PersonKey, NoRandomness> {
        let wrapped = wrap(&self.current, data_key, random)?;
        Ok(PersonKey { key_id: data_key.id, master_key_id: self.current.id, wrapped })
    }

    /// The data key that a record holds.
    ///
    /// # Errors
    /// When its master key is not at hand, or the record was changed.
    pub fn unwrap(&self, record: &PersonKey) -> Result<DataKey, OpenError> {
        let master = self.all.get(&record.master_key_id).ok_or(OpenError::UnknownMasterKey(record.master_key_id))?;
        unwrap(master, record.key_id, &record.wrapped)
    }

    /// The record wrapped by the current master key, or `None` if it already is.
    ///
    /// # Errors
    /// As for [`MasterKeys::unwrap`] and [`MasterKeys::wrap`].
    pub fn rewrap(&self, record: &PersonKey, random: &dyn SecureRandom) -> Result<Option<PersonKey>, RewrapError> {
        if record.master_key_id == self.current.id {
            return Ok(None);
        }
        let data_key = self.unwrap(record)?;
        Ok(Some(self.wrap(&data_key, random)?))
    }
}

/// Why a record could not be wrapped anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RewrapError {
    /// It cannot be unwrapped.
    #[error("the data key cannot be unwrapped")]
    Unwrap(#[from] OpenError),
    /// It cannot be wrapped.
    #[error("the data key cannot be wrapped")]
    Wrap(#[from] NoRandomness),
}

/// Finds data keys.
pub trait KeyLookup {
    /// The key, or `None` once its person was forgotten.
    fn data_key(&self, id: Uuid) -> Option<DataKey>;
}

impl KeyLookup for BTreeMap<Uuid, DataKey> {
    fn data_key(&self, id: Uuid) -> Option<DataKey> {
        self.get(&id).cloned()
    }
}

/// Encrypts a data key: 12 bytes nonce, then the encrypted bytes with their tag.
///
/// # Errors
/// When the system gives no random bytes.
pub fn wrap(master: &MasterKey, data_key: &DataKey, random: &dyn SecureRandom) -> Result<Vec<u8>, NoRandomness> {
    let nonce: [u8; NONCE_LEN] = random_bytes(random)?;
    let mut wrapped = data_key.key.to_vec();
    encrypt(&master.key, nonce, &wrap_context(master.id, data_key.id), &mut wrapped);
    Ok([&nonce[..], &wrapped].concat())
}

/// Decrypts a data key.
///
/// # Errors
/// When the bytes were not wrapped by this master key for this key id.
pub fn unwrap(master: &MasterKey, key_id: Uuid, wrapped: &[u8]) -> Result<DataKey, OpenError> {
    let (nonce, encrypted) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Malformed)?;
    let key = decrypt(&master.key, *nonce, &wrap_context(master.id, key_id), encrypted)?;
    let key = <[u8; 32]>::try_from(key).map_err(|_| OpenError::Malformed)?;
    Ok(DataKey { id: key_id, key })
}

/// Encrypts personal data. `context` says what it belongs to (such as the order's id); opening needs the same.
///
/// # Errors
/// When the system gives no random bytes.
pub fn seal(
    key: &DataKey,
    plaintext: &[u8],
    context: &[u8],
    random: &dyn SecureRandom,
) -> Result<Sealed, NoRandomness> {
    let nonce: [u8; NONCE_LEN] = random_bytes(random)?;
    let mut header = [0; HEADER_BYTES];
    header[0] = VERSION;
    header[1..KEY_ID_END].copy_from_slice(key.id.as_bytes());
    header[KEY_ID_END..].copy_from_slice(&nonce);
    let mut encrypted = plaintext.to_vec();
    encrypt(&key.key, nonce, &[&header[..KEY_ID_END], context].concat(), &mut encrypted);
    Ok(Sealed([&header[..], &encrypted].concat()))
}

/// Decrypts personal data.
///
/// # Errors
/// [`OpenError`]; `Erased` when the key is gone.
pub fn open(keys: &impl KeyLookup, sealed: &Sealed, context: &[u8]) -> Result<Vec<u8>, OpenError> {
    let key = keys.data_key(key_id(sealed)?).ok_or(OpenError::Erased)?;
    let (header, encrypted) = sealed.0.split_first_chunk::<HEADER_BYTES>().ok_or(OpenError::Malformed)?;
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&header[KEY_ID_END..]);
    decrypt(&key.key, nonce, &[&header[..KEY_ID_END], context].concat(), encrypted)
}

/// The data key that a ciphertext names.
///
/// # Errors
/// When it is no ciphertext of ours.
pub fn key_id(sealed: &Sealed) -> Result<Uuid, OpenError> {
    let header = sealed.0.first_chunk::<HEADER_BYTES>().ok_or(OpenError::Malformed)?;
    if header[0] != VERSION {
        return Err(OpenError::Malformed);
    }
    Uuid::from_slice(&header[1..KEY_ID_END]).map_err(|_| OpenError::Malformed)
}

/// Who buys, as people write it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// The buyer's name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// The phone number, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl fmt::Debug for Buyer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buyer").finish_non_exhaustive()
    }
}

impl Buyer {
    /// Encrypts all of it as one ciphertext.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, key: &DataKey, context: &[u8], random: &dyn SecureRandom) -> Result<Sealed, NoRandomness> {
        let json = serde_json::to_vec(self).expect("strings are always JSON");
        seal(key, &json, context, random)
    }

    /// Decrypts it.
    ///
    /// # Errors
    /// [`OpenError`]; `Erased` when the key is gone.
    pub fn open(keys: &impl KeyLookup, sealed: &Sealed, context: &[u8]) -> Result<Self, OpenError> {
        let json = open(keys, sealed, context)?;
        serde_json::from_slice(&json).map_err(|_| OpenError::Malformed)
    }
}

fn wrap_context(master_key_id: Uuid, key_id: Uuid) -> Vec<u8> {
    [WRAP_CONTEXT, master_key_id.as_bytes(), key_id.as_bytes()].concat()
}

fn encrypt(key: &[u8; 32], nonce: [u8; NONCE_LEN], context: &[u8], bytes: &mut Vec<u8>) {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let sealed = cipher(key).seal_in_place_append_tag(nonce, Aad::from(context), bytes);
    sealed.expect("AES-GCM takes anything below 64 GiB");
}

fn decrypt(key: &[u8; 32], nonce: [u8; NONCE_LEN], context: &[u8], encrypted: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut bytes = encrypted.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = cipher(key).open_in_place(nonce, Aad::from(context), &mut bytes);
    let length = opened.map_err(|_| OpenError::Tampered)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of AES-256 has 32 bytes"))
}

fn random_bytes<const N: usize>(random: &dyn SecureRandom) -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
