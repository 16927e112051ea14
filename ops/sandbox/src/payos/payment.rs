//! One payment link and its state.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ACCOUNT_NAME, ACCOUNT_NUMBER, BIN, CURRENCY, qr};
use crate::ledger::Transfer;
use crate::script::Script;

/// A payment link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payment {
    /// Its place in the order of creation.
    pub number: u64,
    /// The shop's number.
    pub order_code: i64,
    /// PayOS's id.
    pub link_id: String,
    /// VND.
    pub amount: i64,
    /// The description, as the answers carry it.
    pub description: String,
    /// Where the browser goes after a cancel.
    pub cancel_url: String,
    /// Where the browser goes otherwise.
    pub return_url: String,
    /// Unix seconds.
    pub expired_at: Option<i64>,
    /// By the sandbox's clock.
    pub created_at: Timestamp,
    /// Set once it was cancelled or declined.
    pub end: Option<End>,
    /// Whether the bank is said to be working on a transfer.
    pub processing: bool,
    /// Whether money after the end leaves the status as it is.
    pub status_stays: bool,
    /// The money that arrived for it, in VND.
    pub transfers: Vec<Transfer>,
    /// What goes wrong with it.
    pub script: Script,
}

/// How a link ended without being paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The shop or the payer cancelled.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why, if it was said.
        reason: Option<String>,
    },
    /// The payment was declined.
    Failed,
}

/// The statuses of PayOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names are PayOS's own")]
pub enum Status {
    Pending,
    Processing,
    Underpaid,
    Paid,
    Cancelled,
    Expired,
    Failed,
}

impl Status {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Processing => "PROCESSING",
            Self::Underpaid => "UNDERPAID",
            Self::Paid => "PAID",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether money is still expected.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Processing | Self::Underpaid)
    }
}

impl Payment {
    /// The status at this time. Money that covers the amount makes it PAID even after the end, unless told otherwise;
    /// what the live service does with late money is not published.
    pub fn status(&self, now: Timestamp) -> Status {
        if self.paid() >= self.amount && !self.status_stays {
            return Status::Paid;
        }
        match &self.end {
            Some(End::Cancelled { .. }) => Status::Cancelled,
            Some(End::Failed) => Status::Failed,
            None if self.expired_at.is_some_and(|expiry| now.as_second() >= expiry) => Status::Expired,
            None if self.paid() > 0 => Status::Underpaid,
            None if self.processing => Status::Processing,
            None => Status::Pending,
        }
    }

    /// The sum of its transfers.
    pub fn paid(&self) -> i64 {
        self.transfers.iter().map(|transfer| transfer.amount).sum()
    }

    /// What is still missing, never negative.
    pub fn rest(&self) -> i64 {
        (self.amount - self.paid()).max(0)
    }

    /// Where a person pays.
    pub fn checkout_url(&self, base_url: &str) -> String {
        format!("{base_url}/pay/{}", self.link_id)
    }

    /// The `data` of the answer to its creation.
    pub fn created(&self, base_url: &str) -> Map<String, Value> {
        let mut data = object(json!({
            "bin": BIN,
            "accountNumber": ACCOUNT_NUMBER,
            "accountName": ACCOUNT_NAME,
            "amount": self.amount,
            "description": self.description,
            "orderCode": self.order_code,
            "currency": CURRENCY,
            "paymentLinkId": self.link_id,
            "status": Status::Pending,
            "checkoutUrl": self.checkout_url(base_url),
            "qrCode": qr::text(self.amount, &self.description),
        }));
        if let Some(expired_at) = self.expired_at {
            data.insert("expiredAt".to_owned(), expired_at.into());
        }
        data
    }

    /// The `data` of the answer to a query or a cancel.
    pub fn state(&self, now: Timestamp) -> Map<String, Value> {
        let (canceled_at, reason) = match &self.end {
            Some(End::Cancelled { at, reason }) => (Some(zoned_time(*at)), reason.clone()),
            Some(End::Failed) | None => (None, None),
        };
        object(json!({
            "id": self.link_id,
            "orderCode": self.order_code,
            "amount": self.amount,
            "amountPaid": self.paid(),
            "amountRemaining": self.rest(),
            "status": self.status(now),
            "createdAt": zoned_time(self.created_at),
            "transactions": self.transfers.iter().map(transaction).collect::<Vec<_>>(),
            "canceledAt": canceled_at,
            "cancellationReason": reason,
        }))
    }
}

fn transaction(transfer: &Transfer) -> Value {
    json!({
        "reference": transfer.reference,
        "amount": transfer.amount,
        "accountNumber": ACCOUNT_NUMBER,
        "description": transfer.description,
        "transactionDateTime": zoned_time(transfer.time),
        "virtualAccountName": null,
        "virtualAccountNumber": null,
        "counterAccountBankId": null,
        "counterAccountBankName": null,
        "counterAccountName": null,
        "counterAccountNumber": null,
    })
}

/// `YYYY-MM-DDTHH:MM:SS+07:00`, the form of queries.
fn zoned_time(time: Timestamp) -> String {
    in_vietnam(time, "%Y-%m-%dT%H:%M:%S+07:00")
}

/// `YYYY-MM-DD HH:MM:SS` in Vietnam, the form of webhooks.
pub fn local_time(time: Timestamp) -> String {
    in_vietnam(time, "%Y-%m-%d %H:%M:%S")
}

fn in_vietnam(time: Timestamp, format: &str) -> String {
    let zone = TimeZone::fixed(Offset::constant(7));
    time.to_zoned(zone).strftime(format).to_string()
}

/// The map inside a JSON object.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => unreachable!("only called with an object, not {other}"),
    }
}
