//! How many tickets of each class of a show are left, and who holds them.
//!
//! Invariant: for every class, held + sold never exceeds capacity.

mod reserve;
mod rules;
mod state;

use serde::{Deserialize, Serialize};

use crate::event_name::recorded;
use crate::ids::{OrderId, PersonId, SessionId, ShowId, TicketClassId};
use crate::show::ClassTerms;
use crate::value::{Currency, Fingerprint, Line, PaymentChoice, PricedLine, Sealed, Timestamp};
pub use state::{ClassStock, Inventory, Opened, Reservation, ReservationStatus};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesOpened {
    pub show: ShowId,
    pub organizer: String,
    pub currency: Currency,
    pub pay_within_s: i64,
    pub classes: Vec<ClassTerms>,
    /// Whether only those may order whom the waiting room has admitted.
    pub waiting_room: bool,
}

/// Why nothing is sold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    ShowCancelled,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesClosed {
    pub show: ShowId,
    pub reason: CloseReason,
}

/// Holds for new reservations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceChanged {
    pub show: ShowId,
    pub ticket_class: TicketClassId,
    pub price: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityChanged {
    pub show: ShowId,
    pub ticket_class: TicketClassId,
    pub capacity: i64,
}

/// Who buys and how, as later steps need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The buyer's place in the waiting room, if there is one.
    pub session: Option<SessionId>,
    pub person: PersonId,
    /// `account:<sub>` or `guest:<uuid>`.
    pub principal: String,
    /// Ten Crockford base-32 characters.
    pub code: String,
    /// Name, mail address and phone as one ciphertext.
    #[serde(rename = "buyer")]
    pub buyer: Sealed,
    /// HMAC of the mail address, hex: finds orders by address.
    pub email_hash: String,
    /// Absent for a free order.
    pub payment: Option<PaymentChoice>,
    /// HMAC of the request's body.
    pub fingerprint: Fingerprint,
}

/// Stock is held for an order. Attempt 1 gives birth to the order and has `checkout`;
/// a later attempt takes the same stock again for money that came after the release, and has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketsReserved {
    pub show: ShowId,
    pub order: OrderId,
    pub attempt: i32,
    pub organizer: String,
    pub lines: Vec<PricedLine>,
    pub currency: Currency,
    /// Sum of quantity times price, minor units.
    pub total: i64,
    /// Until when the order can be paid.
    pub pay_by: Timestamp,
    /// When the stock comes back by itself, if nothing else has released it.
    pub hold_until: Timestamp,
    pub checkout: Option<Checkout>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationConfirmed {
    pub show: ShowId,
    pub order: OrderId,
    pub attempt: i32,
    pub lines: Vec<Line>,
}

/// Why stock came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    ByBuyer,
    Expired,
    PaymentFailed,
    ShowCancelled,
    OrderIdTaken,
    /// The order ended after it had been paid, and its money goes back: even sold stock returns.
    Refunded,
    #[serde(other)]
    Unknown,
}

/// Stock came back; `confirmed` tells whether it had been sold. Without lines no stock comes: it had come back before,
/// because the hold ran out or the show was cancelled, and this says that its order never came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationReleased {
    pub show: ShowId,
    pub order: OrderId,
    pub attempt: i32,
    pub lines: Vec<Line>,
    pub confirmed: bool,
    pub reason: ReleaseReason,
    /// The place in the waiting room that the order came from.
    pub session: Option<SessionId>,
}

/// The hold ran out by itself (the backstop).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationExpired {
    pub show: ShowId,
    pub order: OrderId,
    pub attempt: i32,
    pub lines: Vec<Line>,
}

/// The session left its waiting room: its checkout token is worthless from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionBarred {
    pub show: ShowId,
    pub session: SessionId,
}

/// What happened to the stock of a show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a box would cost every reader of the common, large variant")]
pub enum Event {
    SalesOpened(SalesOpened),
    SalesClosed(SalesClosed),
    PriceChanged(PriceChanged),
    CapacityChanged(CapacityChanged),
    TicketsReserved(TicketsReserved),
    ReservationConfirmed(ReservationConfirmed),
    ReservationReleased(ReservationReleased),
    ReservationExpired(ReservationExpired),
    SessionBarred(SessionBarred),
}

recorded!(Event, show; SalesOpened, SalesClosed, PriceChanged, CapacityChanged, TicketsReserved, ReservationConfirmed, ReservationReleased, ReservationExpired, SessionBarred);

/// What a checkout token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Whose it is; the order's `checkout.session` becomes this.
    pub session: SessionId,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What can be asked of a show's stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a box would cost every reader of the common, large variant")]
pub enum Command {
    /// By the saga, once the show is published.
    Open(SalesOpened),
    /// By the saga, once the show is cancelled: nothing is sold any more, and all that is held or sold comes back, 100 a tick.
    Close { show: ShowId, reason: CloseReason },
    /// By the show's organizer or an admin.
    ChangePrice { ticket_class: TicketClassId, price: i64 },
    /// By the show's organizer or an admin.
    ChangeCapacity { ticket_class: TicketClassId, capacity: i64 },
    /// By a buyer.
    Reserve {
        order: OrderId,
        lines: Vec<PricedLine>,
        checkout: Checkout,
        /// What the chosen provider can collect; the show's currency must be among them.
        accepts: Vec<Currency>,
        /// How long after `pay_by` the stock is still held, seconds.
        hold_backstop_s: i64,
        /// What the checkout token says, whose signature the edge has checked.
        admission: Option<Admission>,
    },
    /// By the saga, once the order is paid.
    Confirm { order: OrderId },
    /// By the saga, once the order ended without tickets.
    Release { order: OrderId, reason: ReleaseReason },
    /// By the saga, once somebody who had a checkout token left the waiting room.
    Bar { show: ShowId, session: SessionId },
    /// The time has come for something.
    Tick,
    /// Decides nothing; answers with the state.
    Look,
}

/// What is left of a class; for `sold-out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Available {
    pub ticket_class: TicketClassId,
    pub available: i64,
}

/// Why the stock says no. `line` is the index in the order's lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No such show.
    #[error("no such show")]
    NotFound,
    /// The actor may not do that.
    #[error("this role may not do that")]
    Forbidden,
    /// Sales have not opened, or are over, or the class is outside its window. `opens_at` is when it may succeed.
    #[error("not on sale")]
    NotOnSale { line: Option<usize>, opens_at: Option<Timestamp> },
    /// This show has a waiting room, and the order comes without a checkout token.
    #[error("a checkout token is needed")]
    CheckoutTokenMissing,
    /// The token has ended.
    #[error("the checkout token has expired")]
    CheckoutTokenExpired { expired_at: Timestamp },
    /// Another order was placed with the token, or its bearer has left the waiting room.
    #[error("the checkout token is used up")]
    CheckoutTokenUsed,
    /// No such class.
    #[error("no such ticket class")]
    ClassNotFound { line: Option<usize> },
    /// Less is left than was asked.
    #[error("sold out")]
    SoldOut { available: Vec<Available> },
    /// More than one order may have.
    #[error("at most {max} of this class in one order")]
    LimitExceeded { line: usize, max: i32 },
    /// The buyer saw another price.
    #[error("the price is {price}")]
    PriceChanged { line: usize, price: i64, currency: Currency },
    /// The provider cannot collect this currency.
    #[error("the provider cannot collect {currency}")]
    ProviderUnavailable { currency: Currency },
    /// A total above 0 needs a payment, a total of 0 takes none.
    #[error("a payment is needed exactly when there is something to pay")]
    PaymentMismatch { total: i64 },
    /// Another order of this show has the id, or the same with another body.
    #[error("the order exists already with another body")]
    AlreadyExists,
    /// Below what is held and sold.
    #[error("{committed} are held or sold")]
    BelowCommitted { committed: i64 },
    /// Confirm or release of something that never was here.
    #[error("no such reservation")]
    NoReservation,
    /// Confirm after a release, and the same stock is not free any more (or sales are closed).
    #[error("the stock has gone to somebody else")]
    StockGone,
}
