//! HTTP to a provider: one call with its limits, its repeats and its breaker.
//!
//! Invariant: a call that may have been heard is never reported as not made.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::value::Provider;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Response, Url};
use service_kit::config::{Env, Noted};
use service_kit::spans::{Kind, Span};
use service_kit::{clock, env, random, trace};

use super::breaker::{Breaker, BreakerSettings};
use super::failure::{Failure, LONGEST_ANSWER, Trouble, unanswered};
use super::gateway::Cause;
use super::wait;

/// No pause between two attempts is longer; who must wait longer comes back later.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How every provider is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSettings {
    /// A connection not open by then is given up.
    pub connect_timeout: Duration,
    /// A call not answered by then is given up.
    pub timeout: Duration,
    /// How often a call that may be repeated is made, at least once.
    pub attempts: u32,
    /// Before the second attempt; doubled each time.
    pub first_pause: Duration,
    /// When calls pause.
    pub breaker: BreakerSettings,
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            attempts: 3,
            first_pause: Duration::from_millis(500),
            breaker: BreakerSettings { failures: 10, pause: Duration::from_secs(5) },
        }
    }
}

impl CallSettings {
    /// Reads them.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let connect = env.with_default(
            "BOXOFFICE_PROVIDER_CONNECT_TIMEOUT_MS",
            "2000",
            env::millis(10..=60_000),
            "A connection to a payment provider not open by then is given up.",
        );
        let timeout = env.with_default(
            "BOXOFFICE_PROVIDER_TIMEOUT_MS",
            "10000",
            env::millis(10..=120_000),
            "A call to a payment provider not answered by then is given up.",
        );
        let attempts = env.with_default(
            "BOXOFFICE_PROVIDER_ATTEMPTS",
            "3",
            env::whole(1..=10),
            "How often a call to a payment provider that may be repeated is made.",
        );
        let pause = env.with_default(
            "BOXOFFICE_PROVIDER_FIRST_PAUSE_MS",
            "500",
            env::millis(1..=10_000),
            "The pause before the second attempt; doubled each time, at most 10 s.",
        );
        let failures = env.with_default(
            "BOXOFFICE_PROVIDER_BREAKER_FAILURES",
            "10",
            env::whole(1..=1000),
            "So many failed calls in a row make calls to that payment provider pause.",
        );
        let breaker = env.with_default(
            "BOXOFFICE_PROVIDER_BREAKER_MS",
            "5000",
            env::millis(1..=600_000),
            "How long calls to that payment provider pause.",
        );
        let (connect_timeout, timeout, attempts, first_pause) = (connect?, timeout?, attempts?, pause?);
        let breaker = BreakerSettings { failures: failures?, pause: breaker? };
        Ok(Self { connect_timeout, timeout, attempts, first_pause, breaker })
    }
}

/// Calls one provider.
#[derive(Debug)]
pub(super) struct Caller {
    provider: Provider,
    http: reqwest::Client,
    base: Url,
    settings: CallSettings,
    breaker: Arc<Breaker>,
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Its name in metrics and logs.
    pub name: &'static str,
    pub method: Method,
    /// Behind the base address, with a slash at its front and perhaps a query at its end.
    pub path: String,
    /// Beside those that every call has.
    pub headers: HeaderMap,
    /// With its media type.
    pub body: Option<(&'static str, Bytes)>,
    pub repeats: Repeats,
}

/// Whether a call that got no answer is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Made twice, it does the same as once.
    Allowed,
    Never,
}

/// What a provider answered, whatever it means: neither a redirection, nor a failure of the server, nor 429.
#[derive(Debug)]
pub(super) struct Answered {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Its variable ends with `_URL`.
    #[error("the address of {} is no URL", .0.as_str())]
    Url(Provider, #[source] Cause),
    /// A key does not fit into a header.
    #[error("a key of {} holds characters that no header takes", .0.as_str())]
    Key(Provider),
    /// A key is none.
    #[error("a key of {} cannot be read", .0.as_str())]
    Unreadable(Provider, #[source] Cause),
    /// TLS or the system's certificates.
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
}

impl Call {
    /// A call that asks, and may be repeated.
    pub(super) fn get(name: &'static str, path: String) -> Self {
        Self { name, method: Method::GET, path, headers: HeaderMap::new(), body: None, repeats: Repeats::Allowed }
    }

    /// A call with JSON in its body.
    pub(super) fn json(name: &'static str, path: &str, body: &impl serde::Serialize, repeats: Repeats) -> Self {
        let bytes = serde_json::to_vec(body).expect("numbers and texts can always be written as JSON");
        let body = Some(("application/json", Bytes::from(bytes)));
        Self { name, method: Method::POST, path: path.to_owned(), headers: HeaderMap::new(), body, repeats }
    }

    /// A call with a form in its body.
    pub(super) fn form(name: &'static str, path: &str, form: &[(&str, &str)], repeats: Repeats) -> Self {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let body = Some(("application/x-www-form-urlencoded", Bytes::from(text)));
        Self { name, method: Method::POST, path: path.to_owned(), headers: HeaderMap::new(), body, repeats }
    }

    /// The same with one more header.
    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// A header that is never shown.
///
/// # Errors
/// It holds characters that no header takes.
pub(super) fn secret_header(provider: Provider, text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ClientError::Key(provider))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Caller {
    /// Makes the client; calls nobody yet. `headers` go with every call.
    pub(super) fn new(
        provider: Provider,
        url: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        settings: CallSettings,
    ) -> Result<Self, ClientError> {
        let base: Url = url.parse().map_err(|error| ClientError::Url(provider, Box::new(error)))?;
        // An Err only says that the process has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("boxoffice/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers.into_iter().collect())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(base.scheme() == "https")
            // Settings come from our own variables only, and money takes no way round.
            .no_proxy()
            .build()
            .map_err(ClientError::Http)?;
        let breaker = Arc::new(Breaker::new(provider, settings.breaker));
        Ok(Self { provider, http, base, settings, breaker })
    }

    /// Calls another address of the same provider, under the same breaker.
    pub(super) fn at(&self, url: &str) -> Result<Self, ClientError> {
        let base: Url = url.parse().map_err(|error| ClientError::Url(self.provider, Box::new(error)))?;
        let (http, breaker) = (self.http.clone(), Arc::clone(&self.breaker));
        Ok(Self { provider: self.provider, http, base, settings: self.settings, breaker })
    }

    /// Makes a call, and gives back what `read` makes of the answer.
    pub(super) async fn call<T>(
        &self,
        call: &Call,
        read: impl Fn(&Answered) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut lost = false;
        for attempt in 1.. {
            let failure = match self.attempt(call, &read).await {
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

    async fn attempt<T>(&self, call: &Call, read: &impl Fn(&Answered) -> Result<T, Failure>) -> Result<T, Failure> {
        let started = clock::monotonic();
        // Providers are not told our traces: they could do nothing with them.
        let mut span = Span::below(trace::step(), Kind::Client, call.name);
        let result = match self.breaker.admit(started) {
            Err(left) => Err(Failure::Unsent { retry_after: Some(left), cause: Box::new(Trouble::Paused) }),
            Ok(permit) => {
                let result = self.exchange(call).await.and_then(|answered| read(&answered));
                match &result {
                    Err(failure) if failure.is_deaf() => permit.failed(clock::monotonic()),
                    Ok(_) | Err(_) => permit.alive(),
                }
                result
            }
        };
        let outcome = result.as_ref().err().map_or("done", Failure::word);
        let provider = self.provider.as_str();
        if let Some(span) = &mut span {
            span.set("provider", provider);
            span.set("outcome", outcome);
            if result.is_err() {
                span.fail("the call failed");
            }
        }
        let labels = [("provider", provider), ("call", call.name), ("outcome", outcome)];
        metrics::histogram!("boxoffice_provider_call_seconds", &labels).record(started.elapsed().as_secs_f64());
        if let Err(failure) = &result {
            tracing::warn!(
                provider,
                provider.call = call.name,
                outcome,
                error = failure.to_text(),
                "a call to a provider failed"
            );
        }
        result
    }

    async fn exchange(&self, call: &Call) -> Result<Answered, Failure> {
        let url = format!("{}{}", self.base.as_str().trim_end_matches('/'), call.path);
        let mut request = self.http.request(call.method.clone(), url).headers(call.headers.clone());
        if let Some((media, body)) = &call.body {
            request = request.header(CONTENT_TYPE, *media).body(body.clone());
        }
        let response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let retry_after = wait::asked_for(response.headers(), clock::now());
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Unsent { retry_after, cause: Box::new(Trouble::Status(status)) })
            }
            StatusCode::REQUEST_TIMEOUT => Err(Failure::lost(retry_after, Trouble::Status(status))),
            _ if status.is_server_error() || status.is_redirection() => {
                Err(Failure::lost(retry_after, Trouble::Status(status)))
            }
            _ => Ok(Answered { status, body: body(response).await? }),
        }
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
