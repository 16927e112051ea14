//! The caller of a route, as an extractor.

use axum::extract::{FromRef, FromRequestParts};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use domain::ids::{OrderId, ShowId};
use domain::value::{Actor, Role};

use crate::auth::{Auth, Identity, Refused};
use crate::idempotency::IdempotencyKey;
use crate::problem::{Kind, Problem};

/// Who calls. A bad or expired token is 401 everywhere, also where none is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Whoever a good token names.
    Known(Identity),
    /// Nobody in particular: a guest where the route allows it.
    Anonymous,
}

impl Caller {
    /// As the actor of a command that guests may not send.
    ///
    /// # Errors
    /// 401 `unauthorized` without a token.
    pub fn actor(&self) -> Result<Actor, Problem> {
        match self {
            Self::Known(identity) => Ok(actor(identity)),
            Self::Anonymous => Err(Problem::new(Kind::Unauthorized)),
        }
    }

    /// As the actor of a command that guests may send, too; an anonymous one becomes the guest of this id.
    pub fn actor_or_guest(&self, guest: Uuid) -> Actor {
        match self {
            Self::Known(identity) => actor(identity),
            Self::Anonymous => Actor::Guest { principal: format!("guest:{guest}") },
        }
    }

    /// As [`Self::actor_or_guest`], where the guest's key stands for the guest.
    ///
    /// # Errors
    /// 400 `idempotency-key-missing` or `idempotency-key-invalid` if a guest has no UUID as key.
    pub fn actor_or_guest_by(&self, key: Option<&IdempotencyKey>) -> Result<Actor, Problem> {
        match (self, key) {
            (Self::Known(identity), _) => Ok(actor(identity)),
            (Self::Anonymous, Some(key)) => Ok(self.actor_or_guest(key.guest()?)),
            (Self::Anonymous, None) => Err(Problem::new(Kind::IdempotencyKeyMissing)),
        }
    }

    /// An account with one of these roles.
    ///
    /// # Errors
    /// 401 `unauthorized` without an account, 403 `forbidden` without such a role.
    pub fn with_role(&self, roles: &[Role]) -> Result<Actor, Problem> {
        let actor = self.actor()?;
        if roles.iter().any(|&role| actor.has(role)) { Ok(actor) } else { Err(Problem::new(Kind::Forbidden)) }
    }

    /// Whether this is the holder of exactly this order of this show.
    pub fn holds(&self, order: OrderId, show: ShowId) -> bool {
        *self == Self::Known(Identity::OrderHolder { order, show })
    }
}

fn actor(identity: &Identity) -> Actor {
    match identity {
        Identity::Account(account) => {
            Actor::Account { principal: account.principal.clone(), roles: account.roles.clone() }
        }
        Identity::OrderHolder { order, show } => Actor::OrderHolder { order: *order, show: *show },
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match bearer(&parts.headers)? {
            None => Ok(Self::Anonymous),
            Some(token) => Auth::from_ref(state).identify(token).map(Self::Known).map_err(unauthorized),
        }
    }
}

/// The caller of an event stream: browsers cannot send headers there, so an access token may come as
/// `?access_token=`. Accounts' tokens may not: addresses end up in logs and histories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCaller(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for StreamCaller
where
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let in_query = parts.uri.query().and_then(access_token);
        match in_query {
            Some(token) if !parts.headers.contains_key(AUTHORIZATION) => {
                let identity = Auth::from_ref(state).identify_holder(token).map_err(unauthorized)?;
                Ok(Self(Caller::Known(identity)))
            }
            _ => Caller::from_request_parts(parts, state).await.map(Self),
        }
    }
}

/// A JWT has no character that a query would escape.
fn access_token(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("access_token="))
}

/// The token after `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(AUTHORIZATION) { Err(unauthorized(Refused::Invalid)) } else { Ok(None) };
    };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(unauthorized(Refused::Invalid)),
    }
}

/// RFC 6750, section 3.1.
fn unauthorized(refused: Refused) -> Problem {
    let (detail, challenge) = match refused {
        Refused::Invalid => (
            "The token is not valid.",
            "Bearer realm=\"boxoffice\", error=\"invalid_token\", error_description=\"The token is not valid.\"",
        ),
        Refused::Expired => (
            "The token has expired.",
            "Bearer realm=\"boxoffice\", error=\"invalid_token\", error_description=\"The token has expired.\"",
        ),
    };
    Problem::new(Kind::Unauthorized).detail(detail).header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}
