//! What every call to PayPal must bring: a token, for POST a JSON body and perhaps a request id.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::refusal::{Refusal, Stop};
use crate::app::App;
use crate::provider::Provider;
use crate::replays::{Answer, Claim, Known};

const LONGEST_KEY: usize = 108;

/// A POST that is to be carried out.
pub struct Call {
    /// Its body; an empty one counts as `{}`.
    pub body: Map<String, Value>,
    /// Whether the answer is to show everything.
    pub full: bool,
    claim: Option<Claim>,
    until: Timestamp,
}

impl Call {
    /// Reads a POST whose answer is kept so long; one that was carried out before is answered as before, with 200.
    pub fn begin(
        app: &Arc<App>,
        headers: &HeaderMap,
        path: &str,
        body: &Bytes,
        kept: SignedDuration,
    ) -> Result<Self, Stop> {
        admit(app, headers)?;
        let fields = read_object(headers, body)?;
        let now = app.clock.now();
        let claim = match request_id(headers)? {
            Some(id) => Some(claim(app, path, id, &Value::from(fields.clone()).to_string(), now)?),
            None => None,
        };
        let until = now.checked_add(kept).unwrap_or(Timestamp::MAX);
        Ok(Self { body: fields, full: is_full(headers), claim, until })
    }

    /// Whether the call brought a request id.
    pub fn has_request_id(&self) -> bool {
        self.claim.is_some()
    }

    /// Keeps the answer under the request id.
    pub fn keep(&self, body: &Value) -> Response {
        let answer = Answer::new(StatusCode::CREATED, body);
        if let Some(claim) = &self.claim {
            claim.keep(&answer, self.until);
        }
        answer.response()
    }
}

/// Checks the token.
pub fn admit(app: &App, headers: &HeaderMap) -> Result<(), Stop> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let now = app.clock.now();
    if given.is_some_and(|token| app.books().tokens.admits(token, now)) { Ok(()) } else { Err(Stop::NoToken) }
}

/// Reads a JSON object, sent as JSON; an empty body counts as `{}`.
pub fn read_object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::not_json());
    }
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| Refusal::malformed())
}

/// The answer to a GET.
pub fn answer(body: &Value) -> Response {
    Json(body).into_response()
}

fn is_full(headers: &HeaderMap) -> bool {
    headers.get("prefer").is_some_and(|value| value.as_bytes() == b"return=representation")
}

fn request_id(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(id) = headers.get("paypal-request-id") else { return Ok(None) };
    match id.to_str() {
        Ok(id) if (1..=LONGEST_KEY).contains(&id.len()) => Ok(Some(id)),
        Ok(_) | Err(_) => {
            let description = "The value of a field is either too short or too long.";
            Err(Refusal::field("PayPal-Request-Id", "INVALID_STRING_LENGTH", description))
        }
    }
}

/// A request id counts for one path. That another body under it is refused is our choice; PayPal does not say.
fn claim(app: &Arc<App>, path: &str, id: &str, fingerprint: &str, now: Timestamp) -> Result<Claim, Stop> {
    let key = format!("{path} {id}");
    match app.books().replays.begin(Provider::Paypal, &key, fingerprint, now) {
        Known::New => {}
        Known::Done(answer) => return Err(Stop::Replayed(answer)),
        Known::Running => return Err(Refusal::in_progress().into()),
        Known::Other => {
            let description = "The value of PayPal-Request-Id header has already been used with another request.";
            return Err(Refusal::issue("DUPLICATE_REQUEST_ID", description).into());
        }
    }
    Ok(Claim::new(app, Provider::Paypal, &key, fingerprint))
}
