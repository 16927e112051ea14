//! The draw, recomputed: written anew from its description, so that a mistake in the services' own is seen.
//!
//! The numbers 1 to `count` are put in an order by a seed of 32 bytes. With `lows` = the whole root of `count` and
//! `highs` = `count` / `lows`, rounded up, a value from 0 is `high * lows + low`. In the rounds 0, 2, 4, 6 the high part
//! is shifted, modulo `highs`, by a hash of the low part; in 1, 3, 5, 7 the low part, modulo `lows`, by a hash of the high
//! one. The hash is the first 8 bytes of SHA-256 over seed, `count` (4 bytes), round (1 byte) and part (8 bytes), all
//! big-endian. A result that is no value below `count` goes through it once more, until it is one.

use ring::digest::{SHA256, digest};

const ROUNDS: u8 = 8;

/// A draw over the numbers 1 to `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    seed: [u8; 32],
    count: u32,
}

impl Draw {
    /// The draw of this seed; `None` if it is not 64 hex digits.
    pub fn of(seed: &str, count: u32) -> Option<Self> {
        Some(Self { seed: bytes(seed)?, count })
    }

    /// How many numbers are put in an order.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The place of a number; who came after the draw keeps the number.
    pub fn place(&self, number: u32) -> u32 {
        if number == 0 || number > self.count {
            return number;
        }
        let mut value = self.shuffled(u64::from(number) - 1);
        while value >= u64::from(self.count) {
            value = self.shuffled(value);
        }
        u32::try_from(value).expect("it lies below the count") + 1
    }

    /// How a number gets its place, step by step; for whoever recomputes it by hand.
    pub fn explained(&self, number: u32) -> String {
        let (highs, lows) = self.sizes();
        let seed: String = self.seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut text = format!(
            "How number {number} of {} got its place, by the seed {seed}:\n  a value v stands for high = v / {lows} \
             (modulo {highs}) and low = v % {lows}; h(round, part) is the first 8 bytes of\n  SHA-256(seed, count as 4 \
             bytes, round as 1, part as 8; all big-endian), a number\n",
            self.count
        );
        let mut value = u64::from(number.saturating_sub(1));
        loop {
            text += &format!("  v = {value}: high {}, low {}\n", value / lows, value % lows);
            value = self.rounds(value, |round, (part, hash), (high, low)| {
                text += &format!("    round {round}: h({round}, {part}) = {hash}; high {high}, low {low}\n");
            });
            if value < u64::from(self.count) {
                break;
            }
            text += &format!("  {value} is not below {}: once more\n", self.count);
        }
        text + &format!("  v = {value}: the place is {}\n", value + 1)
    }

    /// How many values the high and the low part take.
    fn sizes(&self) -> (u64, u64) {
        let lows = u64::from(self.count).isqrt().max(1);
        (u64::from(self.count).div_ceil(lows), lows)
    }

    fn shuffled(&self, value: u64) -> u64 {
        self.rounds(value, |_, _, _| {})
    }

    /// Tells every round's part with its hash, and the parts afterwards.
    fn rounds(&self, value: u64, mut tell: impl FnMut(u8, (u64, u64), (u64, u64))) -> u64 {
        let (highs, lows) = self.sizes();
        let (mut high, mut low) = (value / lows, value % lows);
        for round in 0..ROUNDS {
            let part = if round % 2 == 0 { low } else { high };
            let hash = self.hash(round, part);
            match round % 2 {
                0 => high = (high + hash % highs) % highs,
                _ => low = (low + hash % lows) % lows,
            }
            tell(round, (part, hash), (high, low));
        }
        high * lows + low
    }

    fn hash(&self, round: u8, part: u64) -> u64 {
        let input = [&self.seed[..], &self.count.to_be_bytes(), &[round], &part.to_be_bytes()].concat();
        let digest = digest(&SHA256, &input);
        u64::from_be_bytes(*digest.as_ref().first_chunk().expect("a digest has 32 bytes"))
    }
}

/// Hex SHA-256 of a seed's bytes; `None` if it is not 64 hex digits.
pub fn hash_of(seed: &str) -> Option<String> {
    let digest = digest(&SHA256, &bytes(seed)?);
    Some(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bytes(seed: &str) -> Option<[u8; 32]> {
    service_kit::env::hex32(seed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::queue::{Draw as Theirs, Seed};

    use super::*;

    #[test]
    fn it_is_a_permutation_and_that_of_the_services() {
        for (fill, counts) in [(7_u8, vec![1, 2, 3, 4, 5, 8, 24, 25, 26, 99, 1000]), (250, vec![1023, 1500])] {
            let seed = Seed([fill; 32]);
            for count in counts {
                let (ours, theirs) = (Draw::of(&seed.to_string(), count).unwrap(), Theirs::new(seed, count));
                let places: Vec<u32> = (1..=count).map(|number| ours.place(number)).collect();
                assert_eq!(places, (1..=count).map(|number| theirs.place(number)).collect::<Vec<_>>(), "{count}");
                assert_eq!(places.iter().copied().collect::<BTreeSet<_>>(), (1..=count).collect(), "{count}");
                assert_eq!(ours.place(count + 5), count + 5);
            }
        }
    }

    #[test]
    fn another_seed_is_another_order_and_another_hash() {
        let [one, two] = [1, 2].map(|fill| Seed([fill; 32]));
        let order =
            |seed: Seed| (1..=50).map(|n| Draw::of(&seed.to_string(), 50).unwrap().place(n)).collect::<Vec<_>>();
        assert_ne!(order(one), order(two));
        assert_ne!(order(one), (1..=50).collect::<Vec<_>>());
        assert_eq!(hash_of(&one.to_string()), Some(one.hash()));
        assert_ne!(hash_of(&one.to_string()), hash_of(&two.to_string()));
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
            assert!(hash_of(wrong).is_none() && Draw::of(wrong, 3).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_explained_is_what_is_computed() {
        let draw = Draw::of(&"ab".repeat(32), 1000).unwrap();
        for number in [1, 17, 1000] {
            let explained = draw.explained(number);
            assert!(explained.ends_with(&format!("the place is {}\n", draw.place(number))), "{explained}");
        }
    }

    #[test]
    fn nobody_is_drawn_of_none() {
        assert_eq!(Draw::of(&"0".repeat(64), 0).unwrap().place(1), 1);
    }
}
