//! Calls to PayPal: its token, its idempotency and its errors.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::value::Provider;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use service_kit::clock;
use tokio::sync::Mutex;

use super::settings::PaypalSettings;
use crate::payments::caller::{Answered, Call, CallSettings, Caller, ClientError, Repeats, secret_header};
use crate::payments::failure::{Failure, Trouble, short};

/// A token is not used in its last minute, which a call may take.
const MARGIN: Duration = Duration::from_secs(60);

/// Calls PayPal.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
    basic: HeaderValue,
    token: Mutex<Option<Token>>,
}

/// What calls are let in with, for some hours.
#[derive(Debug, Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
}

/// A refusal; that of a token has only `error`.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    name: String,
    #[serde(default)]
    details: Vec<Detail>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    issue: String,
}

impl Client {
    pub(super) fn new(settings: &PaypalSettings, calls: CallSettings) -> Result<Self, ClientError> {
        let keys = format!("{}:{}", settings.keys.client_id, settings.keys.client_secret);
        let basic = secret_header(Provider::Paypal, &format!("Basic {}", STANDARD.encode(keys)))?;
        Ok(Self { caller: Caller::new(Provider::Paypal, &settings.url, [], calls)?, basic, token: Mutex::default() })
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Makes a call and reads what it gives back. A token that is not taken is replaced, once.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, Failure> {
        let token = self.token().await?;
        match self.caller.call(&call.clone().with(AUTHORIZATION, token.clone()), open).await {
            Err(Failure::Refused { status: StatusCode::UNAUTHORIZED, .. }) => {
                self.forget(&token).await;
                let fresh = self.token().await?;
                self.caller.call(&call.with(AUTHORIZATION, fresh), open).await
            }
            result => result,
        }
    }

    /// The token, fetched by one caller while the others wait.
    async fn token(&self) -> Result<HeaderValue, Failure> {
        let mut kept = self.token.lock().await;
        let now = clock::monotonic();
        if let Some(token) = kept.as_ref().filter(|token| token.until > now) {
            return Ok(token.header.clone());
        }
        let form = [("grant_type", "client_credentials")];
        let call =
            Call::form("token", "/v1/oauth2/token", &form, Repeats::Allowed).with(AUTHORIZATION, self.basic.clone());
        let issued: Issued = self.caller.call(&call, open).await.map_err(unsent)?;
        let header = secret_header(Provider::Paypal, &format!("Bearer {}", issued.access_token));
        let header = header.map_err(|error| unsent(Failure::lost(None, Trouble::Unreadable(error.into()))))?;
        let life = Duration::from_secs(issued.expires_in.min(24 * 3600));
        let until = now + life.saturating_sub(MARGIN).max(life / 2);
        Ok(kept.insert(Token { header, until }).header.clone())
    }

    async fn forget(&self, header: &HeaderValue) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.header == header) {
            *kept = None;
        }
    }
}

/// Without a token, the call that it was for was not made.
fn unsent(failure: Failure) -> Failure {
    match failure {
        Failure::Lost { retry_after, cause } => Failure::Unsent { retry_after, cause },
        other => other,
    }
}

/// A call that does the same once or twice, because of its key: PayPal answers the second as it answered the first.
pub(super) fn keyed(name: &'static str, path: &str, body: &impl Serialize, key: &str) -> Call {
    let value = HeaderValue::from_str(key).expect("a key is made of letters, digits and dashes");
    Call::json(name, path, body, Repeats::Allowed)
        .with(HeaderName::from_static("paypal-request-id"), value)
        .with(HeaderName::from_static("prefer"), HeaderValue::from_static("return=representation"))
}

fn open<T: DeserializeOwned>(Answered { status, body }: &Answered) -> Result<T, Failure> {
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|error| Failure::lost(None, Trouble::Unreadable(error.into())));
    }
    // The same key is in use by a call under way.
    if *status == StatusCode::CONFLICT {
        return Err(Failure::lost(None, Trouble::Status(*status)));
    }
    // Unless something before PayPal refused, in words of its own.
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let issue = refusal.details.into_iter().map(|it| it.issue);
    let code = issue.chain([refusal.name, refusal.error]).find(|it| !it.is_empty()).unwrap_or_default();
    tracing::info!(http.status = status.as_u16(), provider.code = short(&code, 64), "PayPal refuses");
    Err(Failure::refused(*status, &code))
}

/// Whether PayPal says that there is no such thing.
pub(super) fn is_not_found(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { code, .. } if matches!(&**code, "INVALID_RESOURCE_ID" | "RESOURCE_NOT_FOUND"))
}

/// Whether PayPal does not let us in.
pub(super) fn is_locked_out(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. })
}
