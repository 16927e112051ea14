//! Projectors and their store.

use event_log::memory::MemoryLog;

use crate::plan::{Knobs, Store};
use crate::world::World;

/// Every projector.
#[derive(Debug)]
pub struct Readers;

impl Readers {
    /// Projectors that have read nothing yet.
    pub fn new(_knobs: &Knobs, _log: &MemoryLog) -> Self {
        Self
    }
}

impl World {
    /// A projector does what it can.
    pub fn project(&mut self, _reader: usize, _store: Store) {}

    /// Every read model is the fold at its own offset.
    pub fn readers_agree(&mut self) {}
}
