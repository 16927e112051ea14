//! One buyer's purchase: the state of the checkout saga.
//!
//! Invariant: an order is paid by at most one payment, and ends exactly once unless late money reopens it.

mod lines;
mod refund;
mod rules;
mod state;

use serde::{Deserialize, Serialize};

use crate::event_name::recorded;
use crate::ids::{OrderId, PaymentId, PersonId, RefundId, SessionId, ShowId, TicketId};
use crate::payment::RefundWhy;
use crate::value::{Currency, PaymentChoice, PricedLine, Timestamp};
pub use rules::MAX_PAYMENTS;
pub use state::{Attempt, AttemptState, Known, Order, Status};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    pub order: OrderId,
    pub show: ShowId,
    pub organizer: String,
    pub person: PersonId,
    pub principal: String,
    pub code: String,
    pub lines: Vec<PricedLine>,
    pub currency: Currency,
    pub total: i64,
    /// When its stock was reserved: when the buyer ordered.
    pub created_at: Timestamp,
    pub pay_by: Timestamp,
    pub hold_until: Timestamp,
    pub payment: Option<PaymentChoice>,
    /// The place in the waiting room it came from.
    pub session: Option<SessionId>,
}

/// The buyer tries to pay in another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaymentAdded {
    pub order: OrderId,
    pub show: ShowId,
    pub payment: PaymentChoice,
    /// The order's code, for the payer to read.
    pub code: String,
    pub amount: i64,
    pub currency: Currency,
    pub pay_by: Timestamp,
}

/// One attempt ended without money. The order goes on until `pay_by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaymentEnded {
    pub order: OrderId,
    pub show: ShowId,
    pub payment: PaymentId,
    /// Whether it was declined (else it lapsed).
    pub failed: bool,
}

/// `pay_by` has passed: no new attempts, and every open payment is asked for at its provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderOverdue {
    pub order: OrderId,
    pub show: ShowId,
    pub payments: Vec<PaymentId>,
}

/// Paid by this payment; by none if it was free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaid {
    pub order: OrderId,
    pub show: ShowId,
    pub payment: Option<PaymentId>,
    pub lines: Vec<PricedLine>,
    pub currency: Currency,
    pub total: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCompleted {
    pub order: OrderId,
    pub show: ShowId,
    pub ticket_count: i32,
    /// The place in the waiting room it came from; only with the order's first end, which frees the slot.
    pub session: Option<SessionId>,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    ByBuyer,
    Expired,
    ShowCancelled,
    /// Staff gave all its money back.
    Refunded,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    pub order: OrderId,
    pub show: ShowId,
    pub reason: CancelReason,
    /// Payments still open, to be closed at their provider.
    pub open_payments: Vec<PaymentId>,
    /// The payment whose money goes back.
    pub refund: Option<PaymentId>,
    /// Why it goes back.
    pub refund_why: Option<RefundWhy>,
    /// Whether it had been paid (or was free), so that tickets exist or are under way; they die now.
    pub issued: bool,
    /// The place in the waiting room it came from; only with the order's first end, which frees the slot.
    pub session: Option<SessionId>,
}

/// Staff gave the money of some of its tickets back; they die. The others stay valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTicketsRefunded {
    pub order: OrderId,
    pub show: ShowId,
    /// Tells it from other refunds of the payment.
    pub refund: RefundId,
    /// Whose money.
    pub payment: PaymentId,
    pub tickets: Vec<TicketId>,
    /// What they cost, minor units.
    pub amount: i64,
    pub currency: Currency,
}

/// Why an order failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    PaymentFailed,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFailed {
    pub order: OrderId,
    pub show: ShowId,
    pub reason: FailReason,
    /// Payments still open, to be closed at their provider.
    pub open_payments: Vec<PaymentId>,
    /// The place in the waiting room it came from; only with the order's first end, which frees the slot.
    pub session: Option<SessionId>,
}

/// Which step does not get on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The provider does not say whether an overdue payment was made.
    PaymentStatus,
    /// A saga command is refused in a way nobody foresaw.
    Saga,
    #[serde(other)]
    Unknown,
}

/// A person has to look at it; nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStuck {
    pub order: OrderId,
    pub show: ShowId,
    pub step: Step,
    /// For operators; never personal data.
    pub reason: String,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    OrderCreated(OrderCreated),
    OrderPaymentAdded(OrderPaymentAdded),
    OrderPaymentEnded(OrderPaymentEnded),
    OrderOverdue(OrderOverdue),
    OrderPaid(OrderPaid),
    OrderCompleted(OrderCompleted),
    OrderCancelled(OrderCancelled),
    OrderFailed(OrderFailed),
    OrderStuck(OrderStuck),
    OrderTicketsRefunded(OrderTicketsRefunded),
}

recorded!(Event, order; OrderCreated, OrderPaymentAdded, OrderPaymentEnded, OrderOverdue, OrderPaid, OrderCompleted, OrderCancelled, OrderFailed, OrderStuck, OrderTicketsRefunded);

/// What can be asked of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// By the saga, once stock is held.
    Create(OrderCreated),
    /// By the buyer: another attempt.
    AddPayment { payment: PaymentChoice, accepts: Vec<Currency> },
    /// By the buyer.
    Cancel,
    /// By the saga: this payment has the whole amount.
    MarkPaid { payment: PaymentId },
    /// By the saga: this payment ended without it.
    EndPayment { payment: PaymentId, failed: bool },
    /// By support, an admin or the organizer: the money of these tickets goes back, of all that are left if none is named.
    Refund { refund: RefundId, tickets: Vec<TicketId> },
    /// By the saga: the stock is gone, the money goes back.
    RefuseStock,
    /// By the saga: the show is off. An order of another show with the same id stays as it is.
    CancelShow { show: ShowId },
    /// By the saga: the tickets are there.
    Complete { ticket_count: i32 },
    /// By the outbox: a step does not get on.
    MarkStuck { step: Step, reason: String },
    /// The time has come for something.
    Tick,
    /// Decides nothing; answers with the state if the actor may see it.
    Look,
}

/// Why an order says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No such order, or somebody else's.
    #[error("no such order")]
    NotFound,
    /// The id belongs to an order of another show.
    #[error("the order id is taken by another show")]
    OrderIdTaken,
    /// Too late: it is paid.
    #[error("already paid")]
    AlreadyPaid,
    /// It has ended or its time is over.
    #[error("the order is over")]
    Over,
    /// The limit of attempts.
    #[error("at most {max} payments an order")]
    TooManyPayments { max: usize },
    /// The provider cannot collect this currency.
    #[error("the provider cannot collect {currency}")]
    ProviderUnavailable { currency: Currency },
    /// Nothing to pay.
    #[error("a free order takes no payment")]
    NothingToPay,
    /// Another payment paid it already: this one's money goes back.
    #[error("another payment paid it already")]
    PaidByAnother,
    /// The order ended in a way that money does not reopen: it goes back.
    #[error("the order ended before the money came")]
    EndedBefore { why: RefundWhy },
    /// Not in this state; a saga step that came too early or too late.
    #[error("not possible now")]
    WrongState,
    /// It is not paid, or its tickets are still under way.
    #[error("the order is not completed")]
    NotCompleted,
    /// It was free.
    #[error("nothing was paid for the order")]
    NothingToRefund,
    /// The `n`th ticket that was named is not of this order.
    #[error("no such ticket")]
    NoSuchTicket { n: usize },
    /// The money of the `n`th ticket that was named went back before.
    #[error("the ticket was refunded before")]
    RefundedBefore { n: usize },
    /// See the order for what it may be.
    #[error("only staff gives money back")]
    Forbidden,
}
