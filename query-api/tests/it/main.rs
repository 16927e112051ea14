//! The reading routes over a real Postgres, with rows that the projectors' own folds write.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod client;
mod lists;
mod live;
mod orders;
mod outages;
mod process;
mod queue;
mod queue_streams;
mod room;
mod shows;
mod stale;
mod story;
mod streams;
mod tickets;
mod waiting;
mod world;
