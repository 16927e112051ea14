//! What PayOS signs, and how: HMAC-SHA256 in lower-case hex under the checksum key's text (payos.vn/docs, signatures).

use std::fmt;

use ring::hmac;
use serde_json::{Map, Value};
use service_kit::canonical;

use crate::payments::hex;

/// The key of all signatures of one payment channel.
#[derive(Clone)]
pub struct ChecksumKey(hmac::Key);

impl ChecksumKey {
    /// The key whose text PayOS shows.
    pub fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }

    /// The signature of a text.
    pub fn sign(&self, text: &str) -> String {
        hex::lower(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }

    /// Whether a signature is that of the text, compared in constant time; upper-case hex is none.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        hex::from_lower(signature).is_some_and(|tag| hmac::verify(&self.0, text.as_bytes(), &tag).is_ok())
    }
}

impl fmt::Debug for ChecksumKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChecksumKey(…)")
    }
}

/// The text of a create request: five fields in fixed order, raw, without URL-encoding.
pub fn create_text(amount: i64, cancel_url: &str, description: &str, order_code: i64, return_url: &str) -> String {
    format!(
        "amount={amount}&cancelUrl={cancel_url}&description={description}&orderCode={order_code}&returnUrl={return_url}"
    )
}

/// The text of a `data` object: all keys in byte order, `key=value` joined with `&`, without URL-encoding.
pub fn data_text(data: &Map<String, Value>) -> String {
    let mut members: Vec<_> = data.iter().collect();
    members.sort_by_key(|(key, _)| key.as_bytes());
    let pairs: Vec<String> = members.into_iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    pairs.join("&")
}

/// Whether a `data` object is the only one with its text. The text does not escape, so that a bank memo such as
/// `x&orderCode=7` could be read as a field by whoever holds a signed message; then its signature proves nothing.
pub fn is_unambiguous(data: &Map<String, Value>, decisive: &[&str]) -> bool {
    let is_name =
        |key: &String| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let hides = |value: &Value| {
        let text = plain(value);
        decisive.iter().any(|key| text.contains(&format!("&{key}=")))
    };
    data.keys().all(is_name) && !data.values().any(hides)
}

/// A value as the official SDKs write it: JavaScript's forms, so that lists become JSON with sorted keys.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text == "null" || text == "undefined" => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => canonical::to_string(&value.into()),
    }
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
