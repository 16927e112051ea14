//! Refunds: give a capture back, and show what was given back.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::call::{self, Call};
use super::refusal::{Refusal, Stop};
use super::{amount, captures, fields, orders, views};
use crate::app::App;
use crate::faults;
use crate::provider::Provider;
use crate::sale::{self, Capture, NewRefund, NoRefund, Progress, Refund, Sale};

/// How long a request id of a refund counts.
const KEPT: SignedDuration = SignedDuration::from_hours(45 * 24);
const TEXTS: [(&str, usize); 3] = [("invoice_id", 127), ("custom_id", 127), ("note_to_payer", 255)];

/// Gives money back. The refund is made, and its answer kept, before the answer may get lost.
pub async fn create(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Stop> {
    let call = Call::begin(&app, &headers, &format!("/v2/payments/captures/{id}/refund"), &body, KEPT)?;
    let (sale, capture) = captures::find(&app, &id)?;
    let wanted = read(&call.body, &capture)?;
    if let Some(fault) = faults::of_call(&app, sale.number).await {
        return Ok(fault);
    }
    refuse_duplicate(&sale, &wanted)?;
    let refund = sale::refund(&app, sale.number, wanted).map_err(|problem| refused(&capture, &problem))?;
    let sale = captures::find(&app, &id)?.0;
    let view = if call.full { views::refund(&app, &sale, &refund) } else { views::refund_minimal(&app, &refund) };
    let answer = call.keep(&view);
    Ok(faults::answer_or_lose(Provider::Paypal, sale.script.refund_lost, answer))
}

/// What a refund is now.
pub async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let number = find(&app, &id)?.0.number;
    if let Some(fault) = faults::of_call(&app, number).await {
        return Ok(fault);
    }
    let (sale, refund) = find(&app, &id)?;
    Ok(call::answer(&views::refund(&app, &sale, &refund)))
}

fn read(body: &Map<String, Value>, capture: &Capture) -> Result<NewRefund, Refusal> {
    let amount = fields::object(body, "", "amount")?.map(|amount| amount::positive(amount, "/amount")).transpose()?;
    if amount.as_ref().is_some_and(|amount| amount.currency != capture.currency) {
        let description = "Refund must be in the same currency as the capture.";
        return Err(Refusal::field_issue("/amount/currency_code", "REFUND_CAPTURE_CURRENCY_MISMATCH", description));
    }
    let mut extra = Map::new();
    for (name, longest) in TEXTS {
        if let Some(text) = fields::text(body, "", name, longest)? {
            extra.insert(name.to_owned(), text.into());
        }
    }
    let amount = amount.map(|amount| amount.minor);
    Ok(NewRefund { reference: None, capture: Some(capture.reference.clone()), amount, extra })
}

/// An invoice id of a refund counts once for its order.
fn refuse_duplicate(sale: &Sale, wanted: &NewRefund) -> Result<(), Refusal> {
    let taken = |refund: &Refund| refund.extra.get("invoice_id") == wanted.extra.get("invoice_id");
    let named = wanted.extra.contains_key("invoice_id");
    if named && sale.refunds.iter().any(taken) { Err(orders::duplicate_invoice()) } else { Ok(()) }
}

fn refused(capture: &Capture, problem: &NoRefund) -> Refusal {
    match (problem, capture.status) {
        (NoRefund::NothingTaken, Progress::Pending) => {
            Refusal::issue("PENDING_CAPTURE", "Cannot initiate a refund as the capture is pending.")
        }
        (NoRefund::NothingTaken, Progress::Done | Progress::Failed) => {
            Refusal::issue("REFUND_NOT_ALLOWED", "The capture did not take any money.")
        }
        (NoRefund::AllGivenBack, _) => {
            Refusal::issue("CAPTURE_FULLY_REFUNDED", "The capture has already been fully refunded.")
        }
        (NoRefund::TooMuch { .. }, _) => {
            let description =
                "The refund amount must be less than or equal to the capture amount that has not yet been refunded.";
            Refusal::issue("REFUND_AMOUNT_EXCEEDED", description)
        }
    }
}

fn find(app: &App, id: &str) -> Result<(Sale, Refund), Refusal> {
    let books = app.books();
    let sale = books.sales().by_part(Provider::Paypal, id).ok_or_else(Refusal::not_found)?;
    let refund = sale.refunds.iter().find(|refund| refund.id == id).ok_or_else(Refusal::not_found)?;
    Ok((sale.clone(), refund.clone()))
}
