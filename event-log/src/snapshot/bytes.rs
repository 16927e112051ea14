//! Snapshots without files, for whoever keeps the bytes elsewhere: the simulation.

use domain::root::Root;
use domain::value::Timestamp;

use super::header::{Header, LENGTH};
use super::history::History;
use super::{Loaded, Unusable, read};
use crate::log::{Log, LogError, Partition};
use crate::state::State;

/// What a file of this state, which must be acknowledged, would hold; nothing while there is no log.
pub fn to_bytes<A: Root>(at: Partition, partitions: u32, acknowledged: &State<A>, now: Timestamp) -> Option<Vec<u8>> {
    let header = Header::of(at, partitions, &acknowledged.position, now)?;
    let mut bytes = vec![0; LENGTH];
    acknowledged.store(&mut bytes).expect("memory takes everything");
    let body = &bytes[LENGTH..];
    let header = Header { body_bytes: body.len() as u64, body_crc: crc32fast::hash(body), ..header };
    bytes[..LENGTH].copy_from_slice(&header.encode());
    Some(bytes)
}

/// The state in a file's bytes, judged as a file is.
///
/// # Errors
/// The log does not answer; the inner error is why it is not used.
pub fn from_bytes<A: Root>(
    bytes: &[u8],
    at: Partition,
    partitions: u32,
    log: &dyn Log,
) -> Result<Result<Loaded<A>, Unusable>, LogError> {
    read::judged_bytes(bytes, at, partitions, &mut History::ask(log, at)?)
}
