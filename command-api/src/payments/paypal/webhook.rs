//! Webhooks of PayPal: events about orders and captures.

use domain::payment::Standing;
use serde::Deserialize;
use serde_json::Value;

use super::order::{Capture, Order};
use crate::payments::gateway::{About, Notified, Rejected, Report};
use crate::payments::reference;

/// No event about an order is longer.
pub(super) const LONGEST: usize = 256 * 1024;

#[derive(Deserialize)]
struct Event {
    id: String,
    event_type: String,
    #[serde(default)]
    resource: Value,
}

/// A capture as an event tells of it.
#[derive(Deserialize)]
struct Captured {
    #[serde(flatten)]
    capture: Capture,
    #[serde(default)]
    supplementary_data: Option<Supplement>,
}

#[derive(Deserialize)]
struct Supplement {
    #[serde(default)]
    related_ids: Option<Related>,
}

#[derive(Deserialize)]
struct Related {
    #[serde(default)]
    order_id: Option<String>,
}

/// Reads a webhook that is verified.
pub(super) fn read(body: &[u8]) -> Result<Notified, Rejected> {
    let Event { id, event_type, resource } =
        serde_json::from_slice(body).map_err(|_| Rejected::Malformed("it is no event in JSON"))?;
    match event_type.as_str() {
        "CHECKOUT.ORDER.APPROVED" => approved(resource),
        "PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED" => captured(resource),
        // Not about whether a payment of ours is paid: captures on their way, money that we gave back ourselves,
        // disputes, and the events of others at the same application.
        _ => Ok(Notified { about: About::Foreign(id), report: report(Standing::Open, None), ask: false }),
    }
}

/// The payer agreed; the money only moves when we ask for it.
fn approved(resource: Value) -> Result<Notified, Rejected> {
    let order: Order = serde_json::from_value(resource).map_err(|_| Rejected::Malformed("it has no order"))?;
    let about = match order.custom_id() {
        Some(name) => reference::about(name),
        None => About::Foreign(order.id.clone()),
    };
    Ok(Notified { about, report: report(Standing::Open, Some(order.id)), ask: true })
}

fn captured(resource: Value) -> Result<Notified, Rejected> {
    let Captured { capture, supplementary_data } =
        serde_json::from_value(resource).map_err(|_| Rejected::Malformed("it has no capture"))?;
    let order = supplementary_data.and_then(|it| it.related_ids).and_then(|it| it.order_id);
    let about = match capture.custom_id.as_deref().or(capture.invoice_id.as_deref()) {
        Some(name) => reference::about(name),
        None => About::Foreign(order.clone().unwrap_or_else(|| capture.id.clone())),
    };
    use super::order::CaptureStatus::{Completed, Declined, Failed, PartiallyRefunded, Pending, Refunded, Unknown};
    let report = match capture.status {
        Completed | PartiallyRefunded | Refunded => {
            let movements = vec![capture.movement().map_err(Rejected::Malformed)?];
            Report { movements, ..report(Standing::Paid, order) }
        }
        Declined | Failed => report(Standing::Failed, order),
        Pending | Unknown => report(Standing::Open, order),
    };
    Ok(Notified { about, report, ask: false })
}

fn report(standing: Standing, reference: Option<String>) -> Report {
    Report { movements: Vec::new(), standing, reference, url: None, amount: None }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
