//! A payment at any provider but PayOS, which keeps its own kind: what was asked for and what became of it.

mod actions;
mod index;
mod refunds;
mod timers;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use actions::{Money, NotOpen, cancel, capture, decline, end, expire, pay, processing, settle_capture};
pub use index::Sales;
pub use refunds::{NewRefund, NoRefund, refund, settle_refund};
pub use timers::{resume, watch};

use crate::provider::Provider;
use crate::script::Script;

/// A payment. Amounts are minor units as the shop counts: VND in dong, USD in cents.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sale {
    /// Its place in the order of creation, over all providers.
    pub number: u64,
    /// Whose it is.
    pub provider: Provider,
    /// The shop's reference.
    pub reference: String,
    /// The provider's own name of it.
    pub id: String,
    /// What was asked for.
    pub amount: i64,
    /// Three capital letters.
    pub currency: String,
    /// What the payer sees.
    pub description: String,
    /// Where it stands, leaving the expiry aside.
    pub state: Status,
    /// By the sandbox's clock.
    pub created_at: Timestamp,
    /// When it takes no more money.
    pub expires_at: Option<Timestamp>,
    /// Where the browser goes after paying.
    pub return_url: String,
    /// Where the browser goes otherwise.
    pub cancel_url: String,
    /// Where its notifications go, if not to the provider's usual target.
    pub notify_url: Option<String>,
    /// What only this provider knows.
    pub extra: Map<String, Value>,
    /// How often the bank refused.
    #[serde(default)]
    pub declines: u32,
    /// The money that was taken.
    pub captures: Vec<Capture>,
    /// The money that was given back.
    pub refunds: Vec<Refund>,
    /// What goes wrong with it.
    pub script: Script,
}

/// Money taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capture {
    /// The provider's reference.
    pub reference: String,
    /// Minor units of `currency`.
    pub amount: i64,
    /// Three capital letters.
    pub currency: String,
    /// What the provider keeps.
    pub fee: i64,
    /// When it was taken, or began to be.
    pub time: Timestamp,
    /// How far it is.
    pub status: Progress,
    /// What it becomes when, while it is pending.
    pub due: Option<Due>,
}

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// The provider's name of it.
    pub id: String,
    /// The shop's reference, if the protocol has one.
    pub reference: Option<String>,
    /// The capture that it is taken from.
    pub capture: String,
    /// Minor units of `currency`, positive.
    pub amount: i64,
    /// Three capital letters.
    pub currency: String,
    /// How far it is.
    pub status: Progress,
    /// When it was asked for.
    pub time: Timestamp,
    /// What it becomes when, while it is pending.
    pub due: Option<Due>,
    /// What only this provider knows.
    pub extra: Map<String, Value>,
}

/// How far money is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they say it themselves")]
pub enum Progress {
    Pending,
    Done,
    Failed,
}

/// What something pending becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// When, by the sandbox's clock.
    pub at: Timestamp,
    /// Done or failed.
    pub becomes: Progress,
}

/// Where a sale stands. The control API uses these names for every provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "they say it themselves")]
pub enum Status {
    Pending,
    Approved,
    Processing,
    Paid,
    Cancelled,
    Expired,
    Failed,
}

impl Status {
    /// Its name in the control API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Processing => "PROCESSING",
            Self::Paid => "PAID",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether money is still expected.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved | Self::Processing)
    }
}

/// What happened to a sale, for its provider to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The payer approved; the shop may capture.
    Approved,
    /// Money was taken, began to be taken (pending), or could not be taken by a capture call (failed).
    Captured(Capture),
    /// Pending money arrived or failed.
    CaptureSettled(Capture),
    /// The bank refused; the sale says whether that ended it.
    Declined,
    /// The payer or the shop cancelled it.
    Cancelled,
    /// It expired, or was made to; before, it had this status.
    Expired(Status),
    /// A refund was made, in whatever state.
    Refunded(Refund),
    /// A pending refund was paid out or failed.
    RefundSettled(Refund),
    /// Scripted: a failure is told after the success.
    FailureAfterSuccess,
}

impl Sale {
    /// The status at this time.
    pub fn status(&self, now: Timestamp) -> Status {
        let expired = self.expires_at.is_some_and(|expiry| now >= expiry);
        if self.state.is_open() && expired && !self.has_pending_money() { Status::Expired } else { self.state }
    }

    /// Whether it takes money at this time.
    pub fn takes_money(&self, now: Timestamp) -> bool {
        self.status(now).is_open() && !self.has_pending_money()
    }

    /// Whether money is on its way.
    pub fn has_pending_money(&self) -> bool {
        self.captures.iter().any(|capture| capture.status == Progress::Pending)
    }

    /// The sum of what was taken.
    pub fn paid(&self) -> i64 {
        self.captures.iter().filter(|capture| capture.status == Progress::Done).map(|capture| capture.amount).sum()
    }

    /// The sum of what was given back or is on its way back.
    pub fn refunded(&self) -> i64 {
        self.refunds.iter().filter(|refund| refund.status != Progress::Failed).map(|refund| refund.amount).sum()
    }

    /// Amount and currency to show: those of the money once there is some, those asked for before.
    pub fn shown(&self) -> (i64, &str) {
        let taken = self.captures.iter().find(|capture| capture.status != Progress::Failed);
        taken.map_or((self.amount, &self.currency), |capture| (capture.amount, &capture.currency))
    }

    /// Where a person pays.
    pub fn page_url(&self, base_url: &str) -> String {
        format!("{base_url}/checkout/{}/{}", self.provider, self.id)
    }

    /// A text of `extra`, empty when it is not there.
    pub fn extra_text(&self, name: &str) -> &str {
        self.extra.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}
