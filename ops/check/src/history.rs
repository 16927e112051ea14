//! What clients asked and what they were told: a file of JSON lines, one a call, held against the log afterwards.
//!
//! Idempotency keys and bodies stand in it as digests only, and nothing of a buyer does.

mod call;
mod file;
mod kept;
mod laws;
mod margins;
mod recorder;
mod refusals;
mod repeats;
#[cfg(test)]
mod tests;
mod unasked;

pub use call::{Asked, Call, Op, Outcome, Said};
pub use file::{BadHistory, read};
pub use kept::KEPT;
pub use laws::{Ended, laws};
pub use margins::Margins;
pub use recorder::{Begun, Recorder};
pub use refusals::REFUSALS;
pub use repeats::REPEATS;
pub use unasked::UNASKED;
