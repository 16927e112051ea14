//! Ticket codes: what a gate scans, and can verify without asking anybody.
//!
//! 40 bytes (version 1, key id, show, ticket, revision as u16, not-after as u32 seconds; big endian) and an Ed25519
//! signature over `ticket-v1`, a zero byte and those, together in base64url without padding: 139 characters.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::ids::{ShowId, TicketId};
use domain::value::Timestamp;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use service_kit::keys::Secret32;
use uuid::Uuid;

const VERSION: u8 = 1;
const PAYLOAD: usize = 1 + 1 + 16 + 16 + 2 + 4;
const DOMAIN: &[u8] = b"ticket-v1\0";
/// A show may run late.
const GRACE_S: i64 = 24 * 3600;

/// What a code admits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// To which show.
    pub show: ShowId,
    /// By which ticket.
    pub ticket: TicketId,
    /// Counts up when a ticket is issued anew, so that older codes of it are void.
    pub revision: u16,
    /// Seconds since 1970 after which nobody is admitted.
    pub not_after: u32,
}

impl Admission {
    /// The first code of a ticket, good until a day after the show.
    pub fn first(show: ShowId, ticket: TicketId, starts_at: Timestamp, ends_at: Option<Timestamp>) -> Self {
        let over = ends_at.unwrap_or(starts_at).plus_s(GRACE_S).0.div_euclid(1_000_000);
        let not_after = u32::try_from(over.max(0)).unwrap_or(u32::MAX);
        Self { show, ticket, revision: 0, not_after }
    }
}

/// Why a code admits to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    /// It has another form or version.
    #[error("this is no ticket code")]
    Malformed,
    /// It is signed by a key of another id.
    #[error("the key {0} is not this one")]
    OtherKey(u8),
    /// Its signature is not good.
    #[error("the ticket code is forged")]
    Forged,
}

/// Signs ticket codes.
pub struct Signer {
    key: Ed25519KeyPair,
    key_id: u8,
}

impl Signer {
    /// By this seed, which gates know as `key_id`.
    pub fn new(seed: &Secret32, key_id: u8) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("a seed has 32 bytes");
        Self { key, key_id }
    }

    /// What gates verify by.
    pub fn public_key(&self) -> [u8; 32] {
        let key = self.key.public_key().as_ref();
        key.try_into().expect("an Ed25519 public key has 32 bytes")
    }

    /// The code.
    pub fn code(&self, admission: &Admission) -> String {
        let mut bytes = Vec::with_capacity(PAYLOAD + 64);
        bytes.extend([VERSION, self.key_id]);
        bytes.extend(admission.show.0.as_bytes());
        bytes.extend(admission.ticket.0.as_bytes());
        bytes.extend(admission.revision.to_be_bytes());
        bytes.extend(admission.not_after.to_be_bytes());
        let signature = self.key.sign(&[DOMAIN, &bytes].concat());
        bytes.extend(signature.as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.key_id)
    }
}

/// What a code admits to, if it was signed by this key. Whether it is too late, revoked or used is the gate's to know.
///
/// # Errors
/// [`BadCode`].
pub fn verify(key_id: u8, public_key: &[u8; 32], code: &str) -> Result<Admission, BadCode> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(code).map_err(|_| BadCode::Malformed)?;
    let (payload, signature) = bytes.split_first_chunk::<PAYLOAD>().ok_or(BadCode::Malformed)?;
    if payload[0] != VERSION || signature.len() != 64 {
        return Err(BadCode::Malformed);
    }
    if payload[1] != key_id {
        return Err(BadCode::OtherKey(payload[1]));
    }
    let signed = [DOMAIN, payload].concat();
    UnparsedPublicKey::new(&ED25519, public_key).verify(&signed, signature).map_err(|_| BadCode::Forged)?;
    admission(payload).ok_or(BadCode::Malformed)
}

fn admission(payload: &[u8; PAYLOAD]) -> Option<Admission> {
    let (show, rest) = payload[2..].split_first_chunk::<16>()?;
    let (ticket, rest) = rest.split_first_chunk::<16>()?;
    let (revision, rest) = rest.split_first_chunk::<2>()?;
    let (not_after, _) = rest.split_first_chunk::<4>()?;
    Some(Admission {
        show: ShowId(Uuid::from_bytes(*show)),
        ticket: TicketId(Uuid::from_bytes(*ticket)),
        revision: u16::from_be_bytes(*revision),
        not_after: u32::from_be_bytes(*not_after),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const CODE: &str = "AQcBjz8efBp7LpodAAAAAAABAY8_Hnwaey6aHQAAAAAAqgADaVW5AG4f757dkEgGjycB3F39g5GVpYuh51lY7IH5qs2UIHcDgN3yEbu3lgvNm2inNKmpLtjTeXnBvrleSFJ52PDQKAA";

    fn hex(text: &str) -> [u8; 32] {
        service_kit::env::hex32(text).unwrap()
    }

    fn admitted() -> Admission {
        Admission {
            show: "018f3f1e-7c1a-7b2e-9a1d-000000000001".parse().unwrap(),
            ticket: "018f3f1e-7c1a-7b2e-9a1d-0000000000aa".parse().unwrap(),
            revision: 3,
            not_after: 1_767_225_600,
        }
    }

    #[test]
    fn a_code_is_as_published() {
        let signer = Signer::new(&Secret32::new(hex(SEED)), 7);
        assert_eq!(signer.public_key(), hex(PUBLIC));
        assert_eq!(signer.code(&admitted()), CODE);
        assert_eq!(verify(7, &hex(PUBLIC), CODE), Ok(admitted()));
    }

    #[test]
    fn an_altered_code_admits_to_nothing() {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(CODE).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(verify(7, &hex(PUBLIC), &BASE64_URL_SAFE_NO_PAD.encode(altered)).is_err(), "byte {at}");
        }
        assert_eq!(verify(8, &hex(PUBLIC), CODE), Err(BadCode::OtherKey(7)));
        assert_eq!(verify(7, &[9; 32], CODE), Err(BadCode::Forged));
        for bad in ["", "AQ", "*", &CODE[..100]] {
            assert_eq!(verify(7, &hex(PUBLIC), bad), Err(BadCode::Malformed), "{bad}");
        }
    }

    #[test]
    fn it_is_good_until_a_day_after_the_show() {
        let (show, ticket) = (ShowId::default(), TicketId::default());
        let until = |starts: i64, ends: Option<i64>| {
            let at = |s: i64| Timestamp(s.saturating_mul(1_000_000));
            Admission::first(show, ticket, at(starts), ends.map(at)).not_after
        };
        assert_eq!(until(1000, None), 87_400);
        assert_eq!(until(1000, Some(5000)), 91_400);
        assert_eq!((until(-90_000_000, None), until(i64::MAX, None)), (0, u32::MAX));
    }
}
