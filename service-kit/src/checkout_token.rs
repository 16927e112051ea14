//! Checkout tokens: who was let in by the waiting room of a show, and until when one order may be placed.
//!
//! Invariant: the same admission always has the same token, as long as its key is the same; so it can be asked for again.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use domain::ids::{SessionId, ShowId};
use domain::value::Timestamp;

use crate::auth::kid;
use crate::hs256::{Purpose, Signer};
use crate::keys::Secret32;
use crate::problem::{Kind, Problem};

/// The header that carries it with an order.
pub const HEADER: &str = "checkout-token";

const PURPOSE: Purpose = Purpose { key: "checkout token", kid: "checkout token kid", prefix: "checkout" };
const AUDIENCE: &str = "checkout";

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    show: ShowId,
    session: SessionId,
    exp: i64,
}

/// What a checkout token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Whose waiting room let the visitor in.
    pub show: ShowId,
    /// The visitor's place.
    pub session: SessionId,
    /// Until when an order may be placed with it: whole seconds.
    pub expires_at: Timestamp,
}

/// The token is altered, of another kind, or signed by a key that is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the checkout token is not one of ours")]
pub struct Invalid;

impl From<Invalid> for Problem {
    fn from(_: Invalid) -> Self {
        Self::new(Kind::CheckoutTokenInvalid).detail("The Checkout-Token is not valid.")
    }
}

/// Makes checkout tokens by one key, and reads those of two while rotating.
pub struct CheckoutTokens(Signer);

impl CheckoutTokens {
    pub(crate) fn new(current: &Secret32, previous: Option<&Secret32>) -> Self {
        Self(Signer::new(PURPOSE, current, previous))
    }

    /// The token of an admission. JWTs count whole seconds: it is good until the second that `expires_at` is in is over,
    /// never a moment less than what the visitor was told.
    pub fn mint(&self, admitted: &Admitted) -> String {
        let whole = admitted.expires_at.0.div_euclid(1_000_000);
        let begun = i64::from(admitted.expires_at.0.rem_euclid(1_000_000) > 0);
        let (show, session) = (admitted.show, admitted.session);
        self.0.sign(&Claims { aud: AUDIENCE.to_owned(), show, session, exp: whole + begun })
    }

    /// What a token says. An expired one is read, too: the order that it was used for may be asked for again.
    ///
    /// # Errors
    /// Altered, of another kind, or of an unknown key.
    pub fn read(&self, token: &str) -> Result<Admitted, Invalid> {
        let kid = kid(token).map_err(|_| Invalid)?;
        let claims: Claims = self.0.read(&kid, token).map_err(|_| Invalid)?;
        let expires_at = claims.exp.checked_mul(1_000_000).map(Timestamp).ok_or(Invalid)?;
        match claims.aud == AUDIENCE {
            true => Ok(Admitted { show: claims.show, session: claims.session, expires_at }),
            false => Err(Invalid),
        }
    }
}

/// The `Checkout-Token` of a request as it came, if there is one; as an extractor it never refuses anything but two.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckoutToken(pub Option<String>);

impl CheckoutToken {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => Ok(Self(Some(value.to_str().map_err(|_| Invalid)?.to_owned()))),
            (Some(_), Some(_)) => {
                Err(Problem::new(Kind::CheckoutTokenInvalid).detail("There must be one Checkout-Token."))
            }
        }
    }
}

impl std::fmt::Debug for CheckoutToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckoutToken(…)")
    }
}

impl<S: Sync> FromRequestParts<S> for CheckoutToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use uuid::Uuid;

    use super::*;
    use crate::access::Access;
    use domain::ids::OrderId;

    const ADMITTED: Admitted = Admitted {
        show: ShowId(Uuid::from_u128(1)),
        session: SessionId(Uuid::from_u128(2)),
        expires_at: Timestamp(1_800_000_900_000_000),
    };

    fn secret(byte: u8) -> Secret32 {
        Secret32::new([byte; 32])
    }

    fn tokens(current: u8, previous: Option<u8>) -> CheckoutTokens {
        CheckoutTokens::new(&secret(current), previous.map(secret).as_ref())
    }

    #[test]
    fn a_token_says_what_it_was_made_for_and_is_the_same_again() {
        let tokens = tokens(1, None);
        let token = tokens.mint(&ADMITTED);
        assert_eq!(tokens.read(&token), Ok(ADMITTED));
        assert_eq!(tokens.mint(&ADMITTED), token);
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        insta::assert_snapshot!(String::from_utf8(claims).unwrap(), @r#"{"aud":"checkout","show":"00000000-0000-0000-0000-000000000001","session":"00000000-0000-0000-0000-000000000002","exp":1800000900}"#);
    }

    #[test]
    fn a_token_is_never_good_for_less_than_was_told() {
        let tokens = tokens(1, None);
        for (told, good) in [(1_000_000, 1_000_000), (1_000_001, 2_000_000), (1_999_999, 2_000_000)] {
            let token = tokens.mint(&Admitted { expires_at: Timestamp(told), ..ADMITTED });
            assert_eq!(tokens.read(&token).unwrap().expires_at, Timestamp(good));
        }
    }

    #[test]
    fn any_altered_byte_is_refused() {
        let tokens = tokens(1, None);
        let token = tokens.mint(&ADMITTED);
        for at in 0..token.len() {
            for other in [b'A', b'B', b'-', b'.', b'='] {
                let mut altered = token.clone().into_bytes();
                if altered[at] != other {
                    altered[at] = other;
                    assert_eq!(tokens.read(&String::from_utf8(altered).unwrap()), Err(Invalid), "{at}");
                }
            }
            assert_eq!(tokens.read(&token[..at]), Err(Invalid), "{at}");
        }
    }

    #[test]
    fn tokens_of_the_key_before_are_good_and_those_of_strangers_are_not() {
        let (old, new) = (tokens(1, None), tokens(2, Some(1)));
        assert_eq!(new.read(&old.mint(&ADMITTED)), Ok(ADMITTED));
        assert_eq!(old.read(&new.mint(&ADMITTED)), Err(Invalid));
        assert_eq!(tokens(2, None).read(&old.mint(&ADMITTED)), Err(Invalid));
    }

    #[test]
    fn a_token_of_another_kind_is_refused() {
        let access = Access::new(&secret(1), None).mint(OrderId(Uuid::from_u128(3)), ADMITTED.show, None);
        assert_eq!(tokens(1, None).read(&access), Err(Invalid));
        // The right key, and still not for this.
        let claims = Claims { aud: "else".to_owned(), show: ADMITTED.show, session: ADMITTED.session, exp: 1 };
        let token = tokens(1, None).0.sign(&claims);
        assert_eq!(tokens(1, None).read(&token), Err(Invalid));
        // The right words under the right name, signed by what access tokens are signed by.
        let signer = Signer::new(Purpose { key: "access token", ..PURPOSE }, &secret(1), None);
        let claims = Claims { aud: AUDIENCE.to_owned(), ..claims };
        assert_eq!(tokens(1, None).read(&signer.sign(&claims)), Err(Invalid));
    }

    #[test]
    fn there_is_one_token_or_none() {
        let headers = |values: &[&str]| {
            values.iter().map(|value| (HEADER.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
        };
        assert_eq!(CheckoutToken::of(&headers(&[])).unwrap().0, None);
        assert_eq!(CheckoutToken::of(&headers(&["a"])).unwrap().0.as_deref(), Some("a"));
        let twice = CheckoutToken::of(&headers(&["a", "a"])).unwrap_err();
        assert_eq!(twice.kind(), Kind::CheckoutTokenInvalid);
        assert_eq!(format!("{:?}", CheckoutToken(Some("secret".to_owned()))), "CheckoutToken(…)");
    }
}
