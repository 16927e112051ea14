//! Random ids and bytes: the only place that draws them.

use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

/// A fresh id (UUIDv7, so that ids made one after the other sort so).
#[allow(clippy::disallowed_methods, reason = "this is the place made for random ids")]
pub fn id() -> Uuid {
    Uuid::now_v7()
}

/// A fresh id that tells nothing about when it was made (UUIDv4).
#[allow(clippy::disallowed_methods, reason = "this is the place made for random ids")]
pub fn opaque_id() -> Uuid {
    Uuid::new_v4()
}

/// So many bytes that nobody can guess.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A number from 0 to `end - 1`, for back-off and jitter; 0 when `end` is 0.
pub fn below(end: u64) -> u64 {
    u64::from_be_bytes(bytes()).checked_rem(end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_bytes_differ() {
        assert_ne!(id(), id());
        assert_ne!(opaque_id(), opaque_id());
        assert_ne!(bytes::<16>(), bytes::<16>());
    }

    #[test]
    fn below_stays_below() {
        assert!((0..200).all(|_| below(3) < 3));
        assert_eq!(below(0), 0);
    }
}
