//! The log and its protocol: one contract for both logs, the owner against faults, and what only Kafka can show.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "breakages")]
mod breakages;
mod contract;
mod driver;
mod kafka_log;
mod membership;
mod memory_log;
mod protocol;
mod restart;
mod review;
mod rounds;
mod simulation;
mod snapshots;
mod standby;
mod stored;
mod support;
mod topics;
mod traces;
mod validity;
mod vouching;
