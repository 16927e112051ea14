//! The proof of work that joining a queue may take: what is asked, and what answers it.
//!
//! Whoever asks for a place gets a challenge and looks for a nonce, so that SHA-256 of `<token>.<key>.<nonce>` begins with
//! enough zero bits; `key` is the `Idempotency-Key` of the join. As a guest's place is known by the key, every further place
//! costs the work again, and as a challenge is good for ten minutes only, none can be had in store.
//!
//! A token is base64url of 57 bytes: layout 1, show (16), the end of its time (microseconds, i64), and the HMAC-SHA256 of all
//! that; integers are big-endian. Every field has its fixed place, and the key signs nothing else, so no two fields can be
//! taken for each other.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::request::Parts;
use ring::{digest, hmac};
use serde::Serialize;
use utoipa::ToSchema;

use domain::ids::ShowId;
use domain::value::Timestamp;

use crate::idempotency::IdempotencyKey;
use crate::keys::Secret32;
use crate::views::moment;

/// The header that carries an answer: `<token>.<nonce>`.
pub const HEADER: &str = "queue-proof";

/// How long a challenge is good.
const GOOD_FOR_S: i64 = 600;
const LAYOUT: u8 = 1;
const BODY: usize = 1 + 16 + 8;
const WHOLE: usize = BODY + 32;
/// The longest nonce.
const NONCE: usize = 32;

/// What has to be answered to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Challenge {
    /// Begins what is hashed.
    pub token: String,
    /// With so many zero bits the hash has to begin.
    pub bits: i32,
    /// An answer that comes later is none.
    pub expires_at: jiff::Timestamp,
    /// How to hash: always `sha-256`.
    pub algorithm: &'static str,
}

/// Makes challenges by one key, and knows those of two while rotating.
pub struct Challenges {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl Challenges {
    pub(crate) fn new(current: &Secret32, previous: Option<&Secret32>) -> Self {
        let key = |secret: &Secret32| hmac::Key::new(hmac::HMAC_SHA256, secret.derive("queue challenge").expose());
        Self { current: key(current), previous: previous.map(key) }
    }

    /// A challenge of so many bits for whoever wants to join the queue of this show.
    pub fn of(&self, show: ShowId, bits: i32, now: Timestamp) -> Challenge {
        let until = now.plus_s(GOOD_FOR_S);
        let mut bytes = vec![LAYOUT];
        bytes.extend_from_slice(show.0.as_bytes());
        bytes.extend_from_slice(&until.0.to_be_bytes());
        bytes.extend_from_slice(hmac::sign(&self.current, &bytes).as_ref());
        let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        Challenge { token, bits, expires_at: moment(until), algorithm: "sha-256" }
    }

    /// How many bits of work a proof shows for joining this queue by this key; 0 if it is none, or too old.
    pub fn bits(&self, proof: &QueueProof, show: ShowId, key: &IdempotencyKey, now: Timestamp) -> i32 {
        let Some((token, nonce)) = proof.0.as_deref().and_then(|proof| proof.split_once('.')) else { return 0 };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = (1..=NONCE).contains(&nonce.len()) && nonce.bytes().all(plain);
        if !fits || !self.is_good(token, show, now) {
            return 0;
        }
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [token, ".", key.as_str(), ".", nonce] {
            context.update(part.as_bytes());
        }
        leading_zeros(context.finish().as_ref())
    }

    pub(crate) fn is_good(&self, token: &str, show: ShowId, now: Timestamp) -> bool {
        // Nothing longer is looked at: 57 bytes are 76 characters.
        let bytes = (token.len() <= 76).then(|| BASE64_URL_SAFE_NO_PAD.decode(token).ok()).flatten();
        let Some(bytes) = bytes.and_then(|bytes| <[u8; WHOLE]>::try_from(bytes).ok()) else { return false };
        let (body, tag) = bytes.split_at(BODY);
        let signed = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
        let ours = signed.into_iter().any(|key| hmac::verify(key, body, tag).is_ok());
        let until = body.last_chunk().map_or(0, |until| i64::from_be_bytes(*until));
        ours && body[0] == LAYOUT && body[1..17] == *show.0.as_bytes() && now.0 <= until
    }
}

fn leading_zeros(hash: &[u8]) -> i32 {
    let zeros: u32 = match hash.iter().position(|byte| *byte != 0) {
        Some(at) => u32::try_from(at * 8).unwrap_or(0) + hash[at].leading_zeros(),
        None => u32::try_from(hash.len() * 8).unwrap_or(0),
    };
    i32::try_from(zeros).unwrap_or(0)
}

/// The `Queue-Proof` of a request as it came, if there is exactly one.
#[derive(Clone, Default)]
pub struct QueueProof(Option<String>);

impl QueueProof {
    fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(HEADER).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self(value.to_str().ok().map(str::to_owned)),
            _ => Self(None),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for QueueProof {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SHOW: ShowId = ShowId(Uuid::from_u128(1));
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn challenges(current: u8, previous: Option<u8>) -> Challenges {
        let secret = |byte| Secret32::new([byte; 32]);
        Challenges::new(&secret(current), previous.map(secret).as_ref())
    }

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    fn proof(token: &str, nonce: &str) -> QueueProof {
        QueueProof(Some(format!("{token}.{nonce}")))
    }

    /// Looks for a nonce as a browser does.
    fn solved(by: &Challenges, token: &str, key: &IdempotencyKey, bits: i32) -> QueueProof {
        let tried = (0..).map(|nonce: u32| proof(token, &nonce.to_string()));
        tried.into_iter().find(|it| by.bits(it, SHOW, key, NOW) >= bits).unwrap()
    }

    #[test]
    fn work_is_shown_by_zero_bits() {
        let challenges = challenges(7, None);
        let challenge = challenges.of(SHOW, 12, NOW);
        let mine = key("a");
        let proof = solved(&challenges, &challenge.token, &mine, 12);
        assert!(challenges.bits(&proof, SHOW, &mine, NOW) >= 12);
        // Pinned, as computed by another implementation: browsers must find what is looked for here.
        assert_eq!(challenge.token, "AQAAAAAAAAAAAAAAAAAAAAEABmUXTFvGAOMqEfIrZR0Xp7tVoRH9t_M_UAXn3rdEsz7yBsDPD69t");
        for (hash, zeros) in [([0x80, 0], 0), ([0x01, 0xff], 7), ([0x00, 0x20], 10), ([0, 0], 16)] {
            assert_eq!(leading_zeros(&hash), zeros, "{hash:?}");
        }
    }

    #[test]
    fn work_is_good_for_one_key_one_show_and_ten_minutes() {
        let challenges = challenges(7, None);
        let (mine, token) = (key("a"), challenges.of(SHOW, 12, NOW).token);
        let proof = solved(&challenges, &token, &mine, 12);
        let bits = |show, key: &IdempotencyKey, now| challenges.bits(&proof, show, key, now);
        assert!(bits(SHOW, &mine, NOW.plus_s(600)) >= 12);
        assert_eq!(bits(SHOW, &mine, NOW.plus_s(601)), 0);
        assert_eq!(bits(ShowId(Uuid::from_u128(2)), &mine, NOW), 0);
        let others = (0..50).map(|n| bits(SHOW, &key(&format!("b{n}")), NOW));
        assert!(others.filter(|bits| *bits >= 12).count() <= 1, "another key has other work to do");
    }

    #[test]
    fn what_is_no_proof_shows_no_work() {
        let challenges = challenges(7, None);
        let (mine, token) = (key("a"), challenges.of(SHOW, 8, NOW).token);
        let (good, nonce) = (solved(&challenges, &token, &mine, 8), "x".repeat(33));
        assert!(challenges.bits(&good, SHOW, &mine, NOW) >= 8);
        for text in ["", ".", "a.b", &token, &format!("{token}."), &format!("{token}.{nonce}"), &format!("{token}.a b")]
        {
            assert_eq!(challenges.bits(&QueueProof(Some(text.to_owned())), SHOW, &mine, NOW), 0, "{text}");
        }
        assert_eq!(challenges.bits(&QueueProof(None), SHOW, &mine, NOW), 0);
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(!challenges.is_good(&altered, SHOW, NOW), "{at}");
        }
    }

    #[test]
    fn challenges_of_the_key_before_are_good_and_those_of_strangers_are_not() {
        let token = challenges(7, None).of(SHOW, 8, NOW).token;
        assert!(challenges(8, Some(7)).is_good(&token, SHOW, NOW));
        assert!(!challenges(8, None).is_good(&token, SHOW, NOW));
    }

    #[test]
    fn two_proofs_are_none() {
        let headers = |values: &[&str]| -> HeaderMap {
            let header: http::HeaderName = HEADER.parse().unwrap();
            values.iter().map(|value| (header.clone(), value.parse().unwrap())).collect()
        };
        assert_eq!(QueueProof::of(&headers(&["a.b"])).0.as_deref(), Some("a.b"));
        assert!(QueueProof::of(&headers(&["a.b", "a.b"])).0.is_none());
        assert!(QueueProof::of(&headers(&[])).0.is_none());
    }
}
