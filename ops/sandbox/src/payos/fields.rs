//! The fields of a create request: types, bounds and signature.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::refusal::{Refusal, read_object};
use super::signing;
use crate::settings::Settings;
use crate::signature;

const MAX_ORDER_CODE: i64 = 9_007_199_254_740_991;
/// What fits into the 13 characters of an EMV amount.
const MAX_AMOUNT: i64 = 9_999_999_999_999;
const OPTIONAL_TEXTS: [&str; 6] =
    ["buyerName", "buyerCompanyName", "buyerTaxCode", "buyerAddress", "buyerEmail", "buyerPhone"];
const TAX_PERCENTAGES: [i64; 5] = [-2, -1, 0, 5, 10];

/// A create request that is in order.
#[derive(Debug)]
pub struct CreateRequest {
    /// The shop's number of the payment.
    pub order_code: i64,
    /// VND.
    pub amount: i64,
    /// What the payer sees.
    pub description: String,
    /// Where the browser goes after a cancel.
    pub cancel_url: String,
    /// Where the browser goes otherwise.
    pub return_url: String,
    /// Unix seconds.
    pub expired_at: Option<i64>,
}

/// Reads and checks a create request; `now_s` is the sandbox's time in Unix seconds.
pub fn parse(settings: &Settings, now_s: i64, headers: &HeaderMap, body: &[u8]) -> Result<CreateRequest, Refusal> {
    let fields = read_object(headers, body)?;
    let request = CreateRequest {
        order_code: integer(&fields, "orderCode", 1, MAX_ORDER_CODE)?,
        amount: integer(&fields, "amount", 1, MAX_AMOUNT)?,
        description: description(&fields, settings.description_limit)?,
        cancel_url: url(&fields, "cancelUrl")?,
        return_url: url(&fields, "returnUrl")?,
        expired_at: expiry(&fields, now_s)?,
    };
    check_optional(&fields)?;
    check_signature(settings, &request, text(&fields, "signature")?)?;
    Ok(request)
}

fn check_signature(settings: &Settings, request: &CreateRequest, given: &str) -> Result<(), Refusal> {
    let CreateRequest { order_code, amount, description, cancel_url, return_url, .. } = request;
    let signed = signing::create_text(*amount, cancel_url, description, *order_code, return_url);
    if signature::verify(&settings.checksum_key, &signed, given) { Ok(()) } else { Err(Refusal::WrongSignature) }
}

fn description(fields: &Map<String, Value>, limit: usize) -> Result<String, Refusal> {
    let description = text(fields, "description")?;
    if description.chars().count() > limit {
        return Err(wrong("description", &format!("must have at most {limit} characters")));
    }
    Ok(description.to_owned())
}

/// Our choice: only http and https, because the browser is sent there.
fn url(fields: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    let value = text(fields, name)?;
    if is_http_url(value) { Ok(value.to_owned()) } else { Err(wrong(name, "must be an http or https URL")) }
}

/// Whether a text is an absolute http or https URL.
pub fn is_http_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Our choice: a link that would be born expired is refused.
fn expiry(fields: &Map<String, Value>, now_s: i64) -> Result<Option<i64>, Refusal> {
    if given(fields, "expiredAt").is_none() {
        return Ok(None);
    }
    let expired_at = integer(fields, "expiredAt", 1, i64::from(i32::MAX))?;
    if expired_at <= now_s {
        return Err(wrong("expiredAt", &format!("must be after now, which is {now_s}")));
    }
    Ok(Some(expired_at))
}

fn check_optional(fields: &Map<String, Value>) -> Result<(), Refusal> {
    for name in OPTIONAL_TEXTS {
        if given(fields, name).is_some_and(|value| !value.is_string()) {
            return Err(wrong(name, "must be a string"));
        }
    }
    if given(fields, "invoice").is_some_and(|value| !value.is_object()) {
        return Err(wrong("invoice", "must be an object"));
    }
    match given(fields, "items") {
        None => Ok(()),
        Some(Value::Array(items)) => items.iter().try_for_each(check_item),
        Some(_) => Err(wrong("items", "must be an array")),
    }
}

fn check_item(item: &Value) -> Result<(), Refusal> {
    let item = item.as_object().ok_or_else(|| wrong("items", "must hold objects"))?;
    text(item, "name")?;
    integer(item, "quantity", 1, MAX_AMOUNT)?;
    integer(item, "price", 0, MAX_AMOUNT)?;
    match given(item, "taxPercentage") {
        Some(tax) if !tax.as_i64().is_some_and(|tax| TAX_PERCENTAGES.contains(&tax)) => {
            Err(wrong("taxPercentage", "must be one of -2, -1, 0, 5, 10"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A JSON integer in bounds; text and fractions, even `1.0`, are refused.
fn integer(fields: &Map<String, Value>, name: &str, least: i64, most: i64) -> Result<i64, Refusal> {
    let value = given(fields, name).ok_or_else(|| wrong(name, "should not be empty"))?;
    let number = value.as_i64().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| wrong(name, &format!("must be an integer from {least} to {most}")))
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    match given(fields, name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(Value::String(_)) | None => Err(wrong(name, "should not be empty")),
        Some(_) => Err(wrong(name, "must be a string")),
    }
}

fn given<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn wrong(name: &str, problem: &str) -> Refusal {
    Refusal::WrongField(format!("{name}: {problem}"))
}
