//! Stripe's error bodies.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::{call, new_id};
use crate::replays::Answer;

/// Why a call is refused.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
}

/// Why a call is not carried out.
pub enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// It was carried out before.
    Replayed(Answer),
}

impl Refusal {
    /// A request that is wrong.
    pub fn wrong(param: &str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        let (status, kind) = (StatusCode::BAD_REQUEST, "invalid_request_error");
        Self { status, kind, code, message: message.into(), param: Some(param.to_owned()) }
    }

    /// A parameter that must be there.
    pub fn missing(param: &str) -> Self {
        Self::wrong(param, Some("parameter_missing"), format!("Missing required param: {param}."))
    }

    /// A parameter that must not be there.
    pub fn unknown(param: &str) -> Self {
        Self::wrong(param, Some("parameter_unknown"), format!("Received unknown parameter: {param}"))
    }

    /// A body, a query or a header that is wrong as a whole.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self { param: None, ..Self::wrong("", None, message) }
    }

    /// The API key is missing or wrong.
    pub fn no_key() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..Self::unreadable("Invalid API Key provided: sk_test_***") }
    }

    /// There is no such object; one named in the path is a 404, one named in a parameter a 400.
    pub fn no_such(what: &str, id: &str, param: &str) -> Self {
        let status = if param == "id" { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        Self { status, ..Self::wrong(param, Some("resource_missing"), format!("No such {what}: '{id}'")) }
    }

    /// The idempotency key came with another request, or its first one still runs.
    pub fn key_in_use(status: StatusCode, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, kind: "idempotency_error", code, message: message.into(), param: None }
    }

    /// A scripted 500 or 504.
    pub fn trouble(status: StatusCode) -> Self {
        let message = "An unknown error occurred while processing your request.".to_owned();
        Self { status, kind: "api_error", code: None, message, param: None }
    }

    fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("type".to_owned(), self.kind.into());
        error.insert("message".to_owned(), self.message.clone().into());
        if let Some(code) = self.code {
            error.insert("code".to_owned(), code.into());
            error.insert("doc_url".to_owned(), format!("https://stripe.com/docs/error-codes/{code}").into());
        }
        if let Some(param) = &self.param {
            error.insert("param".to_owned(), param.clone().into());
        }
        serde_json::json!({ "error": error })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, [(call::REQUEST_ID, new_id("req"))], Json(self.body())).into_response()
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Replayed(answer) => ([("idempotent-replayed", "true")], answer.response()).into_response(),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
