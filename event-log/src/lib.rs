//! The log protocol: record, validity, claims, the owner of a partition, append and tail.

mod batch;
pub mod crash;
pub mod driver;
pub mod frame;
pub mod kafka;
pub mod learning;
pub mod log;
pub mod memory;
pub mod owner;
pub mod partition;
pub mod snapshot;
pub mod state;
pub mod topics;
pub mod validity;
