//! Checkout Sessions: create, retrieve, expire.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::call::{self, Call};
use super::fields::Fields;
use super::refusal::{Refusal, Stop};
use super::session::{self, NewSession};
use super::{new_id, views};
use crate::app::App;
use crate::provider::Provider;
use crate::sale::{self, Happening, Sale, Status};
use crate::{faults, ids};

const PATH: &str = "/v1/checkout/sessions";

/// Makes a session. It exists, and its answer is kept, before any scripted trouble with the answer begins.
pub async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Stop> {
    let mut call = Call::begin(&app, &headers, PATH, &body)?;
    let wanted = session::read(std::mem::take(&mut call.fields), app.clock.now())?;
    let id = format!("cs_test_{}{}", ids::hex32(), &ids::hex32()[..26]);
    let reference = wanted.reference.clone().unwrap_or_else(|| id.clone());
    if let Some(fault) = faults::of_create(&app, Provider::Stripe, &reference) {
        return Ok(fault);
    }
    let sale = open(&app, wanted, id, reference, &call.version);
    let answer = call.keep(&views::session(&app, &sale, app.clock.now()));
    Ok(faults::answer_create(&app, &sale, answer).await)
}

/// What a session is now; `expand[0]=payment_intent` shows its intent in full.
pub async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let expanded = expansions(query.unwrap_or_default().as_bytes())?;
    let number = find(&app, &id)?.number;
    if let Some(fault) = faults::of_call(&app, number).await {
        return Ok(fault);
    }
    let sale = find(&app, &id)?;
    let mut view = views::session(&app, &sale, app.clock.now());
    if let (true, Some(intent)) = (expanded, view["payment_intent"].as_str().map(str::to_owned)) {
        view["payment_intent"] = views::intent(&sale, &intent, app.clock.now());
    }
    Ok(call::answer(&view))
}

/// Ends an open session.
pub async fn expire(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Stop> {
    let mut call = Call::begin(&app, &headers, &format!("{PATH}/{id}/expire"), &body)?;
    std::mem::take(&mut call.fields).finish()?;
    let sale = find(&app, &id)?;
    if let Some(fault) = faults::of_call(&app, sale.number).await {
        return Ok(fault);
    }
    if sale::end(&app, sale.number, Status::Expired, Happening::Expired(sale.state)).is_err() {
        let message = "Only Checkout Sessions with a status in [\"open\"] can be expired.";
        return Err(Refusal::unreadable(format!("{message} This Checkout Session is no longer open.")).into());
    }
    Ok(call.keep(&views::session(&app, &find(&app, &id)?, app.clock.now())))
}

fn find(app: &App, id: &str) -> Result<Sale, Refusal> {
    let books = app.books();
    books.sales().by_id(Provider::Stripe, id).cloned().ok_or_else(|| Refusal::no_such("checkout.session", id, "id"))
}

/// Whether the intent is to be shown in full.
fn expansions(query: &[u8]) -> Result<bool, Refusal> {
    let mut fields = Fields::read(query)?;
    let names = fields.texts("expand")?;
    fields.finish()?;
    match names.iter().find(|name| *name != "payment_intent") {
        Some(other) => {
            let message = format!("This property cannot be expanded ({other}).");
            Err(Refusal::wrong("expand", None, message))
        }
        None => Ok(!names.is_empty()),
    }
}

fn open(app: &App, wanted: NewSession, id: String, reference: String, version: &str) -> Sale {
    let mut books = app.books();
    let script = books.scripts.take(Provider::Stripe, &reference);
    let sale = Sale {
        number: 0,
        provider: Provider::Stripe,
        reference,
        id,
        amount: wanted.amount,
        currency: wanted.currency.to_uppercase(),
        state: Status::Pending,
        created_at: app.clock.now(),
        expires_at: Some(wanted.expires_at),
        cancel_url: wanted.cancel_url.clone().unwrap_or_else(|| wanted.success_url.clone()),
        notify_url: None,
        declines: 0,
        extra: extra(&wanted, version),
        return_url: wanted.success_url,
        description: wanted.description,
        captures: Vec::new(),
        refunds: Vec::new(),
        script,
    };
    books.add_sale(sale)
}

fn extra(wanted: &NewSession, version: &str) -> Map<String, Value> {
    let extra = json!({
        "alias": new_id("pi"),
        "version": version,
        "cancel_url": wanted.cancel_url,
        "client_reference_id": wanted.reference,
        "metadata": wanted.metadata,
        "intent_metadata": wanted.intent_metadata,
    });
    match extra {
        Value::Object(extra) => extra,
        other => unreachable!("an object was written, not {other}"),
    }
}
