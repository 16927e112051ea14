//! Filling the next generation of a read model beside the live one, and showing it: killed at any moment and begun again,
//! it goes on where it was.
//!
//! Invariant: readers see the new generation only after it was held against an independent fold of the log, and only once
//! it stands where the live one does.

mod alone;
mod fill;
mod hand_over;
mod indexes;
mod skips;
mod steps;

use event_log::log::LogError;
use schemas::Codec;
use sqlx::PgPool;

pub use alone::{Alone, Elsewhere};
pub use fill::{Fill, Progress};
pub use hand_over::{HandOver, hand_over};
pub use steps::{News, Options, Rebuilt, catch_up, rebuild};

use crate::generations::{ControlError, Generation, NotSwitched};
use crate::model::Layout;
use crate::names::{BadNamespace, Names};
use crate::run::{Logs, Settings};
use crate::verify::{Verified, VerifyError};
use crate::worker::Refused;

/// What is worked on, and with what.
#[derive(Clone)]
pub struct Job {
    /// Which read model.
    pub layout: Layout,
    /// How it is filled; `batch_records` may be large, because nobody reads it yet.
    pub settings: Settings,
    /// What it is filled from.
    pub logs: Logs,
    /// Understands what is in there.
    pub codec: Codec,
    /// Where it is filled.
    pub pool: PgPool,
    /// So many transactions at once, each for some of the partitions.
    pub lanes: u32,
    /// What lacks more records than this is filled without secondary indexes, which are built afterwards.
    pub bulk: i64,
}

impl Job {
    /// How its schemas are called.
    ///
    /// # Errors
    /// The namespace cannot name schemas.
    pub fn names(&self) -> Result<Names, BadNamespace> {
        Names::of(&self.settings.namespace)
    }
}

/// Why a generation is not shown.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The namespace cannot name schemas.
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    /// Somebody else works on it.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
    /// The control tables say no.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The log is not what it was filled from.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be held against the log.
    #[error("cannot verify it")]
    Verify(#[source] Box<VerifyError>),
    /// It is not what the log says.
    #[error("{generation} of {name} is not what the log says; readers go on seeing what they saw")]
    Wrong {
        /// Of which read model.
        name: String,
        /// Which.
        generation: Generation,
        /// What was found.
        verified: Box<Verified>,
    },
    /// The views go on showing what they did.
    #[error(transparent)]
    NotSwitched(#[from] NotSwitched),
    /// The log does not answer.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the database says.
    #[error("the database does not do its part")]
    Database(#[from] sqlx::Error),
    /// Nothing could be filled from.
    #[error("the persons' keys cannot be followed here")]
    NoKeys,
}
