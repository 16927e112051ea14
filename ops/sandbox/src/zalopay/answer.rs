//! Answers of the API: HTTP 200 and a `return_code`, not signed.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a request is refused: `sub_return_code` and `sub_return_message`. `return_code` is 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A field is missing, of a wrong type or out of bounds.
    WrongData(String),
    /// There is no such app.
    UnknownApp,
    /// The mac is not that of the fields.
    WrongMac,
    /// The reference is none, or not of today.
    WrongReference,
    /// The reference is taken.
    DuplicateOrder,
    /// There is no such order, payment or refund.
    NotFound,
    /// A refund's time is not now.
    StaleRefund,
    /// A refund of nothing, or of more than there is.
    WrongRefundAmount,
    /// The name of the refund is taken.
    DuplicateRefund,
    /// Nothing is left to give back.
    NotRefundable,
}

impl Refusal {
    fn parts(&self) -> (i64, &str) {
        match self {
            Self::WrongData(problem) => (-401, problem),
            Self::UnknownApp => (-402, "app_id is not known"),
            Self::WrongMac => (-402, "mac is not that of the fields"),
            Self::WrongReference => (-92, "APP_TRANS_ID_INVALID"),
            Self::DuplicateOrder => (-68, "DUPLICATE_APP_TRANS_ID"),
            Self::NotFound => (-101, "NOT_FOUND"),
            Self::StaleRefund => (-13, "REFUND_EXPIRE_TIME"),
            Self::WrongRefundAmount => (-14, "REFUND_AMOUNT_INVALID"),
            Self::DuplicateRefund => (-23, "DUPLICATE_M_REFUND_ID"),
            Self::NotRefundable => (-32, "NOT_REFUNDABLE"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, message) = self.parts();
        refused(code, message)
    }
}

/// A refusal: `return_code` 2.
pub fn refused(code: i64, message: &str) -> Response {
    told(2, code, message, json!({}))
}

/// An answer with these further fields.
pub fn told(return_code: i64, code: i64, message: &str, more: Value) -> Response {
    let return_message = match return_code {
        1 => "Giao dịch thành công",
        3 => "Giao dịch đang xử lý",
        _ => "Giao dịch thất bại",
    };
    let mut body = json!({
        "return_code": return_code, "return_message": return_message,
        "sub_return_code": code, "sub_return_message": message,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Json(body).into_response()
}
