//! The payment page of every provider but PayOS, where a person plays the payer and the bank.

mod html;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};

pub use html::{COUNTDOWN, STYLE, escape};

use crate::app::App;
use crate::ids;
use crate::provider::{Provider, WayBack};
use crate::sale::{self, Money, NotOpen, Progress, Sale, Status};

/// The pages.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/checkout/{provider}/{id}", get(show)).route("/checkout/{provider}/{id}/{action}", post(act))
}

/// What a person may do on the page.
#[derive(Clone, Copy)]
enum Action {
    Pay,
    Decline,
    Leave,
}

async fn show(State(app): State<Arc<App>>, Path((provider, id)): Path<(String, String)>) -> Response {
    match find(&app, &provider, &id) {
        Some(sale) => page(&app, &sale, StatusCode::OK),
        None => not_found(),
    }
}

/// Does what a button says. A sale that is no longer open shows its page again, with 409; so does one that stays open
/// after the bank refused, with 200.
async fn act(State(app): State<Arc<App>>, Path((provider, id, action)): Path<(String, String, String)>) -> Response {
    let (Some(sale), Some(action)) = (find(&app, &provider, &id), parse(&action)) else {
        return not_found();
    };
    if !sale.takes_money(app.clock.now()) {
        return page(&app, &sale, StatusCode::CONFLICT);
    }
    let done = carry_out(&app, sale.number, action);
    let Some(sale) = find(&app, &provider, &id) else { return not_found() };
    let protocol = sale.provider.protocol();
    let way = match (done, action) {
        (Err(NotOpen(_)), _) => return page(&app, &sale, StatusCode::CONFLICT),
        (Ok(()), Action::Leave) => WayBack::Left,
        (Ok(()), _) if is_paid(&sale) => WayBack::Paid,
        (Ok(()), _) if sale.takes_money(app.clock.now()) => return Redirect::to(&path(&sale)).into_response(),
        (Ok(()), _) => WayBack::Declined,
    };
    Redirect::to(&protocol.back_url(&app, &sale, way)).into_response()
}

fn carry_out(app: &Arc<App>, number: u64, action: Action) -> Result<(), NotOpen> {
    match action {
        Action::Pay => sale::pay(app, number, &Money::default()).map(drop),
        Action::Decline => sale::decline(app, number).map(drop),
        Action::Leave => sale::cancel(app, number).map(drop),
    }
}

/// Whether the payer has done everything: paid, approved, or money is on its way.
fn is_paid(sale: &Sale) -> bool {
    let underway = sale.captures.iter().any(|capture| capture.status != Progress::Failed);
    underway || matches!(sale.state, Status::Paid | Status::Approved)
}

fn find(app: &App, provider: &str, id: &str) -> Option<Sale> {
    app.books().sales().by_id(Provider::named(provider)?, id).cloned()
}

fn parse(action: &str) -> Option<Action> {
    match action {
        "pay" => Some(Action::Pay),
        "decline" => Some(Action::Decline),
        "leave" => Some(Action::Leave),
        _ => None,
    }
}

fn path(sale: &Sale) -> String {
    sale.page_url("")
}

fn page(app: &App, sale: &Sale, code: StatusCode) -> Response {
    let now = app.clock.now();
    let status = sale.status(now);
    let nonce = ids::hex32();
    let left_s = sale.expires_at.map(|expiry| (expiry.as_second() - now.as_second()).max(0));
    let way = if is_paid(sale) { WayBack::Paid } else { WayBack::Left };
    let back_url = sale.provider.protocol().back_url(app, sale, way);
    let path = path(sale);
    let takes_money = sale.takes_money(now) && status != Status::Approved;
    let view = html::View { sale, status, takes_money, left_s, back_url: &back_url, path: &path, nonce: &nonce };
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = (code, Html(html::render(&view))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Html(html::NOT_FOUND)).into_response()
}
