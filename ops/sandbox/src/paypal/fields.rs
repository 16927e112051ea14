//! Fields of a JSON body, by their pointers.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// A text of 1 to `longest` characters, if it is there.
pub fn text<'a>(
    fields: &'a Map<String, Value>,
    at: &str,
    name: &str,
    longest: usize,
) -> Result<Option<&'a str>, Refusal> {
    let field = format!("{at}/{name}");
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if (1..=longest).contains(&text.chars().count()) => Ok(Some(text)),
        Some(Value::String(_)) => {
            let description = "The value of a field is either too short or too long.";
            Err(Refusal::field(&field, "INVALID_STRING_LENGTH", description))
        }
        Some(_) => Err(wrong_form(&field)),
    }
}

/// The same as an owned text.
pub fn owned(fields: &Map<String, Value>, at: &str, name: &str, longest: usize) -> Result<Option<String>, Refusal> {
    Ok(text(fields, at, name, longest)?.map(str::to_owned))
}

/// An object, if it is there.
pub fn object<'a>(
    fields: &'a Map<String, Value>,
    at: &str,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(wrong_form(&format!("{at}/{name}"))),
    }
}

/// One of these words, if it is there.
pub fn word(fields: &Map<String, Value>, at: &str, name: &str, words: &[&str]) -> Result<Option<String>, Refusal> {
    let Some(text) = text(fields, at, name, 255)? else { return Ok(None) };
    if words.contains(&text) {
        return Ok(Some(text.to_owned()));
    }
    let description = "The value of a field is invalid.";
    Err(Refusal::field(&format!("{at}/{name}"), "INVALID_PARAMETER_VALUE", description))
}

/// A field of the wrong type or form.
pub fn wrong_form(field: &str) -> Refusal {
    let description = "The value of a field does not conform to the expected format.";
    Refusal::field(field, "INVALID_PARAMETER_SYNTAX", description)
}
