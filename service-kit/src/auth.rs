//! Who sends a request, by the token it carries.
//!
//! Invariant: a token's `kid` alone decides which key and so which algorithm verifies it; its header cannot choose.

use std::fmt;
use std::sync::Arc;

use domain::ids::{OrderId, ShowId};
use domain::value::Timestamp;

use crate::access::Access;
use crate::bearer::Verifier;
pub use crate::bearer::{Account, NewToken, PublicKey, Refused, Rules, SigningKey, mint_bearer};
use crate::challenge::Challenges;
use crate::checkout_token::CheckoutTokens;
use crate::clock::{Clock, SystemClock};
use crate::keys::Secret32;
use crate::queue_ticket::QueueTickets;

/// No token of ours is longer.
const MAX_TOKEN: usize = 4096;

/// Everything that tokens are verified by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The keys that accounts' tokens are signed by.
    pub accounts: Vec<PublicKey>,
    /// What those tokens must say.
    pub rules: Rules,
    /// What access tokens, queue tickets and checkout tokens are signed by.
    pub access: Secret32,
    /// What they were signed by before, while rotating.
    pub access_previous: Option<Secret32>,
}

/// Makes and verifies tokens; cheap to clone, so that a service's state can hold it (`FromRef`).
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    bearer: Verifier,
    access: Access,
    queue_tickets: QueueTickets,
    checkout_tokens: CheckoutTokens,
    challenges: Challenges,
    clock: Arc<dyn Clock>,
}

/// What a good token says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// An account.
    Account(Account),
    /// Whoever holds the token of this order.
    OrderHolder {
        /// The order.
        order: OrderId,
        /// Its show.
        show: ShowId,
    },
}

impl Auth {
    /// With the machine's clock.
    pub fn new(settings: &Settings) -> Self {
        Self::with_clock(settings, Arc::new(SystemClock))
    }

    /// With another clock.
    pub fn with_clock(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            bearer: Verifier::new(&settings.accounts, settings.rules.clone()),
            access: Access::new(&settings.access, settings.access_previous.as_ref()),
            queue_tickets: QueueTickets::new(&settings.access, settings.access_previous.as_ref()),
            checkout_tokens: CheckoutTokens::new(&settings.access, settings.access_previous.as_ref()),
            challenges: Challenges::new(&settings.access, settings.access_previous.as_ref()),
            clock,
        }))
    }

    /// Verifies a token of either kind.
    ///
    /// # Errors
    /// Altered, foreign, too long, or expired.
    pub fn identify(&self, token: &str) -> Result<Identity, Refused> {
        let now = self.0.clock.now();
        if let Some(account) = self.0.bearer.verified_lately(token, now) {
            return Ok(Identity::Account(account));
        }
        let kid = kid(token)?;
        if self.0.bearer.knows(&kid) {
            self.0.bearer.verify(&kid, token, now).map(Identity::Account)
        } else {
            self.holder(&kid, token, now)
        }
    }

    /// Verifies an access token, and nothing else.
    ///
    /// # Errors
    /// Altered, of another kind, too long, or expired.
    pub fn identify_holder(&self, token: &str) -> Result<Identity, Refused> {
        self.holder(&kid(token)?, token, self.0.clock.now())
    }

    fn holder(&self, kid: &str, token: &str, now: Timestamp) -> Result<Identity, Refused> {
        self.0.access.verify(kid, token, now).map(|(order, show)| Identity::OrderHolder { order, show })
    }

    /// Makes the access token of an order; without `expires` it is good as long as its key.
    pub fn mint_access(&self, order: OrderId, show: ShowId, expires: Option<Timestamp>) -> String {
        self.0.access.mint(order, show, expires)
    }

    /// Makes and verifies the tickets of waiting rooms.
    pub fn queue_tickets(&self) -> &QueueTickets {
        &self.0.queue_tickets
    }

    /// Makes and reads the tokens of those that a waiting room let in.
    pub fn checkout_tokens(&self) -> &CheckoutTokens {
        &self.0.checkout_tokens
    }

    /// Makes the challenges of waiting rooms, and judges what answers them.
    pub fn challenges(&self) -> &Challenges {
        &self.0.challenges
    }

    /// The clock that tokens expire by.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The keys that accounts' tokens are verified by, as a JWK set (RFC 7517).
    pub fn jwks(&self) -> &serde_json::Value {
        self.0.bearer.jwks()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(…)")
    }
}

/// The name of the key that a token claims to be signed by.
pub(crate) fn kid(token: &str) -> Result<String, Refused> {
    if token.len() > MAX_TOKEN {
        return Err(Refused::Invalid);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Invalid)?;
    // RFC 7515, 4.1.11: extensions that must be understood are not understood here.
    if header.crit.is_some() {
        return Err(Refused::Invalid);
    }
    header.kid.ok_or(Refused::Invalid)
}

#[cfg(test)]
mod tests;
