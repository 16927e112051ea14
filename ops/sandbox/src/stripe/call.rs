//! What every call to Stripe must bring: the key, the version, and for POST perhaps an idempotency key.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::fields::Fields;
use super::new_id;
use super::refusal::{Refusal, Stop};
use crate::app::App;
use crate::provider::Provider;
use crate::replays::{Answer, Claim, Known};

/// Names the answer to every call.
pub const REQUEST_ID: &str = "request-id";

const LONGEST_KEY: usize = 255;
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A POST that is to be carried out.
pub struct Call {
    /// Its parameters.
    pub fields: Fields,
    /// The API version that it wants.
    pub version: String,
    claim: Option<Claim>,
    until: Timestamp,
}

impl Call {
    /// Reads a POST; one that was carried out before is answered as before.
    pub fn begin(app: &Arc<App>, headers: &HeaderMap, path: &str, body: &Bytes) -> Result<Self, Stop> {
        let version = admit(app, headers)?;
        check_form(headers, body)?;
        let now = app.clock.now();
        let until = now.checked_add(KEPT).unwrap_or(Timestamp::MAX);
        let fingerprint = format!("{path} {}", String::from_utf8_lossy(body));
        let claim = match headers.get("idempotency-key") {
            Some(key) => Some(claim(app, key.to_str().unwrap_or_default(), &fingerprint, now)?),
            None => None,
        };
        // From here on the claim ends with the call, so that what fails before its effect may be tried again.
        Ok(Self { fields: Fields::read(body)?, version, claim, until })
    }

    /// Keeps the answer under the idempotency key.
    pub fn keep(&self, body: &Value) -> Response {
        let answer = Answer::new(StatusCode::OK, body);
        if let Some(claim) = &self.claim {
            claim.keep(&answer, self.until);
        }
        ([(REQUEST_ID, new_id("req"))], answer.response()).into_response()
    }
}

/// Checks key and version and returns the version. The version is required here, so that a shop pins one.
pub fn admit(app: &App, headers: &HeaderMap) -> Result<String, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("authorization").and_then(secret).ok_or_else(Refusal::no_key)?;
    if key != app.settings.stripe.stripe_secret_key {
        return Err(Refusal::no_key());
    }
    let version = text("stripe-version").ok_or_else(|| Refusal::unreadable("Missing header: Stripe-Version"))?;
    let day = version.split('.').next().unwrap_or_default();
    if day.parse::<jiff::civil::Date>().is_err() {
        return Err(Refusal::unreadable(format!("Invalid Stripe API version: {version}")));
    }
    Ok(version.to_owned())
}

/// The key of `Bearer key` or of `Basic` with an empty password.
fn secret(authorization: &str) -> Option<String> {
    if let Some(key) = authorization.strip_prefix("Bearer ") {
        return Some(key.to_owned());
    }
    let decoded = STANDARD.decode(authorization.strip_prefix("Basic ")?).ok()?;
    String::from_utf8(decoded).ok()?.strip_suffix(':').map(str::to_owned)
}

fn check_form(headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if body.is_empty() || essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(Refusal::unreadable("Invalid request: the content type must be application/x-www-form-urlencoded."))
}

fn claim(app: &Arc<App>, key: &str, fingerprint: &str, now: Timestamp) -> Result<Claim, Stop> {
    if key.is_empty() || key.chars().count() > LONGEST_KEY {
        return Err(Refusal::unreadable(format!("Idempotency keys have 1 to {LONGEST_KEY} characters.")).into());
    }
    match app.books().replays.begin(Provider::Stripe, key, fingerprint, now) {
        Known::New => {}
        Known::Done(answer) => return Err(Stop::Replayed(answer)),
        Known::Running => {
            let message = "There is currently another in-progress request using this Idempotent Key.";
            return Err(Refusal::key_in_use(StatusCode::CONFLICT, Some("idempotency_key_in_use"), message).into());
        }
        Known::Other => {
            let message = format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            );
            return Err(Refusal::key_in_use(StatusCode::BAD_REQUEST, None, message).into());
        }
    }
    Ok(Claim::new(app, Provider::Stripe, key, fingerprint))
}

/// The answer to a GET.
pub fn answer(body: &Value) -> Response {
    ([(REQUEST_ID, new_id("req"))], Answer::new(StatusCode::OK, body).response()).into_response()
}
