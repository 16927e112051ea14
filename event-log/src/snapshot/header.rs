//! What a snapshot says about itself: 130 bytes, big endian, then the body.

use domain::value::Timestamp;
use uuid::Uuid;

use super::Unusable;
use crate::log::Partition;
use crate::validity::Position;

/// Length of the header in bytes.
pub(super) const LENGTH: usize = 130;
const MAGIC: [u8; 8] = *b"BOXSNAPS";
/// The layout that this code writes and reads: of the header, and of the body beside what its types decide.
const LAYOUT: u16 = 1;
const TOPIC: usize = 32;

/// Everything that decides what a body means and what the log folds to (see `build.rs`).
pub(super) fn shape() -> u128 {
    u128::from_str_radix(env!("SNAPSHOT_SHAPE"), 16).expect("the build script writes 32 hexadecimal digits")
}

/// What a snapshot says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) shape: u128,
    /// The topic's name, zeros behind.
    pub(super) topic: [u8; TOPIC],
    pub(super) partition: u32,
    /// How many partitions every topic has: serial numbers depend on it.
    pub(super) partitions: u32,
    /// The log's name.
    pub(super) identity: Uuid,
    /// Everything below this offset is in the body.
    pub(super) offset: i64,
    /// The claim that was current there.
    pub(super) claim: Uuid,
    pub(super) taken_at: Timestamp,
    pub(super) body_bytes: u64,
    pub(super) body_crc: u32,
}

impl Header {
    /// Of a body that is not written yet. A state without a log's name is not worth keeping.
    pub(super) fn of(at: Partition, partitions: u32, position: &Position, taken_at: Timestamp) -> Option<Self> {
        Some(Self {
            shape: shape(),
            topic: topic(at),
            partition: at.number,
            partitions,
            identity: position.identity?,
            offset: position.next,
            claim: position.claim,
            taken_at,
            body_bytes: 0,
            body_crc: 0,
        })
    }

    /// Whether it is of this partition of so many.
    pub(super) fn is_of(&self, at: Partition, partitions: u32) -> bool {
        (self.topic, self.partition, self.partitions) == (topic(at), at.number, partitions)
    }

    /// The bytes, with a checksum of their own.
    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(MAGIC);
        bytes.extend(LAYOUT.to_be_bytes());
        bytes.extend(self.shape.to_be_bytes());
        bytes.extend(self.topic);
        bytes.extend(self.partition.to_be_bytes());
        bytes.extend(self.partitions.to_be_bytes());
        bytes.extend(self.identity.as_bytes());
        bytes.extend(self.offset.to_be_bytes());
        bytes.extend(self.claim.as_bytes());
        bytes.extend(self.taken_at.0.to_be_bytes());
        bytes.extend(self.body_bytes.to_be_bytes());
        bytes.extend(self.body_crc.to_be_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        bytes.try_into().expect("the fields have fixed lengths")
    }

    /// Reads the bytes at the beginning of a file.
    ///
    /// # Errors
    /// They are no header, not whole, or of another layout.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unusable> {
        if bytes.len() >= MAGIC.len() && bytes[..MAGIC.len()] != MAGIC {
            return Err(Unusable::NotASnapshot);
        }
        let Some(bytes) = bytes.first_chunk::<LENGTH>() else {
            return Err(Unusable::Truncated { expected: LENGTH as u64, found: bytes.len() as u64 });
        };
        let layout = u16::from_be_bytes(part(bytes, 8));
        if layout != LAYOUT {
            return Err(Unusable::Layout(layout));
        }
        if crc32fast::hash(&bytes[..LENGTH - 4]) != u32::from_be_bytes(part(bytes, LENGTH - 4)) {
            return Err(Unusable::Corrupt);
        }
        Ok(Self {
            shape: u128::from_be_bytes(part(bytes, 10)),
            topic: part(bytes, 26),
            partition: u32::from_be_bytes(part(bytes, 58)),
            partitions: u32::from_be_bytes(part(bytes, 62)),
            identity: Uuid::from_bytes(part(bytes, 66)),
            offset: i64::from_be_bytes(part(bytes, 82)),
            claim: Uuid::from_bytes(part(bytes, 90)),
            taken_at: Timestamp(i64::from_be_bytes(part(bytes, 106))),
            body_bytes: u64::from_be_bytes(part(bytes, 114)),
            body_crc: u32::from_be_bytes(part(bytes, 122)),
        })
    }
}

fn topic(at: Partition) -> [u8; TOPIC] {
    let name = at.context.topic().as_bytes();
    let mut bytes = [0; TOPIC];
    bytes[..name.len()].copy_from_slice(name);
    bytes
}

fn part<const N: usize>(bytes: &[u8; LENGTH], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[from..from + N]);
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::root::Context;

    fn header() -> Header {
        let at = Partition { context: Context::Inventory, number: 3 };
        let position = Position {
            next: 77,
            identity: Some(Uuid::from_u128(1)),
            term: 2,
            claim: Uuid::from_u128(2),
            seq: 5,
            hole: false,
        };
        let header = Header::of(at, 4, &position, Timestamp(9)).unwrap();
        Header { body_bytes: 5, body_crc: 6, ..header }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Header::decode(&header().encode()).unwrap(), header());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = header().encode();
        for bit in 0..LENGTH * 8 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&wrong).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_partition_of_another_number_or_count_is_another() {
        let at = Partition { context: Context::Inventory, number: 3 };
        assert!(header().is_of(at, 4));
        assert!(!header().is_of(at, 8));
        assert!(!header().is_of(Partition { number: 2, ..at }, 4));
        assert!(!header().is_of(Partition { context: Context::Order, ..at }, 4));
    }
}
