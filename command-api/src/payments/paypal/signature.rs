//! What PayPal signs: who sent it and when, for which webhook, and a checksum of the raw body (developer.paypal.com,
//! webhooks).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::value::Timestamp;
use http::HeaderMap;

use super::certificates::Certificates;
use crate::payments::gateway::Rejected;

/// PayPal sends for three days, and again when somebody asks for it soon after.
const OLDEST_S: i64 = 7 * 24 * 3600;
/// How far PayPal's clock may be ahead of ours.
const AHEAD_S: i64 = 300;
/// PayPal signs in no other way.
const ALGORITHM: &str = "SHA256withRSA";

/// The headers of a signature.
#[derive(Debug)]
pub(super) struct Transmission<'a> {
    pub id: &'a str,
    pub time: &'a str,
    pub signature: Vec<u8>,
    pub cert_url: &'a str,
}

impl<'a> Transmission<'a> {
    /// Reads them; each has to be there once.
    pub(super) fn read(headers: &'a HeaderMap) -> Option<Self> {
        let one = |name: &str| {
            let mut all = headers.get_all(name).iter();
            let first = all.next()?.to_str().ok()?;
            all.next().is_none().then_some(first)
        };
        if one("paypal-auth-algo")? != ALGORITHM {
            return None;
        }
        Some(Self {
            id: one("paypal-transmission-id")?,
            time: one("paypal-transmission-time")?,
            signature: STANDARD.decode(one("paypal-transmission-sig")?).ok()?,
            cert_url: one("paypal-cert-url")?,
        })
    }

    /// The text that is signed.
    pub(super) fn text(&self, webhook_id: &str, body: &[u8]) -> String {
        format!("{}|{}|{webhook_id}|{}", self.id, self.time, crc32fast::hash(body))
    }

    /// Refused unless PayPal signed this body for this webhook, not long ago.
    pub(super) async fn verify(
        &self,
        certificates: &Certificates,
        webhook_id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Rejected> {
        if !is_recent(self.time, now) {
            return Err(Rejected::Signature);
        }
        let key = certificates.key(self.cert_url, now).await?;
        match key.verifies(self.text(webhook_id, body).as_bytes(), &self.signature) {
            true => Ok(()),
            false => Err(Rejected::Signature),
        }
    }
}

fn is_recent(time: &str, now: Timestamp) -> bool {
    let Ok(time) = time.parse::<jiff::Timestamp>() else { return false };
    let time = Timestamp(time.as_microsecond());
    now <= time.plus_s(OLDEST_S) && time <= now.plus_s(AHEAD_S)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
pub(super) mod tests;
