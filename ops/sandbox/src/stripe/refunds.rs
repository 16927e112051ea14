//! Refunds: create, retrieve, list.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, json};

use super::call::{self, Call};
use super::fields::Fields;
use super::refusal::{Refusal, Stop};
use super::{checks, intents, views};
use crate::app::App;
use crate::faults;
use crate::provider::Provider;
use crate::sale::{self, NewRefund, NoRefund, Refund, Sale};

const PATH: &str = "/v1/refunds";
const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

/// Gives money back. The refund is made, and its answer kept, before the answer may get lost.
pub async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Stop> {
    let mut call = Call::begin(&app, &headers, PATH, &body)?;
    let (intent, wanted) = read(std::mem::take(&mut call.fields))?;
    let sale = intents::find(&app, &intent, "payment_intent")?;
    if let Some(fault) = faults::of_call(&app, sale.number).await {
        return Ok(fault);
    }
    let refund = sale::refund(&app, sale.number, wanted).map_err(|problem| refused(&sale, &intent, &problem))?;
    let answer = call.keep(&views::refund(&refund));
    Ok(faults::answer_or_lose(Provider::Stripe, sale.script.refund_lost, answer))
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
    Ok(call::answer(&views::refund(&find(&app, &id)?.1)))
}

/// The refunds of an intent, or all, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let mut fields = Fields::read(query.unwrap_or_default().as_bytes())?;
    let intent = fields.text("payment_intent")?;
    let (limit, after) = (checks::limit(&mut fields)?, fields.text("starting_after")?);
    fields.finish()?;
    if let Some(intent) = &intent {
        intents::find(&app, intent, "payment_intent")?;
    }
    let books = app.books();
    let refunds = books.sales().of(Provider::Stripe).flat_map(|sale| sale.refunds.iter().rev());
    let mut wanted: Vec<&Refund> =
        refunds.filter(|refund| intent.as_ref().is_none_or(|intent| *intent == refund.capture)).collect();
    wanted.sort_by_key(|refund| std::cmp::Reverse(refund.time));
    let views = wanted.into_iter().map(views::refund).collect();
    Ok(call::answer(&views::list(PATH, views, after.as_deref(), limit)))
}

fn read(mut fields: Fields) -> Result<(String, NewRefund), Refusal> {
    let intent = match (fields.text("payment_intent")?, fields.text("charge")?) {
        (Some(intent), None) => intent,
        (None, Some(charge)) => charge.replacen("ch_", "pi_", 1),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refusal::unreadable(
                "One of the following params should be provided: payment_intent or charge.",
            ));
        }
    };
    let amount = fields.integer("amount")?;
    if amount.is_some_and(|amount| amount < 1) {
        let message = "This value must be greater than or equal to 1.";
        return Err(Refusal::wrong("amount", Some("parameter_invalid_integer"), message));
    }
    let reason = fields.text("reason")?;
    if reason.as_ref().is_some_and(|reason| !REASONS.contains(&reason.as_str())) {
        return Err(Refusal::wrong("reason", None, format!("Invalid reason: must be one of {REASONS:?}")));
    }
    let metadata = checks::metadata(&mut fields)?;
    fields.finish()?;
    let mut extra = Map::new();
    extra.insert("reason".to_owned(), json!(reason));
    extra.insert("metadata".to_owned(), json!(metadata));
    Ok((intent.clone(), NewRefund { reference: None, capture: Some(intent), amount, extra }))
}

fn refused(sale: &Sale, intent: &str, problem: &NoRefund) -> Refusal {
    let charge = views::charge_id(intent);
    match problem {
        NoRefund::NothingTaken => {
            let message = format!("This PaymentIntent ({intent}) does not have a successful charge to refund.");
            Refusal::wrong("payment_intent", Some("payment_intent_unexpected_state"), message)
        }
        NoRefund::AllGivenBack => Refusal::wrong(
            "charge",
            Some("charge_already_refunded"),
            format!("Charge {charge} has already been refunded."),
        ),
        NoRefund::TooMuch { left } => {
            let currency = &sale.currency;
            let message = format!("Refund amount is greater than unrefunded amount on charge ({left} {currency})");
            Refusal::wrong("amount", None, message)
        }
    }
}

fn find(app: &App, id: &str) -> Result<(Sale, Refund), Refusal> {
    let books = app.books();
    let sale = books.sales().by_part(Provider::Stripe, id);
    let found = sale.and_then(|sale| Some((sale.clone(), sale.refunds.iter().find(|refund| refund.id == id)?.clone())));
    found.ok_or_else(|| Refusal::no_such("refund", id, "id"))
}
