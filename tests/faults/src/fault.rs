//! What a fault is: how it is set up, what it does, what it proves, and what must be seen of it.

use std::any::Any;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use local_stack::Endpoints;
use ops::topology::Counts;

use crate::run::{Alone, Site};

/// Two of those that may die, one that only reads.
pub const TWO: Counts = Counts { command_apis: 2, projectors: 2, query_apis: 1 };

/// One fault.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is done, in a sentence.
    pub what: &'static str,
    /// What the run proves, in a sentence.
    pub proves: &'static str,
    /// Whether it is quick enough for every test run.
    pub quick: bool,
    /// How it is played.
    pub play: Play,
}

/// How a fault is played.
#[derive(Clone, Copy)]
pub enum Play {
    /// In the middle of mixed load; afterwards the checker looks at everything.
    UnderLoad {
        /// What is there before anything begins.
        place: fn() -> LocalBoxFuture<'static, anyhow::Result<Place>>,
        /// Does it. Comes back once it is over; the harness waits for service itself.
        strike: for<'a> fn(&'a Site) -> LocalBoxFuture<'a, anyhow::Result<()>>,
        /// What must be seen, or the run was void.
        must: Must,
    },
    /// In its own way; what it finds wrong is an error.
    Alone(for<'a> fn(&'a Alone) -> LocalBoxFuture<'a, anyhow::Result<()>>),
}

/// What a run must show; otherwise it was void.
#[derive(Debug, Clone, Copy, Default)]
pub struct Must {
    /// Somebody was superseded: a partition was claimed under a new term.
    pub fence: bool,
    /// Records of somebody who was superseded lie in the log and do not count.
    pub void: bool,
    /// Some client was left in doubt.
    pub doubt: bool,
    /// No request of an honest client failed: nothing in doubt, no connection broken, nobody turned away.
    pub smooth: bool,
}

impl Must {
    /// Somebody was superseded, and somebody was left in doubt by it.
    pub const TAKEN_OVER: Self = Self { fence: true, doubt: true, void: false, smooth: false };
}

/// What is there before anything begins.
pub struct Place {
    /// The servers.
    pub endpoints: Endpoints,
    /// How many processes of each program.
    pub counts: Counts,
    /// Their settings beside short durations.
    pub settings: Vec<(String, String)>,
    /// Whatever the fault needs to keep, such as servers of its own; [`Site::kept`] gives it back.
    pub kept: Arc<dyn Any + Send + Sync>,
}

impl Place {
    /// Processes on the servers that all tests share.
    ///
    /// # Errors
    /// They cannot be started.
    pub async fn shared() -> anyhow::Result<Self> {
        let endpoints = system_tests::world::stack().await?;
        Ok(Self { endpoints, counts: TWO, settings: Vec::new(), kept: Arc::new(()) })
    }

    /// The same with so many processes.
    #[must_use]
    pub fn with_counts(self, counts: Counts) -> Self {
        Self { counts, ..self }
    }

    /// The same with one more setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with something to keep.
    #[must_use]
    pub fn keeping<T: Any + Send + Sync>(self, kept: T) -> Self {
        Self { kept: Arc::new(kept), ..self }
    }
}
