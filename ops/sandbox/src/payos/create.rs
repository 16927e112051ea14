//! POST /v2/payment-requests.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::bank::{self, Money};
use super::fields::{self, CreateRequest};
use super::payment::Payment;
use super::refusal::{Refusal, check_keys, success};
use crate::app::App;
use crate::provider::Provider;
use crate::script::LostHow;
use crate::{clock, faults, ids};

/// Above this limit the account counts as linked.
const UNLINKED_LIMIT: usize = 9;

/// Makes a payment link. The link exists before any scripted trouble with the answer begins.
pub async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    match open(&app, &headers, &body) {
        Ok(payment) => answer(&app, payment).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn open(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Payment, Refusal> {
    check_keys(&app.settings, headers)?;
    let request = fields::parse(&app.settings, app.clock.now().as_second(), headers, body)?;
    let mut books = app.books();
    if books.payments().has_order(request.order_code) {
        return Err(Refusal::DuplicateOrderCode);
    }
    let reference = request.order_code.to_string();
    if let Some(failure) = books.scripts.fault_of_create(Provider::Payos, &reference) {
        return Err(failure.into());
    }
    let script = books.scripts.take(Provider::Payos, &reference);
    let number = books.next_number();
    let payment = Payment { number, script, ..new_payment(app, request) };
    books.add_payment(payment.clone());
    Ok(payment)
}

fn new_payment(app: &App, request: CreateRequest) -> Payment {
    let link_id = ids::hex32();
    Payment {
        number: 0,
        order_code: request.order_code,
        amount: request.amount,
        description: memo(app, &link_id, request.description),
        cancel_url: request.cancel_url,
        return_url: request.return_url,
        expired_at: request.expired_at,
        created_at: app.clock.now(),
        end: None,
        processing: false,
        status_stays: false,
        transfers: Vec::new(),
        script: Default::default(),
        link_id,
    }
}

/// An account that is not linked gets a prefix, by which PayOS finds the transfer again.
fn memo(app: &App, link_id: &str, description: String) -> String {
    if app.settings.description_limit > UNLINKED_LIMIT {
        return description;
    }
    format!("CS{} {description}", link_id[..9].to_uppercase())
}

async fn answer(app: &Arc<App>, payment: Payment) -> Response {
    if let Some(pause_ms) = payment.script.auto_pay_ms {
        pay_later(app, payment.number, pause_ms);
    }
    if payment.script.webhook_before_create_answer {
        pay_first(app, payment.number).await;
    }
    app.sleep(Duration::from_millis(payment.script.slow_create_ms)).await;
    match payment.script.lose_create_answer.how() {
        None => success(&app.settings.checksum_key, payment.created(&app.base_url)),
        Some(LostHow::GatewayTimeout) => Refusal::Silent.into_response(),
        Some(LostHow::Cut) => faults::cut(),
    }
}

fn pay_later(app: &Arc<App>, number: u64, pause_ms: u64) {
    let due = clock::later_ms(app.clock.now(), pause_ms);
    let task_app = Arc::clone(app);
    app.spawn(async move {
        task_app.clock.wait_until(due).await;
        // Whoever cancelled it meanwhile was faster.
        let _ = bank::pay(&task_app, number, &Money::default());
    });
}

async fn pay_first(app: &Arc<App>, number: u64) {
    let Ok(arrived) = bank::pay(app, number, &Money::default()) else {
        return;
    };
    for tried in arrived.first_tries {
        // An Err says that the sandbox is ending.
        let _ = tried.await;
    }
}
