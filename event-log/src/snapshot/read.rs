//! From a file to a state: everything is checked before it is used.

use std::fs;

use domain::root::Root;

use super::SnapshotTaken;
use super::files::Named;
use super::header::{self, Header, LENGTH};
use super::history::History;
use super::{Loaded, Unusable};
use crate::log::{LogError, Partition};
use crate::state::State;

/// Reads one file and judges it; the outer error is the log's.
pub(super) fn judged<A: Root>(
    named: &Named,
    at: Partition,
    partitions: u32,
    history: &mut History<'_>,
) -> Result<Result<Loaded<A>, Unusable>, LogError> {
    match fs::read(&named.path) {
        Ok(bytes) => judged_bytes(&bytes, at, partitions, history),
        Err(error) => Ok(Err(Unusable::Unreadable(error))),
    }
}

/// Judges the bytes of a file; the outer error is the log's.
pub(super) fn judged_bytes<A: Root>(
    bytes: &[u8],
    at: Partition,
    partitions: u32,
    history: &mut History<'_>,
) -> Result<Result<Loaded<A>, Unusable>, LogError> {
    let header = match whole(bytes, at, partitions) {
        Ok(header) => header,
        Err(why) => return Ok(Err(why)),
    };
    if let Some(why) = history.refuses(header.identity, header.offset)? {
        return Ok(Err(why));
    }
    let state = match State::<A>::restore(&bytes[LENGTH..]) {
        Ok(state) => state,
        Err(error) => return Ok(Err(Unusable::Body(error.to_string()))),
    };
    let position = state.position;
    if (position.identity, position.next, position.claim) != (Some(header.identity), header.offset, header.claim) {
        return Ok(Err(Unusable::Body("its position is another one than its header says".to_owned())));
    }
    if let Some(why) = history.proves(&position)? {
        return Ok(Err(why));
    }
    let taken = SnapshotTaken { offset: header.offset, at: header.taken_at, bytes: bytes.len() as u64 };
    Ok(Ok(Loaded { state, taken }))
}

/// What a file says of itself, if its bytes are what it says, as far as they can tell.
fn whole(bytes: &[u8], at: Partition, partitions: u32) -> Result<Header, Unusable> {
    let header = Header::decode(bytes)?;
    if header.shape != header::shape() {
        return Err(Unusable::OtherShape);
    }
    if !header.is_of(at, partitions) {
        return Err(Unusable::OtherPartition);
    }
    let (expected, found) = (header.body_bytes.saturating_add(LENGTH as u64), bytes.len() as u64);
    if expected != found {
        return Err(Unusable::Truncated { expected, found });
    }
    if crc32fast::hash(&bytes[LENGTH..]) != header.body_crc {
        return Err(Unusable::Corrupt);
    }
    Ok(header)
}
