//! Webhooks of PayOS: one for each bank transfer, signed over `data` alone.
//!
//! Invariant: nothing outside `data` decides anything.

use domain::payment::{Movement, Standing};
use http::Method;
use serde_json::{Map, Value};
use service_kit::canonical::Strict;

use super::CURRENCY;
use super::signature::{self, ChecksumKey};
use super::types::{self, DONE, Transfer};
use crate::payments::gateway::{About, Notification, Notified, Rejected, Report};

/// No webhook is longer: the documented one has 700 bytes.
const LONGEST: usize = 64 * 1024;
/// No bank's name of a transfer is longer.
const LONGEST_REFERENCE: usize = 128;
/// The transfer and the link of the sample that PayOS sends when the webhook's address is set, signed with our key. Its
/// order code, 123, can be that of a real payment.
const SAMPLE: (&str, &str) = ("TF230204212323", "124c33293c43417ab7879e14c8d9eb18");
/// What we act on.
const DECISIVE: [&str; 6] = ["amount", "code", "currency", "orderCode", "paymentLinkId", "reference"];

/// Verifies a webhook, then reads it.
pub(super) fn read(key: &ChecksumKey, raw: &Notification<'_>) -> Result<Notified, Rejected> {
    if raw.method != Method::POST {
        return Err(Rejected::Method);
    }
    if raw.body.len() > LONGEST {
        return Err(Rejected::Malformed("it is too long"));
    }
    let data = verified(key, raw.body)?;
    if !signature::is_unambiguous(&data, &DECISIVE) {
        return Err(Rejected::Malformed("its text can be read in two ways"));
    }
    let transfer =
        types::read(data).map_err(|_| Rejected::Malformed("data lacks a field, or has one of a wrong type"))?;
    notified(transfer)
}

fn verified(key: &ChecksumKey, body: &[u8]) -> Result<Map<String, Value>, Rejected> {
    let Ok(Value::Object(mut envelope)) = serde_json::from_slice::<Strict<'_>>(body).map(Value::from) else {
        return Err(Rejected::Malformed("it is no JSON object that names every member once"));
    };
    match (envelope.remove("data"), envelope.remove("signature")) {
        (Some(Value::Object(data)), Some(Value::String(given))) if key.verify(&signature::data_text(&data), &given) => {
            Ok(data)
        }
        _ => Err(Rejected::Signature),
    }
}

fn notified(transfer: Transfer) -> Result<Notified, Rejected> {
    if transfer.order_code <= 0 {
        return Err(Rejected::Malformed("orderCode is not positive"));
    }
    let currency = match transfer.currency.as_deref() {
        None | Some("") => *CURRENCY,
        Some(text) => text.parse().map_err(|_| Rejected::Malformed("currency is no ISO 4217 code"))?,
    };
    let mut report = Report {
        movements: Vec::new(),
        // One transfer says nothing of the whole; the sum decides.
        standing: Standing::Open,
        reference: transfer.payment_link_id.filter(|id| !id.is_empty()),
        url: None,
        amount: None,
    };
    let is_sample = (transfer.reference.as_str(), report.reference.as_deref().unwrap_or_default()) == SAMPLE;
    if transfer.code == DONE && !is_sample {
        if transfer.amount <= 0 {
            return Err(Rejected::Malformed("amount is not positive"));
        }
        if transfer.reference.is_empty() || transfer.reference.len() > LONGEST_REFERENCE {
            return Err(Rejected::Malformed("reference is empty or too long"));
        }
        report.movements.push(Movement { reference: transfer.reference, amount: transfer.amount, currency, fee: 0 });
    }
    Ok(Notified { about: About::Serial(transfer.order_code), report, ask: false })
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
