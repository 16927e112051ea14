//! Payments: what there is, and what happens to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, number_of, read, views};
use crate::app::App;
use crate::payos::{self, Money, NotOpen, Status, Sum};

const MOST_PARTS: usize = 100;
const MOST_LISTED: usize = 1_000;

/// A page of payments to show.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    status: Option<Status>,
    limit: Option<usize>,
    #[serde(default)]
    cursor: u64,
}

/// Money to arrive: one amount, or several parts, or what is missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    amount: Option<i64>,
    parts: Option<Vec<i64>>,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    keep_status: bool,
}

/// Why something is cancelled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    reason: Option<String>,
}

/// Payments in the order of their creation, a page at a time.
pub async fn list(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Json<Value> {
    let limit = page.limit.unwrap_or(100).clamp(1, MOST_LISTED);
    let now = app.clock.now();
    let books = app.books();
    let wanted = |status| page.status.is_none_or(|only| only == status);
    let mut found: Vec<_> =
        books.payments().after(page.cursor).filter(|payment| wanted(payment.status(now))).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|payment| payment.number);
    let payments: Vec<_> = found.into_iter().map(|payment| views::payment(&app, payment, now)).collect();
    Json(json!({ "payments": payments, "next_cursor": next_cursor }))
}

/// One payment with its deliveries.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let number = number_of(&app, &id)?;
    Ok(Json(views::with_deliveries(&app, number)))
}

/// Lets money arrive.
pub async fn pay(State(app): State<Arc<App>>, Path(id): Path<String>, body: Bytes) -> Result<Json<Value>, Problem> {
    let money = money(read(&body)?)?;
    let number = number_of(&app, &id)?;
    let arrived = payos::pay(&app, number, &money).map_err(|NotOpen(status)| not_open(status))?;
    let mut view = views::with_deliveries(&app, number);
    view["references"] = json!(arrived.references);
    Ok(Json(view))
}

/// Says that the bank is working on it, until money arrives or the payment ends.
pub async fn processing(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let number = number_of(&app, &id)?;
    must_be_open(&app, number)?;
    app.books().change_payment(number, |payment| payment.processing = true);
    Ok(Json(views::with_deliveries(&app, number)))
}

/// Declines a payment.
pub async fn fail(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let number = number_of(&app, &id)?;
    payos::decline(&app, number).map_err(not_open)?;
    Ok(Json(views::with_deliveries(&app, number)))
}

/// Cancels a payment, as the payer would.
pub async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>, body: Bytes) -> Result<Json<Value>, Problem> {
    let Cancel { reason } = read(&body)?;
    let number = number_of(&app, &id)?;
    must_be_open(&app, number)?;
    payos::cancel(&app, number, reason).map_err(|refusal| Problem::conflict(format!("{refusal:?}")))?;
    Ok(Json(views::with_deliveries(&app, number)))
}

/// Lets one payment expire now, without moving the clock.
pub async fn expire(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let number = number_of(&app, &id)?;
    must_be_open(&app, number)?;
    let now_s = app.clock.now().as_second();
    app.books().change_payment(number, |payment| payment.expired_at = Some(now_s));
    Ok(Json(views::with_deliveries(&app, number)))
}

fn money(pay: Pay) -> Result<Money, Problem> {
    let sum = match (pay.amount, pay.parts) {
        (Some(_), Some(_)) => return Err(Problem::wrong("give amount or parts, not both")),
        (Some(amount), None) => Sum::Parts(vec![amount]),
        (None, Some(parts)) => Sum::Parts(parts),
        (None, None) => Sum::Rest,
    };
    if let Sum::Parts(parts) = &sum
        && (parts.is_empty()
            || parts.len() > MOST_PARTS
            || parts.iter().any(|part| !(1..=9_999_999_999_999).contains(part)))
    {
        return Err(Problem::wrong(format!("give 1 to {MOST_PARTS} parts, each a positive amount of VND")));
    }
    Ok(Money { sum, force: pay.force, keep_status: pay.keep_status })
}

fn must_be_open(app: &App, number: u64) -> Result<(), Problem> {
    let now = app.clock.now();
    match app.books().payments().get(number).map(|payment| payment.status(now)) {
        Some(status) if status.is_open() => Ok(()),
        Some(status) => Err(not_open(status)),
        None => Err(Problem(StatusCode::NOT_FOUND, "there is no such payment".to_owned())),
    }
}

fn not_open(status: Status) -> Problem {
    Problem::conflict(format!("the payment is {}; late money needs \"force\": true", status.name()))
}
