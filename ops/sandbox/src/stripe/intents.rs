//! GET /v1/payment_intents/{id}.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::refusal::{Refusal, Stop};
use super::{call, views};
use crate::app::App;
use crate::faults;
use crate::provider::Provider;
use crate::sale::Sale;

/// What a payment intent is now.
pub async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let number = find(&app, &id, "id")?.number;
    if let Some(fault) = faults::of_call(&app, number).await {
        return Ok(fault);
    }
    Ok(call::answer(&views::intent(&find(&app, &id, "id")?, &id, app.clock.now())))
}

/// The sale of an intent, which `param` names.
pub fn find(app: &App, id: &str, param: &str) -> Result<Sale, Refusal> {
    let books = app.books();
    let sale = books.sales().by_part(Provider::Stripe, id).filter(|_| id.starts_with("pi_")).cloned();
    sale.ok_or_else(|| Refusal::no_such("payment_intent", id, param))
}
