//! How long it takes from an event's append, by the broker's clock, until its rows are committed.

use service_kit::clock;

use super::Worker;
use crate::model::ReadModel;

/// Lags are counted to a share of their size, so that a batch costs a few samples and not one for each event.
const GRAIN: i64 = 8;

impl<M: ReadModel> Worker<M> {
    /// What the last batch wrote counts, unless the read model is being filled: then it tells how old the log is.
    pub(super) fn tell_lag(&mut self) {
        let mut stamps = self.projection.take_stamps();
        if !self.light.has_caught_up() {
            return;
        }
        let now = clock::now();
        let histogram = metrics::histogram!("projector_lag_seconds", "projection" => M::LAYOUT.name);
        stamps.sort_unstable();
        let ages = stamps.into_iter().map(|stamp| rounded_ms((now.0 - stamp.0).max(0) / 1000));
        for (ms, count) in runs(ages) {
            #[allow(clippy::cast_precision_loss, reason = "milliseconds below 2^52")]
            histogram.record_many(ms as f64 / 1e3, count);
        }
    }
}

/// To about an eighth of itself.
fn rounded_ms(ms: i64) -> i64 {
    let grain = (ms / GRAIN).max(1);
    let grain = 1 << grain.ilog2();
    ms / grain * grain
}

/// How often each value comes in a row.
fn runs(values: impl Iterator<Item = i64>) -> Vec<(i64, usize)> {
    let mut runs: Vec<(i64, usize)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => runs.push((value, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_few_samples_whose_values_are_an_eighth_wrong_at_most() {
        for ms in [0, 1, 7, 8, 9, 100, 999, 12_345, 10_000_000] {
            let rounded = rounded_ms(ms);
            assert!(rounded <= ms && (ms - rounded) * GRAIN <= ms, "{ms}: {rounded}");
        }
        let ages = (0..2000).rev().map(rounded_ms);
        assert!(runs(ages).len() < 80);
        assert_eq!(runs([5, 5, 3, 3, 3].into_iter()), [(5, 2), (3, 3)]);
    }
}
