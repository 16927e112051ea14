//! Checks that several calls share.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::refusal::Refusal;

/// The highest amount: eight digits.
pub const MAX_AMOUNT: i64 = 99_999_999;
/// What is taken here. Those without decimals are `vnd`, `jpy`, `krw` and `clp`; an amount is in the smallest unit.
/// Stripe takes many more; those are left out whose unit at Stripe is not the one of ISO 4217.
const CURRENCIES: [&str; 26] = [
    "aud", "brl", "cad", "chf", "clp", "cny", "czk", "dkk", "eur", "gbp", "hkd", "ils", "jpy", "krw", "mxn", "myr",
    "nok", "nzd", "php", "pln", "ron", "sek", "sgd", "thb", "usd", "vnd",
];
const MOST_KEYS: usize = 50;
const LONGEST_NAME: usize = 40;
const LONGEST_VALUE: usize = 500;

/// Takes a currency that must be there: lower case, and one that is known.
pub fn currency(fields: &mut Fields) -> Result<String, Refusal> {
    let currency = fields.required("currency")?;
    if CURRENCIES.contains(&currency.as_str()) {
        return Ok(currency);
    }
    let message = format!("Invalid currency: {currency}. Stripe currently supports these currencies: {CURRENCIES:?}");
    Err(Refusal::wrong(&fields.name("currency"), None, message))
}

/// The lowest amount, where one is known. Stripe publishes it for some currencies only.
pub fn least(currency: &str) -> i64 {
    match currency {
        "usd" | "eur" | "cad" | "aud" | "sgd" | "nzd" | "chf" | "brl" | "jpy" => 50,
        "gbp" => 30,
        _ => 1,
    }
}

/// Takes a URL that must be there: absolute, http or https.
pub fn url(fields: &mut Fields, name: &str) -> Result<Option<String>, Refusal> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    if reqwest::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(Some(text));
    }
    let message = "Not a valid URL: it must start with a scheme such as https://.";
    Err(Refusal::wrong(&fields.name(name), Some("url_invalid"), message))
}

/// Takes metadata: up to 50 keys of 40 characters with values of 500.
pub fn metadata(fields: &mut Fields) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(below) = fields.below("metadata")? else { return Ok(BTreeMap::new()) };
    let metadata = below.rest()?;
    let name = fields.name("metadata");
    if metadata.len() > MOST_KEYS {
        return Err(Refusal::wrong(&name, None, format!("Metadata has at most {MOST_KEYS} keys.")));
    }
    for (key, value) in &metadata {
        if key.chars().count() > LONGEST_NAME {
            return Err(Refusal::wrong(&name, None, format!("Metadata keys have at most {LONGEST_NAME} characters.")));
        }
        if value.chars().count() > LONGEST_VALUE {
            let message = format!("Metadata values have at most {LONGEST_VALUE} characters.");
            return Err(Refusal::wrong(&format!("{name}[{key}]"), None, message));
        }
    }
    Ok(metadata)
}

/// Takes the number of entries of a list: 1 to 100, else 10.
pub fn limit(fields: &mut Fields) -> Result<usize, Refusal> {
    match fields.integer("limit")? {
        None => Ok(10),
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| Refusal::wrong("limit", None, "limit must be between 1 and 100")),
    }
}
