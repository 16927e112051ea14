//! How long an answer asks us to wait.

use std::time::Duration;

use domain::value::Timestamp;
use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Who asks for more than a day made a mistake.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A number above this is a moment, not a span.
const A_MOMENT: u64 = 1_000_000_000;

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), else `x-ratelimit-reset` in seconds from now or as Unix time.
pub(super) fn asked_for(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let retry_after = text(RETRY_AFTER.as_str()).and_then(|it| seconds(it, now).or_else(|| date(it, now)));
    let wait = retry_after.or_else(|| text("x-ratelimit-reset").and_then(|it| seconds(it, now)))?;
    Some(wait.min(LONGEST))
}

fn seconds(text: &str, now: Timestamp) -> Option<Duration> {
    let number: u64 = text.parse().ok()?;
    if number < A_MOMENT {
        return Some(Duration::from_secs(number));
    }
    let now_s = u64::try_from(now.0 / 1_000_000).ok()?;
    Some(Duration::from_secs(number.saturating_sub(now_s)))
}

fn date(text: &str, now: Timestamp) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let left_us = date.as_microsecond().saturating_sub(now.0);
    Some(Duration::from_micros(u64::try_from(left_us).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-10-21 07:27:30 UTC.
    const NOW: Timestamp = Timestamp(1_445_412_450_000_000);

    fn asked(name: &'static str, value: &'static str) -> Option<u64> {
        let headers = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
        asked_for(&headers, NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_dates_and_moments_are_understood() {
        assert_eq!(asked("retry-after", "120"), Some(120));
        assert_eq!(asked("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Some(30));
        assert_eq!(asked("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
        assert_eq!(asked("x-ratelimit-reset", "7"), Some(7));
        assert_eq!(asked("x-ratelimit-reset", "1445412455"), Some(5));
        assert_eq!(asked("retry-after", "999999999"), Some(86_400));
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        for value in ["", "soon", "-1", "1.5"] {
            assert_eq!(asked("retry-after", value), None, "{value}");
        }
        assert_eq!(asked("x-other", "1"), None);
    }
}
