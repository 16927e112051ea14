//! A fault that is played in its own way.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::table::Run;

/// What such a fault works with, and what it notes.
pub struct Alone {
    folder: PathBuf,
    run: Mutex<Run>,
}

impl Alone {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, run: Mutex::default() }
    }

    /// Where this run may write.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes something in the run.
    pub fn note(&self, note: impl FnOnce(&mut Run)) {
        note(&mut self.run.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn run(&self) -> Run {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
