//! Latencies, microseconds, three digits exact, which can be merged and sent as JSON.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longer ones count as this.
const LONGEST_US: u64 = 600_000_000;

/// A histogram of latencies.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).expect("these bounds are allowed"))
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US));
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What so many per cent do not exceed, milliseconds; not a number if there is none.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        if self.0.is_empty() { f64::NAN } else { ms(self.0.value_at_percentile(percent)) }
    }

    /// The longest, milliseconds; not a number if there is none.
    pub fn max_ms(&self) -> f64 {
        if self.0.is_empty() { f64::NAN } else { ms(self.0.max()) }
    }

    /// How many took no longer than this.
    pub fn within(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(LONGEST_US);
        self.0.iter_recorded().filter(|it| it.value_iterated_to() <= limit).map(|it| it.count_at_value()).sum()
    }

    fn pairs(&self) -> Vec<(u64, u64)> {
        self.0.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value())).collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of ten minutes")]
fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pairs().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Self::default();
        for (us, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            read.0.saturating_record_n(us, count);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ms: impl IntoIterator<Item = u64>) -> Latencies {
        let mut all = Latencies::default();
        ms.into_iter().for_each(|ms| all.record(Duration::from_millis(ms)));
        all
    }

    fn about(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= expected * 0.001
    }

    #[test]
    fn merged_they_are_as_if_recorded_together() {
        let (odd, even, all) = (of((1..=1000).step_by(2)), of((2..=1000).step_by(2)), of(1..=1000));
        let mut merged = odd;
        merged.merge(&even);
        assert_eq!(merged, all);
        assert!(about(merged.percentile_ms(50.0), 500.0) && about(merged.percentile_ms(99.0), 990.0));
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let sent = of([1, 1, 5, 77, 12_345, 10_000_000]);
        let read: Latencies = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
        assert_eq!(read.pairs(), sent.pairs());
        assert_eq!(read.count(), 6);
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert!(Latencies::default().percentile_ms(99.0).is_nan() && Latencies::default().max_ms().is_nan());
        assert_eq!(of([10, 20, 3000]).within(Duration::from_millis(50)), 2);
    }
}
