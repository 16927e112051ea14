//! Finds the highest rate that is still served well: doubled while it goes well, then halved in between. A rate is too much
//! once it went badly twice: a machine has bad moments of its own.

/// So near together are the last good rate and the first bad one at the end, of the good one.
const PRECISION: f64 = 0.1;
/// A search takes no more steps.
const STEPS: usize = 20;

/// A search under way.
#[derive(Debug, Clone)]
pub struct Knee {
    first: f64,
    good: Option<f64>,
    bad: Option<f64>,
    again: Option<f64>,
    steps: usize,
}

impl Knee {
    /// Begins at this rate, a second.
    pub fn from(first: f64) -> Self {
        Self { first, good: None, bad: None, again: None, steps: 0 }
    }

    /// The rate to be tried next; none once it is known well enough, or nothing went well.
    pub fn next(&self) -> Option<f64> {
        if self.steps >= STEPS {
            return None;
        }
        if self.again.is_some() {
            return self.again;
        }
        match (self.good, self.bad) {
            (None, None) => Some(self.first),
            (Some(good), None) => Some(good * 2.0),
            (None, Some(bad)) if bad < 1.0 => None,
            (None, Some(bad)) => Some(bad / 2.0),
            (Some(good), Some(bad)) if bad - good <= good * PRECISION => None,
            (Some(good), Some(bad)) => Some(f64::midpoint(good, bad)),
        }
    }

    /// Says how it went at this rate.
    pub fn tell(&mut self, rate: f64, well: bool) {
        self.steps += 1;
        match (well, self.again.take()) {
            (true, _) => self.good = Some(rate),
            (false, None) => self.again = Some(rate),
            (false, Some(_)) => self.bad = Some(rate),
        }
    }

    /// The highest rate that went well.
    pub fn found(&self) -> Option<f64> {
        self.good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server comes to whose latency grows like that of a single queue.
    fn search(capacity: f64, first: f64) -> (Option<f64>, usize) {
        let p99_ms = |rate: f64| if rate < capacity { 4.6 * 1000.0 / (capacity - rate) } else { f64::INFINITY };
        let (mut knee, mut steps) = (Knee::from(first), 0);
        while let Some(rate) = knee.next() {
            knee.tell(rate, p99_ms(rate) <= 200.0);
            steps += 1;
        }
        (knee.found(), steps)
    }

    #[test]
    fn it_is_found_from_below_and_from_above() {
        for first in [100.0, 1000.0, 60_000.0] {
            let (found, steps) = search(9_800.0, first);
            let found = found.unwrap();
            assert!(found <= 9_777.0 && found > 9_777.0 * (1.0 - PRECISION), "{first}: {found}");
            assert!(steps <= 18, "{steps}");
        }
    }

    #[test]
    fn one_bad_moment_does_not_end_the_search() {
        let mut knee = Knee::from(1000.0);
        for (rate, well) in [(1000.0, true), (2000.0, false), (2000.0, true), (4000.0, false), (4000.0, false)] {
            assert_eq!(knee.next(), Some(rate));
            knee.tell(rate, well);
        }
        assert_eq!((knee.next(), knee.found()), (Some(3000.0), Some(2000.0)));
    }

    #[test]
    fn a_server_that_serves_nothing_has_none() {
        assert_eq!(search(0.0, 64.0).0, None);
    }
}
