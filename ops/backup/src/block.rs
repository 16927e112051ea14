//! Blocks of records, of which the files of a backup are made: consecutive records of one partition, compressed.
//!
//! | bytes | what (numbers are big endian) |
//! |---|---|
//! | 4 | `BOX1` |
//! | 4 | CRC-32 of everything after it, to the block's end |
//! | 2 + n | length and name of the topic, without the namespace |
//! | 4 | partition |
//! | 8 | offset of the first record |
//! | 4 | how many records |
//! | 8 | the latest time of one, milliseconds since 1970 |
//! | 4 | length of the records before compression |
//! | 4 | length of what follows |
//! | m | the records, one zstd frame |
//!
//! A record is: offset (8), time in milliseconds (8), key and value (each a length of 4, -1 for none, and the bytes), the
//! number of headers (2), and each header as length (2) and name, length (4, -1 for none) and value.

use std::io::{self, Read};

use anyhow::{Context as _, bail, ensure};
use event_log::kafka::copying::WholeRecord;

const MAGIC: [u8; 4] = *b"BOX1";
/// Fast, and still a third of the size.
const LEVEL: i32 = 3;
/// A block holds a few megabytes; more is no block.
const MOST: u32 = 64 << 20;

/// Consecutive records of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The topic without the namespace.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// The offset of the first record.
    pub first: i64,
    /// How many records.
    pub count: u32,
    /// The latest time of one.
    pub latest_ms: i64,
    /// The records.
    raw: Vec<u8>,
}

impl Block {
    /// An empty one.
    pub fn new(topic: &str, partition: u32) -> Self {
        Self { topic: topic.to_owned(), partition, first: 0, count: 0, latest_ms: i64::MIN, raw: Vec::new() }
    }

    /// Adds the next record.
    pub fn push(&mut self, record: &WholeRecord) {
        if self.count == 0 {
            self.first = record.offset;
        }
        self.count += 1;
        self.latest_ms = self.latest_ms.max(record.timestamp_ms);
        encode(record, &mut self.raw);
    }

    /// How many bytes the records take.
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// As it lies in a file.
    ///
    /// # Errors
    /// The compressor has no memory.
    pub fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let stored = zstd::bulk::compress(&self.raw, LEVEL).context("compress records")?;
        let mut body = Vec::with_capacity(stored.len() + 64);
        let name = u16::try_from(self.topic.len()).context("a topic's name is short")?;
        body.extend(name.to_be_bytes());
        body.extend(self.topic.as_bytes());
        body.extend(self.partition.to_be_bytes());
        body.extend(self.first.to_be_bytes());
        body.extend(self.count.to_be_bytes());
        body.extend(self.latest_ms.to_be_bytes());
        body.extend(u32::try_from(self.raw.len()).context("a block is small")?.to_be_bytes());
        body.extend(u32::try_from(stored.len()).context("a block is small")?.to_be_bytes());
        body.extend(stored);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(crc32fast::hash(&body).to_be_bytes());
        bytes.extend(body);
        Ok(bytes)
    }

    /// Reads the next one, and how long it is in the file; none at the file's end.
    ///
    /// # Errors
    /// It is no block, was changed, or is not whole.
    pub fn read(from: &mut impl Read) -> anyhow::Result<Option<(Self, u64)>> {
        let mut start = [0; 4];
        if !starts(from, &mut start)? {
            return Ok(None);
        }
        ensure!(start == MAGIC, "there is no block here");
        let mut source = Summed { from, crc: crc32fast::Hasher::new(), bytes: 8 };
        let crc = u32::from_be_bytes(raw(source.from)?);
        let length = u16::from_be_bytes(source.array()?);
        let topic = String::from_utf8(source.take(length.into())?).context("read the topic's name")?;
        let partition = u32::from_be_bytes(source.array()?);
        let first = i64::from_be_bytes(source.array()?);
        let count = u32::from_be_bytes(source.array()?);
        let latest_ms = i64::from_be_bytes(source.array()?);
        let (whole, stored) = (u32::from_be_bytes(source.array()?), u32::from_be_bytes(source.array()?));
        ensure!(whole <= MOST && stored <= MOST, "a block says that it has {stored} bytes");
        let stored = source.take(stored as usize)?;
        ensure!(source.crc.finalize() == crc, "a block was changed: its checksum is wrong");
        let raw = zstd::bulk::decompress(&stored, whole as usize).context("decompress records")?;
        ensure!(raw.len() == whole as usize, "a block has {} bytes instead of {whole}", raw.len());
        Ok(Some((Self { topic, partition, first, count, latest_ms, raw }, source.bytes)))
    }

    /// Its records.
    ///
    /// # Errors
    /// They are not what the block says.
    pub fn records(&self) -> anyhow::Result<Vec<WholeRecord>> {
        let mut rest = self.raw.as_slice();
        let records: Vec<WholeRecord> = (0..self.count).map(|_| decode(&mut rest)).collect::<anyhow::Result<_>>()?;
        ensure!(rest.is_empty(), "a block has more bytes than its records");
        Ok(records)
    }
}

/// Reads and sums up.
struct Summed<'a, R> {
    from: &'a mut R,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl<R: Read> Summed<'_, R> {
    fn take(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes).context("read a block, which is cut off")?;
        self.crc.update(&bytes);
        self.bytes += length as u64;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("so many were taken"))
    }
}

fn raw<const N: usize>(from: &mut impl Read) -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).context("read a block, which is cut off")?;
    Ok(bytes)
}

/// False at the end.
fn starts(from: &mut impl Read, start: &mut [u8; 4]) -> anyhow::Result<bool> {
    match from.read_exact(&mut start[..1]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read.context("read a block")?,
    }
    from.read_exact(&mut start[1..]).context("read a block, which is cut off")?;
    Ok(true)
}

/// The bytes of a record, which are also what digests are made of.
pub fn encode(record: &WholeRecord, out: &mut Vec<u8>) {
    out.extend(record.offset.to_be_bytes());
    out.extend(record.timestamp_ms.to_be_bytes());
    bytes(record.key.as_deref(), out);
    bytes(record.value.as_deref(), out);
    out.extend(u16::try_from(record.headers.len()).expect("a record has few headers").to_be_bytes());
    for (name, value) in &record.headers {
        out.extend(u16::try_from(name.len()).expect("a header's name is short").to_be_bytes());
        out.extend(name.as_bytes());
        bytes(value.as_deref(), out);
    }
}

fn bytes(part: Option<&[u8]>, out: &mut Vec<u8>) {
    let length = part.map_or(-1, |part| i32::try_from(part.len()).expect("Kafka counts bytes with 31 bits"));
    out.extend(length.to_be_bytes());
    out.extend(part.unwrap_or_default());
}

fn decode(rest: &mut &[u8]) -> anyhow::Result<WholeRecord> {
    let offset = i64::from_be_bytes(array(rest)?);
    let timestamp_ms = i64::from_be_bytes(array(rest)?);
    let (key, value) = (part(rest)?, part(rest)?);
    let count = u16::from_be_bytes(array(rest)?);
    let header = |rest: &mut &[u8]| {
        let length = u16::from_be_bytes(array(rest)?);
        let name = String::from_utf8(split(rest, length.into())?.to_vec()).context("read a header's name")?;
        anyhow::Ok((name, part(rest)?))
    };
    let headers = (0..count).map(|_| header(rest)).collect::<anyhow::Result<_>>()?;
    Ok(WholeRecord { offset, timestamp_ms, key, value, headers })
}

fn part(rest: &mut &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    match i32::from_be_bytes(array(rest)?) {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).context("a length is negative")?;
            Ok(Some(split(rest, length)?.to_vec()))
        }
    }
}

fn array<const N: usize>(rest: &mut &[u8]) -> anyhow::Result<[u8; N]> {
    Ok(split(rest, N)?.try_into().expect("so many were split off"))
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> anyhow::Result<&'a [u8]> {
    let Some((taken, left)) = rest.split_at_checked(length) else {
        bail!("a record is cut off");
    };
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))
    }

    fn records() -> impl Strategy<Value = Vec<WholeRecord>> {
        let headers = proptest::collection::vec(("[a-z]{0,9}", bytes()), 0..4);
        let record = (bytes(), bytes(), headers, 0..i64::MAX);
        let numbered =
            |(offset, (key, value, headers, timestamp_ms))| WholeRecord { offset, timestamp_ms, key, value, headers };
        proptest::collection::vec(record, 0..20).prop_map(move |all| (7..).zip(all).map(numbered).collect())
    }

    fn block(records: &[WholeRecord]) -> Block {
        let mut block = Block::new("order-events", 3);
        records.iter().for_each(|record| block.push(record));
        block
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in records()) {
            let written = block(&records).encode().unwrap();
            let mut file = [written.clone(), written.clone()].concat();
            file.truncate(written.len());
            let mut file = file.as_slice();
            let (read, length) = Block::read(&mut file).unwrap().unwrap();
            prop_assert_eq!(length, written.len() as u64);
            prop_assert_eq!(read.records().unwrap(), records);
            prop_assert!(Block::read(&mut file).unwrap().is_none());
        }

        #[test]
        fn every_changed_byte_and_every_cut_is_noticed(records in records(), at in any::<prop::sample::Index>()) {
            let written = block(&records).encode().unwrap();
            let at = at.index(written.len());
            let mut changed = written.clone();
            changed[at] ^= 0x10;
            prop_assert!(Block::read(&mut changed.as_slice()).is_err());
            prop_assert_eq!(Block::read(&mut &written[..at]).is_err(), at > 0);
        }
    }
}
