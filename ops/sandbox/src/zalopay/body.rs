//! A request's body, JSON or form, and the forms of its fields.

use axum::http::HeaderMap;
use reqwest::Url;
use serde_json::{Map, Value};

use super::answer::Refusal;
use super::signing;
use crate::settings::ZalopayKeys;
use crate::{form, signature};

/// The fields of a request.
pub struct Body {
    fields: Map<String, Value>,
    /// In a form every number is text.
    form: bool,
}

impl Body {
    /// Reads JSON or a form, as the content type says.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let fields = match essence.as_str() {
            "application/json" => serde_json::from_slice(body).ok(),
            "application/x-www-form-urlencoded" => read_form(body),
            _ => return Err(wrong("content-type", "must be application/json or application/x-www-form-urlencoded")),
        };
        let fields = fields.ok_or_else(|| wrong("body", "is not what its content type says"))?;
        Ok(Self { fields, form: essence != "application/json" })
    }

    /// Refuses another app, and a mac that is not that of `text` under key1.
    pub fn check_mac(&self, keys: &ZalopayKeys, text: &str) -> Result<(), Refusal> {
        if self.integer("app_id")? != keys.zalopay_app_id {
            return Err(Refusal::UnknownApp);
        }
        let mac = self.text("mac", 1, 64).map_err(|_| Refusal::WrongMac)?;
        if signature::verify(&keys.zalopay_key1, text, mac) { Ok(()) } else { Err(Refusal::WrongMac) }
    }

    /// The text of these fields, exactly as sent.
    pub fn joined(&self, names: &[&str]) -> String {
        let values: Vec<_> = names.iter().map(|name| self.as_sent(name)).collect();
        signing::joined(values.iter().map(String::as_str))
    }

    /// A field as it was sent; empty when it was not.
    pub fn as_sent(&self, name: &str) -> String {
        match self.given(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// Whether a field was sent.
    pub fn has(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// A text of bounded length, in characters.
    pub fn text(&self, name: &str, least: usize, most: usize) -> Result<&str, Refusal> {
        match self.given(name) {
            Some(Value::String(text)) if (least..=most).contains(&text.chars().count()) => Ok(text),
            Some(Value::String(_)) => Err(wrong(name, &format!("must have {least} to {most} characters"))),
            Some(_) => Err(wrong(name, "must be a text")),
            None => Err(wrong(name, "is missing")),
        }
    }

    /// A whole number; in JSON a text and a fraction, even `1.0`, are refused.
    pub fn integer(&self, name: &str) -> Result<i64, Refusal> {
        let number = match self.given(name) {
            None => return Err(wrong(name, "is missing")),
            Some(Value::String(text)) if self.form => text.parse().ok().filter(|it: &i64| it.to_string() == *text),
            Some(value) => value.as_i64(),
        };
        number.ok_or_else(|| wrong(name, "must be a whole number"))
    }

    /// The JSON inside a text.
    pub fn json(&self, name: &str, most: usize) -> Result<Value, Refusal> {
        let text = self.text(name, 2, most)?;
        serde_json::from_str(text).map_err(|_| wrong(name, "must be JSON as a text"))
    }

    /// An http or https URL, or nothing.
    pub fn url(&self, name: &str) -> Result<Option<String>, Refusal> {
        let text = if self.has(name) { self.text(name, 0, 2_048)? } else { "" };
        match text {
            "" => Ok(None),
            url if is_http(url) => Ok(Some(url.to_owned())),
            _ => Err(wrong(name, "must be an http or https URL")),
        }
    }

    fn given(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }
}

/// Whether a text is an http or https URL.
pub fn is_http(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// A field and what is wrong with it.
pub fn wrong(name: &str, problem: &str) -> Refusal {
    Refusal::WrongData(format!("{name} {problem}"))
}

fn read_form(body: &[u8]) -> Option<Map<String, Value>> {
    Some(form::pairs(body)?.into_iter().map(|(name, value)| (name, Value::from(value))).collect())
}
