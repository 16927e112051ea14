//! One attempt to collect money for an order.
//!
//! Invariant: received = applied + refund asked for, and quarantined money is never applied. A refund is asked for once,
//! and done once.

mod refunds;
mod rules;
mod state;

use serde::{Deserialize, Serialize};

use crate::event_name::recorded;
use crate::ids::{OrderId, PaymentId, RefundId, ShowId};
use crate::value::{Currency, Provider, Timestamp};
pub use refunds::{Refund, RefundState};
pub use state::{Known, Payment, Status};

/// Money is to be collected: the provider gets called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRequested {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    pub provider: Provider,
    /// The integer the provider knows it by (PayOS `orderCode`): unique, tells the partition by its remainder.
    pub serial: i64,
    pub amount: i64,
    pub currency: Currency,
    /// The order's code, for the payer to read.
    pub code: String,
    pub return_url: String,
    pub cancel_url: Option<String>,
    pub pay_by: Timestamp,
}

/// The provider has a page for the payer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentIntentCreated {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    /// The provider's own name for it (PayOS `paymentLinkId`).
    pub reference: String,
    pub url: String,
}

/// A part of the amount came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentPartiallyReceived {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    /// The provider's name of this movement of money.
    pub reference: String,
    pub amount: i64,
    pub currency: Currency,
    /// With this, so much has come.
    pub received: i64,
    /// What the provider kept of it, as far as it says.
    pub fee: i64,
    /// Who collected it; unknown in records of early versions.
    pub provider: Provider,
}

/// The whole amount is there, exactly; `amount` is the last movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCompleted {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    pub reference: String,
    pub amount: i64,
    pub currency: Currency,
    pub received: i64,
    /// What the provider kept of the last movement, as far as it says.
    pub fee: i64,
    /// Who collected it; unknown in records of early versions.
    pub provider: Provider,
}

/// Declined, or the provider refused to open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFailed {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    /// The provider's code; never personal data.
    pub reason: String,
}

/// The order wants no money any more: the provider is asked to cancel, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentClosureRequested {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    pub provider: Provider,
    pub serial: i64,
}

/// Closed without the whole amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentExpired {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
}

/// Why money was not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    WrongCurrency,
    TooMuch,
    UnknownReference,
    #[serde(other)]
    Unknown,
}

/// Money that fits nothing: a person has to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentQuarantined {
    pub payment: PaymentId,
    pub order: Option<OrderId>,
    pub show: Option<ShowId>,
    pub provider: Provider,
    pub serial: i64,
    pub reference: String,
    pub amount: i64,
    pub currency: Currency,
    pub reason: QuarantineReason,
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundWhy {
    /// Another payment had paid the order.
    PaidTwice,
    /// The order had ended and its stock was gone.
    PaidTooLate,
    /// Only a part had come by the deadline.
    PaidInPart,
    /// The show is off.
    ShowCancelled,
    /// Staff gives it back: for the whole order, or for single tickets.
    ByStaff,
    #[serde(other)]
    Unknown,
}

/// Money is to go back; `by_hand` if the provider has no call for it (then it is due until a person did it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequested {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    pub provider: Provider,
    pub amount: i64,
    pub currency: Currency,
    pub why: RefundWhy,
    pub by_hand: bool,
    /// Tells it from other refunds of this payment; nil in records of early versions.
    pub refund: RefundId,
    /// When it was decided; 0 in records of early versions.
    pub requested_at: Timestamp,
}

/// Money went back: the provider says so, or whoever did it by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    pub provider: Provider,
    pub refund: RefundId,
    /// The provider's (or the bank's) own name of this movement of money.
    pub reference: String,
    pub amount: i64,
    pub currency: Currency,
    /// Whether a person did it, past the provider.
    pub by_hand: bool,
}

/// The provider says that a refund cannot be: a person has to do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFailed {
    pub payment: PaymentId,
    pub order: OrderId,
    pub show: ShowId,
    pub provider: Provider,
    pub refund: RefundId,
    pub amount: i64,
    pub currency: Currency,
    /// The provider's code; never personal data.
    pub reason: String,
}

/// What happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    PaymentRequested(PaymentRequested),
    PaymentIntentCreated(PaymentIntentCreated),
    PaymentPartiallyReceived(PaymentPartiallyReceived),
    PaymentCompleted(PaymentCompleted),
    PaymentFailed(PaymentFailed),
    PaymentClosureRequested(PaymentClosureRequested),
    PaymentExpired(PaymentExpired),
    PaymentQuarantined(PaymentQuarantined),
    RefundRequested(RefundRequested),
    PaymentRefunded(PaymentRefunded),
    RefundFailed(RefundFailed),
}

/// One movement of money as a provider reported it, by webhook or query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The provider's unique name of it.
    pub reference: String,
    pub amount: i64,
    pub currency: Currency,
    /// What the provider keeps of it, in the same units; 0 where it does not say.
    #[serde(default)]
    pub fee: i64,
}

/// How a provider says a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It can still be paid.
    Open,
    /// Declined.
    Failed,
    /// Cancelled or expired: nothing more will come in the normal way.
    Ended,
    /// Paid in full, says the provider (the movements decide).
    Paid,
}

recorded!(Event, payment; PaymentRequested, PaymentIntentCreated, PaymentPartiallyReceived, PaymentCompleted, PaymentFailed, PaymentClosureRequested, PaymentExpired, PaymentQuarantined, RefundRequested, PaymentRefunded, RefundFailed);

/// What can be asked of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// By the saga. The owner's serial number becomes the provider's reference.
    Request {
        payment: PaymentId,
        order: OrderId,
        show: ShowId,
        provider: Provider,
        amount: i64,
        currency: Currency,
        code: String,
        return_url: String,
        cancel_url: Option<String>,
        pay_by: Timestamp,
    },
    /// By the effect worker: the provider has a page.
    RecordIntent { reference: String, url: String },
    /// By the effect worker: the provider refuses for good.
    RecordFailure { reason: String },
    /// By webhook or query: what the provider says now. Movements known already change nothing.
    Report { movements: Vec<Movement>, standing: Standing },
    /// By webhook: money for a reference nobody knows. Sent to an id derived from provider and reference.
    Quarantine { payment: PaymentId, provider: Provider, serial: i64, movement: Movement },
    /// By the saga: the order wants no money any more.
    Close,
    /// By the saga: what was received goes back.
    Refund { why: RefundWhy },
    /// By the saga: a part of what was received goes back, or what is left of it.
    RefundPart { refund: RefundId, amount: i64, why: RefundWhy },
    /// By the effect worker: the provider has given it back.
    RecordRefund { refund: RefundId, reference: String },
    /// By the effect worker: the provider will not.
    RecordRefundFailure { refund: RefundId, reason: String },
    /// By support or an admin: a refund that was due was done by hand. Without `refund` it is the only one that is due.
    SettleRefund { refund: Option<RefundId>, reference: String },
    /// Decides nothing; answers with the state.
    Look,
}

/// Why a payment says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No such payment.
    #[error("no such payment")]
    NotFound,
    /// Not in this state; a saga step that came too early or too late.
    #[error("not possible now")]
    WrongState,
    /// This payment has no such refund, or none that is due.
    #[error("no such refund is due")]
    NoSuchRefund,
    /// Several refunds of this payment are due, or one while another was done under the same reference.
    #[error("it may be one of several refunds: name one")]
    SeveralDue,
    /// The refund was done, under another reference.
    #[error("the refund was done before, as {reference}")]
    RefundedBefore { reference: String },
}
