//! Orders: create and show.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::call::{self, Call};
use super::order::{self, NewOrder};
use super::refusal::{Refusal, Stop};
use super::{new_id, views};
use crate::app::App;
use crate::books::Books;
use crate::faults;
use crate::provider::Provider;
use crate::sale::{Sale, Status};

/// How long a request id of an order counts.
const KEPT: SignedDuration = SignedDuration::from_hours(6);
/// How long an order waits for the payer and for the shop's capture, together.
const OPEN: SignedDuration = SignedDuration::from_hours(3);

/// Makes an order. It exists, and its answer is kept, before any scripted trouble with the answer begins.
pub async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Stop> {
    let call = Call::begin(&app, &headers, "/v2/checkout/orders", &body, KEPT)?;
    let wanted = order::read(&call.body)?;
    if wanted.has_source && !call.has_request_id() {
        let description = "A PayPal-Request-Id is required if you are trying to process payment for an Order.";
        return Err(Refusal::issue("PAYPAL_REQUEST_ID_REQUIRED", description).into());
    }
    let id = new_id();
    let reference = wanted.invoice_id.clone().or_else(|| wanted.custom_id.clone()).unwrap_or_else(|| id.clone());
    refuse_duplicate(&app.books(), &wanted)?;
    if let Some(fault) = faults::of_create(&app, Provider::Paypal, &reference) {
        return Ok(fault);
    }
    let sale = open(&app, wanted, id, reference)?;
    let now = app.clock.now();
    let view = if call.full { views::order(&app, &sale, now) } else { views::order_minimal(&app, &sale, now) };
    let answer = call.keep(&view);
    Ok(faults::answer_create(&app, &sale, answer).await)
}

/// What an order is now.
pub async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let number = find(&app, &id)?.number;
    if let Some(fault) = faults::of_call(&app, number).await {
        return Ok(fault);
    }
    Ok(call::answer(&views::order(&app, &find(&app, &id)?, app.clock.now())))
}

/// The order of this name.
pub fn find(app: &App, id: &str) -> Result<Sale, Refusal> {
    app.books().sales().by_id(Provider::Paypal, id).cloned().ok_or_else(Refusal::not_found)
}

/// An invoice id counts once, as with the account setting that refuses accidental payments; PayPal looks at paid
/// orders, this sandbox at all.
fn refuse_duplicate(books: &Books, wanted: &NewOrder) -> Result<(), Refusal> {
    let Some(invoice_id) = &wanted.invoice_id else { return Ok(()) };
    let taken = books.sales().by_reference(Provider::Paypal, invoice_id);
    match taken.filter(|sale| sale.extra_text("invoice_id") == invoice_id) {
        Some(_) => Err(duplicate_invoice()),
        None => Ok(()),
    }
}

/// An invoice id that was used before.
pub fn duplicate_invoice() -> Refusal {
    let description = "Duplicate Invoice ID detected. To avoid a potential duplicate transaction your account setting requires that Invoice Id be unique for each transaction.";
    Refusal::issue("DUPLICATE_INVOICE_ID", description)
}

fn open(app: &App, wanted: NewOrder, id: String, reference: String) -> Result<Sale, Refusal> {
    let now = app.clock.now();
    let mut books = app.books();
    // Another call may have been faster since the first look.
    refuse_duplicate(&books, &wanted)?;
    let script = books.scripts.take(Provider::Paypal, &reference);
    Ok(books.add_sale(Sale {
        number: 0,
        provider: Provider::Paypal,
        reference,
        id,
        amount: wanted.amount.minor,
        currency: wanted.amount.currency.clone(),
        description: wanted.description.clone().unwrap_or_default(),
        state: Status::Pending,
        created_at: now,
        expires_at: Some(now.checked_add(OPEN).unwrap_or(Timestamp::MAX)),
        return_url: wanted.return_url.clone(),
        cancel_url: wanted.cancel_url.clone(),
        notify_url: None,
        extra: extra(&wanted),
        declines: 0,
        captures: Vec::new(),
        refunds: Vec::new(),
        script,
    }))
}

fn extra(wanted: &NewOrder) -> Map<String, Value> {
    let extra = json!({
        "reference_id": wanted.reference_id,
        "custom_id": wanted.custom_id,
        "invoice_id": wanted.invoice_id,
        "description": wanted.description,
        "has_source": wanted.has_source,
    });
    match extra {
        Value::Object(extra) => extra,
        other => unreachable!("an object was written, not {other}"),
    }
}
