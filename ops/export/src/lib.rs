//! Gets every fact out of the log, as of any moment, in the formats that others use.
//!
//! Everything that comes out was judged by [`event_log::validity`], as every reader of the log judges it: what does not
//! count never leaves, unless raw is asked for, and then it says so. Personal data leave as they lie in the log: sealed.

pub mod as_of;
mod datum;
pub mod export;
mod feed;
pub mod history;
mod lane;
mod manifest;
pub mod range;
mod reading;
pub mod republish;
mod row;
mod sink;
mod sums;
mod text;
mod tree;

pub use sink::Unreadable;
pub use sums::parquet_sums;
