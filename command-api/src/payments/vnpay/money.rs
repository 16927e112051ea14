//! VNPay counts hundredths of a dong, although the dong has no smaller unit.

/// The largest number of twelve digits, which a request may hold.
const LARGEST: i64 = 999_999_999_999;

/// Dong as VNPay writes them; none if it takes no such amount.
pub(super) fn written(dong: i64) -> Option<String> {
    let hundredths = dong.checked_mul(100)?;
    (1..=LARGEST).contains(&hundredths).then(|| hundredths.to_string())
}

/// An amount of VNPay's in dong; none if it is not positive, or no whole number of dong.
pub(super) fn read(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let hundredths: i64 = text.parse().ok().filter(|it| digits && *it > 0)?;
    (hundredths % 100 == 0).then_some(hundredths / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dong_are_written_a_hundredfold_up_to_twelve_digits() {
        assert_eq!(written(10_000).as_deref(), Some("1000000"));
        assert_eq!(written(9_999_999_999).as_deref(), Some("999999999900"));
        for none in [0, -1, 10_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(written(none), None, "{none}");
        }
    }

    #[test]
    fn only_whole_dong_are_read() {
        assert_eq!((read("1000000"), read("100")), (Some(10_000), Some(1)));
        for none in ["", "0", "-100", "+100", "150", "1e4", "100.00", " 100", "92233720368547758070"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
