//! Standing by: the same thread that would own the partition folds what others write, and does nothing else until it is
//! promoted. Then it goes on with what it has, if the log still has what that came from; else it begins as any owner does.
//!
//! Invariant: only whoever owns claims, answers, sends, fires timers and writes snapshots. What goes wrong while standing by
//! is not held against the owner that it becomes: that one looks for itself.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use domain::root::Root;

use super::Input;
use super::keep::Keeper;
use super::run::{Driver, Recovery};
use crate::owner::{Now, Owner, Phase};
use crate::validity::Broken;

/// What this thread is for just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Keeps what the log folds to.
    StandBy,
    /// Has nothing to go on from, and waits to be promoted all the same.
    Wait,
    /// Was promoted, and asks whether the log still has what was folded.
    Examine,
    /// Owns the partition.
    Own,
}

impl<A: Root> Driver<A> {
    /// Takes the partition over if it was promoted since the last look.
    pub(super) fn look_for_promotion(&mut self, now: Now) {
        if !matches!(self.duty, Duty::StandBy | Duty::Wait) || !self.beside.is_promoted() {
            return;
        }
        self.recovery = Recovery::beginning(now.mono, None);
        self.keeper.forgo();
        match (self.duty, self.owner.phase()) {
            (Duty::Wait, _) => {
                self.duty = Duty::Own;
                self.load(None);
            }
            // What it would have stood by with is being loaded.
            (_, Phase::Loading) => self.duty = Duty::Own,
            _ => {
                self.duty = Duty::Examine;
                self.load(Some(self.owner.state().position));
            }
        }
    }

    /// It cannot read on. Its successor in this thread finds out for itself whether the log is to blame.
    pub(super) fn gone_wrong(&mut self, broken: &Broken) {
        let partition = self.partition;
        tracing::warn!(%partition, error = %broken, "standing by came to nothing; a take-over begins as any other");
        self.forget();
        if self.duty == Duty::Examine {
            self.duty = Duty::Own;
            self.load(None);
        } else {
            self.duty = Duty::Wait;
        }
    }

    /// Nothing that was folded is gone on from.
    pub(super) fn forget(&mut self) {
        self.generation += 1;
        self.following = None;
        let snapshots = self.surroundings.snapshots.clone();
        self.keeper = Keeper::new(snapshots, self.partition, self.settings.partitions);
        let new_claim = Box::new(self.surroundings.new_claim);
        self.owner = Owner::loading(self.settings.clone(), self.surroundings.codec.clone(), new_claim);
    }

    /// After a panic: nothing of its state is used, and whoever is promoted begins as any owner does.
    pub(super) fn run_anew(self, received: &Receiver<Input<A>>) {
        let partition = self.partition;
        tracing::error!(%partition, "standing by panicked; a take-over begins as any other");
        let (settings, surroundings, inputs) = (self.settings.clone(), self.surroundings.clone(), self.inputs.clone());
        let mut anew = Self::new(settings, surroundings, inputs, Arc::clone(&self.beside));
        anew.duty = Duty::Wait;
        // What was on its way to the one that panicked is not taken for an answer to this one.
        (anew.generation, anew.loads) = (self.generation, self.loads);
        drop(self);
        anew.run(received);
    }
}
