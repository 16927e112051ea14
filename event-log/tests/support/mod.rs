//! What the tests share.

pub mod collector;
pub mod image;
pub mod kafka;
pub mod oracle;
pub mod rig;
pub mod running;
pub mod shelf;
pub mod stock;

use domain::root::Context;
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::{NewRecord, Partition};
use uuid::Uuid;

/// The partition that most tests use.
pub const AT: Partition = Partition { context: Context::Inventory, number: 1 };

/// The machine's clock.
#[allow(clippy::disallowed_methods, reason = "tests compare the broker's clock with the machine's")]
pub fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_micros()).unwrap())
}

/// An id unlike any other.
#[allow(clippy::disallowed_methods, reason = "tests that share servers keep apart by it")]
pub fn unique() -> Uuid {
    Uuid::new_v4()
}

/// A record that tells its number by key, header and value.
pub fn numbered(seq: u64, size: usize) -> NewRecord {
    let id = Uuid::from_u128(u128::from(seq));
    let frame = Frame {
        kind: Kind::Event,
        term: 1,
        seq,
        evt_idx: 0,
        evt_cnt: 1,
        agg_ver: seq + 1,
        claim: Uuid::from_u128(7),
        cmd_id: id,
        cmd_hash: [u8::try_from(seq % 251).unwrap(); 16],
    };
    let value = (0..size).map(|at| u8::try_from((at as u64 + seq) % 256).unwrap()).collect();
    NewRecord { key: id.hyphenated().to_string(), header: frame.encode(), value, trace: None }
}
