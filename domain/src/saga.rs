//! What one event makes others do: the checkout saga as two pure functions.

mod queue;
mod react;
mod refused;

use serde::{Deserialize, Serialize};

use crate::event::Command;
use crate::ids::{CommandId, DataKeyId, PaymentId, RefundId, ShowId};
use crate::value::{Currency, Provider, Timestamp};

pub use react::react;
pub use refused::{is_early, on_refusal};

/// What has to happen because of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// UUIDv5 of the event's id and the position: the same at every re-send.
    pub id: CommandId,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "nearly all are commands, and are read through this one")]
pub enum Action {
    /// Ask another aggregate.
    Command(Command),
    /// Ask the world outside.
    Effect(Effect),
}

/// Something outside Boxoffice; its worker turns the answer into a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Open a payment at the provider.
    CreatePayment(CreatePayment),
    /// Cancel it there, and ask how it stands.
    ClosePayment { payment: PaymentId, provider: Provider, serial: i64 },
    /// Have it give money back.
    RefundPayment { payment: PaymentId, provider: Provider, refund: RefundId, amount: i64, currency: Currency },
    /// Send the seed of this show's draw to its waiting room, which has opened.
    RevealSeed { show: ShowId },
    /// Take these keys of personal data away, for ever.
    ForgetKeys { keys: Vec<DataKeyId> },
}

/// What a provider needs to open a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePayment {
    pub payment: PaymentId,
    pub provider: Provider,
    pub serial: i64,
    pub amount: i64,
    pub currency: Currency,
    pub code: String,
    pub return_url: String,
    pub cancel_url: Option<String>,
    pub pay_by: Timestamp,
}
