//! What a shop asks about webhooks: certificates, the verification of one, the list of all, one once more.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call;
use super::refusal::{Refusal, Stop};
use super::signing::{self, Transmission};
use crate::app::App;
use crate::delivery::{self, Delivery};
use crate::provider::Provider;

/// The body of a verification; the event is taken as it was written.
#[derive(Deserialize)]
struct Verification<'a> {
    auth_algo: String,
    cert_url: String,
    transmission_id: String,
    transmission_sig: String,
    transmission_time: String,
    webhook_id: String,
    #[serde(borrow)]
    webhook_event: &'a RawValue,
}

/// Which events are wanted.
#[derive(Deserialize)]
pub struct Wanted {
    page_size: Option<usize>,
    event_type: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
}

/// A leaf's certificate and the one of its CA.
pub async fn certificate(Path(name): Path<String>) -> Response {
    match signing::certificates(&name) {
        Some(text) => pem(text),
        None => Refusal::not_found().into_response(),
    }
}

/// Control: the certificate of the CA, for shops to trust.
pub async fn authority() -> Response {
    pem(signing::AUTHORITY.to_owned())
}

/// Says whether a webhook is genuine.
pub async fn verify(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let asked: Verification<'_> = serde_json::from_slice(&body).map_err(|_| Refusal::malformed())?;
    let transmission =
        Transmission { id: &asked.transmission_id, time: &asked.transmission_time, webhook_id: &asked.webhook_id };
    let text = signing::text(&transmission, asked.webhook_event.get().as_bytes());
    let own = format!("{}/v1/notifications/certs/", app.base_url);
    let name = asked.cert_url.strip_prefix(&own).unwrap_or_default();
    let genuine = asked.auth_algo == signing::ALGORITHM
        && asked.webhook_id == app.settings.paypal.paypal_webhook_id
        && signing::verify(name, &text, &asked.transmission_sig);
    Ok(call::answer(&json!({ "verification_status": if genuine { "SUCCESS" } else { "FAILURE" } })))
}

/// Every event, newest first, also those that were never sent.
pub async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let fits = |event: &Value| {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        wanted.event_type.as_ref().is_none_or(|kind| *kind == text("event_type"))
            && wanted.start_time.as_ref().is_none_or(|start| *start <= text("create_time"))
            && wanted.end_time.as_ref().is_none_or(|end| *end >= text("create_time"))
    };
    let events = deliveries(&app).into_iter().filter_map(|delivery| serde_json::from_str(&delivery.body).ok());
    let page: Vec<Value> = events.filter(fits).take(wanted.page_size.unwrap_or(10).clamp(1, 300)).collect();
    Ok(call::answer(&json!({ "events": page, "count": page.len(), "links": [] })))
}

/// Sends an event once more.
pub async fn resend(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let found = deliveries(&app).into_iter().find(|delivery| delivery.reference == id);
    let found = found.ok_or_else(Refusal::not_found)?;
    let event: Value = serde_json::from_str(&found.body).map_err(|_| Refusal::not_found())?;
    let again = Delivery { due: app.clock.now(), state: delivery::State::Waiting, attempts: Vec::new(), ..found };
    let number = app.books().add_delivery(again);
    delivery::start(&app, number);
    Ok((StatusCode::ACCEPTED, Json(event)).into_response())
}

/// One delivery of each event, newest first.
fn deliveries(app: &App) -> Vec<Delivery> {
    let books = app.books();
    let mut seen = std::collections::HashSet::new();
    let ours = books.deliveries().iter().rev().filter(|delivery| delivery.provider == Provider::Paypal);
    ours.filter(|delivery| seen.insert(delivery.reference.clone())).cloned().collect()
}

fn pem(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], text).into_response()
}
