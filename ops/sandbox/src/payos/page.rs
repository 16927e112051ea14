//! The payment page, where a person plays the payer and the bank.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::bank::{self, Money, Sum};
use super::payment::{End, Payment, Status};
use super::{page_html, requests};
use crate::app::App;
use crate::ids;

/// What a person may do on the page.
enum Action {
    Pay,
    Half,
    Decline,
    Cancel,
}

/// Shows a payment link.
pub async fn show(State(app): State<Arc<App>>, Path(link_id): Path<String>) -> Response {
    match find(&app, &link_id) {
        Some(payment) => page(&app, &payment, StatusCode::OK),
        None => not_found(),
    }
}

/// Does what a button says. A link that is no longer open shows its page again, with 409.
pub async fn act(State(app): State<Arc<App>>, Path((link_id, action)): Path<(String, String)>) -> Response {
    let (Some(payment), Some(action)) = (find(&app, &link_id), parse(&action)) else {
        return not_found();
    };
    if !payment.status(app.clock.now()).is_open() {
        return page(&app, &payment, StatusCode::CONFLICT);
    }
    carry_out(&app, &payment, &action);
    let Some(payment) = find(&app, &link_id) else {
        return not_found();
    };
    let goal = match action {
        Action::Pay => back_url(&payment, payment.status(app.clock.now())),
        Action::Half => format!("/pay/{}", payment.link_id),
        Action::Decline | Action::Cancel => back_url(&payment, Status::Cancelled),
    };
    Redirect::to(&goal).into_response()
}

/// Declines a payment, which makes it FAILED; only an open one.
pub fn decline(app: &App, number: u64) -> Result<(), Status> {
    let now = app.clock.now();
    let mut books = app.books();
    let status = books.payments().get(number).map_or(Status::Failed, |payment| payment.status(now));
    if !status.is_open() {
        return Err(status);
    }
    books.change_payment(number, |payment| payment.end = Some(End::Failed));
    Ok(())
}

fn find(app: &App, link_id: &str) -> Option<Payment> {
    app.books().payments().find(link_id).filter(|payment| payment.link_id == link_id).cloned()
}

fn parse(action: &str) -> Option<Action> {
    match action {
        "pay" => Some(Action::Pay),
        "half" => Some(Action::Half),
        "decline" => Some(Action::Decline),
        "cancel" => Some(Action::Cancel),
        _ => None,
    }
}

/// Another tab may have been faster; the page that follows shows the outcome either way.
fn carry_out(app: &Arc<App>, payment: &Payment, action: &Action) {
    let money = |sum| Money { sum, ..Money::default() };
    match action {
        Action::Pay => drop(bank::pay(app, payment.number, &money(Sum::Rest))),
        Action::Half => drop(bank::pay(app, payment.number, &money(Sum::Half))),
        Action::Decline => drop(decline(app, payment.number)),
        Action::Cancel => drop(requests::end(app, payment.number, Some("Cancelled by the payer".to_owned()))),
    }
}

/// The URL that the browser is sent back to, with PayOS's unsigned query. Its documented statuses are four: an
/// underpaid link counts as PENDING there, one that ended unpaid as CANCELLED.
fn back_url(payment: &Payment, status: Status) -> String {
    let (goal, cancel, name) = match status {
        Status::Paid => (&payment.return_url, "false", "PAID"),
        Status::Processing => (&payment.return_url, "false", "PROCESSING"),
        Status::Pending | Status::Underpaid => (&payment.return_url, "false", "PENDING"),
        Status::Cancelled | Status::Expired | Status::Failed => (&payment.cancel_url, "true", "CANCELLED"),
    };
    let mut url = reqwest::Url::parse(goal).expect("checked when the link was made");
    url.query_pairs_mut()
        .append_pair("code", "00")
        .append_pair("id", &payment.link_id)
        .append_pair("cancel", cancel)
        .append_pair("status", name)
        .append_pair("orderCode", &payment.order_code.to_string());
    url.into()
}

fn page(app: &App, payment: &Payment, code: StatusCode) -> Response {
    let now = app.clock.now();
    let status = payment.status(now);
    let nonce = ids::hex32();
    let left_s = payment.expired_at.map(|expiry| (expiry - now.as_second()).max(0));
    let view = page_html::View { payment, status, left_s, back_url: &back_url(payment, status), nonce: &nonce };
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = (code, Html(page_html::render(&view))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Html(page_html::NOT_FOUND)).into_response()
}
