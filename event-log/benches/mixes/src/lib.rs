//! Made histories of one partition: real events in valid frames, the same at every run.
//!
//! What is made is what a busy sale leaves behind, in the proportions of [`Sales`], [`Orders`] and [`Visitors`]. Nothing is
//! decided: the events are written down as they would have been, and folding asserts that they make sense.

mod dice;
mod orders;
mod sales;
mod visitors;
mod writer;

use domain::event::Event;
use domain::value::Timestamp;

pub use dice::Dice;
pub use orders::{Orders, expired};
pub use sales::{Sale, Sales};
pub use visitors::Visitors;
pub use writer::{Writer, records};

/// When made histories begin.
pub const START: Timestamp = Timestamp(1_790_000_000_000_000);
/// Between two commands: a partition that takes a thousand in a second.
pub const STEP_US: i64 = 1_000;
/// A partition says so often what is settled: once a second.
pub const SETTLED_EVERY: usize = 1_000;

/// What becomes of what is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// As in life, without end.
    Mixed,
    /// So many are begun, and none of them ends.
    Open(u64),
    /// So many are begun, and all of them end well.
    Done(u64),
}

impl Fate {
    /// Whether another one is begun after so many.
    fn begins(self, begun: u64) -> bool {
        match self {
            Self::Mixed => true,
            Self::Open(count) | Self::Done(count) => begun < count,
        }
    }
}

/// The commands of one partition, in the order they were carried out.
pub trait Mix {
    /// The events of the next command, all of one aggregate; none once it is over.
    fn next(&mut self, at: Timestamp) -> Vec<Event>;
}
