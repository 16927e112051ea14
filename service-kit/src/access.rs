//! Access tokens: HS256 JWTs that only we read, each good for exactly one order of one show.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use domain::ids::{OrderId, ShowId};
use domain::value::Timestamp;

use crate::bearer::{Refused, signature_only};
use crate::keys::Secret32;

#[derive(Serialize, Deserialize)]
struct Claims {
    order: OrderId,
    show: ShowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
}

struct Key {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Key {
    fn new(secret: &Secret32) -> Self {
        let key = secret.derive("access token");
        let name = secret.derive("access token kid");
        let kid = name.expose().iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
        Self {
            kid: format!("access-{kid}"),
            encoding: EncodingKey::from_secret(key.expose()),
            decoding: DecodingKey::from_secret(key.expose()),
        }
    }
}

/// Makes access tokens by one key, and verifies those of two while rotating.
pub(crate) struct Access {
    current: Key,
    previous: Option<Key>,
    validation: Validation,
}

impl Access {
    pub(crate) fn new(current: &Secret32, previous: Option<&Secret32>) -> Self {
        Self {
            current: Key::new(current),
            previous: previous.map(Key::new),
            validation: signature_only(Algorithm::HS256),
        }
    }

    pub(crate) fn mint(&self, order: OrderId, show: ShowId, expires: Option<Timestamp>) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.current.kid.clone());
        let claims = Claims { order, show, exp: expires.map(|at| at.0 / 1_000_000) };
        jsonwebtoken::encode(&header, &claims, &self.current.encoding).expect("an HMAC key signs any claims")
    }

    pub(crate) fn verify(&self, kid: &str, token: &str, now: Timestamp) -> Result<(OrderId, ShowId), Refused> {
        let key = self.key(kid).ok_or(Refused::Invalid)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.validation);
        let claims = decoded.map_err(|_| Refused::Invalid)?.claims;
        match claims.exp {
            Some(exp) if exp.saturating_mul(1_000_000) <= now.0 => Err(Refused::Expired),
            _ => Ok((claims.order, claims.show)),
        }
    }

    fn key(&self, kid: &str) -> Option<&Key> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.kid == kid)
    }
}
