//! Minor units: ours are those of ISO 4217; a provider can have its own.

use domain::value::Currency;

/// How many decimals a currency has in our amounts; two if ISO 4217 does not know it.
pub(super) fn decimals(currency: Currency) -> u32 {
    let known = iso_currency::Currency::from_code(currency.as_str());
    known.and_then(|it| it.exponent()).map_or(2, u32::from)
}

/// An amount with other decimals; none if that would lose some of it, or it does not fit.
pub(super) fn rescale(amount: i64, from: u32, to: u32) -> Option<i64> {
    let factor = 10_i64.checked_pow(from.abs_diff(to))?;
    if to >= from {
        return amount.checked_mul(factor);
    }
    (amount % factor == 0).then_some(amount / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_of_iso_4217() {
        let zero = "VND JPY KRW CLP ISK UGX XAF XOF XPF PYG RWF VUV BIF DJF GNF KMF";
        let three = "BHD IQD JOD KWD LYD OMR TND";
        for (codes, expected) in [(zero, 0), (three, 3), ("USD EUR GBP THB HUF TWD MGA", 2), ("CLF UYW", 4), ("ZZZ", 2)]
        {
            for code in codes.split(' ') {
                assert_eq!(decimals(code.parse().unwrap()), expected, "{code}");
            }
        }
    }

    #[test]
    fn nothing_is_lost_or_wrapped() {
        assert_eq!((rescale(150_000, 0, 0), rescale(5, 0, 2), rescale(500, 2, 0)), (Some(150_000), Some(500), Some(5)));
        assert_eq!((rescale(501, 2, 0), rescale(i64::MAX, 0, 2), rescale(1, 0, 40)), (None, None, None));
    }
}
