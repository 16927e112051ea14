//! The writing routes. Every handler parses, submits and answers; deciding is the domain's.

mod answer;
mod inventory;
mod orders;
mod payments;
mod persons;
mod queue;
mod refunds;
mod refusals;
mod shows;
mod submit;
mod visitors;
mod webhooks;

use std::sync::Arc;

use axum::extract::FromRef;
use service_kit::auth::Auth;
use service_kit::keys::Keys;
use utoipa_axum::router::OpenApiRouter;

use crate::owners::Owners;
use crate::payments::Gateways;
use crate::person_keys::KeyPool;
pub use queue::Joins;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    owners: Arc<Owners>,
    auth: Auth,
    keys: Keys,
    gateways: Arc<Gateways>,
    key_pool: Arc<KeyPool>,
    joins: Joins,
    hold_backstop_s: i64,
}

impl App {
    /// Puts it together.
    pub fn new(
        owners: Arc<Owners>,
        auth: Auth,
        keys: Keys,
        gateways: Arc<Gateways>,
        key_pool: Arc<KeyPool>,
        joins: Joins,
        hold_backstop_s: i64,
    ) -> Self {
        Self(Arc::new(Inner { owners, auth, keys, gateways, key_pool, joins, hold_backstop_s }))
    }
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.0.auth.clone()
    }
}

/// Every writing route with its document.
pub fn routes(app: App) -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(shows::routes())
        .merge(inventory::routes())
        .merge(queue::routes())
        .merge(orders::routes())
        .merge(payments::routes())
        .merge(refunds::routes())
        .merge(persons::routes())
        .with_state(app)
}

#[cfg(test)]
mod tests;
