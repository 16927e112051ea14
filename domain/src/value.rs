//! Small values that events and commands are made of.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::{OrderId, ShowId};

/// A moment: microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus so many seconds; saturates.
    pub fn plus_s(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}

/// An ISO 4217 code, three upper-case letters; as a string in JSON and Avro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Why a text is no currency code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a currency code of three upper-case letters")]
pub struct NotACurrency(String);

impl Currency {
    /// The code's three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is made of ASCII letters")
    }
}

impl Default for Currency {
    /// `XXX`, ISO 4217 for "no currency".
    fn default() -> Self {
        Self(*b"XXX")
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(NotACurrency(text.chars().take(16).collect())),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// HMAC of a request's canonical body, 16 bytes: tells "the same again" from "the same name, another thing".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub [u8; 16]);

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let bytes =
            <[u8; 16]>::try_from(bytes.as_slice()).map_err(|_| de::Error::custom("a fingerprint has 16 bytes"))?;
        Ok(Self(bytes))
    }
}

/// Personal data as ciphertext (`schemas::sealed` has its layout); never readable here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Sealed(#[serde(with = "serde_bytes")] pub Vec<u8>);

/// Who collects the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// PayOS: bank transfers by VietQR.
    Payos,
    /// Stripe Checkout: cards and wallets.
    Stripe,
    /// VNPay: bank cards, accounts and QR codes.
    Vnpay,
    /// ZaloPay: wallet, cards and bank transfers.
    Zalopay,
    /// PayPal Orders.
    Paypal,
    /// A provider that this version of the code does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Provider {
    /// Whether money can only be given back by a person (PayOS has no refund call).
    pub fn refunds_by_hand(self) -> bool {
        match self {
            Self::Payos | Self::Unknown => true,
            Self::Stripe | Self::Vnpay | Self::Zalopay | Self::Paypal => false,
        }
    }

    /// The name in URLs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payos => "payos",
            Self::Stripe => "stripe",
            Self::Vnpay => "vnpay",
            Self::Zalopay => "zalopay",
            Self::Paypal => "paypal",
            Self::Unknown => "unknown",
        }
    }
}

/// What an account may do beside buying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs shows of its own.
    Organizer,
    /// Approves shows.
    Admin,
    /// Works at the gate.
    Staff,
    /// Helps buyers.
    Support,
    /// Buys.
    Buyer,
}

/// Who sends a command. The aggregate decides what that allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// An account with its roles; `principal` is `account:<sub>`.
    Account {
        /// `account:<sub>`.
        principal: String,
        /// What the account may do.
        roles: BTreeSet<Role>,
    },
    /// Somebody without an account; `principal` is `guest:<uuid>`.
    Guest {
        /// `guest:<uuid>`.
        principal: String,
    },
    /// The bearer of an `access_token`: exactly this order of this show.
    OrderHolder {
        /// The order the token is bound to.
        order: OrderId,
        /// The show the token is bound to.
        show: ShowId,
    },
    /// Boxoffice itself: sagas, timers, effect workers.
    System,
}

impl Actor {
    /// The stable name of who acts; for `meta.actor` and for comparing owners of things.
    pub fn principal(&self) -> String {
        match self {
            Self::Account { principal, .. } | Self::Guest { principal } => principal.clone(),
            Self::OrderHolder { order, .. } => format!("order:{order}"),
            Self::System => "system".to_owned(),
        }
    }

    /// Whether Boxoffice itself acts.
    pub fn is_system(&self) -> bool {
        matches!(self, Self::System)
    }

    /// Whether this is the account or guest of that name.
    pub fn is(&self, owner: &str) -> bool {
        matches!(self, Self::Account { principal, .. } | Self::Guest { principal } if principal == owner)
    }

    /// Whether this is the organizer of that name, still in that role, or an admin.
    pub fn runs(&self, organizer: &str) -> bool {
        self.has(Role::Admin) || (self.has(Role::Organizer) && self.is(organizer))
    }

    /// Whether this account has the role.
    pub fn has(&self, role: Role) -> bool {
        matches!(self, Self::Account { roles, .. } if roles.contains(&role))
    }
}

/// So many tickets of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which class.
    pub ticket_class: crate::ids::TicketClassId,
    /// How many, 1 to 100.
    pub quantity: i32,
}

/// So many tickets of one class at a price each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// Which class.
    pub ticket_class: crate::ids::TicketClassId,
    /// How many, 1 to 100.
    pub quantity: i32,
    /// Price of one ticket in minor units.
    pub unit_price: i64,
}

impl PricedLine {
    /// Without the price.
    pub fn line(&self) -> Line {
        Line { ticket_class: self.ticket_class, quantity: self.quantity }
    }
}

/// How a buyer wants to pay one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChoice {
    /// The attempt's id, derived from the command that asked for it.
    pub payment: crate::ids::PaymentId,
    /// Who collects.
    pub provider: Provider,
    /// Where the browser goes afterwards.
    pub return_url: String,
    /// Where the browser goes after giving up; `return_url` if absent.
    pub cancel_url: Option<String>,
}
