//! POST /v1/oauth2/token, and the tokens that are good. A restart forgets them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;

use crate::app::App;
use crate::clock::later_ms;
use crate::{form, ids};

const LIFE_S: u64 = 32_400;

/// The tokens that were given out and when each is over.
#[derive(Default)]
pub struct Tokens(HashMap<String, Timestamp>);

impl Tokens {
    /// Whether a token is good at this time.
    pub fn admits(&self, token: &str, now: Timestamp) -> bool {
        self.0.get(token).is_some_and(|until| now < *until)
    }
}

/// Gives a token to the right client.
pub async fn issue(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_client(&app, &headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", "Client Authentication failed");
    }
    let pairs = form::pairs(&body).unwrap_or_default();
    let grant = pairs.iter().find(|(name, _)| name == "grant_type").map(|(_, value)| value.as_str());
    match grant {
        Some("client_credentials") => {}
        Some(_) => return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Grant Type is not supported"),
        None => return refused(StatusCode::BAD_REQUEST, "invalid_request", "Grant type is missing"),
    }
    let token = format!("A21AA{}{}", ids::hex32(), ids::hex32());
    let now = app.clock.now();
    let mut books = app.books();
    books.tokens.0.retain(|_, until| now < *until);
    books.tokens.0.insert(token.clone(), later_ms(now, LIFE_S * 1_000));
    Json(json!({
        "scope": "https://uri.paypal.com/services/payments/payment",
        "access_token": token,
        "token_type": "Bearer",
        "app_id": "APP-SANDBOX",
        "expires_in": LIFE_S,
        "nonce": ids::hex32(),
    }))
    .into_response()
}

/// Control: every token is over, so that the next call of each client is a 401 once.
pub async fn expire_all(State(app): State<Arc<App>>) -> Response {
    let mut books = app.books();
    let count = books.tokens.0.len();
    books.tokens.0.clear();
    Json(json!({ "expired": count })).into_response()
}

fn is_client(app: &App, headers: &HeaderMap) -> bool {
    let keys = &app.settings.paypal;
    let wanted = format!("{}:{}", keys.paypal_client_id, keys.paypal_secret);
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    given.and_then(|given| STANDARD.decode(given).ok()).is_some_and(|given| given == wanted.as_bytes())
}

fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({ "error": error, "error_description": description }))).into_response()
}
