//! Whole-system tests: HTTP in, HTTP out, on real servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod crash;
mod log;
mod orders;
mod parked;
mod payments;
mod persons;
mod providers;
mod queue;
mod queue_page;
mod reading;
mod refusals;
mod review;
mod since;
mod tickets;
mod tracing;
