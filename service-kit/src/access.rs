//! Access tokens: HS256 JWTs that only we read, each good for exactly one order of one show.

use serde::{Deserialize, Serialize};

use domain::ids::{OrderId, ShowId};
use domain::value::Timestamp;

use crate::bearer::Refused;
use crate::hs256::{Purpose, Signer};
use crate::keys::Secret32;

const PURPOSE: Purpose = Purpose { key: "access token", kid: "access token kid", prefix: "access" };

#[derive(Serialize, Deserialize)]
struct Claims {
    order: OrderId,
    show: ShowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
}

/// Makes access tokens by one key, and verifies those of two while rotating.
pub(crate) struct Access(Signer);

impl Access {
    pub(crate) fn new(current: &Secret32, previous: Option<&Secret32>) -> Self {
        Self(Signer::new(PURPOSE, current, previous))
    }

    pub(crate) fn mint(&self, order: OrderId, show: ShowId, expires: Option<Timestamp>) -> String {
        self.0.sign(&Claims { order, show, exp: expires.map(|at| at.0 / 1_000_000) })
    }

    pub(crate) fn verify(&self, kid: &str, token: &str, now: Timestamp) -> Result<(OrderId, ShowId), Refused> {
        let claims: Claims = self.0.read(kid, token)?;
        match claims.exp {
            Some(exp) if exp.saturating_mul(1_000_000) <= now.0 => Err(Refused::Expired),
            _ => Ok((claims.order, claims.show)),
        }
    }
}
