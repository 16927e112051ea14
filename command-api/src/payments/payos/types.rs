//! What is sent to PayOS and what it answers. Fields that we do not know are left alone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request to open a payment link; amounts in VND, times in Unix seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create {
    pub order_code: i64,
    pub amount: i64,
    pub description: String,
    pub cancel_url: String,
    pub return_url: String,
    pub expired_at: i32,
    pub signature: String,
}

/// A request to cancel a payment link.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cancel<'a> {
    pub cancellation_reason: &'a str,
}

/// Around every answer. `code` is "00" when it was done, whatever the HTTP status says.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub code: String,
    #[serde(default)]
    pub desc: Option<String>,
    #[serde(default)]
    pub data: Option<Map<String, Value>>,
    #[serde(default)]
    pub signature: Option<String>,
}

/// The code of success.
pub(super) const DONE: &str = "00";

/// A link that was opened.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    pub order_code: i64,
    pub amount: i64,
    pub payment_link_id: String,
    pub checkout_url: String,
}

/// A link as it stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub id: String,
    pub order_code: i64,
    pub amount: i64,
    pub amount_paid: i64,
    pub status: Status,
    #[serde(default)]
    pub transactions: Option<Vec<Transaction>>,
}

/// One bank transfer.
#[derive(Debug, Deserialize)]
pub(super) struct Transaction {
    pub reference: String,
    pub amount: i64,
}

/// The statuses of PayOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    Pending,
    Processing,
    Underpaid,
    Paid,
    Cancelled,
    Expired,
    Failed,
    #[serde(other)]
    Unknown,
}

/// A verified webhook's `data`: one bank transfer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transfer {
    pub order_code: i64,
    pub amount: i64,
    pub reference: String,
    pub code: String,
    #[serde(default)]
    pub currency: Option<String>,
    #[serde(default)]
    pub payment_link_id: Option<String>,
}

/// Reads a `data` object.
///
/// # Errors
/// A field is missing or has a wrong type.
pub(super) fn read<T: DeserializeOwned>(data: Map<String, Value>) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(data))
}
