//! How instances know each other's requests: an HMAC over all of it, good for a short time.

use ring::hmac;
use service_kit::keys::Secret32;
use thiserror::Error;

/// The header that carries a signature: `t=<milliseconds since 1970>,v1=<64 hex digits>`.
pub const HEADER: &str = "boxoffice-signature";
/// A request is taken so long after, and before, the moment it says it was signed at: clocks differ, and nothing that
/// somebody copied is good for ever. Commands are recognised by their ids, so a repeat within that time does no harm.
const GOOD_FOR_MS: i64 = 30_000;

/// The key that instances share.
#[derive(Clone)]
pub struct InternalKey(hmac::Key);

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// The path alone.
    pub path: &'a str,
    /// All of the body.
    pub body: &'a [u8],
}

/// Why a request is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Rejected {
    /// Not one of ours at all.
    #[error("the request is not signed")]
    Missing,
    /// Nobody of ours writes it so.
    #[error("the signature has another form")]
    Malformed,
    /// Copied, held up on its way, or the clocks of two machines differ.
    #[error("the request was signed {off_ms} ms from now")]
    Expired { off_ms: i64 },
    /// Another secret, or something was changed.
    #[error("the signature is wrong")]
    Wrong,
}

impl InternalKey {
    /// What the key is derived from `BOXOFFICE_SECRET` for.
    pub const PURPOSE: &'static str = "between instances";

    /// From the key derived for [`Self::PURPOSE`].
    pub fn new(derived: &Secret32) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.expose()))
    }

    /// The header's value for a request signed now.
    pub fn sign(&self, request: Signed<'_>, now_ms: i64) -> String {
        let tag = hmac::sign(&self.0, &request.text(now_ms));
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={now_ms},v1={digits}")
    }

    /// Whether a request is one of ours.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, request: Signed<'_>, header: Option<&str>, now_ms: i64) -> Result<(), Rejected> {
        let header = header.ok_or(Rejected::Missing)?;
        let (signed_ms, tag) = parse(header).ok_or(Rejected::Malformed)?;
        hmac::verify(&self.0, &request.text(signed_ms), &tag).map_err(|_| Rejected::Wrong)?;
        let off_ms = now_ms.saturating_sub(signed_ms);
        if off_ms.saturating_abs() > GOOD_FOR_MS {
            return Err(Rejected::Expired { off_ms });
        }
        Ok(())
    }
}

impl std::fmt::Debug for InternalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InternalKey(…)")
    }
}

impl Signed<'_> {
    /// Neither a method nor a path of ours has a line's end in it, so that the parts cannot run into each other.
    fn text(&self, signed_ms: i64) -> Vec<u8> {
        let mut text = format!("{}\n{}\n{signed_ms}\n", self.method, self.path).into_bytes();
        text.extend_from_slice(self.body);
        text
    }
}

fn parse(header: &str) -> Option<(i64, [u8; 32])> {
    let (signed_ms, tag) = header.strip_prefix("t=")?.split_once(",v1=")?;
    let mut bytes = [0; 32];
    if tag.len() != 64 || !tag.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(tag.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some((signed_ms.parse().ok()?, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const REQUEST: Signed<'static> = Signed { method: "POST", path: "/internal/v1/commands", body: b"body" };

    fn key(byte: u8) -> InternalKey {
        InternalKey::new(&Secret32::new([byte; 32]))
    }

    #[test]
    fn a_request_of_ours_is_taken_for_a_while() {
        let header = key(1).sign(REQUEST, NOW);
        let at = |now| key(1).verify(REQUEST, Some(&header), now);
        assert_eq!((at(NOW), at(NOW + 30_000), at(NOW - 30_000)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(at(NOW + 30_001), Err(Rejected::Expired { off_ms: 30_001 }));
        assert_eq!(at(NOW - 30_001), Err(Rejected::Expired { off_ms: -30_001 }));
    }

    #[test]
    fn every_part_of_it_is_covered() {
        let header = key(1).sign(REQUEST, NOW);
        let changed = [
            Signed { method: "GET", ..REQUEST },
            Signed { path: "/internal/v1/partitions", ..REQUEST },
            Signed { body: b"bodY", ..REQUEST },
        ];
        for request in changed {
            assert_eq!(key(1).verify(request, Some(&header), NOW), Err(Rejected::Wrong), "{request:?}");
        }
        assert_eq!(key(2).verify(REQUEST, Some(&header), NOW), Err(Rejected::Wrong));
        let later = header.replacen("t=18", "t=19", 1);
        assert_eq!(key(1).verify(REQUEST, Some(&later), NOW), Err(Rejected::Wrong), "the time is signed too");
    }

    #[test]
    fn what_has_another_form_is_not_looked_at() {
        assert_eq!(key(1).verify(REQUEST, None, NOW), Err(Rejected::Missing));
        let good = key(1).sign(REQUEST, NOW);
        let plus = good.replacen(",v1=", ",v1=+", 1);
        for bad in ["", "t=1", "t=x,v1=00", "v1=00,t=1", &good[..good.len() - 1], &format!("{good}0"), &plus] {
            assert_eq!(key(1).verify(REQUEST, Some(bad), NOW), Err(Rejected::Malformed), "{bad}");
        }
    }
}
