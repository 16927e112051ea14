//! VNPay (PAY 2.1.0), as its public documentation and samples describe it.
//!
//! A payment is born when a browser first opens its URL: nobody calls to create it. Where the documentation is silent
//! the sandbox chooses, and says so at the place and in the README.

mod answer;
mod error_page;
mod fields;
mod merchant;
mod message;
mod open;
mod querydr;
mod refund;
mod requests;
pub mod signing;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::Value;

use crate::app::App;
use crate::notice::Notice;
use crate::provider::{Protocol, Verdict, WayBack};
use crate::sale::{Happening, Sale};
use crate::serial;

/// Dong to VNPay's units.
const UNITS: i64 = 100;
const FIVE_MINUTES_MS: u64 = 300_000;
const MOST_CALLS: usize = 10;

/// The provider.
pub struct Vnpay;

impl Protocol for Vnpay {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
            .route("/paymentv2/vpcpay.html", get(open::open))
            .route(error_page::PATH, get(error_page::show))
            .route("/merchant_webapi/api/transaction", post(merchant::transaction))
            .layer(Extension(Arc::new(requests::Requests::default())))
    }

    fn retry_ms(&self) -> Vec<u64> {
        vec![FIVE_MINUTES_MS; MOST_CALLS - 1]
    }

    /// Anything but JSON with status 200 is as good as silence.
    fn judge(&self, status: u16, body: &str) -> Verdict {
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        match (status, answer["RspCode"].as_str()) {
            (200, Some("00" | "02")) => Verdict::Accepted,
            _ => Verdict::Again,
        }
    }

    fn notices(&self, app: &App, sale: &Sale, happening: &Happening) -> Vec<Notice> {
        message::notice(app, sale, happening).into_iter().collect()
    }

    /// VNPay takes a refund's request at once, and the bank its time.
    fn refunds_later(&self) -> bool {
        true
    }

    fn back_url(&self, app: &App, sale: &Sale, _way: WayBack) -> String {
        message::back_url(app, sale)
    }

    fn capture_reference(&self, _sale: &Sale) -> String {
        transaction_number()
    }

    fn refund_id(&self, _sale: &Sale) -> String {
        transaction_number()
    }
}

fn transaction_number() -> String {
    format!("14{}", serial::nine_digits())
}
