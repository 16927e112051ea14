//! The Vietnamese wall clock (GMT+7 all year), by which VNPay and ZaloPay write dates.

use jiff::civil::DateTime;
use jiff::tz::{Offset, offset};
use jiff::{Timestamp, Zoned};

const VIETNAM: Offset = offset(7);
const STAMP: &str = "%Y%m%d%H%M%S";

/// `yyyyMMddHHmmss`.
pub fn stamp(time: Timestamp) -> String {
    zoned(time).strftime(STAMP).to_string()
}

/// The time that a stamp means; `None` when it is not fourteen digits or no such time exists.
pub fn read_stamp(text: &str) -> Option<Timestamp> {
    let digits = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = digits.then(|| DateTime::strptime(STAMP, text).ok()).flatten()?;
    VIETNAM.to_timestamp(time).ok()
}

/// `yymmdd`.
pub fn day(time: Timestamp) -> String {
    zoned(time).strftime("%y%m%d").to_string()
}

fn zoned(time: Timestamp) -> Zoned {
    time.to_zoned(VIETNAM.to_time_zone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_changes_at_17_utc() {
        let before: Timestamp = "2026-03-31T16:59:59Z".parse().unwrap();
        let after: Timestamp = "2026-03-31T17:00:00Z".parse().unwrap();
        assert_eq!((day(before).as_str(), day(after).as_str()), ("260331", "260401"));
        assert_eq!((stamp(before).as_str(), stamp(after).as_str()), ("20260331235959", "20260401000000"));
        assert_eq!(read_stamp("20260401000000"), Some(after));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in
            ["", "20260401", "2026040100000", "20260230000000", "20260401240000", "2026-04-0100000", "+2260401000000"]
        {
            assert_eq!(read_stamp(wrong), None, "{wrong}");
        }
    }
}
