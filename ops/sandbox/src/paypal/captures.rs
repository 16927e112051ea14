//! Captures: take the money of an approved order, and show what was taken.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::SignedDuration;

use super::call::{self, Call};
use super::refusal::{Refusal, Stop};
use super::{orders, views};
use crate::app::App;
use crate::faults;
use crate::provider::Provider;
use crate::sale::{self, Capture, Money, NotOpen, Sale, Status};
use crate::script::Outcome;

/// How long a request id of a capture counts.
const KEPT: SignedDuration = SignedDuration::from_hours(6);

/// Captures an approved order. The money has moved, and the answer is kept, before the answer may get lost.
pub async fn capture(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Stop> {
    let call = Call::begin(&app, &headers, &format!("/v2/checkout/orders/{id}/capture"), &body, KEPT)?;
    let number = orders::find(&app, &id)?.number;
    if let Some(fault) = faults::of_call(&app, number).await {
        return Ok(fault);
    }
    let sale = orders::find(&app, &id)?;
    must_be_approved(&app, &sale)?;
    if sale.script.capture == Outcome::Fail {
        return Err(decline(&app, &sale).into());
    }
    sale::capture(&app, number, &Money::default()).map_err(|NotOpen(status)| not_open(status))?;
    let (sale, now) = (orders::find(&app, &id)?, app.clock.now());
    let view = if call.full { views::order(&app, &sale, now) } else { views::order_minimal(&app, &sale, now) };
    let answer = call.keep(&view);
    Ok(faults::answer_or_lose(Provider::Paypal, sale.script.capture_lost, answer))
}

/// What a capture is now.
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
    let (sale, capture) = find(&app, &id)?;
    Ok(call::answer(&views::capture(&app, &sale, &capture)))
}

/// The capture of this name and its order.
pub fn find(app: &App, id: &str) -> Result<(Sale, Capture), Refusal> {
    let books = app.books();
    let sale = books.sales().by_part(Provider::Paypal, id).ok_or_else(Refusal::not_found)?;
    let capture = sale.captures.iter().find(|capture| capture.reference == id).ok_or_else(Refusal::not_found)?;
    Ok((sale.clone(), capture.clone()))
}

fn must_be_approved(app: &App, sale: &Sale) -> Result<(), Refusal> {
    match sale.status(app.clock.now()) {
        Status::Approved => Ok(()),
        other => Err(not_open(other)),
    }
}

fn not_open(status: Status) -> Refusal {
    match status {
        Status::Pending => {
            let description = "Payer has not yet approved the Order for payment. Please redirect the payer to the 'rel':'approve' url returned as part of the HATEOAS links within the Create Order call.";
            Refusal::issue("ORDER_NOT_APPROVED", description)
        }
        Status::Expired | Status::Cancelled => {
            Refusal::issue("ORDER_EXPIRED", "Order is expired and hence cannot be captured.")
        }
        Status::Approved | Status::Processing | Status::Paid | Status::Failed => {
            let description = "Order already captured. If 'intent=CAPTURE' only one capture per order is allowed.";
            Refusal::issue("ORDER_ALREADY_CAPTURED", description)
        }
    }
}

/// The payer's bank refuses: the payer has to approve once more, with another card.
fn decline(app: &App, sale: &Sale) -> Refusal {
    app.books().change_sale(sale.number, |sale| {
        sale.state = Status::Pending;
        sale.declines += 1;
    });
    let description =
        "The instrument presented was either declined by the processor or bank, or it can't be used for this payment.";
    let page = sale.page_url(&app.base_url);
    Refusal::issue("INSTRUMENT_DECLINED", description).with_link(views::approval_rel(sale), &page)
}
