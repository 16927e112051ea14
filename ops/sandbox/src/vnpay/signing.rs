//! The texts that VNPay signs with HMAC-SHA512.

use std::collections::BTreeMap;

/// The fields of a query, decoded, by name.
pub type Fields = BTreeMap<String, String>;

/// What VNPay signs of a query and what it carries.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// The text that is signed.
    pub text: String,
    /// Every field whose value is not empty.
    pub fields: Fields,
}

/// Reads a raw query. The signed text drops empty values and the hash itself, sorts by name and form-encodes each value
/// anew, so that a query in another encoding (`%20` for a space, `%3a`, a bare `:`) has another hash than its sender
/// thinks. Encoders differ on `* ~ ! ' ( )`: those stay as they came.
///
/// `None` when it is not a query, or names a field twice.
pub fn read(query: &str) -> Option<Read> {
    let mut fields = Fields::new();
    let mut pairs = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
        let (value, again) = decode(raw)?;
        if raw.is_empty() {
            continue;
        }
        if fields.insert(name.to_owned(), value).is_some() {
            return None;
        }
        pairs.insert(name.to_owned(), again);
    }
    let signed = pairs.iter().filter(|(name, _)| !matches!(name.as_str(), "vnp_SecureHash" | "vnp_SecureHashType"));
    let text = signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    Some(Read { text, fields })
}

/// The query of these fields without its hash, which is also the signed text.
pub fn query(fields: &[(&str, String)]) -> String {
    let mut fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
    fields.sort();
    fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
}

/// The text of a request or an answer of the API: raw values in the documented order.
pub fn joined<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().collect::<Vec<_>>().join("|")
}

fn encode(value: &str) -> String {
    value.bytes().map(encoded).collect()
}

fn encoded(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    }
}

/// The text behind a form-encoded one, and the same encoded anew.
fn decode(raw: &str) -> Option<(String, String)> {
    let (mut value, mut again) = (Vec::new(), String::new());
    let mut rest = raw.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = match first {
            b'+' => b' ',
            b'%' => {
                rest = after.get(2..)?;
                hex(after[0])? << 4 | hex(after[1])?
            }
            other => *other,
        };
        let bare = *first == byte && b"*~!'()".contains(&byte);
        again += &if bare { char::from(byte).to_string() } else { encoded(byte) };
        value.push(byte);
    }
    Some((String::from_utf8(value).ok()?, again))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
