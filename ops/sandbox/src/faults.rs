//! What goes wrong with a call on purpose, the same way for every provider.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::app::App;
use crate::provider::Provider;
use crate::sale::{self, Money, Sale};
use crate::script::{Failure, Lost, LostHow};

/// How a create call must fail, if it must. A failure has no effect and counts as met.
pub fn of_create(app: &App, provider: Provider, reference: &str) -> Option<Response> {
    let failure = app.books().scripts.fault_of_create(provider, reference)?;
    Some(failed(provider, failure))
}

/// How any other call about a sale must fail, if it must; a silent one is held before it does.
pub async fn of_call(app: &App, number: u64) -> Option<Response> {
    let (provider, silent, failure) = look(app, number)?;
    if let Some(failure) = failure {
        return Some(failed(provider, failure));
    }
    if !silent {
        return None;
    }
    app.hold().await;
    Some(provider.protocol().trouble(StatusCode::GATEWAY_TIMEOUT))
}

/// Answers a create as the sale's script wants it: later, after the payment, or never. Starts the sale's timers.
pub async fn answer_create(app: &Arc<App>, sale: &Sale, answer: Response) -> Response {
    sale::watch(app, sale);
    if sale.script.webhook_before_create_answer {
        let tries = sale::pay(app, sale.number, &Money::default()).unwrap_or_default();
        for tried in tries {
            // An Err says that the sandbox is ending.
            let _ = tried.await;
        }
    }
    app.sleep(Duration::from_millis(sale.script.slow_create_ms)).await;
    answer_or_lose(sale.provider, sale.script.lose_create_answer, answer)
}

/// The answer, unless it gets lost.
pub fn answer_or_lose(provider: Provider, lost: Lost, answer: Response) -> Response {
    match lost.how() {
        None => answer,
        Some(LostHow::GatewayTimeout) => provider.protocol().trouble(StatusCode::GATEWAY_TIMEOUT),
        Some(LostHow::Cut) => cut(),
    }
}

/// A body that fails at once, so that the server closes the connection before it sends the head.
pub fn cut() -> Response {
    let failure = async { Err::<Bytes, _>(io::Error::other("the answer is lost on purpose")) };
    Body::from_stream(futures::stream::once(failure)).into_response()
}

/// A page of a proxy or of a bank under maintenance, where JSON is expected.
pub fn html() -> Response {
    let page = "<!doctype html><html lang=\"en\"><title>Maintenance</title><h1>We will be right back</h1></html>\n";
    ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

fn look(app: &App, number: u64) -> Option<(Provider, bool, Option<Failure>)> {
    let mut books = app.books();
    let sale = books.sales().get(number)?;
    let (provider, script) = (sale.provider, sale.script.clone());
    let counts = script.http_500_times > 0 || script.html > 0;
    let failure = if counts { books.change_sale(number, |sale| sale.script.next_failure()).flatten() } else { None };
    Some((provider, script.silent, failure))
}

fn failed(provider: Provider, failure: Failure) -> Response {
    match failure {
        Failure::Http500 => provider.protocol().trouble(StatusCode::INTERNAL_SERVER_ERROR),
        Failure::Html => html(),
    }
}
