//! What leaves the log is what counts in it, in every format, from whichever moment it is gone on with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod as_of;
mod columns;
mod republish;
mod resume;
mod support;
mod verdicts;
