//! PayPal Orders v2.

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::provider::Protocol;

/// The provider.
pub struct Paypal;

impl Protocol for Paypal {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
    }
}
