//! Stripe's minor units, which are not always those of ISO 4217 (docs.stripe.com/currencies).

use domain::value::Currency;

use crate::payments::minor;

/// UGX and ISK have none by ISO 4217, but keep two at Stripe; MGA has two, but none at Stripe.
fn decimals(currency: Currency) -> u32 {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "JPY" | "KMF" | "KRW" | "MGA" | "PYG" | "RWF" | "VND" | "VUV" | "XAF"
        | "XOF" | "XPF" => 0,
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// Our amount in Stripe's units, if it can be said in them.
pub(super) fn to_stripe(amount: i64, currency: Currency) -> Option<i64> {
    minor::rescale(amount, minor::decimals(currency), decimals(currency))
}

/// Stripe's amount in our units, if it can be said in them.
pub(super) fn from_stripe(amount: i64, currency: Currency) -> Option<i64> {
    minor::rescale(amount, decimals(currency), minor::decimals(currency))
}

/// Stripe writes currencies in lower case.
pub(super) fn currency(text: &str) -> Option<Currency> {
    text.to_ascii_uppercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn exponents_differ_from_iso_4217_where_stripe_says_so() {
        for (code, ours, theirs) in [
            ("VND", 150_000, 150_000),
            ("USD", 1999, 1999),
            ("JPY", 500, 500),
            ("BHD", 1230, 1230),
            ("ISK", 12, 1200),
            ("UGX", 12, 1200),
            ("MGA", 1200, 12),
        ] {
            let currency = code.parse().unwrap();
            assert_eq!(
                (to_stripe(ours, currency), from_stripe(theirs, currency)),
                (Some(theirs), Some(ours)),
                "{code}"
            );
        }
        assert_eq!((to_stripe(1201, "MGA".parse().unwrap()), from_stripe(1201, "ISK".parse().unwrap())), (None, None));
        assert_eq!(to_stripe(i64::MAX, "UGX".parse().unwrap()), None);
    }

    #[test]
    fn currencies_are_read_in_lower_case() {
        assert_eq!(currency("vnd"), "VND".parse().ok());
        for odd in ["", "dong", "v1d", "vnđ"] {
            assert_eq!(currency(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn what_can_be_said_comes_back_as_it_was(amount in any::<i64>(), at in 0..7_usize) {
            let currency = ["VND", "USD", "JPY", "BHD", "ISK", "UGX", "MGA"][at].parse().unwrap();
            if let Some(theirs) = to_stripe(amount, currency) {
                prop_assert_eq!(from_stripe(theirs, currency), Some(amount));
            }
        }
    }
}
