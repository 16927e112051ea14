//! This instance among others: who serves what, and commands from one instance to another.

pub mod announce;
pub mod carried;
pub mod directory;
pub mod peers;
pub mod receive;
pub mod report;
pub mod signature;
pub mod store;
pub mod succession;
mod wire;
