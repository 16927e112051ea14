//! HMAC-SHA256, and for VNPay HMAC-SHA512, in lower-case hex.

use ring::hmac;

/// The signature of `text` under the bytes of `key`.
pub fn sign(key: &str, text: &str) -> String {
    hex(hmac::sign(&hmac_key(key), text.as_bytes()).as_ref())
}

/// The HMAC-SHA512 of `text` under the bytes of `key`.
pub fn sign_sha512(key: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// Whether `signature` is that of `text`, compared in constant time. Upper-case hex is refused.
pub fn verify(key: &str, text: &str, signature: &str) -> bool {
    decode_lower_hex(signature).is_some_and(|tag| hmac::verify(&hmac_key(key), text.as_bytes(), &tag).is_ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac_key(key: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())
}

fn decode_lower_hex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
