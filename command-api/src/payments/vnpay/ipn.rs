//! Notifications of VNPay: the query of a GET, signed as a whole, of success and of failure.
//!
//! Invariant: only what is signed is read, and it can be read in one way only.

use std::collections::BTreeMap;

use domain::payment::{Movement, Standing};
use http::Method;

use super::reference::TxnRef;
use super::settings::VnpayKeys;
use super::signature::{decode, query_text};
use super::verdict::Verdict;
use super::{DONG, money};
use crate::payments::failure::short;
use crate::payments::gateway::{About, Notification, Notified, Rejected, Report};

/// No query of VNPay's is longer.
const LONGEST: usize = 4096;
/// VNPay's name of a transaction has 15 digits at most; one more is no reason to leave money lying.
const LONGEST_TRANSACTION: usize = 32;
/// Not among what is signed.
const UNSIGNED: [&str; 2] = ["vnp_SecureHash", "vnp_SecureHashType"];

/// Verifies a notification, then reads it.
pub(super) fn read(keys: &VnpayKeys, raw: &Notification<'_>) -> Result<Notified, Rejected> {
    if raw.method != Method::GET {
        return Err(Rejected::Method);
    }
    if raw.query.len() > LONGEST {
        return Err(Rejected::Malformed("it is too long"));
    }
    notified(keys, &verified(keys, raw.query)?)
}

/// The fields of a query that is signed, decoded. Those that VNPay does not sign are none.
pub(super) fn verified(keys: &VnpayKeys, query: &str) -> Result<BTreeMap<String, String>, Rejected> {
    let mut raw = BTreeMap::new();
    for pair in query.split('&').filter(|pair| pair.starts_with("vnp_")) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(Rejected::Malformed("a name has other characters than letters"));
        }
        if raw.insert(name, value).is_some() {
            return Err(Rejected::Malformed("a name stands there twice"));
        }
    }
    let given = raw.remove(UNSIGNED[0]).unwrap_or_default();
    raw.remove(UNSIGNED[1]);
    raw.retain(|_, value| !value.is_empty());
    let as_it_came: Vec<String> = raw.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let genuine = keys.secret.verify(&as_it_came.join("&"), given);
    let decoded = raw.iter().map(|(name, value)| Some(((*name).to_owned(), decode(value)?)));
    let decoded: Option<BTreeMap<String, String>> = decoded.collect();
    match decoded {
        Some(fields) if genuine || keys.secret.verify(&encoded(&fields), given) => Ok(fields),
        None if genuine => Err(Rejected::Malformed("a value cannot be decoded")),
        Some(_) | None => Err(Rejected::Signature),
    }
}

/// Somebody on the way may have encoded the same values in another way.
fn encoded(fields: &BTreeMap<String, String>) -> String {
    query_text(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn notified(keys: &VnpayKeys, fields: &BTreeMap<String, String>) -> Result<Notified, Rejected> {
    let text = |name: &str| fields.get(name).map_or("", String::as_str);
    if text("vnp_TmnCode") != keys.tmn_code {
        return Err(Rejected::Malformed("vnp_TmnCode is not ours"));
    }
    let reference = text("vnp_TxnRef");
    if reference.is_empty() {
        return Err(Rejected::Malformed("vnp_TxnRef is missing"));
    }
    let about = match TxnRef::read(reference) {
        Some(ours) => About::Payment(ours.payment),
        None => About::Foreign(short(reference, 128).to_owned()),
    };
    let amount = money::read(text("vnp_Amount")).ok_or(Rejected::Malformed("vnp_Amount is no whole number of dong"))?;
    let verdict = Verdict::of_notification(text("vnp_ResponseCode"), text("vnp_TransactionStatus"));
    let (standing, ask) = match verdict {
        Verdict::Paid => (Standing::Paid, false),
        Verdict::Failed => (Standing::Failed, false),
        Verdict::Ended => (Standing::Ended, false),
        Verdict::Held => {
            tracing::warn!("VNPay holds money that it suspects of fraud: a person has to decide there");
            (Standing::Open, false)
        }
        Verdict::Reversed | Verdict::GoesBack | Verdict::StaysHere | Verdict::NotYet | Verdict::Unclear => {
            (Standing::Open, true)
        }
    };
    let movements = match verdict {
        Verdict::Paid => vec![movement(text("vnp_TransactionNo"), amount)?],
        _ => Vec::new(),
    };
    let reference = Some(reference.to_owned());
    Ok(Notified { about, report: Report { movements, standing, reference, url: None, amount: Some(amount) }, ask })
}

fn movement(transaction: &str, amount: i64) -> Result<Movement, Rejected> {
    if !is_transaction(transaction) {
        return Err(Rejected::Malformed("vnp_TransactionNo names no transaction"));
    }
    Ok(Movement { reference: transaction.to_owned(), amount, currency: *DONG, fee: 0 })
}

/// Whether this is VNPay's name of a transaction; 0 says that there is none.
pub(super) fn is_transaction(text: &str) -> bool {
    let digits = !text.is_empty() && text.len() <= LONGEST_TRANSACTION && text.bytes().all(|it| it.is_ascii_digit());
    digits && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
#[path = "ipn_tests.rs"]
mod tests;
