//! The texts that PayOS signs.

use serde_json::{Map, Value};

/// The text of a create request: five fields in fixed order, raw, without URL-encoding.
pub fn create_text(amount: i64, cancel_url: &str, description: &str, order_code: i64, return_url: &str) -> String {
    format!(
        "amount={amount}&cancelUrl={cancel_url}&description={description}&orderCode={order_code}&returnUrl={return_url}"
    )
}

/// The text of a `data` object: all keys in byte order, `key=value` joined with `&`, without URL-encoding.
pub fn data_text(data: &Map<String, Value>) -> String {
    let pairs: Vec<String> = sorted(data).into_iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    pairs.join("&")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text == "null" || text == "undefined" => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => compact(value),
    }
}

/// Compact JSON with sorted keys. Written out, because the order of a `Map` depends on a feature that any crate of the
/// build may turn on.
fn compact(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(compact).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let member = |(key, value): (&String, &Value)| format!("{}:{}", Value::from(key.as_str()), compact(value));
            format!("{{{}}}", sorted(fields).into_iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn sorted(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(key, _)| key.as_bytes());
    fields
}
