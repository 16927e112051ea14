//! The order of those who came before the opening: a permutation that anyone can recompute from the seed.
//!
//! A number is split into a high and a low part, about the square root of the count each. Eight times one part is
//! shifted by a hash of the other (a Feistel network over two moduli). What lands beyond the count is permuted again
//! until it lies within (cycle walking), so exactly 1..=count is permuted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// More than the four that make a Feistel network sound, because small crowds have small halves.
const ROUNDS: u8 = 8;

/// What a draw follows from: 32 bytes that nobody could guess; hex in JSON and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

/// Why a text is no seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a seed is written in 64 lower-case hexadecimal digits")]
pub struct NotASeed;

impl Seed {
    /// Hex SHA-256 of the 32 bytes: what is published before the first join.
    pub fn hash(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        Self(digest).to_string()
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Seed {
    type Err = NotASeed;

    fn from_str(text: &str) -> Result<Self, NotASeed> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(NotASeed);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Result<u8, NotASeed> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(NotASeed),
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A draw over the numbers 1 to `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    seed: Seed,
    count: u32,
}

/// A value in two parts: `high < highs`, `low < lows`.
#[derive(Clone, Copy)]
struct Parts {
    high: u64,
    low: u64,
}

impl Draw {
    /// The draw of this seed over 1 to `count`.
    pub fn new(seed: Seed, count: u32) -> Self {
        Self { seed, count }
    }

    /// What it follows from.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// How many numbers it puts in an order.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The place of a number; later numbers keep theirs.
    pub fn place(&self, number: u32) -> u32 {
        self.walk(number, |value| self.forward(value))
    }

    /// The number at a place: the inverse of [`Draw::place`].
    pub fn number(&self, place: u32) -> u32 {
        self.walk(place, |value| self.backward(value))
    }

    fn walk(&self, from: u32, step: impl Fn(u64) -> u64) -> u32 {
        if from == 0 || from > self.count {
            return from;
        }
        let mut value = step(u64::from(from - 1));
        while value >= u64::from(self.count) {
            value = step(value);
        }
        u32::try_from(value + 1).expect("it is at most the count")
    }

    /// How many values the high and the low part take; their product is the count or a little more.
    fn sizes(&self) -> (u64, u64) {
        let count = u64::from(self.count);
        let lows = count.isqrt().max(1);
        (count.div_ceil(lows), lows)
    }

    fn forward(&self, value: u64) -> u64 {
        let (highs, lows) = self.sizes();
        let mut parts = Parts { high: value / lows, low: value % lows };
        for round in 0..ROUNDS {
            if round % 2 == 0 {
                parts.high = (parts.high + self.hash(round, parts.low) % highs) % highs;
            } else {
                parts.low = (parts.low + self.hash(round, parts.high) % lows) % lows;
            }
        }
        parts.high * lows + parts.low
    }

    fn backward(&self, value: u64) -> u64 {
        let (highs, lows) = self.sizes();
        let mut parts = Parts { high: value / lows, low: value % lows };
        for round in (0..ROUNDS).rev() {
            if round % 2 == 0 {
                parts.high = (parts.high + highs - self.hash(round, parts.low) % highs) % highs;
            } else {
                parts.low = (parts.low + lows - self.hash(round, parts.high) % lows) % lows;
            }
        }
        parts.high * lows + parts.low
    }

    /// The first eight bytes of SHA-256 over seed, count (4 bytes), round (1) and part (8), big endian.
    fn hash(&self, round: u8, part: u64) -> u64 {
        let mut input = [0; 45];
        input[..32].copy_from_slice(&self.seed.0);
        input[32..36].copy_from_slice(&self.count.to_be_bytes());
        input[36] = round;
        input[37..].copy_from_slice(&part.to_be_bytes());
        let digest: [u8; 32] = Sha256::digest(input).into();
        u64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
    }
}
