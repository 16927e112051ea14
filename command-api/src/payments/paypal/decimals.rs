//! Amounts as PayPal writes them: decimal texts, without decimals in some currencies (developer.paypal.com, currencies).

use domain::value::Currency;

use crate::payments::minor;

/// PayPal takes at most so many characters.
const LONGEST: usize = 32;

/// HUF and TWD have two by ISO 4217, but none at PayPal.
fn decimals(currency: Currency) -> u32 {
    match currency.as_str() {
        "HUF" | "JPY" | "TWD" => 0,
        _ => 2,
    }
}

/// Our amount as PayPal takes it, if it can be said so.
pub(super) fn to_text(amount: i64, currency: Currency) -> Option<String> {
    let places = decimals(currency);
    let amount = minor::rescale(amount, minor::decimals(currency), places).filter(|it| *it > 0)?;
    let unit = 10_i64.checked_pow(places)?;
    Some(match places {
        0 => amount.to_string(),
        _ => format!("{}.{:0width$}", amount / unit, amount % unit, width = usize::try_from(places).ok()?),
    })
}

/// PayPal's amount in our units, if it can be said in them; none is negative.
pub(super) fn from_text(text: &str, currency: Currency) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > LONGEST || text.ends_with('.') || text.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let number: i64 = format!("{whole}{part}").parse().ok()?;
    minor::rescale(number, u32::try_from(part.len()).ok()?, minor::decimals(currency))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn decimals_differ_from_iso_4217_where_paypal_says_so() {
        for (code, ours, text) in [
            ("USD", 1999, "19.99"),
            ("USD", 5, "0.05"),
            ("USD", 100_000, "1000.00"),
            ("JPY", 500, "500"),
            ("HUF", 12_300, "123"),
            ("TWD", 100, "1"),
        ] {
            assert_eq!(to_text(ours, currency(code)).as_deref(), Some(text), "{code}");
            assert_eq!(from_text(text, currency(code)), Some(ours), "{code}");
        }
        for (code, ours) in [("HUF", 12_345), ("USD", 0), ("USD", -5)] {
            assert_eq!(to_text(ours, currency(code)), None, "{code} {ours}");
        }
    }

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        for (text, expected) in [("20", 2000), ("20.0", 2000), ("20.000", 2000), (".5", 50), ("0.00", 0)] {
            assert_eq!(from_text(text, currency("USD")), Some(expected), "{text}");
        }
        let long = "0".repeat(33);
        for odd in
            ["", ".", "20.", "-1", "+1", "1e3", "1,00", " 1", "0.001", "1.2.3", "٣", "99999999999999999999", &long]
        {
            assert_eq!(from_text(odd, currency("USD")), None, "{odd}");
        }
        assert_eq!(from_text("1.5", currency("JPY")), None);
        assert_eq!(from_text("9223372036854775807", currency("USD")), None);
    }

    proptest! {
        #[test]
        fn what_can_be_said_comes_back_as_it_was(amount in any::<i64>(), at in 0..4_usize) {
            let currency = currency(["USD", "JPY", "HUF", "EUR"][at]);
            if let Some(text) = to_text(amount, currency) {
                prop_assert!(text.len() <= LONGEST);
                prop_assert_eq!(from_text(&text, currency), Some(amount));
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = from_text(&text, currency("USD"));
        }
    }
}
