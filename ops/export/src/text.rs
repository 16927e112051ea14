//! Values as text: JSON, and what both JSON and CSV write for moments and bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::value::Timestamp;

use crate::datum::{BadDatum, Datum};
use crate::tree::{Field, Node};

/// A moment as RFC 3339 with microseconds, UTC.
pub fn moment(at: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(at.0) {
        Ok(at) => format!("{at:.6}"),
        // Outside the years that RFC 3339 can say: then at least nothing is lost.
        Err(_) => at.0.to_string(),
    }
}

/// Bytes as base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Appends a text as a JSON string.
pub fn quoted(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a vector takes every string");
}

/// Appends a value as JSON.
///
/// # Errors
/// The datum does not follow its schema.
pub fn json(node: &Node, datum: &mut Datum<'_>, out: &mut Vec<u8>) -> Result<(), BadDatum> {
    match node {
        Node::Boolean => out.extend_from_slice(if datum.boolean()? { b"true" } else { b"false" }),
        Node::Int => out.extend_from_slice(datum.int()?.to_string().as_bytes()),
        Node::Long => out.extend_from_slice(datum.long()?.to_string().as_bytes()),
        Node::Moment => quoted(&moment(Timestamp(datum.long()?)), out),
        Node::Text | Node::Uuid => quoted(datum.text()?, out),
        Node::Bytes => quoted(&base64(datum.bytes()?), out),
        Node::Enum(symbols) => quoted(datum.symbol(symbols)?, out),
        Node::Optional(inner, null_first) => match datum.is_null(*null_first)? {
            true => out.extend_from_slice(b"null"),
            false => json(inner, datum, out)?,
        },
        Node::List(item) => {
            out.push(b'[');
            let begin = out.len();
            datum.list(|datum| {
                if out.len() > begin {
                    out.push(b',');
                }
                json(item, datum, out)
            })?;
            out.push(b']');
        }
        Node::Record(fields) => json_fields(fields, datum, out)?,
    }
    Ok(())
}

/// Appends the fields of a record as a JSON object, in the schema's order.
///
/// # Errors
/// As for [`json`].
pub fn json_fields(fields: &[Field], datum: &mut Datum<'_>, out: &mut Vec<u8>) -> Result<(), BadDatum> {
    out.push(b'{');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        quoted(&field.name, out);
        out.push(b':');
        json(&field.node, datum, out)?;
    }
    out.push(b'}');
    Ok(())
}
