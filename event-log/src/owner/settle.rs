//! What is acknowledged is answered and sent; what was answered by others is settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::breakage::{Breakage, broken};
use domain::root::Root;
use schemas::Control;

use super::serve::answered;
use super::{Now, Output, Owner, Send};
use crate::frame::Kind;
use crate::log::NewRecord;
use crate::state::Caused;

/// What was sent and not answered: offset of the cause → which of what it causes.
#[derive(Default)]
pub(super) struct Open {
    of: BTreeMap<i64, Vec<usize>>,
    count: usize,
}

impl Open {
    /// Tells whether it was not there before.
    fn insert(&mut self, offset: i64, n: usize) -> bool {
        let open = self.of.entry(offset).or_default();
        let fresh = !open.contains(&n);
        if fresh {
            open.push(n);
            self.count += 1;
        }
        fresh
    }

    fn remove(&mut self, (offset, n): (i64, usize)) {
        let Some(open) = self.of.get_mut(&offset) else { return };
        let before = open.len();
        open.retain(|it| *it != n);
        self.count -= before - open.len();
        if open.is_empty() {
            self.of.remove(&offset);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl<A: Root, R> Owner<A, R> {
    /// Something sent was answered (or its refusal was dealt with).
    pub fn settled(&mut self, at: (i64, usize)) {
        self.open.remove(at);
    }

    /// Answers every batch whose prefix is acknowledged, and sends what it caused.
    pub(super) fn acknowledge(&mut self) -> Vec<Output<A, R>> {
        let mut outputs = Vec::new();
        while let Some(batch) = self.in_flight.pop_front_if(|batch| batch.last_seq <= self.acked_seq) {
            let from = self.acked.position.next;
            self.acked = batch.after;
            outputs.extend(answered(batch.answers));
            let caused: Vec<(i64, Arc<Caused>)> =
                self.acked.outbox.range(from..).map(|(offset, caused)| (*offset, Arc::clone(caused))).collect();
            for (offset, caused) in caused {
                outputs.extend(self.send(offset, &caused));
            }
        }
        outputs
    }

    /// What an entry of the outbox wants done, but for what is under way already.
    pub(super) fn send(&mut self, offset: i64, caused: &Caused) -> Vec<Output<A, R>> {
        let mut outputs = Vec::new();
        for (n, outgoing) in caused.outgoing.iter().enumerate() {
            if self.open.insert(offset, n) {
                outputs.push(Output::Send(Send {
                    at: (offset, n),
                    causation_id: caused.event_id,
                    correlation_id: caused.correlation_id,
                    outgoing: outgoing.clone(),
                    trace: self.acked.trace_of_cause(offset),
                }));
            }
        }
        if broken(Breakage::SettledBeforeAnswer) {
            (0..caused.outgoing.len()).for_each(|n| self.open.remove((offset, n)));
        }
        outputs
    }

    /// Says in the log, at most so often, below which offset everything caused has been answered.
    pub(super) fn settle(&mut self, now: Now, records: &mut Vec<NewRecord>) {
        if now.mono < self.last_settled + self.settings.settle_every {
            return;
        }
        let Some(below) = self.settleable() else { return };
        self.last_settled = now.mono;
        records.push(self.control(Kind::Settled, &Control::Settled { below }));
        self.head.settle(below);
    }

    /// Below which offset everything caused has been answered, if that is news. Only what is acknowledged was sent.
    pub(super) fn settleable(&self) -> Option<i64> {
        let (first, _) = self.head.outbox.get_min()?;
        let (last, _) = self.acked.outbox.get_max()?;
        let below = self.open.of.keys().next().copied().unwrap_or(last + 1);
        let below = below + i64::from(broken(Breakage::SettledTooFar));
        (*first < below).then_some(below)
    }
}
