//! `Idempotency-Key`, and the command id made of it.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use http::{HeaderMap, Method};
use uuid::Uuid;

use domain::ids::CommandId;

use crate::keys::Keys;
use crate::problem::{Kind, Problem};

/// The header's name.
pub const HEADER: &str = "idempotency-key";

/// The answer header that marks a repeat.
pub const REPLAYED: &str = "idempotency-replayed";

/// What the client names this request by: 1 to 255 visible ASCII characters.
///
/// As an extractor it is required (400 `idempotency-key-missing`); `Option<IdempotencyKey>` where it is not.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a key.
    ///
    /// # Errors
    /// 400 `idempotency-key-invalid`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=255).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Problem::new(Kind::IdempotencyKeyInvalid))
        }
    }

    /// The key's text; it stands for a guest, so it is never logged.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The guest that this key stands for.
    ///
    /// # Errors
    /// 400 `idempotency-key-invalid` if it is no UUID.
    pub fn guest(&self) -> Result<Uuid, Problem> {
        let guest = Uuid::try_parse(&self.0).ok().filter(|id| !id.is_nil() && self.0.len() == 36);
        guest.ok_or_else(|| {
            Problem::new(Kind::IdempotencyKeyInvalid).detail("A guest's Idempotency-Key must be a UUID.")
        })
    }

    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value.to_str().unwrap_or_default()).map(Some),
            (Some(_), Some(_)) => {
                Err(Problem::new(Kind::IdempotencyKeyInvalid).detail("There must be one Idempotency-Key."))
            }
        }
    }
}

impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)?.ok_or_else(|| Problem::new(Kind::IdempotencyKeyMissing))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::of(&parts.headers)
    }
}

/// The id of the command that `principal` names by `key` on this route (UUIDv8 of an HMAC): the same again for a
/// repeat, another one for anybody else. `path` is the concrete path, without the query.
pub fn command_id(keys: &Keys, principal: &str, method: &Method, path: &str, key: &IdempotencyKey) -> CommandId {
    let parts = [principal, method.as_str(), path, key.as_str()].map(str::as_bytes);
    CommandId(uuid::Builder::from_custom_bytes(keys.command(&parts)).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Secret32;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    #[test]
    fn a_key_has_1_to_255_visible_characters() {
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
        for bad in ["", "a b", "tab\t", "é", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(bad).unwrap_err().kind(), Kind::IdempotencyKeyInvalid, "{bad}");
        }
    }

    #[test]
    fn a_guest_is_a_uuid() {
        let id = "3f6b1f5e-5d0e-4b6c-9d3c-2f1a0b9c8d7e";
        assert_eq!(key(id).guest().unwrap().to_string(), id);
        assert_eq!(key(&id.to_uppercase()).guest().unwrap().to_string(), id);
        for bad in ["order-1", "3f6b1f5e5d0e4b6c9d3c2f1a0b9c8d7e", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(key(bad).guest().unwrap_err().kind(), Kind::IdempotencyKeyInvalid, "{bad}");
        }
    }

    #[test]
    fn a_command_id_depends_on_every_part_and_parts_do_not_run_together() {
        let keys = Keys::new(&Secret32::new([1; 32]));
        let id = |who, method: Method, path, k| command_id(&keys, who, &method, path, &key(k));
        let one = id("account:a", Method::PUT, "/v1/x", "k");
        assert_eq!(one, id("account:a", Method::PUT, "/v1/x", "k"));
        assert_eq!(one.0.get_version_num(), 8);
        let others = [
            id("account:b", Method::PUT, "/v1/x", "k"),
            id("account:a", Method::POST, "/v1/x", "k"),
            id("account:a", Method::PUT, "/v1/y", "k"),
            id("account:a", Method::PUT, "/v1/x", "l"),
            id("account:aP", Method::from_bytes(b"UT").unwrap(), "/v1/x", "k"),
        ];
        assert!(!others.contains(&one));
    }
}
