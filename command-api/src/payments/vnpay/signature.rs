//! What VNPay signs, and how: HMAC-SHA512 in lower-case hex under the hash secret's text.

use std::fmt;

use ring::hmac;

use crate::payments::hex;

/// The key of all signatures of one terminal.
#[derive(Clone)]
pub struct HashSecret(hmac::Key);

impl HashSecret {
    /// The key whose text VNPay shows.
    pub fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA512, text.as_bytes()))
    }

    /// The signature of a text.
    pub fn sign(&self, text: &str) -> String {
        hex::lower(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }

    /// Whether a signature is that of the text, compared in constant time; upper-case hex is as good.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        let tag = hex::from_lower(&signature.to_ascii_lowercase());
        tag.is_some_and(|tag| hmac::verify(&self.0, text.as_bytes(), &tag).is_ok())
    }
}

impl fmt::Debug for HashSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashSecret(…)")
    }
}

/// Fields in the order of their names, encoded, as an address has them and as they are signed. Empty ones are left out.
pub fn query_text<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    fields.sort_unstable();
    let pairs: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

/// Form encoding: `-`, `_` and `.` stay, a space becomes `+`, all else `%` with upper-case hex.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

/// What was encoded so, in upper-case or lower-case hex; none if it is no UTF-8 or a `%` stands alone.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let [high, low] = [digit(bytes.next()?)?, digit(bytes.next()?)?];
                high << 4 | low
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
