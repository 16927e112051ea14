//! The read models on a real Postgres, over a log in memory.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[cfg(feature = "breakages")]
mod breakages;
mod database;
mod evolution;
mod faults;
mod generations;
mod kafka;
mod keys;
mod lanes;
mod memory;
mod parked;
mod purchases;
mod queue;
mod rebuild;
mod sharing;
mod story;
