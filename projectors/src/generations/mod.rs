//! Generations of read models: a whole set of tables and checkpoints each. Readers see the live one by the views; others
//! are filled beside it, or are kept for the way back.
//!
//! Invariant: which generation is live, and what every view shows, changes in one transaction, under one lock; so a
//! reader sees all of one generation or all of the other.

mod chase;
mod control;
mod fillers;
mod overview;
mod promote;
mod switch;
mod watch;

use crate::model::Layout;
pub(crate) use chase::Chase;
pub(crate) use control::{CONTROL, found, relabel};
pub use control::{ControlError, Paused, begin, drop_kept, mark, pause};
pub(crate) use fillers::Duty;
pub use fillers::{Filled, fillers};
pub(crate) use overview::Target;
pub use overview::{Known, Overview, Standing, State, overview};
pub(crate) use promote::Promoter;
pub use switch::{Behind, NotSwitched, Served, switch};
pub(crate) use watch::{Control, Watcher, watch};

/// One generation of a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    /// Of the code that fills it: tables and fold.
    pub version: u32,
    /// Counted from 1 over all versions of the read model.
    pub number: u32,
}

impl Generation {
    /// The one that a fresh database begins with.
    pub fn first(layout: &Layout) -> Self {
        Self { version: layout.version, number: 1 }
    }
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "generation {} (version {})", self.number, self.version)
    }
}
