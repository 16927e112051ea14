//! Answers of the API: the signed envelope, and the refusals.
//!
//! Codes 20, 101, 201 and 231 are those that the live service is known to use, all on HTTP 200. The HTTP statuses for
//! missing keys (401) and an unreadable body (400), and code 20 for a cancel that comes too late, are our choice.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::signing;
use crate::script::Failure;
use crate::settings::Settings;
use crate::{faults, signature};

/// Why the API refuses.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `x-client-id` or `x-api-key` is missing or wrong.
    WrongKeys,
    /// The body is not a JSON object sent as JSON.
    NotJson,
    /// A field is missing, of a wrong type or out of bounds.
    WrongField(String),
    /// The signature does not verify.
    WrongSignature,
    /// The order code is taken.
    DuplicateOrderCode,
    /// There is no such payment link.
    NotFound,
    /// A paid link cannot be cancelled.
    AlreadyPaid,
    /// The webhook URL is no http(s) URL, or did not answer with a 2xx.
    WrongWebhookUrl(String),
    /// Scripted: the service fails.
    Failing,
    /// Scripted: a page of HTML comes instead of an answer.
    Html,
    /// Scripted: the service stays silent until a gateway gives up.
    Silent,
}

impl Refusal {
    fn parts(&self) -> (StatusCode, &'static str, String) {
        let ok = StatusCode::OK;
        match self {
            Self::WrongKeys => (StatusCode::UNAUTHORIZED, "401", "x-client-id or x-api-key is wrong".to_owned()),
            Self::NotJson => (StatusCode::BAD_REQUEST, "20", "Thông tin truyền lên không đúng.".to_owned()),
            Self::WrongField(problem) => (ok, "20", problem.clone()),
            Self::WrongSignature => (ok, "201", "Mã kiểm tra(signature) không hợp lệ".to_owned()),
            Self::DuplicateOrderCode => (ok, "231", "Đơn thanh toán đã tồn tại".to_owned()),
            Self::NotFound => (ok, "101", "Mã thanh toán không tồn tại".to_owned()),
            Self::AlreadyPaid => (ok, "20", "the payment link is already PAID".to_owned()),
            Self::WrongWebhookUrl(problem) => {
                (StatusCode::BAD_REQUEST, "20", format!("Webhook url invalid: {problem}"))
            }
            Self::Failing => (StatusCode::INTERNAL_SERVER_ERROR, "500", "Internal server error".to_owned()),
            Self::Html => (ok, "", String::new()),
            Self::Silent => (StatusCode::GATEWAY_TIMEOUT, "504", "Gateway timeout".to_owned()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self == Self::Html {
            return faults::html();
        }
        let (status, code, desc) = self.parts();
        (status, Json(json!({ "code": code, "desc": desc, "data": null, "signature": null }))).into_response()
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Http500 => Self::Failing,
            Failure::Html => Self::Html,
        }
    }
}

/// The envelope of a success, signed over `data`.
pub fn success(checksum_key: &str, data: Map<String, Value>) -> Response {
    let signature = signature::sign(checksum_key, &signing::data_text(&data));
    Json(json!({ "code": "00", "desc": "success", "data": data, "signature": signature })).into_response()
}

/// Refuses a request without the right `x-client-id` and `x-api-key`.
pub fn check_keys(settings: &Settings, headers: &HeaderMap) -> Result<(), Refusal> {
    let is = |name: &str, wanted: &str| headers.get(name).is_some_and(|value| value.as_bytes() == wanted.as_bytes());
    if is("x-client-id", &settings.client_id) && is("x-api-key", &settings.api_key) {
        return Ok(());
    }
    Err(Refusal::WrongKeys)
}

/// Reads a JSON object, as `Content-Type: application/json` and nothing else.
pub fn read_object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::NotJson);
    }
    serde_json::from_slice(body).map_err(|_| Refusal::NotJson)
}
