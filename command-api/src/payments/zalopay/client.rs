//! Calls to ZaloPay: signed by us, answered without a signature.

use domain::value::Provider;
use http::StatusCode;
use http::header::{ACCEPT, HeaderValue};
use serde_json::{Map, Value};

use super::mac::MacKey;
use super::reference::AppTransId;
use super::settings::ZalopaySettings;
use crate::payments::caller::{Answered, Call, CallSettings, Caller, ClientError, Repeats};
use crate::payments::failure::{Failure, Trouble, short};

/// Calls ZaloPay.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
    settings: ZalopaySettings,
}

/// An answer: 1 is yes, 2 is no, 3 is not yet; `sub` says why.
#[derive(Debug)]
pub(super) struct Told {
    pub code: i64,
    pub sub: i64,
    fields: Map<String, Value>,
}

impl Told {
    /// A field's text; empty if there is none. Names stand there as texts, or as numbers.
    pub(super) fn text(&self, name: &str) -> String {
        text(self.fields.get(name))
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.fields.get(name).and_then(Value::as_i64)
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.fields.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// A name that stands there as a text, or as a whole number; else empty.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        _ => String::new(),
    }
}

/// Whether this is ZaloPay's name of money; 0 says that there is none.
pub(super) fn is_transaction(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    plain && !text.is_empty() && text.len() <= 64 && text != "0"
}

impl Client {
    pub(super) fn new(settings: ZalopaySettings, calls: CallSettings) -> Result<Self, ClientError> {
        let headers = [(ACCEPT, HeaderValue::from_static("application/json"))];
        let caller = Caller::new(Provider::Zalopay, &settings.url, headers, calls)?;
        Ok(Self { caller, settings })
    }

    /// Makes a call that ZaloPay recognises when it comes again.
    pub(super) async fn call(
        &self,
        name: &'static str,
        path: &str,
        body: &Map<String, Value>,
    ) -> Result<Told, Failure> {
        let call = Call::json(name, path, body, Repeats::Allowed);
        self.caller.call(&call, open).await
    }

    /// How an order stands.
    pub(super) async fn query(&self, of: &AppTransId) -> Result<Told, Failure> {
        self.call("query", "/v2/query", &query(self.settings.keys.app_id, &of.to_string(), &self.settings.keys.key1))
            .await
    }

    /// How a refund stands.
    pub(super) async fn query_refund(&self, name: &str, now_ms: i64) -> Result<Told, Failure> {
        let body = query_refund(self.settings.keys.app_id, name, now_ms, &self.settings.keys.key1);
        self.call("query_refund", "/v2/query_refund", &body).await
    }
}

pub(super) fn query(app_id: u32, app_trans_id: &str, key1: &MacKey) -> Map<String, Value> {
    let mac = key1.sign_with_itself(&[&app_id.to_string(), app_trans_id]);
    object([("app_id", app_id.into()), ("app_trans_id", app_trans_id.into()), ("mac", mac.into())])
}

pub(super) fn query_refund(app_id: u32, name: &str, now_ms: i64, key1: &MacKey) -> Map<String, Value> {
    let mac = key1.sign_fields(&[&app_id.to_string(), name, &now_ms.to_string()]);
    object([("app_id", app_id.into()), ("m_refund_id", name.into()), ("timestamp", now_ms.into()), ("mac", mac.into())])
}

pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What every call can be told: that it came too often, at a bad time, or with a wrong key.
fn open(Answered { status, body }: &Answered) -> Result<Told, Failure> {
    let fields: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(fields) => fields,
        // Something before ZaloPay refused, in words of its own.
        Err(_) if !status.is_success() => return Err(Failure::refused(*status, status.as_str())),
        Err(error) => return Err(Failure::lost(None, Trouble::Unreadable(error.into()))),
    };
    let number = |name: &str| fields.get(name).and_then(Value::as_i64);
    let sub = number("sub_return_code").unwrap_or(0);
    if !status.is_success() {
        return Err(Failure::refused(*status, &if sub == 0 { status.as_str().to_owned() } else { sub.to_string() }));
    }
    let Some(code) = number("return_code") else {
        return Err(Failure::lost(None, Trouble::Unreadable("return_code is missing".into())));
    };
    if code == 1 || code == 3 {
        return Ok(Told { code, sub, fields });
    }
    let message = text(fields.get("sub_return_message"));
    tracing::info!(
        provider.code = code,
        provider.sub_code = sub,
        provider.text = short(&message, 200),
        "ZaloPay refuses"
    );
    match sub {
        -403..=-401 => Err(Failure::refused(*status, &sub.to_string())),
        -429 => {
            let cause = Box::new(Trouble::Status(StatusCode::TOO_MANY_REQUESTS));
            Err(Failure::Unsent { retry_after: None, cause })
        }
        -999 => Err(Failure::Unsent { retry_after: None, cause: "ZaloPay is under maintenance".into() }),
        -500 => Err(Failure::lost(None, Trouble::Status(StatusCode::INTERNAL_SERVER_ERROR))),
        _ => Ok(Told { code, sub, fields }),
    }
}
