//! What both APIs answer with: the JSON shapes of shows, waiting rooms, orders, payments and tickets.

mod queue;

use domain::value::{Currency, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use queue::{QueueEntered, QueueFlow, QueueMode, QueuePlace, QueueStatus, WaitingRoom};

/// A moment as RFC 3339 in UTC with `Z`, up to microseconds.
pub fn moment(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX)
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Integer minor units by the ISO 4217 exponent (VND 0, USD 2, BHD 3).
    pub amount: i64,
    /// ISO 4217 code.
    #[schema(example = "VND", min_length = 3, max_length = 3)]
    pub currency: String,
}

impl Money {
    /// So much of this currency.
    pub fn of(amount: i64, currency: Currency) -> Self {
        Self { amount, currency: currency.to_string() }
    }
}

/// Where a show takes place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Venue {
    /// 1 to 200 characters.
    pub name: String,
    /// The city.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
}

/// A priced tier of a show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketClass {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Of one ticket.
    pub price: Money,
    /// How many there are.
    pub capacity: i64,
    /// Sold from this moment on.
    pub sale_starts_at: Option<jiff::Timestamp>,
    /// Sold before this moment.
    pub sale_ends_at: Option<jiff::Timestamp>,
    /// At most so many in one order.
    pub max_per_order: i32,
}

/// One dated thing on sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Show {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// When it begins.
    pub starts_at: jiff::Timestamp,
    /// When it ends.
    pub ends_at: Option<jiff::Timestamp>,
    /// IANA zone of the venue.
    pub time_zone: String,
    /// Where it takes place.
    pub venue: Venue,
    /// In what it is priced.
    pub currency: String,
    /// Free words to find it by.
    pub categories: Vec<String>,
    /// `draft`, `configured`, `approved`, `published` or `cancelled`.
    pub status: String,
    /// Seconds a buyer has to pay, once configured.
    pub pay_within_s: Option<i64>,
    /// Where an admitted visitor is sent.
    pub checkout_url: Option<String>,
    /// The queue in front of it, if there is one.
    pub waiting_room: Option<WaitingRoom>,
    /// Its ticket classes.
    pub ticket_classes: Vec<TicketClass>,
}

/// So many tickets of a class at a price each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Which class.
    pub ticket_class: Uuid,
    /// How many, 1 to 100.
    pub quantity: i32,
    /// The price of one, as the buyer saw it.
    pub unit_price: Money,
}

/// Who buys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Buyer {
    /// 1 to 200 characters.
    pub name: String,
    /// A mail address.
    pub email: String,
    /// A phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl std::fmt::Debug for Buyer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buyer(…)")
    }
}

/// One attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// Its id.
    pub id: Uuid,
    /// Who collects.
    pub provider: String,
    /// `requested`, `open`, `partially_received`, `completed`, `failed`, `closing` or `expired`.
    pub status: String,
    /// Where to pay, while open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How much.
    pub amount: Money,
}

/// Money on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refund {
    /// `due` (a person has to do it), `pending` or `done`.
    pub status: String,
    /// How much.
    pub amount: Money,
    /// `paid_twice`, `paid_too_late`, `paid_in_part`, `show_cancelled` or `by_staff`.
    pub why: String,
}

/// One admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// Its id.
    pub id: Uuid,
    /// Which class.
    pub ticket_class: Uuid,
    /// What the gate scans: base64url, verifiable offline. Absent once the ticket is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `valid`, `checked_in` or `revoked`.
    pub status: String,
    /// The code as a picture.
    pub qr_svg_url: String,
}

/// One buyer's purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// Of which show.
    pub show: Uuid,
    /// `reserved`, `awaiting_payment`, `completed`, `cancelled`, `failed` or `stuck`.
    pub status: String,
    /// Why it was cancelled or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is bought.
    pub lines: Vec<Line>,
    /// What it costs.
    pub total: Money,
    /// Who buys; null once that person was forgotten.
    pub buyer: Option<Buyer>,
    /// Until when it can be paid.
    pub pay_by: jiff::Timestamp,
    /// Attempts to pay, in order.
    pub payments: Vec<Payment>,
    /// The tickets, once completed.
    pub tickets: Vec<Ticket>,
    /// Short, human, unguessable.
    pub code: String,
    /// When stock was first held for it.
    pub created_at: jiff::Timestamp,
    /// Money on its way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// For a guest, once: a bearer token for exactly this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// At most `limit` of them.
    pub items: Vec<T>,
    /// For `?cursor=`, if there are more.
    pub next_cursor: Option<String>,
}

/// A payment provider that a show's buyers can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentMethod {
    /// For `payment.provider`.
    pub provider: String,
    /// What it can collect.
    pub currencies: Vec<String>,
}
