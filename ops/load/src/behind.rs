//! How far behind the log read models are, as they count it themselves: from an event's append, by the broker's clock, to
//! the commit of its rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::Metrics;

/// The histogram that projectors keep of it.
pub const NAME: &str = "projector_lag_seconds";

/// Cumulative counts by upper bound, seconds, of each read model.
pub type Buckets = BTreeMap<String, Vec<(f64, f64)>>;

/// What it was in some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Behind {
    /// Events.
    pub events: u64,
    /// Half of them were shown after so many milliseconds.
    pub p50_ms: f64,
    /// 99 % were.
    pub p99_ms: f64,
}

/// What all of these processes have counted so far.
pub fn counted(all: &[Metrics]) -> Buckets {
    let mut sums = Buckets::new();
    for (model, buckets) in all.iter().flat_map(|metrics| metrics.buckets(NAME, "projection")) {
        let sum = sums.entry(model).or_insert_with(|| buckets.iter().map(|(bound, _)| (*bound, 0.0)).collect());
        sum.iter_mut().zip(buckets).for_each(|((_, sum), (_, count))| *sum += count);
    }
    sums
}

/// What was counted between two looks. A read model of which nothing came is left out.
pub fn between(before: &Buckets, after: &Buckets) -> BTreeMap<String, Behind> {
    let of = |(model, after): (&String, &Vec<(f64, f64)>)| {
        let before = before.get(model);
        let count = |at: usize| after[at].1 - before.and_then(|before| before.get(at)).map_or(0.0, |it| it.1);
        let new: Vec<(f64, f64)> = (0..after.len()).map(|at| (after[at].0, count(at))).collect();
        let events = new.last().map_or(0.0, |(_, count)| *count);
        let ms = |share| at_share(&new, events * share) * 1e3;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        (events > 0.0).then(|| (model.clone(), Behind { events: events as u64, p50_ms: ms(0.5), p99_ms: ms(0.99) }))
    };
    after.iter().filter_map(of).collect()
}

/// Where so many are reached; inside a bucket they are taken to lie evenly, beyond the last bound at it.
fn at_share(cumulative: &[(f64, f64)], wanted: f64) -> f64 {
    let (mut bound_before, mut before) = (0.0, 0.0);
    for (bound, count) in cumulative {
        if *count >= wanted && *count > before {
            let within = (wanted - before) / (count - before);
            return if bound.is_finite() { bound_before + (bound - bound_before) * within } else { bound_before };
        }
        (bound_before, before) = (if bound.is_finite() { *bound } else { bound_before }, *count);
    }
    bound_before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_counted_meanwhile() {
        let buckets = |counts: [f64; 3]| {
            let bounds = [0.01, 0.1, f64::INFINITY];
            Buckets::from([("orders".to_owned(), bounds.into_iter().zip(counts).collect())])
        };
        let seen = between(&buckets([100.0, 100.0, 100.0]), &buckets([150.0, 200.0, 200.0]));
        assert_eq!(seen["orders"], Behind { events: 100, p50_ms: 10.0, p99_ms: 98.2 });
        assert!(between(&buckets([1.0; 3]), &buckets([1.0; 3])).is_empty());
        let late = between(&Buckets::new(), &buckets([0.0, 1.0, 100.0]));
        assert!((late["orders"].p99_ms - 100.0).abs() < 1e-9, "later than the last bound");
    }
}
