//! Numbers that look random and are the same at every run.

use uuid::Uuid;

/// SplitMix64, from a seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, which is small.
    pub fn below(&mut self, count: u64) -> u64 {
        self.bits() % count
    }

    /// An id that looks like a random one.
    pub fn id(&mut self) -> Uuid {
        let bits = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.bits().to_be_bytes()).flatten().take(count).collect()
    }

    /// So many lower-case hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let digit = |byte: u8| char::from(b"0123456789abcdef"[usize::from(byte & 15)]);
        self.bytes(digits).into_iter().map(digit).collect()
    }

    /// An order's code: ten characters of Crockford's base 32.
    pub fn code(&mut self) -> String {
        let character = |byte: u8| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[usize::from(byte & 31)]);
        self.bytes(10).into_iter().map(character).collect()
    }
}
