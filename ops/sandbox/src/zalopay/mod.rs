//! ZaloPay (Open API v2), as its public documentation and samples describe it.
//!
//! Where those are silent the sandbox chooses, and says so at the place and in the README.

mod answer;
mod body;
mod callback;
mod create;
mod order;
mod query;
mod redirect;
mod refund;
pub mod signing;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde_json::Value;

use crate::app::App;
use crate::notice::Notice;
use crate::provider::{Protocol, Verdict, WayBack};
use crate::sale::{Happening, Refund, Sale};
use crate::{serial, vietnam};

/// The pause between two calls of a callback (our choice: none is published).
const PAUSE_MS: u64 = 60_000;
const MOST_CALLS: usize = 3;
/// How far a request's time may be from the sandbox's.
const FRESH_MS: i64 = 15 * 60 * 1_000;

/// The provider.
pub struct Zalopay;

impl Protocol for Zalopay {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
            .route("/v2/create", post(create::create))
            .route("/v2/query", post(query::query))
            .route("/v2/refund", post(refund::refund))
            .route("/v2/query_refund", post(refund::query))
            .layer(Extension(refund::OneAtATime::default()))
    }

    fn retry_ms(&self) -> Vec<u64> {
        vec![PAUSE_MS; MOST_CALLS - 1]
    }

    /// Only 0 asks for another call. What is no JSON with status 200 does not ask (our choice).
    fn judge(&self, status: u16, body: &str) -> Verdict {
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        match (status, answer["return_code"].as_i64()) {
            (200, Some(1)) => Verdict::Accepted,
            (200, Some(0)) => Verdict::Again,
            _ => Verdict::Refused,
        }
    }

    fn notices(&self, app: &App, sale: &Sale, happening: &Happening) -> Vec<Notice> {
        callback::notice(app, sale, happening).into_iter().collect()
    }

    fn refunds_later(&self) -> bool {
        true
    }

    fn back_url(&self, app: &App, sale: &Sale, _way: WayBack) -> String {
        redirect::back_url(app, sale)
    }

    fn capture_reference(&self, sale: &Sale) -> String {
        number(sale)
    }

    fn refund_id(&self, sale: &Sale) -> String {
        number(sale)
    }

    /// Only the shop's name of it is known on both sides: `query_refund` does not tell ZaloPay's.
    fn on_statement<'a>(&self, refund: &'a Refund) -> &'a str {
        refund.reference.as_deref().unwrap_or(&refund.id)
    }

    fn trouble(&self, status: StatusCode) -> Response {
        (status, answer::refused(-500, "SYSTEM_ERROR")).into_response()
    }
}

/// Fifteen digits that begin with the order's day.
fn number(sale: &Sale) -> String {
    format!("{}{}", vietnam::day(sale.created_at), serial::nine_digits())
}
