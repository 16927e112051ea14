//! POST /v2/refund and /v2/query_refund: taken first, made later.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::answer::{self, Refusal};
use super::body::{Body, wrong};
use super::{FRESH_MS, order, signing};
use crate::app::App;
use crate::books::Books;
use crate::faults;
use crate::provider::Provider;
use crate::sale::{self, NewRefund, NoRefund, Progress, Refund, Sale};

/// Held while a refund is made, so that of two with one name only the first is.
pub type OneAtATime = Arc<Mutex<()>>;

/// A refund that is asked for.
struct Wanted {
    name: String,
    transaction: String,
    amount: i64,
    fee: i64,
    timestamp: i64,
}

/// Takes a refund in.
pub async fn refund(
    State(app): State<Arc<App>>,
    Extension(turn): Extension<OneAtATime>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let read = Body::read(&headers, &body).and_then(|body| read(&app, &body));
    let (wanted, number) = match read.and_then(|wanted| Ok((payment_of(&app, &wanted)?, wanted))) {
        Ok((number, wanted)) => (wanted, number),
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(response) = faults::of_call(&app, number).await {
        return response;
    }
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
    make(&app, number, wanted).unwrap_or_else(IntoResponse::into_response)
}

/// How a refund stands.
pub async fn query(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let (name, number) = match Body::read(&headers, &body).and_then(|body| asked(&app, &body)) {
        Ok(found) => found,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(response) = faults::of_call(&app, number).await {
        return response;
    }
    let books = app.books();
    match find(&books, &name) {
        Some((_, refund)) => standing(refund),
        None => Refusal::NotFound.into_response(),
    }
}

fn read(app: &App, body: &Body) -> Result<Wanted, Refusal> {
    let keys = &app.settings.zalopay;
    let name = refund_name(app, body)?.to_owned();
    // Documented as a text, shown as a number.
    let transaction = body.as_sent("zp_trans_id");
    if transaction.is_empty() || transaction.len() > 15 || !transaction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("zp_trans_id", "must have 1 to 15 digits"));
    }
    let (amount, timestamp) = (body.integer("amount")?, body.integer("timestamp")?);
    body.text("description", 1, 100)?;
    let (fee, names) = if body.has("refund_fee_amount") {
        (body.integer("refund_fee_amount")?, &signing::REFUND_WITH_FEE[..])
    } else {
        (0, &signing::REFUND[..])
    };
    body.check_mac(keys, &body.joined(names))?;
    Ok(Wanted { name, transaction, amount, fee, timestamp })
}

/// `yymmdd_appid_` and a name. The day may be a past one (our choice): a refund is asked for again under its name.
fn refund_name<'a>(app: &App, body: &'a Body) -> Result<&'a str, Refusal> {
    let name = body.text("m_refund_id", 1, 45)?;
    let app_id = format!("_{}_", app.settings.zalopay.zalopay_app_id);
    let rest = name.get(6..).and_then(|rest| rest.strip_prefix(&app_id)).unwrap_or_default();
    let day = name.bytes().take(6).all(|byte| byte.is_ascii_digit());
    if day && !rest.is_empty() && order::is_plain(rest) {
        return Ok(name);
    }
    Err(wrong("m_refund_id", "must be yymmdd_appid_ and a name"))
}

fn payment_of(app: &App, wanted: &Wanted) -> Result<u64, Refusal> {
    if (app.clock.now().as_millisecond() - wanted.timestamp).abs() > FRESH_MS {
        return Err(Refusal::StaleRefund);
    }
    let books = app.books();
    let took = |sale: &&Sale| sale.captures.iter().any(|money| money.reference == wanted.transaction);
    let found = books.sales().by_part(Provider::Zalopay, &wanted.transaction).filter(took);
    found.map(|sale| sale.number).ok_or(Refusal::NotFound)
}

fn make(app: &Arc<App>, number: u64, wanted: Wanted) -> Result<Response, Refusal> {
    if find(&app.books(), &wanted.name).is_some() {
        return Err(Refusal::DuplicateRefund);
    }
    if wanted.amount < 1 || !(0..wanted.amount).contains(&wanted.fee) {
        return Err(Refusal::WrongRefundAmount);
    }
    let mut extra = Map::new();
    extra.insert("refund_fee_amount".to_owned(), Value::from(wanted.fee));
    let (reference, capture) = (Some(wanted.name), Some(wanted.transaction));
    let refund = sale::refund(app, number, NewRefund { reference, capture, amount: Some(wanted.amount), extra })?;
    let more = json!({ "refund_id": refund.id.parse::<i64>().unwrap_or(0) });
    let lost = app.books().sales().get(number).map(|sale| sale.script.refund_lost).unwrap_or_default();
    Ok(faults::answer_or_lose(Provider::Zalopay, lost, answer::told(3, 2, "REFUND_PENDING", more)))
}

fn asked(app: &App, body: &Body) -> Result<(String, u64), Refusal> {
    let name = body.text("m_refund_id", 1, 45)?.to_owned();
    body.integer("timestamp")?;
    body.check_mac(&app.settings.zalopay, &body.joined(&signing::QUERY_REFUND))?;
    let books = app.books();
    let number = find(&books, &name).map(|(number, _)| number).ok_or(Refusal::NotFound)?;
    Ok((name, number))
}

/// The refund with this name and the number of its sale.
fn find<'a>(books: &'a Books, name: &str) -> Option<(u64, &'a Refund)> {
    let sale = books.sales().by_part(Provider::Zalopay, name)?;
    let refund = sale.refunds.iter().find(|refund| refund.reference.as_deref() == Some(name))?;
    Some((sale.number, refund))
}

fn standing(refund: &Refund) -> Response {
    let (code, sub, message) = match refund.status {
        Progress::Done => (1, 1, "REFUND_SUCCESS"),
        Progress::Failed => (2, -217, "BANK_ERROR"),
        Progress::Pending => (3, 2, "REFUND_PENDING"),
    };
    answer::told(code, sub, message, json!({}))
}

impl From<NoRefund> for Refusal {
    fn from(why: NoRefund) -> Self {
        match why {
            NoRefund::NothingTaken | NoRefund::AllGivenBack => Self::NotRefundable,
            NoRefund::TooMuch { .. } => Self::WrongRefundAmount,
        }
    }
}
