//! Who owns a thing, kept small: there are millions of orders.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

const GUEST: &str = "guest:";
const ACCOUNT: &str = "account:";

/// `account:<sub>` or `guest:<uuid>`, 24 bytes in place when the rest is a UUID; as its text in JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Principal(Kept);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    Guest(Uuid),
    Account(Uuid),
    Other(Box<str>),
}

impl Principal {
    /// Whether this is the one that is written so.
    pub fn is(&self, text: &str) -> bool {
        match &self.0 {
            Kept::Guest(id) => canonical(text, GUEST) == Some(*id),
            Kept::Account(id) => canonical(text, ACCOUNT) == Some(*id),
            Kept::Other(kept) => **kept == *text,
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Kept::Guest(_) | Kept::Account(_) => 0,
            Kept::Other(text) => text.len(),
        }
    }
}

/// The UUID after the prefix, if that is exactly how it would be written again.
fn canonical(text: &str, prefix: &str) -> Option<Uuid> {
    let id = text.strip_prefix(prefix)?;
    let parsed = Uuid::try_parse(id).ok()?;
    (parsed.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == id).then_some(parsed)
}

impl From<&str> for Principal {
    fn from(text: &str) -> Self {
        let guest = canonical(text, GUEST).map(Kept::Guest);
        let account = || canonical(text, ACCOUNT).map(Kept::Account);
        Self(guest.or_else(account).unwrap_or_else(|| Kept::Other(text.into())))
    }
}

impl From<String> for Principal {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kept::Guest(id) => write!(f, "{GUEST}{id}"),
            Kept::Account(id) => write!(f, "{ACCOUNT}{id}"),
            Kept::Other(text) => f.write_str(text),
        }
    }
}
