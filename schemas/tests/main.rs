//! The contract, tested against the Rust types, old bytes, other writers, garbage and a real registry.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod compatibility;
mod contract;
mod corpus;
mod evolution;
mod garbage;
mod golden;
mod person;
mod registry;
mod samples;
mod shape;
mod writing;
