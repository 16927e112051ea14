//! Payments of every provider: what there is, and what happens to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::find::{Found, Name, Scope};
use super::{Problem, links, read, sales, views};
use crate::app::App;
use crate::books::Books;
use crate::payos;
use crate::provider::Provider;
use crate::sale;

const MOST_LISTED: usize = 1_000;

/// A page of payments to show.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    status: Option<Wanted>,
    provider: Option<Provider>,
    limit: Option<usize>,
    #[serde(default)]
    cursor: u64,
}

/// A status of PayOS or of a sale; most are of both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Link(payos::Status),
    Sale(sale::Status),
}

impl Wanted {
    fn name(&self) -> &'static str {
        match self {
            Self::Link(status) => status.name(),
            Self::Sale(status) => status.name(),
        }
    }
}

/// Money to arrive: one amount, or several parts, or what is missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// One amount.
    pub amount: Option<i64>,
    /// Several, for PayOS.
    pub parts: Option<Vec<i64>>,
    /// Whether it arrives although the payment is closed.
    #[serde(default)]
    pub force: bool,
    /// Whether a closed payment keeps its status.
    #[serde(default)]
    pub keep_status: bool,
}

/// Payments in the order of their creation, a page at a time.
pub async fn list(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Json<Value> {
    let limit = page.limit.unwrap_or(100).clamp(1, MOST_LISTED);
    let books = app.books();
    let mut found: Vec<(u64, Value)> = links_of(&app, &books, &page).take(limit + 1).collect();
    found.extend(sales_of(&app, &books, &page).take(limit + 1));
    found.sort_by_key(|(number, _)| *number);
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|(number, _)| *number);
    let payments: Vec<_> = found.into_iter().map(|(_, view)| view).collect();
    Json(json!({ "payments": payments, "next_cursor": next_cursor }))
}

/// One payment with its deliveries.
pub async fn one(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    Query(scope): Query<Scope>,
) -> Result<Json<Value>, Problem> {
    let books = app.books();
    let found = Name::read(&path, &scope).find(&books)?;
    Ok(Json(views::with_deliveries(&app, &books, found)))
}

/// Lets something happen to a payment; the path ends with what.
pub async fn act(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    Query(scope): Query<Scope>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let (name, action) = path.rsplit_once('/').ok_or_else(|| Problem::no_payment(&path))?;
    let found = Name::read(name, &scope).find(&app.books())?;
    let mut seen = json!({});
    match (action, found) {
        ("pay", Found::Link(number)) => seen["references"] = links::pay(&app, number, read(&body)?)?,
        ("pay", Found::Sale(number)) => seen["references"] = sales::pay(&app, number, read(&body)?)?,
        ("processing", Found::Link(number)) => links::processing(&app, number)?,
        ("processing", Found::Sale(number)) => sales::processing(&app, number)?,
        ("fail", Found::Link(number)) => links::fail(&app, number)?,
        ("fail", Found::Sale(number)) => sales::fail(&app, number)?,
        ("cancel", Found::Link(number)) => links::cancel(&app, number, &body)?,
        ("cancel", Found::Sale(number)) => sales::cancel(&app, number)?,
        ("expire", Found::Link(number)) => links::expire(&app, number)?,
        ("expire", Found::Sale(number)) => sales::expire(&app, number)?,
        ("settle", Found::Sale(number)) => sales::settle(&app, number, &body)?,
        _ => return Err(Problem(StatusCode::NOT_FOUND, format!("{action} is not possible here"))),
    }
    let mut view = views::with_deliveries(&app, &app.books(), found);
    if let Some(references) = seen.get("references") {
        view["references"] = references.clone();
    }
    Ok(Json(view))
}

fn links_of<'a>(app: &'a App, books: &'a Books, page: &'a Page) -> impl Iterator<Item = (u64, Value)> + 'a {
    let now = app.clock.now();
    let wanted = |status: payos::Status| page.status.as_ref().is_none_or(|only| only.name() == status.name());
    let ours = page.provider.is_none_or(|only| only == Provider::Payos);
    let all = books.payments().after(page.cursor).filter(move |payment| ours && wanted(payment.status(now)));
    all.map(move |payment| (payment.number, views::payment(app, payment, now)))
}

fn sales_of<'a>(app: &'a App, books: &'a Books, page: &'a Page) -> impl Iterator<Item = (u64, Value)> + 'a {
    let now = app.clock.now();
    let wanted = |status: sale::Status| page.status.as_ref().is_none_or(|only| only.name() == status.name());
    let ours = |provider| page.provider.is_none_or(|only| only == provider);
    let all = books.sales().after(page.cursor).filter(move |sale| ours(sale.provider) && wanted(sale.status(now)));
    all.map(move |sale| (sale.number, views::sale(app, sale, now)))
}
