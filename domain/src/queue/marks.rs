//! How places ended, two bits each: hundreds of thousands may leave a queue, and each is asked about.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::queue::Ending;

const WORDS: usize = 4;
const WORD_BITS: u32 = u64::BITS;
const BLOCK_BITS: u32 = 256;

/// Place to ending. A block of 256 places takes 64 bytes, and none while nothing in it has ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Marks(OrdMap<u32, Block>);

/// Two planes of bits: none 00, left 01, completed 10, expired 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Block {
    low: [u64; WORDS],
    high: [u64; WORDS],
}

fn split(place: u32) -> (u32, usize, u64) {
    let bit = place % BLOCK_BITS;
    let word = usize::try_from(bit / WORD_BITS).expect("a block has four words");
    (place / BLOCK_BITS, word, 1 << (bit % WORD_BITS))
}

impl Marks {
    /// How a place ended, if it has (and is not forgotten).
    pub(super) fn get(&self, place: u32) -> Option<Ending> {
        let (block, word, bit) = split(place);
        let block = self.0.get(&block)?;
        match (block.high[word] & bit != 0, block.low[word] & bit != 0) {
            (false, false) => None,
            (false, true) => Some(Ending::Left),
            (true, false) => Some(Ending::Completed),
            (true, true) => Some(Ending::Expired),
        }
    }

    /// Notes how a place ended.
    pub(super) fn set(&mut self, place: u32, ending: Ending) {
        let (block, word, bit) = split(place);
        let block = self.0.entry(block).or_default();
        let (high, low) = match ending {
            Ending::Left => (0, bit),
            Ending::Completed => (bit, 0),
            Ending::Expired => (bit, bit),
        };
        block.high[word] = block.high[word] & !bit | high;
        block.low[word] = block.low[word] & !bit | low;
    }

    /// How many of the places from `from` up to `to`, both included, were left.
    pub(super) fn left_between(&self, from: u32, to: u32) -> u32 {
        if from > to {
            return 0;
        }
        let blocks = self.0.range(from / BLOCK_BITS..=to / BLOCK_BITS);
        blocks.map(|(block, marks)| marks.left_between(block * BLOCK_BITS, from, to)).sum()
    }

    /// Every place that was left, in order.
    pub(super) fn left(&self) -> impl Iterator<Item = u32> {
        let places = self.0.keys().flat_map(|block| (0..BLOCK_BITS).map(move |bit| block * BLOCK_BITS + bit));
        places.filter(|place| self.get(*place) == Some(Ending::Left))
    }

    /// Forgets whole blocks below a place.
    pub(super) fn forget_below(&mut self, place: u32) {
        let first = place / BLOCK_BITS;
        while let Some(block) = self.0.get_min().map(|(block, _)| *block).filter(|block| *block < first) {
            self.0.remove(&block);
        }
    }
}

impl Block {
    fn left_between(&self, base: u32, from: u32, to: u32) -> u32 {
        let words = self.low.iter().zip(&self.high).map(|(low, high)| low & !high);
        let bases = (0..).map(|word| base + word * WORD_BITS);
        bases.zip(words).map(|(base, left)| (left & between(base, from, to)).count_ones()).sum()
    }
}

/// The bits of a word, whose first bit is `base`, that lie from `from` up to `to`, both included.
fn between(base: u32, from: u32, to: u32) -> u64 {
    let last = base + (WORD_BITS - 1);
    if to < base || from > last {
        return 0;
    }
    let above = u64::MAX << (from.max(base) - base);
    let below = u64::MAX >> (last - to.min(last));
    above & below
}
