//! Calls to Stripe: its key, its version, its idempotency and its errors.

use domain::value::Provider;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::settings::StripeSettings;
use crate::payments::caller::{Answered, Call, CallSettings, Caller, ClientError, Repeats, secret_header};
use crate::payments::failure::{Failure, Trouble};

/// The version of the API that this code was written for.
const VERSION: &str = "2026-10-28.endive";
/// The key was used with other parameters.
pub(super) const KEY_REUSED: &str = "idempotency_error";

/// Calls Stripe.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
}

#[derive(Deserialize)]
struct Refusal {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    code: Option<String>,
}

impl Client {
    pub(super) fn new(settings: &StripeSettings, calls: CallSettings) -> Result<Self, ClientError> {
        let bearer = secret_header(Provider::Stripe, &format!("Bearer {}", settings.keys.secret_key))?;
        let headers = [
            (AUTHORIZATION, bearer),
            (HeaderName::from_static("stripe-version"), HeaderValue::from_static(VERSION)),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ];
        Ok(Self { caller: Caller::new(Provider::Stripe, &settings.url, headers, calls)? })
    }

    /// Makes a call and reads what it gives back.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        self.caller.call(call, open).await
    }
}

/// A call that does the same once or twice, because of its key: Stripe answers the second as it answered the first.
pub(super) fn keyed(name: &'static str, path: &str, form: &[(&str, &str)], key: &str) -> Call {
    let value = HeaderValue::from_str(key).expect("a key is made of letters, digits and dashes");
    Call::form(name, path, form, Repeats::Allowed).with(HeaderName::from_static("idempotency-key"), value)
}

fn open<T: DeserializeOwned>(Answered { status, body }: &Answered) -> Result<T, Failure> {
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|error| Failure::lost(None, Trouble::Unreadable(error.into())));
    }
    // The same key is in use by a call under way.
    if *status == StatusCode::CONFLICT {
        return Err(Failure::lost(None, Trouble::Status(*status)));
    }
    let Ok(Refusal { error }) = serde_json::from_slice(body) else {
        // Something before Stripe refused, in words of its own.
        return Err(Failure::refused(*status, status.as_str()));
    };
    let code = error.code.filter(|_| error.kind != KEY_REUSED).unwrap_or(error.kind);
    tracing::info!(
        http.status = status.as_u16(),
        provider.code = crate::payments::failure::short(&code, 64),
        "Stripe refuses"
    );
    Err(Failure::refused(*status, &code))
}

/// Whether Stripe says that there is no such thing.
pub(super) fn is_not_found(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { code, .. } if code == "resource_missing")
}

/// Whether Stripe does not let us in.
pub(super) fn is_locked_out(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. })
}
