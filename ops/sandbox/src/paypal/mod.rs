//! PayPal Orders v2 with its webhooks, as its REST specification and SDKs describe it.

mod amount;
mod call;
mod captures;
mod fields;
mod items;
mod notifications;
mod order;
mod orders;
mod refunds;
mod refusal;
pub mod signing;
mod token;
mod views;
mod webhook;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;

pub use token::Tokens;

use crate::app::App;
use crate::clock::wall_now;
use crate::delivery::Delivery;
use crate::ids;
use crate::notice::Notice;
use crate::provider::{Protocol, Unhappy, WayBack};
use crate::sale::{Happening, Sale};

const CAPTURE: &str = "/v2/checkout/orders/{id}/capture";
const REFUND: &str = "/v2/payments/captures/{id}/refund";
const EVENTS: &str = "/v1/notifications/webhooks-events";
const VERIFY: &str = "/v1/notifications/verify-webhook-signature";

/// The provider.
pub struct Paypal;

impl Protocol for Paypal {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
            .route("/v1/oauth2/token", post(token::issue))
            .route("/v2/checkout/orders", post(orders::create))
            .route("/v2/checkout/orders/{id}", get(orders::retrieve))
            .route(CAPTURE, post(captures::capture))
            .route("/v2/payments/captures/{id}", get(captures::retrieve))
            .route(REFUND, post(refunds::create))
            .route("/v2/payments/refunds/{id}", get(refunds::retrieve))
            .route("/v1/notifications/certs/{name}", get(notifications::certificate))
            .route(VERIFY, post(notifications::verify))
            .route(EVENTS, get(notifications::list))
            .route("/v1/notifications/webhooks-events/{id}/resend", post(notifications::resend))
            .route("/_control/paypal/expire_tokens", post(token::expire_all))
            .route("/_control/paypal/ca.pem", get(notifications::authority))
    }

    /// 25 tries over three days; the exact pauses are not published.
    fn retry_ms(&self) -> Vec<u64> {
        let doubling = (0..12).map(|step| 1_000 << step);
        doubling.chain(std::iter::repeat_n(19_200_000, 13)).collect()
    }

    /// The transmission time is real, whatever the sandbox's clock says: the shop compares it with its own clock.
    fn headers(&self, app: &App, delivery: &Delivery, _now: Timestamp) -> Vec<(&'static str, String)> {
        signing::headers(app, delivery, wall_now())
    }

    fn notices(&self, app: &App, sale: &Sale, happening: &Happening) -> Vec<Notice> {
        webhook::notices(app, sale, happening)
    }

    fn approves_first(&self) -> bool {
        true
    }

    /// The payer may come back, and choose another card.
    fn stays_open_after(&self, _event: Unhappy) -> bool {
        true
    }

    fn back_url(&self, _app: &App, sale: &Sale, way: WayBack) -> String {
        match way {
            WayBack::Paid => with_query(&sale.return_url, &[("token", &sale.id), ("PayerID", views::PAYER)]),
            WayBack::Declined | WayBack::Left => with_query(&sale.cancel_url, &[("token", &sale.id)]),
        }
    }

    fn capture_reference(&self, _sale: &Sale) -> String {
        new_id()
    }

    fn refund_id(&self, _sale: &Sale) -> String {
        new_id()
    }

    /// 3.49 % and a fixed part, as in the price list for the United States.
    fn fee(&self, amount: i64, _currency: &str) -> i64 {
        (amount.saturating_mul(349).saturating_add(5_000) / 10_000).saturating_add(49).min(amount)
    }

    fn trouble(&self, status: StatusCode) -> Response {
        refusal::Refusal::trouble(status).into_response()
    }
}

/// A name as PayPal gives them: 17 capital letters and digits.
fn new_id() -> String {
    ids::hex32().to_uppercase()[..17].to_owned()
}

fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse(url).expect("checked when the order was made");
    url.query_pairs_mut().extend_pairs(pairs);
    url.into()
}
