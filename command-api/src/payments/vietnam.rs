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

/// Whether two moments are of the same Vietnamese day.
pub(super) fn same_day(one: Timestamp, other: Timestamp) -> bool {
    local(one).date() == local(other).date()
}

/// Whether a text is a moment as [`second`] writes it.
pub(super) fn is_second(text: &str) -> bool {
    let digits = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && DateTime::strptime(SECOND, text).is_ok()
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
        for (utc, local) in [
            ("2026-10-10T16:59:59Z", "20261010235959"),
            ("2026-10-10T17:00:00Z", "20261011000000"),
            ("2026-10-10T23:59:59Z", "20261011065959"),
            ("2026-12-31T17:00:00Z", "20270101000000"),
            ("2028-02-28T20:00:00.999999Z", "20280229030000"),
        ] {
            assert_eq!(second(at(utc)), local, "{utc}");
        }
        assert!(same_day(at("2026-10-10T17:00:00Z"), at("2026-10-11T16:59:59Z")));
        assert!(!same_day(at("2026-10-10T16:59:59Z"), at("2026-10-10T17:00:00Z")));
    }

    #[test]
    fn only_moments_of_the_calendar_are_read() {
        assert!(is_second("20261010235959"));
        for bad in ["", "2026101023595", "202610102359590", "20261310235959", "20260229000000", "+0261010235959"] {
            assert!(!is_second(bad), "{bad}");
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
