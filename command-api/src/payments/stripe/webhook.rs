//! Webhooks of Stripe: events, signed over the raw body.
//!
//! Invariant: nothing is read before the signature is verified.

use domain::payment::Standing;
use domain::value::Timestamp;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::session::Session;
use super::signature::WebhookSecrets;
use crate::payments::gateway::{About, Notification, Notified, Rejected, Report};

/// No event about a session is longer.
const LONGEST: usize = 256 * 1024;
/// The header of the signature.
pub(super) const SIGNATURE: &str = "stripe-signature";

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// Verifies a webhook, then reads it.
pub(super) fn read(secrets: &WebhookSecrets, raw: &Notification<'_>, now: Timestamp) -> Result<Notified, Rejected> {
    if raw.method != Method::POST {
        return Err(Rejected::Method);
    }
    if raw.body.len() > LONGEST {
        return Err(Rejected::Malformed("it is too long"));
    }
    let mut given = raw.headers.get_all(SIGNATURE).iter();
    let (Some(header), None) = (given.next(), given.next()) else { return Err(Rejected::Signature) };
    let header = header.to_str().map_err(|_| Rejected::Signature)?;
    if !secrets.verify(header, raw.body, now) {
        return Err(Rejected::Signature);
    }
    let event: Event = serde_json::from_slice(raw.body).map_err(|_| Rejected::Malformed("it is no event in JSON"))?;
    notified(event)
}

fn notified(Event { id, kind, data }: Event) -> Result<Notified, Rejected> {
    let end = match kind.as_str() {
        // Paid or not yet: the session says so itself.
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => None,
        "checkout.session.async_payment_failed" => Some(Standing::Failed),
        "checkout.session.expired" => Some(Standing::Ended),
        // Not about whether a payment of ours is paid: refunds we made ourselves, disputes, declined cards (the payer
        // may try another), and the events of others on the same account.
        _ => return Ok(without_effect(id)),
    };
    let object = data.ok_or(Rejected::Malformed("it has no data"))?.object;
    let session: Session = serde_json::from_value(object)
        .map_err(|_| Rejected::Malformed("the session lacks a field, or has one of a wrong type"))?;
    let about = session.about();
    let mut report = session.report().map_err(Rejected::Malformed)?;
    report.standing = match end {
        Some(end) if report.movements.is_empty() => end,
        Some(_) | None => report.standing,
    };
    Ok(Notified { about, report, ask: false })
}

fn without_effect(event: String) -> Notified {
    let standing = Standing::Open;
    let report = Report { movements: Vec::new(), standing, reference: None, url: None, amount: None };
    Notified { about: About::Foreign(event), report, ask: false }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
