//! What an order's amount is made of: the items and the breakdown, which must add up.

use serde_json::{Map, Value};

use super::amount::{self, Amount};
use super::fields;
use super::refusal::Refusal;

const PLUS: [&str; 5] = ["item_total", "tax_total", "shipping", "handling", "insurance"];
const MINUS: [&str; 2] = ["shipping_discount", "discount"];

/// Checks the sums of a purchase unit.
pub fn check(unit: &Map<String, Value>, at: &str, total: &Amount) -> Result<(), Refusal> {
    let items = items(unit, at, total)?;
    let amount_at = format!("{at}/amount");
    let amount = fields::object(unit, at, "amount")?.ok_or_else(|| Refusal::missing(&amount_at))?;
    let Some(breakdown) = fields::object(amount, &amount_at, "breakdown")? else {
        return match items {
            Some(_) => Err(required(&amount_at)),
            None => Ok(()),
        };
    };
    let at = format!("{amount_at}/breakdown");
    let part = |name: &str| -> Result<i64, Refusal> {
        let part = fields::object(breakdown, &at, name)?;
        part.map_or(Ok(0), |part| same_currency(part, &format!("{at}/{name}"), total))
    };
    let plus = PLUS.iter().map(|name| part(name)).sum::<Result<i64, _>>()?;
    let minus = MINUS.iter().map(|name| part(name)).sum::<Result<i64, _>>()?;
    if let Some(items) = items {
        if !breakdown.contains_key("item_total") {
            return Err(required(&amount_at));
        }
        if part("item_total")? != items {
            let description = "Should equal sum of (unit_amount * quantity) across all items for a given purchase_unit";
            return Err(Refusal::field_issue(&format!("{at}/item_total"), "ITEM_TOTAL_MISMATCH", description));
        }
    }
    if plus - minus != total.minor {
        let description =
            "Should equal item_total + tax_total + shipping + handling + insurance - shipping_discount - discount.";
        return Err(Refusal::field_issue(&format!("{amount_at}/value"), "AMOUNT_MISMATCH", description));
    }
    Ok(())
}

/// The sum of the items, if there are any.
fn items(unit: &Map<String, Value>, at: &str, total: &Amount) -> Result<Option<i64>, Refusal> {
    let at = format!("{at}/items");
    match unit.get("items") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let sums = items.iter().enumerate().map(|(index, item)| item_sum(item, &format!("{at}/{index}"), total));
            Ok(Some(sums.sum::<Result<i64, _>>()?))
        }
        Some(_) => Err(fields::wrong_form(&at)),
    }
}

fn item_sum(item: &Value, at: &str, total: &Amount) -> Result<i64, Refusal> {
    let item = item.as_object().ok_or_else(|| fields::wrong_form(at))?;
    fields::text(item, at, "name", 127)?.ok_or_else(|| Refusal::missing(&format!("{at}/name")))?;
    let quantity_at = format!("{at}/quantity");
    let quantity = fields::text(item, at, "quantity", 10)?.ok_or_else(|| Refusal::missing(&quantity_at))?;
    let whole = quantity.bytes().all(|byte| byte.is_ascii_digit()) && !quantity.starts_with('0');
    let quantity = quantity.parse::<i64>().ok().filter(|_| whole).ok_or_else(|| fields::wrong_form(&quantity_at))?;
    let unit_at = format!("{at}/unit_amount");
    let unit = fields::object(item, at, "unit_amount")?.ok_or_else(|| Refusal::missing(&unit_at))?;
    let unit = same_currency(unit, &unit_at, total)?;
    unit.checked_mul(quantity).ok_or_else(|| fields::wrong_form(&unit_at))
}

fn same_currency(part: &Map<String, Value>, at: &str, total: &Amount) -> Result<i64, Refusal> {
    let part = amount::read(part, at)?;
    if part.currency != total.currency {
        let description = "Amount currency must be the same within a purchase unit.";
        return Err(Refusal::field_issue(&format!("{at}/currency_code"), "CURRENCY_MISMATCH", description));
    }
    Ok(part.minor)
}

fn required(amount_at: &str) -> Refusal {
    let description = "If item details are specified (items.unit_amount and items.quantity) corresponding amount.breakdown.item_total is required.";
    Refusal::field_issue(&format!("{amount_at}/breakdown/item_total"), "ITEM_TOTAL_REQUIRED", description)
}
