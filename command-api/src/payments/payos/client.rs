//! Calls to PayOS: its headers, its envelope and its signature.
//!
//! Invariant: an answer without a valid signature is never believed to be a success.

use domain::value::Provider;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::settings::PayosSettings;
use super::signature;
use super::types::{DONE, Envelope};
use crate::payments::caller::{Answered, Call, CallSettings, Caller, ClientError, secret_header};
use crate::payments::failure::{Failure, Trouble, short};

/// Calls PayOS.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
    settings: PayosSettings,
}

impl Client {
    pub(super) fn new(settings: PayosSettings, calls: CallSettings) -> Result<Self, ClientError> {
        let secret = |text: &str| secret_header(Provider::Payos, text);
        let headers = [
            (HeaderName::from_static("x-client-id"), secret(&settings.keys.client_id)?),
            (HeaderName::from_static("x-api-key"), secret(&settings.keys.api_key)?),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ];
        let caller = Caller::new(Provider::Payos, &settings.url, headers, calls)?;
        Ok(Self { caller, settings })
    }

    /// Makes a call and gives back its verified `data`.
    pub(super) async fn call(&self, call: &Call) -> Result<Map<String, Value>, Failure> {
        self.caller.call(call, |answered| self.open(answered)).await
    }

    /// Takes an answer out of its envelope.
    fn open(&self, Answered { status, body }: &Answered) -> Result<Map<String, Value>, Failure> {
        let envelope: Envelope = match serde_json::from_slice(body) {
            Ok(envelope) => envelope,
            // Something before PayOS refused, in words of its own.
            Err(_) if !status.is_success() => return Err(Failure::refused(*status, status.as_str())),
            Err(error) => return Err(Failure::lost(None, Trouble::Unreadable(error.into()))),
        };
        if !status.is_success() || envelope.code != DONE {
            let code = if envelope.code == DONE { status.as_str() } else { &envelope.code };
            let desc = envelope.desc.unwrap_or_default();
            tracing::info!(
                http.status = status.as_u16(),
                provider.code = code,
                provider.text = short(&desc, 200),
                "PayOS refuses"
            );
            return Err(Failure::refused(*status, code));
        }
        let (Some(data), Some(given)) = (envelope.data, envelope.signature) else {
            return Err(Failure::lost(None, Trouble::Signature));
        };
        if !self.settings.keys.checksum_key.verify(&signature::data_text(&data), &given) {
            return Err(Failure::lost(None, Trouble::Signature));
        }
        Ok(data)
    }
}

/// Whether PayOS says that there is no such link.
pub(super) fn is_not_found(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status, code } if *status == http::StatusCode::NOT_FOUND || code == "101")
}
