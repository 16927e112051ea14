//! What an order must be.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::answer::Refusal;
use super::body::{Body, is_http, wrong};
use super::{FRESH_MS, signing};
use crate::provider::Provider;
use crate::sale::{Sale, Status};
use crate::settings::ZalopayKeys;
use crate::{ids, vietnam};

const LIFE_S: i64 = 900;
const MOST_AMOUNT: i64 = 9_999_999_999_999;
/// Texts that may be there, and their longest length (those without a documented one: our choice).
const OPTIONAL: [(&str, usize); 7] = [
    ("bank_code", 20),
    ("title", 256),
    ("phone", 50),
    ("email", 100),
    ("address", 1_024),
    ("device_info", 256),
    ("sub_app_id", 50),
];

/// The sale of a create request in order.
pub fn read(body: &Body, keys: &ZalopayKeys, now: Timestamp) -> Result<Sale, Refusal> {
    let reference = body.text("app_trans_id", 1, 40)?;
    let user = body.text("app_user", 1, 50)?;
    let amount = body.integer("amount")?;
    let app_time = body.integer("app_time")?;
    let description = body.text("description", 1, 256)?;
    let embedded = body.json("embed_data", 2_048)?;
    if !body.json("item", 2_048)?.is_array() {
        return Err(wrong("item", "must be a JSON array as a text"));
    }
    let embedded = embedded.as_object().ok_or_else(|| wrong("embed_data", "must be a JSON object as a text"))?;
    let (redirect, callback) = (redirect_url(embedded)?, body.url("callback_url")?);
    for (name, most) in OPTIONAL {
        if body.has(name) {
            body.text(name, 0, most)?;
        }
    }
    let life_s = life_s(body)?;
    body.check_mac(keys, &body.joined(&signing::CREATE))?;
    if !(1..=MOST_AMOUNT).contains(&amount) {
        return Err(wrong("amount", &format!("must be from 1 to {MOST_AMOUNT}")));
    }
    if (now.as_millisecond() - app_time).abs() > FRESH_MS {
        return Err(wrong("app_time", "must be within 15 minutes of now"));
    }
    if !is_of(reference, &vietnam::day(now)) {
        return Err(Refusal::WrongReference);
    }
    let extra = [
        ("app_time", Value::from(app_time)),
        ("app_user", user.into()),
        ("embed_data", body.as_sent("embed_data").into()),
        ("item", body.as_sent("item").into()),
    ];
    Ok(Sale {
        number: 0,
        provider: Provider::Zalopay,
        reference: reference.to_owned(),
        id: ids::hex32(),
        amount,
        currency: "VND".to_owned(),
        description: description.to_owned(),
        state: Status::Pending,
        created_at: now,
        expires_at: now.checked_add(SignedDuration::from_secs(life_s)).ok(),
        return_url: redirect.clone(),
        cancel_url: redirect,
        notify_url: callback,
        extra: extra.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        captures: Vec::new(),
        refunds: Vec::new(),
        declines: 0,
        script: Default::default(),
    })
}

/// Whether a reference is this day's `yymmdd`, an underscore and a name.
fn is_of(reference: &str, day: &str) -> bool {
    let name = reference.strip_prefix(day).and_then(|rest| rest.strip_prefix('_')).unwrap_or_default();
    !name.is_empty() && is_plain(name)
}

/// Whether a reference has the form of one, of whatever day.
pub fn is_reference(text: &str) -> bool {
    text.len() <= 40
        && text.get(..6).is_some_and(|day| day.bytes().all(|byte| byte.is_ascii_digit()) && is_of(text, day))
}

/// Letters, digits, `_` and `-` (our choice).
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn life_s(body: &Body) -> Result<i64, Refusal> {
    if !body.has("expire_duration_seconds") {
        return Ok(LIFE_S);
    }
    let life_s = body.integer("expire_duration_seconds")?;
    let bounds = 300..=2_592_000;
    if bounds.contains(&life_s) {
        Ok(life_s)
    } else {
        Err(wrong("expire_duration_seconds", "must be from 300 to 2592000"))
    }
}

/// Where the browser goes back to; empty when the order does not say.
fn redirect_url(embedded: &Map<String, Value>) -> Result<String, Refusal> {
    match embedded.get("redirecturl") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(url)) if url.is_empty() || is_http(url) => Ok(url.clone()),
        Some(_) => Err(wrong("embed_data", "has a redirecturl that is no http or https URL")),
    }
}
