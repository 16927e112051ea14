//! The binary header of every record: what readers need before they decode (DESIGN.md, section 4).

use uuid::Uuid;

/// The header's name.
pub const HEADER: &str = "frame";
/// Its length in bytes.
pub const LENGTH: usize = 74;
/// The layout that this code writes and reads.
const LAYOUT: u8 = 1;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A domain event.
    Event,
    /// An owner takes the partition.
    Claim,
    /// Nothing, but its place in the log answers for what was decided before it.
    Barrier,
    /// Everything caused below an offset has been answered.
    Settled,
}

/// The header, decoded. Big endian on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What the record is.
    pub kind: Kind,
    /// The term of the claim it was written under.
    pub term: u32,
    /// Its place in the claim's sequence; the claim itself is 0.
    pub seq: u64,
    /// Index in its command's events, from 0.
    pub evt_idx: u16,
    /// How many events the command has; 1 for control records.
    pub evt_cnt: u16,
    /// The aggregate's version after this event, from 1; 0 for control records.
    pub agg_ver: u64,
    /// The claim it was written under.
    pub claim: Uuid,
    /// The command; nil for control records.
    pub cmd_id: Uuid,
    /// HMAC of the command's canonical body.
    pub cmd_hash: [u8; 16],
}

/// Why 74 bytes are no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Not 74 bytes.
    #[error("the frame header has {0} bytes instead of {LENGTH}")]
    Length(usize),
    /// A layout of the future.
    #[error("frame layout {0} is not known to this version")]
    Layout(u8),
    /// A kind of the future.
    #[error("record kind {0} is not known to this version")]
    Kind(u8),
    /// No events, or an index outside.
    #[error("event {0} of {1} makes no sense")]
    Index(u16, u16),
}

impl Frame {
    /// The 74 bytes.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = LAYOUT;
        bytes[1] = match self.kind {
            Kind::Event => 0,
            Kind::Claim => 1,
            Kind::Barrier => 2,
            Kind::Settled => 3,
        };
        bytes[2..6].copy_from_slice(&self.term.to_be_bytes());
        bytes[6..14].copy_from_slice(&self.seq.to_be_bytes());
        bytes[14..16].copy_from_slice(&self.evt_idx.to_be_bytes());
        bytes[16..18].copy_from_slice(&self.evt_cnt.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.agg_ver.to_be_bytes());
        bytes[26..42].copy_from_slice(self.claim.as_bytes());
        bytes[42..58].copy_from_slice(self.cmd_id.as_bytes());
        bytes[58..74].copy_from_slice(&self.cmd_hash);
        bytes
    }

    /// Reads the 74 bytes.
    ///
    /// # Errors
    /// Another length, layout or kind, or an index outside the count.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadFrame> {
        let bytes: &[u8; LENGTH] = bytes.try_into().map_err(|_| BadFrame::Length(bytes.len()))?;
        if bytes[0] != LAYOUT {
            return Err(BadFrame::Layout(bytes[0]));
        }
        let kind = match bytes[1] {
            0 => Kind::Event,
            1 => Kind::Claim,
            2 => Kind::Barrier,
            3 => Kind::Settled,
            other => return Err(BadFrame::Kind(other)),
        };
        let frame = Self {
            kind,
            term: u32::from_be_bytes(part(bytes, 2)),
            seq: u64::from_be_bytes(part(bytes, 6)),
            evt_idx: u16::from_be_bytes(part(bytes, 14)),
            evt_cnt: u16::from_be_bytes(part(bytes, 16)),
            agg_ver: u64::from_be_bytes(part(bytes, 18)),
            claim: Uuid::from_bytes(part(bytes, 26)),
            cmd_id: Uuid::from_bytes(part(bytes, 42)),
            cmd_hash: part(bytes, 58),
        };
        if frame.evt_idx >= frame.evt_cnt {
            return Err(BadFrame::Index(frame.evt_idx, frame.evt_cnt));
        }
        Ok(frame)
    }
}

fn part<const N: usize>(bytes: &[u8; LENGTH], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[from..from + N]);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            kind: Kind::Event,
            term: 0x0102_0304,
            seq: 0x0506_0708_090a_0b0c,
            evt_idx: 1,
            evt_cnt: 3,
            agg_ver: 7,
            claim: Uuid::from_u128(1),
            cmd_id: Uuid::from_u128(2),
            cmd_hash: [9; 16],
        }
    }

    #[test]
    fn the_layout_is_fixed() {
        let bytes = frame().encode();
        assert_eq!(&bytes[..18], &[1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 0, 3]);
        assert_eq!(bytes[25], 7);
        assert_eq!(bytes[41], 1);
        assert_eq!(bytes[57], 2);
        assert_eq!(bytes[73], 9);
        assert_eq!(Frame::decode(&bytes), Ok(frame()));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut bytes = frame().encode();
        assert_eq!(Frame::decode(&bytes[..73]), Err(BadFrame::Length(73)));
        bytes[15] = 3;
        assert_eq!(Frame::decode(&bytes), Err(BadFrame::Index(3, 3)));
        bytes[1] = 4;
        assert_eq!(Frame::decode(&bytes), Err(BadFrame::Kind(4)));
        bytes[0] = 2;
        assert_eq!(Frame::decode(&bytes), Err(BadFrame::Layout(2)));
    }
}
