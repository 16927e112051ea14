//! ZaloPay.

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::provider::Protocol;

/// The provider.
pub struct Zalopay;

impl Protocol for Zalopay {
    fn router(&self) -> Router<Arc<App>> {
        Router::new()
    }
}
