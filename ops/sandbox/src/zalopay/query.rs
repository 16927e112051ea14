//! POST /v2/query.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::answer::{self, Refusal};
use super::body::Body;
use super::{order, signing};
use crate::app::App;
use crate::faults;
use crate::provider::Provider;
use crate::sale::{Progress, Sale, Status};

/// Later only the merchant portal knows.
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(48);

/// How an order stands.
pub async fn query(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = match Body::read(&headers, &body).and_then(|body| find(&app, &body)) {
        Ok(number) => number,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(response) = faults::of_call(&app, number).await {
        return response;
    }
    let now = app.clock.now();
    let books = app.books();
    books.sales().get(number).map_or_else(|| Refusal::NotFound.into_response(), |sale| standing(sale, now))
}

fn find(app: &App, body: &Body) -> Result<u64, Refusal> {
    let reference = body.text("app_trans_id", 1, 40)?;
    let keys = &app.settings.zalopay;
    body.check_mac(keys, &signing::query(&body.as_sent("app_id"), reference, &keys.zalopay_key1))?;
    if !order::is_reference(reference) {
        return Err(Refusal::WrongReference);
    }
    let books = app.books();
    let sale = books.sales().by_reference(Provider::Zalopay, reference).ok_or(Refusal::NotFound)?;
    let old = app.clock.now().duration_since(sale.created_at) > KNOWN_FOR;
    if old { Err(Refusal::NotFound) } else { Ok(sale.number) }
}

fn standing(sale: &Sale, now: Timestamp) -> Response {
    let money = sale.captures.iter().find(|money| money.status == Progress::Done);
    let (code, sub, message) = match sale.status(now) {
        _ if money.is_some() => (1, 1, "SUCCESS"),
        Status::Pending | Status::Approved | Status::Processing | Status::Paid => (3, 3, "PROCESSING"),
        Status::Expired => (2, -54, "TRANS_EXPIRED"),
        Status::Cancelled => (2, -329, "USER_CANCELLED"),
        Status::Failed => (2, -217, "BANK_ERROR"),
    };
    let number: i64 = money.map_or(0, |money| money.reference.parse().unwrap_or(0));
    let more = json!({
        "is_processing": sale.has_pending_money() || sale.state == Status::Processing,
        "amount": money.map_or(0, |money| money.amount),
        "discount_amount": 0,
        "zp_trans_id": number,
        "server_time": now.as_millisecond(),
    });
    answer::told(code, sub, message, more)
}
