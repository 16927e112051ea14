//! Callbacks of ZaloPay: sent only when money was taken, signed over the text of `data` alone.
//!
//! Invariant: nothing outside `data` decides anything.

use domain::payment::{Movement, Standing};
use http::Method;
use serde_json::{Map, Value};
use service_kit::canonical::Strict;

use super::DONG;
use super::client::{is_transaction, text};
use super::reference::AppTransId;
use super::settings::ZalopaySettings;
use crate::payments::failure::short;
use crate::payments::gateway::{About, Notification, Notified, Rejected, Report};

/// No callback is longer: the documented one has 700 bytes.
const LONGEST: usize = 64 * 1024;

/// Verifies a callback, then reads it.
pub(super) fn read(settings: &ZalopaySettings, raw: &Notification<'_>) -> Result<Notified, Rejected> {
    if raw.method != Method::POST {
        return Err(Rejected::Method);
    }
    if raw.body.len() > LONGEST {
        return Err(Rejected::Malformed("it is too long"));
    }
    let envelope = object(raw.body).ok_or(Rejected::Malformed("it is no JSON object that names every member once"))?;
    let (Some(data), Some(mac)) = (envelope.get("data").and_then(Value::as_str), envelope.get("mac")) else {
        return Err(Rejected::Signature);
    };
    if !settings.keys.key2.verify(data, mac.as_str().unwrap_or_default()) {
        return Err(Rejected::Signature);
    }
    let data =
        object(data.as_bytes()).ok_or(Rejected::Malformed("data is no JSON object that names every member once"))?;
    notified(settings.keys.app_id, &data)
}

fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Strict<'_>>(text).map(Value::from) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// Callbacks of another kind (agreements) are signed alike, but speak of no money.
fn notified(app_id: u32, data: &Map<String, Value>) -> Result<Notified, Rejected> {
    let number = |name: &str| data.get(name).and_then(Value::as_i64);
    if number("app_id") != Some(app_id.into()) {
        return Err(Rejected::Malformed("app_id is not ours"));
    }
    let name = data.get("app_trans_id").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or(Rejected::Malformed("app_trans_id is missing"))?;
    let amount = number("amount").filter(|amount| *amount > 0);
    let amount = amount.ok_or(Rejected::Malformed("amount is no positive whole number"))?;
    let transaction = text(data.get("zp_trans_id"));
    if !is_transaction(&transaction) {
        return Err(Rejected::Malformed("zp_trans_id names no transaction"));
    }
    let about = match AppTransId::read(name) {
        Some(ours) => About::Payment(ours.payment),
        None => About::Foreign(short(name, 128).to_owned()),
    };
    let report = Report {
        movements: vec![Movement { reference: transaction, amount, currency: *DONG, fee: 0 }],
        standing: Standing::Paid,
        reference: Some(short(name, 128).to_owned()),
        url: None,
        amount: Some(amount),
    };
    Ok(Notified { about, report, ask: false })
}

#[cfg(test)]
#[path = "callback_tests.rs"]
mod tests;
