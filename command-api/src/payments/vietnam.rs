//! Vietnamese wall-clock time, and the dong. Vietnam is seven hours before UTC, without summer time.

use std::sync::LazyLock;

use domain::ids::PaymentId;
use domain::value::{Currency, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use uuid::Uuid;

/// The Vietnamese dong; it has no smaller unit.
pub(super) static DONG: LazyLock<Currency> = LazyLock::new(|| "VND".parse().expect("VND is three upper-case letters"));

const OFFSET: Offset = Offset::constant(7);
/// `yyyyMMddHHmmss`.
const SECOND: &str = "%Y%m%d%H%M%S";

/// `yyyyMMddHHmmss`.
pub(super) fn second(at: Timestamp) -> String {
    local(at).strftime(SECOND).to_string()
}

/// `yymmdd`.
pub(super) fn day(at: Timestamp) -> String {
    local(at).strftime("%y%m%d").to_string()
}

/// Whether two moments are of the same Vietnamese day.
pub(super) fn same_day(one: Timestamp, other: Timestamp) -> bool {
    local(one).date() == local(other).date()
}

/// Whether a text is a moment as [`second`] writes it.
pub(super) fn is_second(text: &str) -> bool {
    let digits = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && DateTime::strptime(SECOND, text).is_ok()
}

/// Whether a text is a day as [`day`] writes it.
pub(super) fn is_day(text: &str) -> bool {
    text.len() == 6 && is_second(&format!("20{text}000000"))
}

/// A payment's id as our references hold it: 32 lower-case digits.
pub(super) fn payment(text: &str) -> Option<PaymentId> {
    let ours = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ours.then(|| Uuid::try_parse(text).ok().map(PaymentId)).flatten()
}

/// A moment that no calendar has counts as the last one that it has.
fn local(at: Timestamp) -> DateTime {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(TimeZone::fixed(OFFSET)).datetime()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn from_17_o_clock_utc_it_is_tomorrow() {
        for (utc, local, today) in [
            ("2026-10-10T16:59:59Z", "20261010235959", "261010"),
            ("2026-10-10T17:00:00Z", "20261011000000", "261011"),
            ("2026-10-10T23:59:59Z", "20261011065959", "261011"),
            ("2026-12-31T17:00:00Z", "20270101000000", "270101"),
            ("2028-02-28T20:00:00.999999Z", "20280229030000", "280229"),
        ] {
            assert_eq!((second(at(utc)).as_str(), day(at(utc)).as_str()), (local, today), "{utc}");
        }
        assert!(same_day(at("2026-10-10T17:00:00Z"), at("2026-10-11T16:59:59Z")));
        assert!(!same_day(at("2026-10-10T16:59:59Z"), at("2026-10-10T17:00:00Z")));
    }

    #[test]
    fn only_moments_and_days_of_the_calendar_are_read() {
        assert!(is_second("20261010235959") && is_day("280229"));
        for bad in ["", "2026101023595", "202610102359590", "20261310235959", "20260229000000", "+0261010235959"] {
            assert!(!is_second(bad), "{bad}");
        }
        for bad in ["", "26101", "2610100", "261301", "260229", "26101O", "é1010"] {
            assert!(!is_day(bad), "{bad}");
        }
    }

    #[test]
    fn only_our_form_of_an_id_is_read() {
        let id = Uuid::from_u128(0x00ab_cdef);
        assert_eq!(payment(&id.simple().to_string()), Some(PaymentId(id)));
        for bad in [id.to_string(), id.simple().to_string().to_uppercase(), String::new(), "é".repeat(16)] {
            assert_eq!(payment(&bad), None, "{bad}");
        }
    }

    #[test]
    fn no_moment_panics() {
        for extreme in [i64::MIN, i64::MAX, 0] {
            assert!(is_second(&second(Timestamp(extreme))), "{extreme}");
        }
    }
}
