//! GET /v2/payment-requests/{id} and POST …/cancel, by order code or link id.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::payment::{End, Status};
use super::refusal::{Refusal, check_keys, read_object, success};
use crate::app::App;

/// What a payment is now.
pub async fn query(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match find(&app, &headers, &id).await {
        Ok(number) => state(&app, number),
        Err(refusal) => refusal.into_response(),
    }
}

/// Ends an open payment. One that ended unpaid is answered as it is (our choice), a paid one refused.
pub async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let result = match find(&app, &headers, &id).await {
        Ok(number) => reason(&headers, &body).and_then(|reason| end(&app, number, reason)).map(|()| number),
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(number) => state(&app, number),
        Err(refusal) => refusal.into_response(),
    }
}

/// Cancels a payment; no webhook tells of it.
pub fn end(app: &App, number: u64, reason: Option<String>) -> Result<(), Refusal> {
    let at = app.clock.now();
    let mut books = app.books();
    match books.payments().get(number).map(|payment| payment.status(at)) {
        None => Err(Refusal::NotFound),
        Some(Status::Paid) => Err(Refusal::AlreadyPaid),
        Some(Status::Cancelled | Status::Expired | Status::Failed) => Ok(()),
        Some(Status::Pending | Status::Processing | Status::Underpaid) => {
            books.change_payment(number, |payment| payment.end = Some(End::Cancelled { at, reason }));
            Ok(())
        }
    }
}

/// Finds a payment, unless its script makes the service fail or stay silent.
async fn find(app: &App, headers: &HeaderMap, id: &str) -> Result<u64, Refusal> {
    check_keys(&app.settings, headers)?;
    let (number, silent) = admit(app, id)?;
    if silent {
        app.hold().await;
        return Err(Refusal::Silent);
    }
    Ok(number)
}

fn admit(app: &App, id: &str) -> Result<(u64, bool), Refusal> {
    let mut books = app.books();
    let payment = books.payments().find(id).ok_or(Refusal::NotFound)?;
    let (number, silent) = (payment.number, payment.script.silent);
    let counts = payment.script.http_500_times > 0 || payment.script.html > 0;
    let failure = counts.then(|| books.change_payment(number, |payment| payment.script.next_failure()));
    match failure.flatten().flatten() {
        Some(failure) => Err(failure.into()),
        None => Ok((number, silent)),
    }
}

fn reason(headers: &HeaderMap, body: &[u8]) -> Result<Option<String>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    match read_object(headers, body)?.remove("cancellationReason") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(reason)) => Ok(Some(reason)),
        Some(_) => Err(Refusal::WrongField("cancellationReason: must be a string".to_owned())),
    }
}

fn state(app: &App, number: u64) -> Response {
    let data = app.books().payments().get(number).map(|payment| payment.state(app.clock.now()));
    data.map_or_else(|| Refusal::NotFound.into_response(), |data| success(&app.settings.checksum_key, data))
}
