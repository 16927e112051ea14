//! How Stripe signs webhooks: HMAC-SHA256 over time and raw body, in hex (docs.stripe.com/webhooks, signatures).

use std::fmt;

use domain::value::Timestamp;
use ring::hmac;

use crate::payments::hex;

/// How far the signer's clock may be from ours, either way.
const TOLERANCE_S: u64 = 300;
/// A header has one signature for each secret of the endpoint; nobody has more than two.
const MOST_SIGNATURES: usize = 8;

/// The secrets of one endpoint: any of them may have signed.
#[derive(Clone)]
pub struct WebhookSecrets(Vec<hmac::Key>);

impl WebhookSecrets {
    /// As Stripe shows them, `whsec_` included.
    pub fn new(texts: &[impl AsRef<str>]) -> Self {
        Self(texts.iter().map(|text| hmac::Key::new(hmac::HMAC_SHA256, text.as_ref().as_bytes())).collect())
    }

    /// Whether one of them signed this body about now; compared in constant time. `header` is that of
    /// `Stripe-Signature`; signatures by other schemes than v1 are passed over.
    pub fn verify(&self, header: &str, body: &[u8], now: Timestamp) -> bool {
        let Some((time, signatures)) = read(header) else { return false };
        let text = [time.as_bytes(), b".", body].concat();
        let signed = |tag: &Vec<u8>| self.0.iter().any(|key| hmac::verify(key, &text, tag).is_ok());
        signatures.iter().any(signed) && is_fresh(time, now)
    }

    #[cfg(test)]
    pub fn sign(&self, time: &str, body: &[u8]) -> String {
        hex::lower(hmac::sign(&self.0[0], &[time.as_bytes(), b".", body].concat()).as_ref())
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecrets(…)")
    }
}

/// The time as it stands there, and the tags of all v1 signatures that are hex.
fn read(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let of = |name: &'static str| {
        header.split(',').filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let mut times = of("t");
    let (Some(time), None) = (times.next(), times.next()) else { return None };
    let tags = of("v1").take(MOST_SIGNATURES).filter_map(|tag| hex::from_lower(&tag.to_ascii_lowercase()));
    Some((time, tags.collect()))
}

fn is_fresh(time: &str, now: Timestamp) -> bool {
    let plain = time.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = time.parse::<i64>().ok().filter(|_| plain);
    seconds.is_some_and(|it| it.abs_diff(now.0.div_euclid(1_000_000)) <= TOLERANCE_S)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
