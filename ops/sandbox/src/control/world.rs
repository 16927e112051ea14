//! Money, messages and time: the statement, the deliveries, the clock and the summary.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::find::Scope;
use super::scripts::is_currency;
use super::{Problem, read};
use crate::app::App;
use crate::clock::Clock;
use crate::delivery::{self, Delivery, Target};
use crate::ids;
use crate::ledger::Transfer;
use crate::payos::{self, CURRENCY};
use crate::provider::Provider;
use crate::script::Script;

const MOST_LISTED: usize = 1_000;

/// Money for a reference that no payment link has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stray {
    order_code: i64,
    amount: i64,
    currency: Option<String>,
    reference: Option<String>,
    description: Option<String>,
    payment_link_id: Option<String>,
    #[serde(default)]
    script: Script,
}

/// What of the webhook target changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTarget {
    url: Option<String>,
    retry_ms: Option<Vec<u64>>,
    timeout_ms: Option<u64>,
}

/// Where the clock goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClock {
    offset_s: i64,
}

/// How the statement is written.
#[derive(Deserialize)]
pub struct Statement {
    format: Option<String>,
    provider: Option<Provider>,
}

/// A page of deliveries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    state: Option<delivery::State>,
    provider: Option<Provider>,
    limit: Option<usize>,
    #[serde(default)]
    cursor: u64,
}

/// Lets money arrive that nobody asked for.
pub async fn transfer(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Transfer>, Problem> {
    let stray: Stray = read(&body)?;
    if app.books().payments().has_order(stray.order_code) {
        return Err(Problem::conflict("a payment has this order code: let it be paid instead"));
    }
    let currency = stray.currency.unwrap_or_else(|| CURRENCY.to_owned());
    if stray.amount <= 0 || !is_currency(&currency) {
        return Err(Problem::wrong("amount must be positive, currency three capital letters"));
    }
    let transfer = Transfer {
        reference: stray.reference.unwrap_or_else(ids::bank_reference),
        order_code: stray.order_code,
        payment_link_id: stray.payment_link_id.unwrap_or_else(ids::hex32),
        amount: stray.amount,
        currency,
        description: stray.description.unwrap_or_else(|| "unknown".to_owned()),
        time: app.clock.now(),
        matched: false,
    };
    payos::stray(&app, transfer.clone(), &stray.script);
    Ok(Json(transfer))
}

/// Every movement of money, as JSON or with `?format=csv`; JSON also has the transfers of PayOS in its own words, and
/// so has `?format=transfers` as CSV.
pub async fn statement(State(app): State<Arc<App>>, Query(query): Query<Statement>) -> Result<Response, Problem> {
    let books = app.books();
    let ledger = books.ledger();
    let csv = |text: String| ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response();
    match query.format.as_deref() {
        None | Some("json") => {
            let movements: Vec<_> = ledger.movements(query.provider).collect();
            Ok(Json(json!({ "movements": movements, "transfers": ledger.transfers() })).into_response())
        }
        Some("csv") => Ok(csv(ledger.csv(query.provider))),
        Some("transfers") => Ok(csv(ledger.transfers_csv())),
        Some(_) => Err(Problem::wrong("format must be json, csv or transfers")),
    }
}

/// Webhook deliveries, a page at a time.
pub async fn deliveries(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Json<Value> {
    let limit = page.limit.unwrap_or(100).clamp(1, MOST_LISTED);
    let books = app.books();
    let wanted = |delivery: &&Delivery| {
        page.state.is_none_or(|only| only == delivery.state)
            && page.provider.is_none_or(|only| only == delivery.provider)
    };
    let mut found: Vec<_> = books.deliveries().after(page.cursor).filter(wanted).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|delivery| delivery.id);
    Json(json!({ "deliveries": found, "next_cursor": next_cursor }))
}

/// Where a provider's webhooks go; without a provider PayOS's.
pub async fn webhook(State(app): State<Arc<App>>, Query(scope): Query<Scope>) -> Json<Target> {
    Json(app.books().targets().of(scope.provider.unwrap_or_default()).clone())
}

/// Changes where a provider's webhooks go; what is not named stays.
pub async fn set_webhook(
    State(app): State<Arc<App>>,
    Query(scope): Query<Scope>,
    body: Bytes,
) -> Result<Json<Target>, Problem> {
    let new: NewTarget = read(&body)?;
    let provider = scope.provider.unwrap_or_default();
    let mut books = app.books();
    books.change_target(provider, |target| {
        target.url = new.url.or_else(|| target.url.take());
        target.retry_ms = new.retry_ms.unwrap_or_else(|| std::mem::take(&mut target.retry_ms));
        target.timeout_ms = new.timeout_ms.unwrap_or(target.timeout_ms);
    });
    Ok(Json(books.targets().of(provider).clone()))
}

/// What time the sandbox believes it is.
pub async fn clock(State(app): State<Arc<App>>) -> Json<Value> {
    Json(clock_view(&app.clock))
}

/// Moves the clock. Expiry, late webhooks and retries follow it.
pub async fn set_clock(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let NewClock { offset_s } = read(&body)?;
    if offset_s.unsigned_abs() > Clock::MAX_OFFSET_S.unsigned_abs() {
        return Err(Problem::wrong(format!("offset_s must be within ±{}", Clock::MAX_OFFSET_S)));
    }
    app.clock.set_offset_s(offset_s);
    Ok(Json(clock_view(&app.clock)))
}

/// Counts of everything.
pub async fn summary(State(app): State<Arc<App>>) -> Json<Value> {
    let now = app.clock.now();
    let books = app.books();
    let links = books.payments().iter().map(|payment| payment.status(now).name());
    let statuses = links.chain(books.sales().iter().map(|sale| sale.status(now).name()));
    let sales = books.sales().iter().map(|sale| (sale.provider.name(), 1));
    let providers = books.payments().iter().map(|_| (Provider::Payos.name(), 1)).chain(sales);
    let states = books.deliveries().iter().map(|delivery| (delivery.state.name(), 1));
    let movements = || books.ledger().movements(None);
    let urls: BTreeMap<_, _> = books.targets().urls().map(|(provider, url)| (provider.name(), url)).collect();
    Json(json!({
        "payments": books.payments().iter().count() + books.sales().iter().count(),
        "by_provider": tally(providers),
        "by_status": tally(statuses.map(|status| (status, 1))),
        "transfers": movements().count(),
        "unmatched_transfers": movements().filter(|movement| !movement.matched).count(),
        "money": tally(movements().map(|movement| (movement.currency.as_str(), movement.amount))),
        "deliveries": tally(states),
        "webhook_url": books.targets().of(Provider::Payos).url,
        "webhook_urls": urls,
        "clock": clock_view(&app.clock),
    }))
}

fn tally<K: Ord>(entries: impl Iterator<Item = (K, i64)>) -> BTreeMap<K, i64> {
    entries.fold(BTreeMap::new(), |mut sums, (key, amount)| {
        *sums.entry(key).or_default() += amount;
        sums
    })
}

fn clock_view(clock: &Clock) -> Value {
    json!({ "offset_s": clock.offset_s(), "now": clock.now() })
}
