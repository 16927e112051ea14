//! VNPay.

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::provider::Protocol;

/// The provider.
pub struct Vnpay;

impl Protocol for Vnpay {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
    }
}
