//! What clients asked and what they were told: a file of JSON lines, one a call, held against the log afterwards.
//!
//! Idempotency keys and bodies stand in it as digests only, and nothing of a buyer does.

mod call;
mod file;
mod recorder;

pub use call::{Asked, Call, Op, Outcome, Said};
pub use file::{BadHistory, read};
pub use recorder::{Begun, Recorder};
