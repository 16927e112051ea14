//! What happens to a payment link of PayOS.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::payments::Pay;
use super::{Problem, read};
use crate::app::App;
use crate::payos::{self, Money, NotOpen, Status, Sum};

const MOST_PARTS: usize = 100;

/// Why something is cancelled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    reason: Option<String>,
}

/// Lets money arrive and returns the bank's references.
pub fn pay(app: &Arc<App>, number: u64, pay: Pay) -> Result<Value, Problem> {
    let arrived = payos::pay(app, number, &money(pay)?).map_err(|NotOpen(status)| not_open(status))?;
    Ok(json!(arrived.references))
}

/// Says that the bank is working on it, until money arrives or the payment ends.
pub fn processing(app: &App, number: u64) -> Result<(), Problem> {
    must_be_open(app, number)?;
    app.books().change_payment(number, |payment| payment.processing = true);
    Ok(())
}

/// Declines a payment.
pub fn fail(app: &App, number: u64) -> Result<(), Problem> {
    payos::decline(app, number).map_err(not_open)
}

/// Cancels a payment, as the payer would.
pub fn cancel(app: &App, number: u64, body: &[u8]) -> Result<(), Problem> {
    let Cancel { reason } = read(body)?;
    must_be_open(app, number)?;
    payos::cancel(app, number, reason).map_err(|refusal| Problem::conflict(format!("{refusal:?}")))
}

/// Lets one payment expire now, without moving the clock.
pub fn expire(app: &App, number: u64) -> Result<(), Problem> {
    must_be_open(app, number)?;
    let now_s = app.clock.now().as_second();
    app.books().change_payment(number, |payment| payment.expired_at = Some(now_s));
    Ok(())
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
    Problem::not_open(status.name())
}
