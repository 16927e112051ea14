//! Form encoding, read strictly: `name=value` joined with `&`, `+` for a space, `%` with two hex digits.

/// The pairs of a form or of a query, in their order; `None` when it is not one.
pub fn pairs(text: &[u8]) -> Option<Vec<(String, String)>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(|byte| *byte == b'&').map(pair).collect()
}

fn pair(text: &[u8]) -> Option<(String, String)> {
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (decode(&text[..equals])?, decode(&text[equals + 1..])?);
    (!name.is_empty()).then_some((name, value))
}

/// The text that a form-encoded one stands for; `None` when it is not well formed.
pub fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            b'&' | b'=' | b' ' => return None,
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
