//! Scripts: for one payment, for the next few, for all new ones.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::find::{Found, Name, Scope};
use super::{Problem, read};
use crate::app::App;
use crate::provider::Provider;
use crate::script::Script;

/// Some creations to come and what goes wrong with them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    #[serde(default = "one")]
    count: usize,
    provider: Option<Provider>,
    script: Script,
}

const MOST_QUEUED: usize = 100_000;

fn one() -> usize {
    1
}

/// The script of new payments.
pub async fn default(State(app): State<Arc<App>>) -> Json<Script> {
    Json(app.books().scripts.default.clone())
}

/// Replaces the script of new payments.
pub async fn set_default(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Script>, Problem> {
    let script: Script = checked(read(&body)?)?;
    app.books().scripts.default = script.clone();
    Ok(Json(script))
}

/// Gives a script to the next creations, before the default applies again.
pub async fn queue(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let Next { count, provider, script } = read(&body)?;
    if count > MOST_QUEUED {
        return Err(Problem::wrong(format!("count must be at most {MOST_QUEUED}")));
    }
    app.books().scripts.queue(provider, &checked(script)?, count);
    Ok(Json(json!({ "queued": count })))
}

/// Forgets what was queued.
pub async fn clear_queue(State(app): State<Arc<App>>) -> Json<Value> {
    app.books().scripts.clear_queue();
    Json(json!({ "queued": 0 }))
}

/// Replaces the script of one payment. A reference that is not known yet keeps it for its creation; without a
/// provider it must be an order code of PayOS.
pub async fn set_for_payment(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    Query(scope): Query<Scope>,
    body: Bytes,
) -> Result<Json<Script>, Problem> {
    let name = path.strip_suffix("/script").ok_or_else(|| Problem::no_payment(&path))?;
    let name = Name::read(name, &scope);
    let script: Script = checked(read(&body)?)?;
    let mut books = app.books();
    match (name.look_up(&books), name.provider.or_else(|| payos_code(name.id))) {
        (Some(Found::Link(number)), _) => drop(books.change_payment(number, |it| it.script = script.clone())),
        (Some(Found::Sale(number)), _) => drop(books.change_sale(number, |it| it.script = script.clone())),
        (None, Some(provider)) => books.scripts.set_for(provider, name.id, script.clone()),
        (None, None) => return Err(Problem::no_payment(name.id)),
    }
    Ok(Json(script))
}

fn payos_code(id: &str) -> Option<Provider> {
    id.parse::<i64>().is_ok().then_some(Provider::Payos)
}

fn checked(script: Script) -> Result<Script, Problem> {
    if script.wrong_amount.is_some_and(|amount| amount <= 0) {
        return Err(Problem::wrong("wrong_amount must be positive"));
    }
    if script.currency.as_deref().is_some_and(|currency| !is_currency(currency)) {
        return Err(Problem::wrong("currency must be three capital letters"));
    }
    Ok(script)
}

/// Whether a text looks like an ISO 4217 code.
pub fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
