//! The keys that everything signed or compared by us is made with, derived from one secret.
//!
//! Fingerprints, command ids, order codes, mail addresses and the seeds of draws are compared with what the log holds for
//! ever, so `BOXOFFICE_SECRET` stays for the life of the log; the keys of tokens and queue tickets rotate beside it.

use std::fmt;

use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac;

use domain::ids::{OrderId, ShowId};
use domain::queue::Seed;
use domain::value::Fingerprint;

/// 32 secret bytes that no `Debug` shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret32([u8; 32]);

impl Secret32 {
    /// Keeps these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes; never to be shown.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// An independent key for one purpose: HKDF-SHA256 (RFC 5869) with the purpose as `info`.
    pub fn derive(&self, purpose: &str) -> Self {
        let key = Salt::new(HKDF_SHA256, b"boxoffice/1").extract(&self.0);
        let mut derived = [0; 32];
        let info = [purpose.as_bytes()];
        key.expand(&info, Length32)
            .and_then(|okm| okm.fill(&mut derived))
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        Self(derived)
    }
}

impl fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret32(…)")
    }
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

/// The lasting keys, derived from `BOXOFFICE_SECRET`.
#[derive(Clone)]
pub struct Keys {
    command: hmac::Key,
    fingerprint: hmac::Key,
    order_code: hmac::Key,
    email: hmac::Key,
    draw: hmac::Key,
}

impl Keys {
    /// Derives every key.
    pub fn new(secret: &Secret32) -> Self {
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, secret.derive(purpose).expose());
        Self {
            command: key("command id"),
            fingerprint: key("fingerprint"),
            order_code: key("order code"),
            email: key("email"),
            draw: key("draw"),
        }
    }

    /// The fingerprint of a canonical body.
    pub fn fingerprint(&self, canonical: &str) -> Fingerprint {
        Fingerprint(first(&hmac::sign(&self.fingerprint, canonical.as_bytes())))
    }

    /// What equality on a mail address goes by: of the address trimmed and in lower case.
    pub fn email(&self, address: &str) -> [u8; 16] {
        first(&hmac::sign(&self.email, address.trim().to_lowercase().as_bytes()))
    }

    /// The seed that the places of those who come early are drawn by: secret until the draw, its hash is not.
    pub fn draw_seed(&self, show: ShowId) -> Seed {
        Seed(first(&hmac::sign(&self.draw, show.0.as_bytes())))
    }

    /// 16 bytes that name a command; the parts are length-prefixed, so that they cannot run into each other.
    pub(crate) fn command(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.command);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        first(&context.sign())
    }

    pub(crate) fn order_code(&self, order: OrderId) -> [u8; 16] {
        first(&hmac::sign(&self.order_code, order.0.as_bytes()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first so many bytes of a digest.
fn first<const N: usize>(tag: &hmac::Tag) -> [u8; N] {
    let (head, _) = tag.as_ref().split_first_chunk().expect("a SHA-256 digest has 32 bytes");
    *head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_depend_on_secret_and_purpose_and_stay_for_ever() {
        let secret = Secret32::new([7; 32]);
        assert_eq!(secret.derive("a"), secret.derive("a"));
        assert_ne!(secret.derive("a"), secret.derive("b"));
        assert_ne!(secret.derive("a"), Secret32::new([8; 32]).derive("a"));
        // Pinned: a changed derivation would make every stored fingerprint, command and order code unrecognisable.
        let keys = Keys::new(&secret);
        insta::assert_snapshot!(hex(&keys.fingerprint("{}").0), @"849225288a7e04cea15e5e957a7b7ffa");
        insta::assert_snapshot!(hex(&keys.command(&[b"a", b"b"])), @"24bff8ec5c8e3edaf8d46877b48fb8ea");
        insta::assert_snapshot!(hex(&keys.email("an@example.org")), @"2b7db70750d77f480a4e4b8ee0cbd0f9");
        insta::assert_snapshot!(crate::code::order(&keys, OrderId(uuid::Uuid::from_u128(1))), @"4CST8GZR7W");
        let show = ShowId(uuid::Uuid::from_u128(1));
        insta::assert_snapshot!(keys.draw_seed(show), @"6e250a89a87dd01e047e66ffa1333c160e18f3d2ead8d0386d195de7c498b789");
        insta::assert_snapshot!(keys.draw_seed(show).hash(), @"e0840f9f97f5d5a7713a37d767695d651e0a7fe8e03ba56b1f3830d05f213196");
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secret = Secret32::new([0xab; 32]);
        assert_eq!(format!("{secret:?} {:?}", Keys::new(&secret)), "Secret32(…) Keys(…)");
    }

    #[test]
    fn every_show_has_a_draw_of_its_own() {
        let (keys, one, two) = (Keys::new(&Secret32::new([7; 32])), uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        assert_ne!(keys.draw_seed(ShowId(one)), keys.draw_seed(ShowId(two)));
        assert_ne!(keys.draw_seed(ShowId(one)), Keys::new(&Secret32::new([8; 32])).draw_seed(ShowId(one)));
    }

    #[test]
    fn mail_addresses_are_equal_in_any_case() {
        let keys = Keys::new(&Secret32::new([7; 32]));
        assert_eq!(keys.email(" An@Example.org"), keys.email("an@example.org"));
        assert_ne!(keys.email("an@example.org"), keys.email("ann@example.org"));
    }
}
