//! The only place that draws random ids.

use uuid::Uuid;

/// 32 lower-case hex digits, the shape of a `paymentLinkId`.
pub fn hex32() -> String {
    random().simple().to_string()
}

/// A UUID as text, the shape of a transmission id.
pub fn uuid() -> String {
    random().hyphenated().to_string()
}

/// A bank's transfer reference. Random, so that a restart without a journal never repeats one.
pub fn bank_reference() -> String {
    let hex = hex32().to_uppercase();
    format!("FT{}", &hex[..14])
}

#[allow(clippy::disallowed_methods, reason = "the one place that draws random ids")]
fn random() -> Uuid {
    Uuid::new_v4()
}
