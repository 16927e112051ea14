//! Stripe Checkout (API v1), as its documentation and SDKs describe it.

mod call;
mod checks;
mod events;
mod fields;
mod intents;
mod refunds;
mod refusal;
mod session;
mod sessions;
pub mod signing;
mod views;
mod webhook;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;

use crate::app::App;
use crate::clock::wall_now;
use crate::delivery::Delivery;
use crate::ids;
use crate::notice::Notice;
use crate::provider::{Protocol, Unhappy, WayBack};
use crate::sale::{Happening, Sale};

/// The provider.
pub struct Stripe;

impl Protocol for Stripe {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
            .route("/v1/checkout/sessions", post(sessions::create))
            .route("/v1/checkout/sessions/{id}", get(sessions::retrieve))
            .route("/v1/checkout/sessions/{id}/expire", post(sessions::expire))
            .route("/v1/payment_intents/{id}", get(intents::retrieve))
            .route("/v1/refunds", post(refunds::create).get(refunds::list))
            .route("/v1/refunds/{id}", get(refunds::retrieve))
            .route("/v1/events", get(events::list))
            .route("/v1/events/{id}", get(events::retrieve))
    }

    /// Three days, further and further apart; the exact pauses are not published.
    fn retry_ms(&self) -> Vec<u64> {
        [1, 10, 60, 600, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400].map(|seconds| seconds * 1_000).to_vec()
    }

    /// The time in the signature is real, whatever the sandbox's clock says: the shop compares it with its own clock.
    fn headers(&self, app: &App, delivery: &Delivery, _now: Timestamp) -> Vec<(&'static str, String)> {
        vec![("stripe-signature", signing::header(&app.settings.stripe, delivery, wall_now().as_second()))]
    }

    fn notices(&self, app: &App, sale: &Sale, happening: &Happening) -> Vec<Notice> {
        webhook::notices(app, sale, happening)
    }

    /// A declined card may be followed by another; whoever walks away may come back.
    fn stays_open_after(&self, _event: Unhappy) -> bool {
        true
    }

    fn back_url(&self, _app: &App, sale: &Sale, way: WayBack) -> String {
        match way {
            WayBack::Paid => sale.return_url.replace("{CHECKOUT_SESSION_ID}", &sale.id),
            WayBack::Declined | WayBack::Left => sale.cancel_url.replace("{CHECKOUT_SESSION_ID}", &sale.id),
        }
    }

    /// The payment intent; money that comes once more has one of its own.
    fn capture_reference(&self, sale: &Sale) -> String {
        if sale.captures.is_empty() { sale.extra_text("alias").to_owned() } else { new_id("pi") }
    }

    fn refund_id(&self, _sale: &Sale) -> String {
        new_id("re")
    }

    fn trouble(&self, status: StatusCode) -> Response {
        refusal::Refusal::trouble(status).into_response()
    }
}

/// A name as Stripe gives them: what it is, an underscore, 24 random characters.
fn new_id(kind: &str) -> String {
    format!("{kind}_{}", &ids::hex32()[..24])
}
