//! Chance that repeats itself: the same seed, the same arrivals.

use uuid::{Builder, Uuid};

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough for arrivals and ids.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The chance of one of many, so that what one draws moves no other.
    pub fn of(seed: u64, number: u64) -> Self {
        Self(Self(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95)).roll())
    }

    /// 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `end - 1`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.roll().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    /// A number above 0 and not above 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub fn unit(&mut self) -> f64 {
        ((self.roll() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() <= probability
    }

    /// The pause before the next of events that come at random, in units of their mean.
    pub fn pause(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// An id that no other chance draws, as far as seeds differ.
    pub fn id(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.roll().to_ne_bytes());
        bytes[8..].copy_from_slice(&self.roll().to_ne_bytes());
        Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        // The reference implementation's first numbers for the seed 1234567.
        let mut chance = Chance(1_234_567);
        assert_eq!([chance.roll(), chance.roll()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn pauses_have_the_mean_and_the_spread_of_random_events() {
        let mut chance = Chance::of(1, 2);
        let pauses: Vec<f64> = (0..100_000).map(|_| chance.pause()).collect();
        let mean = pauses.iter().sum::<f64>() / 1e5;
        let variance = pauses.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn workers_of_one_seed_draw_different_ids() {
        let (mut one, mut other) = (Chance::of(7, 0), Chance::of(7, 1));
        assert_ne!(one.id(), other.id());
        assert_eq!(one.id().get_version_num(), 4);
    }
}
