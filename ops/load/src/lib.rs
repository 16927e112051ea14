//! The load generator's engine: arrivals at moments decided before, latencies from those moments, several processes,
//! and what the machine did meanwhile.
//!
//! Invariant: a server that stalls delays no arrival, so its stall is in the latencies.

pub mod behind;
pub mod chance;
pub mod client;
pub mod crowd;
pub mod fleet;
pub mod histogram;
pub mod journey;
pub mod knee;
pub mod line;
pub mod machine;
pub mod metrics;
pub mod monitor;
pub mod pacer;
pub mod plan;
pub mod plot;
pub mod report;
pub mod request;
pub mod schedule;
pub mod source;
pub mod tally;
pub mod wire;
pub mod worker;
pub mod world;
