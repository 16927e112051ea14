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
use service_kit::random;
use tokio::time::Instant;

use super::settings::PayosSettings;
use super::signature;
use super::types::{DONE, Envelope};
use crate::payments::breaker::Breaker;
use crate::payments::gateway::Cause;
use crate::payments::payos::wait;

/// No answer is longer than this; the longest real ones list a link's transfers, 500 bytes each.
const LONGEST_ANSWER: usize = 1024 * 1024;
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

/// Why a call brought no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// PayOS says no.
    Refused { status: StatusCode, code: String },
    /// It did not reach PayOS, or PayOS did not look at it.
    Unsent { retry_after: Option<Duration>, cause: Cause },
    /// It may have been done.
    Lost { retry_after: Option<Duration>, cause: Cause },
}

/// What was wrong with an answer, or in its place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("PayOS has not answered lately: calls to it pause")]
    Paused,
    #[error("PayOS answers with HTTP status {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {LONGEST_ANSWER} bytes")]
    TooLong,
    #[error("the answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
    #[error("the answer's signature does not verify")]
    Signature,
    #[error("the answer is about another payment")]
    AnotherPayment,
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
        let started = Instant::now();
        let result = match self.breaker.admit() {
            Err(left) => Err(Failure::Unsent { retry_after: Some(left), cause: Box::new(Trouble::Paused) }),
            Ok(permit) => {
                let result = self.exchange(call).await;
                if result.as_ref().err().is_some_and(Failure::is_deaf) { permit.failed() } else { permit.alive() }
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
        let retry_after = wait::asked_for(&headers, service_kit::clock::now());
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

impl Failure {
    pub(super) fn lost(retry_after: Option<Duration>, trouble: Trouble) -> Self {
        Self::Lost { retry_after, cause: Box::new(trouble) }
    }

    fn refused(status: StatusCode, code: &str) -> Self {
        let plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let code = if plain && !code.is_empty() { short(code, 32) } else { status.as_str() };
        Self::Refused { status, code: code.to_owned() }
    }

    /// Whether PayOS says that there is no such link.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, code } if *status == StatusCode::NOT_FOUND || code == "101")
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { .. } => None,
            Self::Unsent { retry_after, .. } | Self::Lost { retry_after, .. } => *retry_after,
        }
    }

    /// Whether it was our own breaker.
    fn is_pause(&self) -> bool {
        matches!(self, Self::Unsent { cause, .. } if matches!(cause.downcast_ref(), Some(Trouble::Paused)))
    }

    /// Whether PayOS gave no sign of life, or one of failing; asking us to slow down is a sign of life.
    fn is_deaf(&self) -> bool {
        let slow_down = |cause: &Cause| {
            matches!(cause.downcast_ref(), Some(Trouble::Status(StatusCode::TOO_MANY_REQUESTS)))
        };
        match self {
            Self::Refused { .. } => false,
            Self::Unsent { cause, .. } => !slow_down(cause),
            Self::Lost { .. } => true,
        }
    }

    /// An earlier attempt that was lost may have done it, whatever became of the last one.
    fn after(self, lost: bool) -> Self {
        match self {
            Self::Unsent { retry_after, cause } if lost => Self::Lost { retry_after, cause },
            other => other,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Unsent { .. } => "unsent",
            Self::Lost { .. } => "lost",
        }
    }

    /// For the log, with all causes.
    fn to_text(&self) -> String {
        match self {
            Self::Refused { status, code } => format!("HTTP {status}, code {code}"),
            Self::Unsent { cause, .. } | Self::Lost { cause, .. } => {
                let causes = std::iter::successors(Some(&**cause as &dyn std::error::Error), |it| it.source());
                causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
            }
        }
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

/// A call that never had a connection was not sent; any other that brought no answer may have been.
fn unanswered(error: reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        return Failure::Unsent { retry_after: None, cause: Box::new(error) };
    }
    Failure::Lost { retry_after: None, cause: Box::new(error) }
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

/// The first so many characters.
fn short(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}
