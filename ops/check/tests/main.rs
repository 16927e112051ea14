//! The checker against logs that lie in memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod read;
