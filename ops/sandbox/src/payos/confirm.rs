//! POST /confirm-webhook: sets the webhook URL once it has answered a signed sample with a 2xx.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::payment::object;
use super::refusal::{Refusal, check_keys, read_object, success};
use super::{ACCOUNT_NAME, ACCOUNT_NUMBER, fields, webhook};
use crate::app::App;
use crate::delivery;
use crate::provider::Provider;

/// Tries the URL and keeps it; on any failure the old one stays.
pub async fn confirm(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let url = match wanted(&app, &headers, &body) {
        Ok(url) => url,
        Err(refusal) => return refusal.into_response(),
    };
    if let Err(problem) = try_sample(&app, &url).await {
        return Refusal::WrongWebhookUrl(problem).into_response();
    }
    app.books().change_target(Provider::Payos, |target| target.url = Some(url.clone()));
    let data = json!({
        "webhookUrl": url,
        "accountNumber": ACCOUNT_NUMBER,
        "accountName": ACCOUNT_NAME,
        "name": ACCOUNT_NAME,
        "shortName": "SANDBOX",
    });
    success(&app.settings.checksum_key, object(data))
}

fn wanted(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    check_keys(&app.settings, headers)?;
    match read_object(headers, body)?.remove("webhookUrl") {
        Some(Value::String(url)) if fields::is_http_url(&url) => Ok(url),
        _ => Err(Refusal::WrongWebhookUrl("it must be an http or https URL".to_owned())),
    }
}

async fn try_sample(app: &App, url: &str) -> Result<(), String> {
    let timeout = Duration::from_millis(app.books().targets().of(Provider::Payos).timeout_ms);
    match delivery::post(&app.http, url, &webhook::sample(&app.settings.checksum_key), timeout).await {
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(format!("it answered {status}")),
        Err(problem) => Err(problem),
    }
}
