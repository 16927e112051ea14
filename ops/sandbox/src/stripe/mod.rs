//! Stripe Checkout.

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::provider::Protocol;

/// The provider.
pub struct Stripe;

impl Protocol for Stripe {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
    }
}
