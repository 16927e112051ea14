//! When requests are to be sent: decided before, whatever becomes of those sent earlier (an open model).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// So many a second for so long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Arrivals a second, on average.
    pub rate: f64,
    /// How long, seconds.
    pub seconds: f64,
}

/// The moments of arrivals since the start: a Poisson process whose rate changes from phase to phase.
#[derive(Debug, Clone)]
pub struct Schedule {
    phases: Vec<Phase>,
    chance: Chance,
    phase: usize,
    /// When the present phase began, and the last arrival was, seconds.
    began: f64,
    last: f64,
}

impl Schedule {
    /// Phases one after the other.
    pub fn new(phases: Vec<Phase>, chance: Chance) -> Self {
        Self { phases, chance, phase: 0, began: 0.0, last: 0.0 }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let Phase { rate, seconds } = *self.phases.get(self.phase)?;
            let end = self.began + seconds;
            let next = if rate > 0.0 { self.last + self.chance.pause() / rate } else { end };
            if next < end {
                self.last = next;
                return Some(Duration::from_secs_f64(next));
            }
            // Arrivals at random have no memory, so the next phase may begin anew.
            (self.phase, self.began, self.last) = (self.phase + 1, end, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_rate() {
        let phases = vec![
            Phase { rate: 1000.0, seconds: 10.0 },
            Phase { rate: 0.0, seconds: 5.0 },
            Phase { rate: 100.0, seconds: 20.0 },
        ];
        let all: Vec<Duration> = Schedule::new(phases, Chance::of(3, 0)).collect();
        assert!(all.is_sorted());
        let within = |from: u64, to: u64| all.iter().filter(|at| (from..to).contains(&at.as_secs())).count();
        assert!((9_700..10_300).contains(&within(0, 10)), "{}", within(0, 10));
        assert_eq!(within(10, 15), 0);
        assert!((1_850..2_150).contains(&within(15, 35)), "{}", within(15, 35));
        assert_eq!(within(35, 1000), 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_moments() {
        let of = |seed| {
            Schedule::new(vec![Phase { rate: 50.0, seconds: 2.0 }], Chance::of(seed, 0)).collect::<Vec<Duration>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
