//! What ZaloPay signs, and how: HMAC-SHA256 in lower-case hex over fields joined with `|`.

use std::fmt;

use ring::hmac;

use crate::payments::hex;

/// One of the two keys of an app.
#[derive(Clone)]
pub struct MacKey {
    /// Questions sign the key itself, too.
    text: String,
    key: hmac::Key,
}

impl MacKey {
    /// The key whose text ZaloPay shows.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()) }
    }

    /// The signature of a text.
    pub fn sign(&self, text: &str) -> String {
        hex::lower(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }

    /// The signature of fields.
    pub fn sign_fields(&self, fields: &[&str]) -> String {
        self.sign(&fields.join("|"))
    }

    /// The signature of fields and the key itself.
    pub fn sign_with_itself(&self, fields: &[&str]) -> String {
        self.sign(&format!("{}|{}", fields.join("|"), self.text))
    }

    /// Whether a signature is that of the text, compared in constant time; upper-case hex is as good.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        let tag = hex::from_lower(&signature.to_ascii_lowercase());
        tag.is_some_and(|tag| hmac::verify(&self.key, text.as_bytes(), &tag).is_ok())
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

#[cfg(test)]
#[path = "mac_tests.rs"]
mod tests;
