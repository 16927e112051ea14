//! The control API under /_control: what a test or a demo does in place of payers, banks and time.
//!
//! Plain JSON in and out; problems are `{"error": "…"}`. It asks for no key.

mod find;
mod links;
mod payments;
mod sales;
mod scripts;
mod views;
mod world;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::app::App;

/// All routes of the control API.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/_control/default", get(scripts::default).put(scripts::set_default))
        .route("/_control/next", post(scripts::queue).delete(scripts::clear_queue))
        .route("/_control/payments", get(payments::list))
        .route("/_control/payments/{*rest}", get(payments::one).post(payments::act).put(scripts::set_for_payment))
        .route("/_control/transfer", post(world::transfer))
        .route("/_control/statement", get(world::statement))
        .route("/_control/deliveries", get(world::deliveries))
        .route("/_control/webhook", get(world::webhook).post(world::set_webhook))
        .route("/_control/clock", get(world::clock).post(world::set_clock))
        .route("/_control/summary", get(world::summary))
}

/// Why the control API refuses.
struct Problem(StatusCode, String);

impl Problem {
    fn no_payment(id: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("there is no payment {id}"))
    }

    fn wrong(text: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, text.into())
    }

    fn conflict(text: impl Into<String>) -> Self {
        Self(StatusCode::CONFLICT, text.into())
    }

    /// A payment that is no longer open.
    fn not_open(status: &str) -> Self {
        Self::conflict(format!("the payment is {status}; late money needs \"force\": true"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Reads a JSON body whatever its content type; an empty one counts as `{}`.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Problem::wrong(error.to_string()))
}
