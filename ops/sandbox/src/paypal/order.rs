//! The body of a new order.

use serde_json::{Map, Value};

use super::amount::{self, Amount};
use super::refusal::Refusal;
use super::{fields, items};

const UNIT: &str = "/purchase_units/0";

/// An order that is asked for and in order.
#[derive(Debug)]
pub struct NewOrder {
    /// What is to be paid.
    pub amount: Amount,
    /// The purchase unit's own name.
    pub reference_id: String,
    /// The shop's text, which comes back with every capture.
    pub custom_id: Option<String>,
    /// The shop's reference, which may be used once.
    pub invoice_id: Option<String>,
    /// What the payer sees.
    pub description: Option<String>,
    /// Where the browser goes after the approval.
    pub return_url: String,
    /// Where it goes otherwise.
    pub cancel_url: String,
    /// Whether a payment source was named, which changes the first status and the link's name.
    pub has_source: bool,
}

/// Reads and checks the body. Only intent CAPTURE with one purchase unit is played.
pub fn read(body: &Map<String, Value>) -> Result<NewOrder, Refusal> {
    match fields::word(body, "", "intent", &["CAPTURE", "AUTHORIZE"])?.as_deref() {
        Some("CAPTURE") => {}
        Some(_) => {
            return Err(Refusal::field_issue("/intent", "UNSUPPORTED_INTENT", "This sandbox plays CAPTURE only."));
        }
        None => return Err(Refusal::missing("/intent")),
    }
    let unit = only_unit(body)?;
    let amount_at = format!("{UNIT}/amount");
    let amount = fields::object(unit, UNIT, "amount")?.ok_or_else(|| Refusal::missing(&amount_at))?;
    let amount = amount::positive(amount, &amount_at)?;
    items::check(unit, UNIT, &amount)?;
    fields::text(unit, UNIT, "soft_descriptor", 22)?;
    let (context, at, has_source) = context(body)?;
    check_context(context, &at)?;
    Ok(NewOrder {
        amount,
        reference_id: fields::owned(unit, UNIT, "reference_id", 256)?.unwrap_or_else(|| "default".to_owned()),
        custom_id: fields::owned(unit, UNIT, "custom_id", 127)?,
        invoice_id: fields::owned(unit, UNIT, "invoice_id", 127)?,
        description: fields::owned(unit, UNIT, "description", 127)?,
        return_url: url(context, &at, "return_url")?,
        cancel_url: url(context, &at, "cancel_url")?,
        has_source,
    })
}

fn only_unit(body: &Map<String, Value>) -> Result<&Map<String, Value>, Refusal> {
    let at = "/purchase_units";
    match body.get("purchase_units") {
        None | Some(Value::Null) => Err(Refusal::missing(at)),
        Some(Value::Array(units)) => match units.as_slice() {
            [Value::Object(unit)] => Ok(unit),
            [_, _, ..] => Err(Refusal::field_issue(at, "UNSUPPORTED_UNITS", "This sandbox plays one purchase unit.")),
            [] | [_] => Err(fields::wrong_form(at)),
        },
        Some(_) => Err(fields::wrong_form(at)),
    }
}

/// The experience context, its place, and whether it belongs to a payment source.
fn context(body: &Map<String, Value>) -> Result<(&Map<String, Value>, String, bool), Refusal> {
    let at = "/payment_source/paypal/experience_context";
    if let Some(source) = fields::object(body, "", "payment_source")? {
        let paypal = fields::object(source, "/payment_source", "paypal")?;
        let paypal = paypal.ok_or_else(|| Refusal::missing("/payment_source/paypal"))?;
        let context = fields::object(paypal, "/payment_source/paypal", "experience_context")?;
        return Ok((context.ok_or_else(|| Refusal::missing(at))?, at.to_owned(), true));
    }
    let older = fields::object(body, "", "application_context")?;
    Ok((older.ok_or_else(|| Refusal::missing(at))?, "/application_context".to_owned(), false))
}

fn check_context(context: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    fields::text(context, at, "brand_name", 127)?;
    fields::text(context, at, "locale", 10)?;
    fields::word(context, at, "landing_page", &["LOGIN", "GUEST_CHECKOUT", "NO_PREFERENCE", "BILLING"])?;
    fields::word(context, at, "shipping_preference", &["NO_SHIPPING", "GET_FROM_FILE", "SET_PROVIDED_ADDRESS"])?;
    fields::word(context, at, "user_action", &["CONTINUE", "PAY_NOW"])?;
    let methods = ["UNRESTRICTED", "IMMEDIATE_PAYMENT_REQUIRED"];
    fields::word(context, at, "payment_method_preference", &methods).map(drop)
}

/// Required here, because the browser has to come back from the payment page.
fn url(context: &Map<String, Value>, at: &str, name: &str) -> Result<String, Refusal> {
    let field = format!("{at}/{name}");
    let text = fields::text(context, at, name, 4_000)?.ok_or_else(|| Refusal::missing(&field))?;
    let sound = reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if sound { Ok(text.to_owned()) } else { Err(fields::wrong_form(&field)) }
}
