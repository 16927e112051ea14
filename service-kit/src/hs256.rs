//! JWTs that only we read: HS256, each kind with a key and key names of its own, two of them good while rotating.
//!
//! Invariant: a token of one kind never passes for one of another, since no two kinds share a key.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bearer::{Refused, signature_only};
use crate::keys::Secret32;

/// A kind of token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    /// What its keys are derived for.
    pub(crate) key: &'static str,
    /// What the names of its keys are derived for.
    pub(crate) kid: &'static str,
    /// What the names of its keys begin with.
    pub(crate) prefix: &'static str,
}

struct Key {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Key {
    fn new(purpose: Purpose, secret: &Secret32) -> Self {
        let key = secret.derive(purpose.key);
        let name = secret.derive(purpose.kid);
        let kid = name.expose().iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
        Self {
            kid: format!("{}-{kid}", purpose.prefix),
            encoding: EncodingKey::from_secret(key.expose()),
            decoding: DecodingKey::from_secret(key.expose()),
        }
    }
}

/// Makes tokens of one kind by one key, and reads those of two while rotating.
pub(crate) struct Signer {
    current: Key,
    previous: Option<Key>,
    validation: Validation,
}

impl Signer {
    pub(crate) fn new(purpose: Purpose, current: &Secret32, previous: Option<&Secret32>) -> Self {
        Self {
            current: Key::new(purpose, current),
            previous: previous.map(|previous| Key::new(purpose, previous)),
            validation: signature_only(Algorithm::HS256),
        }
    }

    /// The same token for the same claims as long as the key is the same.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.current.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.current.encoding).expect("an HMAC key signs any claims")
    }

    /// What a token says, if it is one of this kind and unaltered; whether it has expired is the caller's to see.
    pub(crate) fn read<C: DeserializeOwned>(&self, kid: &str, token: &str) -> Result<C, Refused> {
        let key = self.key(kid).ok_or(Refused::Invalid)?;
        let decoded = jsonwebtoken::decode::<C>(token, &key.decoding, &self.validation);
        Ok(decoded.map_err(|_| Refused::Invalid)?.claims)
    }

    fn key(&self, kid: &str) -> Option<&Key> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.kid == kid)
    }
}
