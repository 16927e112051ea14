//! HTTP to PayOS: one call with its limits, its signature, its repeats and its breaker.
//!
//! Invariant: an answer without a valid signature is never believed to be a success.

use std::time::Duration;

use bytes::Bytes;
use domain::value::Provider;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use reqwest::{Response, Url};
use serde_json::{Map, Value};
use service_kit::{clock, random};

use super::failure::{Failure, LONGEST_ANSWER, Trouble, short, unanswered};
use super::settings::PayosSettings;
use super::signature;
use super::types::{DONE, Envelope};
use super::wait;
use crate::payments::breaker::Breaker;
use crate::payments::gateway::Cause;

/// No pause between two attempts is longer, as in the official SDK; who must wait longer comes back later.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Calls PayOS.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    settings: PayosSettings,
    breaker: Breaker,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// Its name in metrics and logs.
    pub name: &'static str,
    pub method: Method,
    /// Behind the base address, with a slash at its front.
    pub path: String,
    /// JSON.
    pub body: Option<Bytes>,
    pub repeats: Repeats,
}

/// Whether a call that got no answer is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Made twice, it does the same as once.
    Allowed,
    Never,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `BOXOFFICE_PAYOS_URL` is no address.
    #[error("the address of PayOS is no URL")]
    Url(#[source] Cause),
    /// A key does not fit into a header.
    #[error("a key of PayOS holds characters that no header takes")]
    Key,
    /// TLS or the system's certificates.
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
}

impl Client {
    pub(super) fn new(settings: PayosSettings) -> Result<Self, ClientError> {
        let base: Url = settings.url.parse().map_err(|error| ClientError::Url(Box::new(error)))?;
        // An Err only says that the process has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("boxoffice/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&settings)?)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(base.scheme() == "https")
            // Settings come from our own variables only, and money takes no way round.
            .no_proxy()
            .build()
            .map_err(ClientError::Http)?;
        let breaker = Breaker::new(Provider::Payos, settings.breaker);
        Ok(Self { http, base, settings, breaker })
    }

    /// Makes a call and gives back its verified `data`.
    pub(super) async fn call(&self, call: &Call) -> Result<Map<String, Value>, Failure> {
        let mut lost = false;
        for attempt in 1.. {
            let failure = match self.attempt(call).await {
                Ok(data) => return Ok(data),
                Err(refused @ Failure::Refused { .. }) => return Err(refused),
                Err(failure) => failure,
            };
            lost |= matches!(failure, Failure::Lost { .. });
            let pause = self.pause(attempt, failure.retry_after());
            let last = attempt >= self.settings.attempts || call.repeats == Repeats::Never || failure.is_pause();
            match pause {
                Some(pause) if !last => tokio::time::sleep(pause).await,
                _ => return Err(failure.after(lost)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt(&self, call: &Call) -> Result<Map<String, Value>, Failure> {
        let started = clock::monotonic();
        let result = match self.breaker.admit(started) {
            Err(left) => Err(Failure::Unsent { retry_after: Some(left), cause: Box::new(Trouble::Paused) }),
            Ok(permit) => {
                let result = self.exchange(call).await;
                match &result {
                    Err(failure) if failure.is_deaf() => permit.failed(clock::monotonic()),
                    Ok(_) | Err(_) => permit.alive(),
                }
                result
            }
        };
        let outcome = result.as_ref().err().map_or("done", Failure::word);
        let labels = [("provider", "payos"), ("call", call.name), ("outcome", outcome)];
        metrics::histogram!("boxoffice_provider_call_seconds", &labels).record(started.elapsed().as_secs_f64());
        if let Err(failure) = &result {
            tracing::warn!(call = call.name, outcome, failure = failure.to_text(), "a call to PayOS failed");
        }
        result
    }

    async fn exchange(&self, call: &Call) -> Result<Map<String, Value>, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await.map_err(unanswered)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let retry_after = wait::asked_for(&headers, clock::now());
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Unsent { retry_after, cause: Box::new(Trouble::Status(status)) })
            }
            StatusCode::REQUEST_TIMEOUT => Err(Failure::lost(retry_after, Trouble::Status(status))),
            _ if status.is_server_error() || status.is_redirection() => {
                Err(Failure::lost(retry_after, Trouble::Status(status)))
            }
            _ => self.open(status, &body(response).await?),
        }
    }

    /// Takes an answer out of its envelope.
    fn open(&self, status: StatusCode, body: &[u8]) -> Result<Map<String, Value>, Failure> {
        let envelope: Envelope = match serde_json::from_slice(body) {
            Ok(envelope) => envelope,
            // Something before PayOS refused, in words of its own.
            Err(_) if !status.is_success() => return Err(Failure::refused(status, status.as_str())),
            Err(error) => return Err(Failure::lost(None, Trouble::Unreadable(error))),
        };
        if !status.is_success() || envelope.code != DONE {
            let code = if envelope.code == DONE { status.as_str() } else { &envelope.code };
            let desc = envelope.desc.unwrap_or_default();
            tracing::info!(http.status = status.as_u16(), code, desc = short(&desc, 200), "PayOS refuses");
            return Err(Failure::refused(status, code));
        }
        let (Some(data), Some(given)) = (envelope.data, envelope.signature) else {
            return Err(Failure::lost(None, Trouble::Signature));
        };
        if !self.settings.keys.checksum_key.verify(&signature::data_text(&data), &given) {
            return Err(Failure::lost(None, Trouble::Signature));
        }
        Ok(data)
    }

    /// How long to wait before the next attempt: half of it fixed, half drawn, so that callers spread. None if that is
    /// longer than anyone should be kept waiting.
    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        let doubled = self.settings.first_pause.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let half = doubled.min(LONGEST_PAUSE) / 2;
        let drawn = Duration::from_millis(random::below(u64::try_from(half.as_millis()).unwrap_or(u64::MAX) + 1));
        let pause = (half + drawn).max(asked.unwrap_or_default());
        (pause <= LONGEST_PAUSE).then_some(pause)
    }
}

fn headers(settings: &PayosSettings) -> Result<HeaderMap, ClientError> {
    let secret = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| ClientError::Key)?;
        value.set_sensitive(true);
        Ok(value)
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-client-id", secret(&settings.keys.client_id)?);
    headers.insert("x-api-key", secret(&settings.keys.api_key)?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(headers)
}

/// The whole body, as far as it is not too long.
async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Failure::lost(None, Trouble::TooLong));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
