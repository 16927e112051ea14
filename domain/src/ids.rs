//! Identifiers: UUID newtypes, 36 lower-case characters in JSON, Avro and record keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

id! {
    /// One dated thing on sale.
    ShowId;
    /// A priced tier of a show.
    TicketClassId;
    /// One buyer's purchase.
    OrderId;
    /// One attempt to collect money for an order.
    PaymentId;
    /// One time that money of a payment goes back.
    RefundId;
    /// One admission.
    TicketId;
    /// One visitor's place in a waiting room.
    SessionId;
    /// Whoever personal data is about, guests too.
    PersonId;
    /// The key of one person's data, in one order.
    DataKeyId;
    /// One command, as its sender named it: what a repeat is recognised by.
    CommandId;
}

/// Derives the `n`th id of what `parent` causes (UUIDv5), so that a retry names the same thing.
pub fn derived(parent: Uuid, kind: &str, n: u64) -> Uuid {
    Uuid::new_v5(&parent, format!("{kind}:{n}").as_bytes())
}
