//! What happens to a sale of any provider but PayOS.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::payments::Pay;
use super::{Problem, read};
use crate::app::App;
use crate::sale::{self, Money, NotOpen, Progress};

/// Which pending money ends its waiting, and how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    /// A refund; without it every pending capture and refund.
    refund: Option<String>,
    /// `done` or `failed`; without it what the script said.
    outcome: Option<Progress>,
}

/// Pays as the payer does and returns the references of all money taken so far.
pub fn pay(app: &Arc<App>, number: u64, pay: Pay) -> Result<Value, Problem> {
    if pay.parts.is_some() {
        return Err(Problem::wrong("only PayOS takes a payment in parts"));
    }
    if pay.amount.is_some_and(|amount| amount <= 0) {
        return Err(Problem::wrong("amount must be positive"));
    }
    let money = Money { amount: pay.amount, force: pay.force, keep_status: pay.keep_status };
    sale::pay(app, number, &money).map_err(not_open)?;
    let books = app.books();
    let sale = books.sales().get(number).ok_or_else(|| Problem::no_payment("with this number"))?;
    Ok(json!(sale.captures.iter().map(|capture| &capture.reference).collect::<Vec<_>>()))
}

/// Says that the bank is working on it.
pub fn processing(app: &Arc<App>, number: u64) -> Result<(), Problem> {
    sale::processing(app, number).map_err(not_open)
}

/// The bank refuses; whether that ends the sale is the provider's rule.
pub fn fail(app: &Arc<App>, number: u64) -> Result<(), Problem> {
    sale::decline(app, number).map(drop).map_err(not_open)
}

/// The payer presses cancel; whether that ends the sale is the provider's rule.
pub fn cancel(app: &Arc<App>, number: u64) -> Result<(), Problem> {
    sale::cancel(app, number).map(drop).map_err(not_open)
}

/// Lets it expire now, without moving the clock.
pub fn expire(app: &Arc<App>, number: u64) -> Result<(), Problem> {
    sale::expire(app, number).map(drop).map_err(not_open)
}

/// Ends the waiting of pending money.
pub fn settle(app: &Arc<App>, number: u64, body: &[u8]) -> Result<(), Problem> {
    let Settle { refund, outcome } = read(body)?;
    if outcome == Some(Progress::Pending) {
        return Err(Problem::wrong("outcome must be done or failed"));
    }
    let (captures, refunds) = pending(app, number);
    let captures = if refund.is_some() { Vec::new() } else { captures };
    let refunds: Vec<_> = refunds.into_iter().filter(|id| refund.as_ref().is_none_or(|only| only == id)).collect();
    if captures.is_empty() && refunds.is_empty() {
        return Err(Problem::conflict("nothing is pending"));
    }
    for reference in captures {
        sale::settle_capture(app, number, &reference, outcome);
    }
    for id in refunds {
        sale::settle_refund(app, number, &id, outcome);
    }
    Ok(())
}

fn pending(app: &App, number: u64) -> (Vec<String>, Vec<String>) {
    let books = app.books();
    let Some(sale) = books.sales().get(number) else { return (Vec::new(), Vec::new()) };
    let captures = sale.captures.iter().filter(|capture| capture.due.is_some());
    let refunds = sale.refunds.iter().filter(|refund| refund.due.is_some());
    (captures.map(|it| it.reference.clone()).collect(), refunds.map(|it| it.id.clone()).collect())
}

fn not_open(NotOpen(status): NotOpen) -> Problem {
    Problem::not_open(status.name())
}
