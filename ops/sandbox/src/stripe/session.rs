//! The parameters of a new Checkout Session.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::checks::{self, MAX_AMOUNT};
use super::fields::Fields;
use super::refusal::Refusal;

const SHORTEST: SignedDuration = SignedDuration::from_mins(30);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
const MOST_ITEMS: usize = 100;
const LONGEST_REFERENCE: usize = 200;
const LONGEST_URL: usize = 5_000;
/// Parameters that are taken and change nothing here.
const IGNORED: [&str; 3] = ["customer_email", "locale", "submit_type"];

/// A session that is asked for and in order.
#[derive(Debug)]
pub struct NewSession {
    /// The total in the smallest unit.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// What is bought, as the page shows it.
    pub description: String,
    /// With `{CHECKOUT_SESSION_ID}` as it came.
    pub success_url: String,
    /// The same.
    pub cancel_url: Option<String>,
    /// The shop's reference.
    pub reference: Option<String>,
    /// Of the session.
    pub metadata: BTreeMap<String, String>,
    /// Of the payment intent.
    pub intent_metadata: BTreeMap<String, String>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Reads and checks the parameters; `now` is the sandbox's time.
pub fn read(mut fields: Fields, now: Timestamp) -> Result<NewSession, Refusal> {
    check_mode(&mut fields)?;
    let items = items(&mut fields)?;
    let currency = one_currency(&items)?;
    let session = NewSession {
        amount: total(&items, &currency)?,
        currency,
        description: items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join(", "),
        success_url: target(&mut fields, "success_url")?.ok_or_else(|| Refusal::missing("success_url"))?,
        cancel_url: target(&mut fields, "cancel_url")?,
        reference: reference(&mut fields)?,
        metadata: checks::metadata(&mut fields)?,
        intent_metadata: intent(&mut fields)?,
        expires_at: expiry(&mut fields, now)?,
    };
    fields.texts("payment_method_types")?;
    for name in IGNORED {
        fields.text(name)?;
    }
    fields.finish()?;
    Ok(session)
}

struct Item {
    name: String,
    currency: String,
    sum: Option<i64>,
}

fn check_mode(fields: &mut Fields) -> Result<(), Refusal> {
    match fields.required("mode")?.as_str() {
        "payment" => Ok(()),
        "setup" | "subscription" => Err(Refusal::wrong("mode", None, "This sandbox plays mode payment only.")),
        _ => Err(Refusal::wrong("mode", None, "Invalid mode: must be one of payment, setup, or subscription")),
    }
}

fn items(fields: &mut Fields) -> Result<Vec<Item>, Refusal> {
    let items = fields.list("line_items")?;
    if items.is_empty() {
        return Err(Refusal::missing("line_items"));
    }
    if items.len() > MOST_ITEMS {
        return Err(Refusal::wrong("line_items", None, format!("A session has at most {MOST_ITEMS} line items.")));
    }
    items.into_iter().map(item).collect()
}

fn item(mut fields: Fields) -> Result<Item, Refusal> {
    let quantity = fields.integer("quantity")?.ok_or_else(|| Refusal::missing(&fields.name("quantity")))?;
    let mut price = fields.below("price_data")?.ok_or_else(|| Refusal::missing(&fields.name("price_data")))?;
    let currency = checks::currency(&mut price)?;
    let unit = price.integer("unit_amount")?.ok_or_else(|| Refusal::missing(&price.name("unit_amount")))?;
    let mut product = price.below("product_data")?.ok_or_else(|| Refusal::missing(&price.name("product_data")))?;
    let name = product.required("name")?;
    product.text("description")?;
    if quantity < 1 {
        return Err(Refusal::wrong(&fields.name("quantity"), None, "This value must be greater than or equal to 1."));
    }
    check_unit(unit, &price.name("unit_amount"))?;
    product.finish()?;
    price.finish()?;
    fields.finish()?;
    Ok(Item { name, currency, sum: unit.checked_mul(quantity) })
}

fn check_unit(unit: i64, name: &str) -> Result<(), Refusal> {
    match unit {
        ..0 => Err(Refusal::wrong(
            name,
            Some("parameter_invalid_integer"),
            "This value must be greater than or equal to 0.",
        )),
        0..=MAX_AMOUNT => Ok(()),
        _ => Err(too_large(name)),
    }
}

fn one_currency(items: &[Item]) -> Result<String, Refusal> {
    let currency = &items[0].currency;
    if items.iter().any(|item| item.currency != *currency) {
        return Err(Refusal::wrong("line_items", None, "All line items must have the same currency."));
    }
    Ok(currency.clone())
}

fn total(items: &[Item], currency: &str) -> Result<i64, Refusal> {
    let sum = items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.sum?));
    match sum {
        Some(total) if total < checks::least(currency) => {
            let message = "The Checkout Session's total amount must convert to at least 50 cents.";
            Err(Refusal::wrong("line_items", Some("amount_too_small"), message))
        }
        Some(total) if total <= MAX_AMOUNT => Ok(total),
        Some(_) | None => Err(too_large("line_items")),
    }
}

fn too_large(name: &str) -> Refusal {
    Refusal::wrong(name, Some("amount_too_large"), "Amount must be no more than 99999999 in the smallest unit.")
}

fn target(fields: &mut Fields, name: &str) -> Result<Option<String>, Refusal> {
    let url = checks::url(fields, name)?;
    if url.as_ref().is_some_and(|url| url.len() > LONGEST_URL) {
        return Err(Refusal::wrong(name, None, format!("A URL has at most {LONGEST_URL} characters.")));
    }
    Ok(url)
}

fn reference(fields: &mut Fields) -> Result<Option<String>, Refusal> {
    let reference = fields.text("client_reference_id")?;
    if reference.as_ref().is_some_and(|text| text.chars().count() > LONGEST_REFERENCE) {
        let message = format!("Invalid string: it must be at most {LONGEST_REFERENCE} characters");
        return Err(Refusal::wrong("client_reference_id", None, message));
    }
    Ok(reference)
}

fn intent(fields: &mut Fields) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(mut intent) = fields.below("payment_intent_data")? else { return Ok(BTreeMap::new()) };
    let metadata = checks::metadata(&mut intent)?;
    intent.text("description")?;
    intent.finish()?;
    Ok(metadata)
}

fn expiry(fields: &mut Fields, now: Timestamp) -> Result<Timestamp, Refusal> {
    let latest = now.checked_add(LONGEST).unwrap_or(Timestamp::MAX);
    let Some(seconds) = fields.integer("expires_at")? else { return Ok(latest) };
    let wrong = |message: &str| Refusal::wrong("expires_at", None, message);
    let at = Timestamp::from_second(seconds).map_err(|_| wrong("Invalid timestamp"))?;
    let earliest = now.as_second() + SHORTEST.as_secs();
    if seconds < earliest {
        return Err(wrong("The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."));
    }
    if seconds > latest.as_second() {
        return Err(wrong("The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."));
    }
    Ok(at)
}
