//! Money as PayPal writes it: a currency and a decimal text.

use serde_json::{Map, Value, json};

use super::fields;
use super::refusal::Refusal;

const CURRENCIES: [&str; 24] = [
    "AUD", "BRL", "CAD", "CNY", "CZK", "DKK", "EUR", "HKD", "HUF", "ILS", "JPY", "MYR", "MXN", "TWD", "NZD", "NOK",
    "PHP", "PLN", "GBP", "SGD", "SEK", "CHF", "THB", "USD",
];
const LONGEST_VALUE: usize = 32;

/// An amount in the smallest unit of ISO 4217, in which shops count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// Minor units.
    pub minor: i64,
    /// Three capital letters.
    pub currency: String,
}

/// The decimals that PayPal takes: none for three currencies, though ISO 4217 has some for two of them.
fn digits(currency: &str) -> usize {
    if matches!(currency, "HUF" | "JPY" | "TWD") { 0 } else { 2 }
}

/// The decimals of ISO 4217.
fn iso_digits(currency: &str) -> usize {
    if currency == "JPY" { 0 } else { 2 }
}

/// Reads an amount object. Zero is taken: whether it fits is the caller's business.
pub fn read(fields: &Map<String, Value>, at: &str) -> Result<Amount, Refusal> {
    let currency = fields::text(fields, at, "currency_code", 3)?.ok_or_else(|| missing(at, "currency_code"))?;
    let value = fields::text(fields, at, "value", LONGEST_VALUE)?.ok_or_else(|| missing(at, "value"))?;
    if !CURRENCIES.contains(&currency) {
        let description = "Currency code is invalid or is not currently supported.";
        return Err(Refusal::field_issue(&format!("{at}/currency_code"), "INVALID_CURRENCY_CODE", description));
    }
    let minor = minor(value, currency, &format!("{at}/value"))?;
    Ok(Amount { minor, currency: currency.to_owned() })
}

/// Reads an amount that must be above zero.
pub fn positive(fields: &Map<String, Value>, at: &str) -> Result<Amount, Refusal> {
    let amount = read(fields, at)?;
    if amount.minor <= 0 {
        let description = "Must be greater than zero.";
        return Err(Refusal::field_issue(&format!("{at}/value"), "CANNOT_BE_ZERO_OR_NEGATIVE", description));
    }
    Ok(amount)
}

/// As it is written in answers.
pub fn view(minor: i64, currency: &str) -> Value {
    json!({ "currency_code": currency, "value": text(minor, currency) })
}

fn text(minor: i64, currency: &str) -> String {
    let (iso, shown) = (iso_digits(currency), digits(currency));
    let unit = 10_i64.pow(u32::try_from(iso).unwrap_or_default());
    let whole = minor / unit;
    if shown == 0 { whole.to_string() } else { format!("{whole}.{:02}", minor % unit) }
}

fn minor(value: &str, currency: &str, at: &str) -> Result<i64, Refusal> {
    let unreadable = || {
        let description = "The value of a field does not conform to the expected format.";
        Refusal::field(at, "INVALID_PARAMETER_SYNTAX", description)
    };
    let (sign, plain) = value.strip_prefix('-').map_or((1, value), |plain| (-1, plain));
    let (whole, decimals) = plain.split_once('.').map_or((plain, None), |(whole, rest)| (whole, Some(rest)));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let sound = all_digits(whole) && decimals.map_or(!whole.is_empty(), |rest| !rest.is_empty() && all_digits(rest));
    if !sound {
        return Err(unreadable());
    }
    let decimals = decimals.unwrap_or_default();
    if decimals.len() > digits(currency) {
        let (issue, description) = match digits(currency) {
            0 => ("DECIMALS_NOT_SUPPORTED", "Currency does not support decimals."),
            _ => ("DECIMAL_PRECISION", "The value of the field should not be more than two decimal places."),
        };
        return Err(Refusal::field_issue(at, issue, description));
    }
    let padded = format!("0{whole}{decimals:0<width$}", width = iso_digits(currency));
    padded.parse::<i64>().map(|minor| sign * minor).map_err(|_| unreadable())
}

fn missing(at: &str, name: &str) -> Refusal {
    Refusal::missing(&format!("{at}/{name}"))
}
