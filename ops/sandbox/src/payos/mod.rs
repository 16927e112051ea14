//! PayOS (VietQR bank-transfer links), as its public documentation and SDKs describe it.
//!
//! Where those are silent the sandbox chooses, and says so at the place. Its refusals are listed in `refusal`.

mod bank;
mod confirm;
mod create;
mod fields;
mod page;
mod page_html;
mod payment;
mod payments;
pub mod qr;
mod refusal;
mod requests;
pub mod signing;
mod webhook;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub use bank::{Arrived, Money, NotOpen, Sum, pay, stray};
pub use page::decline;
pub use payment::{Payment, Status};
pub use payments::Payments;
pub use refusal::Refusal;
pub use requests::end as cancel;

use crate::app::App;
use crate::provider::Protocol;

/// The bank that holds the shop's account (its BIN), as every QR code names it.
pub const BIN: &str = "970422";
/// The shop's account.
pub const ACCOUNT_NUMBER: &str = "VQRQ0000SANDB";
/// The shop, as the payment page shows it.
pub const ACCOUNT_NAME: &str = "BOXOFFICE SANDBOX";
/// The only currency of PayOS.
pub const CURRENCY: &str = "VND";

/// The provider. Its payments are of their own kind, so that it makes no notices from sales.
pub struct Payos;

impl Protocol for Payos {
    /// The provider's API and its payment page.
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
            .route("/v2/payment-requests", post(create::create))
            .route("/v2/payment-requests/{id}", get(requests::query))
            .route("/v2/payment-requests/{id}/cancel", post(requests::cancel))
            .route("/confirm-webhook", post(confirm::confirm))
            .route("/pay/{id}", get(page::show))
            .route("/pay/{id}/{action}", post(page::act))
    }
}
