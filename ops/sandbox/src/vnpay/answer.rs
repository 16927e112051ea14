//! Answers of the API, all signed.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::signing;
use crate::{ids, signature};

/// What an answer signs, in this order; that to a refund leaves out the last two.
const SIGNED: [&str; 15] = [
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
    "vnp_PromotionCode",
    "vnp_PromotionAmount",
];
const SIGNED_OF_REFUND: usize = 13;

/// Why a request is refused. The order of the variants is that of the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The body or a field is wrong.
    WrongFormat(String),
    /// There is no such terminal.
    UnknownTerminal,
    /// The hash is wrong.
    WrongHash,
    /// The request's id was used today, or a refund is under way.
    Repeated,
    /// There is no such payment of this date.
    NotFound,
    /// Nothing was paid.
    NotPaid,
    /// More than there is, or not all where all is said.
    WrongAmount,
    /// Scripted: the bank does not take it now.
    NotNow,
}

impl Refusal {
    /// Code and message.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::WrongFormat(problem) => ("03", problem),
            Self::UnknownTerminal => ("02", "Invalid merchant"),
            Self::WrongHash => ("97", "Invalid signature"),
            Self::Repeated => ("94", "Request is duplicate"),
            Self::NotFound => ("91", "Transaction not found"),
            Self::NotPaid => ("95", "Original transaction is not successful"),
            Self::WrongAmount => ("93", "Invalid amount"),
            Self::NotNow => ("16", "Refund is not possible at this time"),
        }
    }
}

/// An answer with these fields, signed; empty ones are signed as empty and left out.
pub fn signed(secret: &str, command: &str, fields: &[(&str, String)]) -> Response {
    let id = ids::hex32();
    let value = |name: &str| match name {
        "vnp_ResponseId" => id.as_str(),
        "vnp_Command" => command,
        _ => fields.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value.as_str()),
    };
    let count = if command == "refund" { SIGNED_OF_REFUND } else { SIGNED.len() };
    let text = signing::joined(SIGNED[..count].iter().map(|name| value(name)));
    let told = SIGNED[..count].iter().filter(|name| !value(name).is_empty());
    let mut body: Map<String, Value> = told.map(|name| ((*name).to_owned(), Value::from(value(name)))).collect();
    body.insert("vnp_SecureHash".to_owned(), signature::sign_sha512(secret, &text).into());
    Json(body).into_response()
}
