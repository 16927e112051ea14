//! Order codes: short, human, unguessable. 50 bits of HMAC(secret, order) in Crockford's base 32.

use domain::ids::OrderId;

use crate::keys::Keys;

/// Crockford's alphabet: no I, L, O (they look like digits) and no U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many characters a code has.
pub const LENGTH: usize = 10;

/// The code of an order, 10 characters.
pub fn order(keys: &Keys, order: OrderId) -> String {
    let mut bits = u128::from_be_bytes(keys.order_code(order)) >> (128 - 5 * LENGTH);
    let mut code = [0; LENGTH];
    for place in code.iter_mut().rev() {
        *place = ALPHABET[usize::try_from(bits % 32).unwrap_or(0)];
        bits /= 32;
    }
    code.iter().copied().map(char::from).collect()
}

/// A code as a person typed it, made canonical: any case, hyphens and spaces ignored, I and L read as 1, O as 0.
/// `None` if it cannot be a code.
pub fn parse(typed: &str) -> Option<String> {
    if typed.len() > 4 * LENGTH {
        return None;
    }
    let typed = typed.chars().filter(|c| !matches!(c, '-' | ' '));
    let code: String = typed.map(canonical).collect::<Option<_>>()?;
    (code.len() == LENGTH).then_some(code)
}

fn canonical(c: char) -> Option<char> {
    match c.to_ascii_uppercase() {
        'I' | 'L' => Some('1'),
        'O' => Some('0'),
        c => ALPHABET.iter().any(|&letter| char::from(letter) == c).then_some(c),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::keys::Secret32;

    fn code(secret: u8, id: u128) -> String {
        order(&Keys::new(&Secret32::new([secret; 32])), OrderId(Uuid::from_u128(id)))
    }

    #[test]
    fn a_code_has_10_characters_and_depends_on_secret_and_order() {
        assert_eq!(code(1, 1), code(1, 1));
        assert_ne!(code(1, 1), code(1, 2));
        assert_ne!(code(1, 1), code(2, 1));
        assert!((0..500).all(|id| parse(&code(3, id)) == Some(code(3, id))));
    }

    #[test]
    fn a_typed_code_is_read_kindly() {
        assert_eq!(parse("abcde-fgh01").as_deref(), Some("ABCDEFGH01"));
        assert_eq!(parse("ilo00 00000").as_deref(), Some("1100000000"));
        for bad in ["", "ABCDEFGH0", "ABCDEFGH012", "ABCDEFGHU1", "ABCDEFGH€1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
