//! What is acknowledged is answered and sent; what was answered by others is settled.

use std::collections::HashSet;
use std::sync::Arc;

use domain::breakage::{Breakage, broken};
use domain::root::Root;
use schemas::Control;

use super::serve::answered;
use super::{Now, Output, Owner, Send};
use crate::frame::Kind;
use crate::log::NewRecord;
use crate::state::Caused;

impl<A: Root, R> Owner<A, R> {
    /// Something sent was answered (or its refusal was dealt with).
    pub fn settled(&mut self, at: (i64, usize)) {
        if let Some(open) = self.open.get_mut(&at.0) {
            open.remove(&at.1);
            if open.is_empty() {
                self.open.remove(&at.0);
            }
        }
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
        let open: &mut HashSet<usize> = self.open.entry(offset).or_default();
        let mut outputs = Vec::new();
        for (n, outgoing) in caused.outgoing.iter().enumerate() {
            if open.insert(n) {
                outputs.push(Output::Send(Send {
                    at: (offset, n),
                    causation_id: caused.event_id,
                    correlation_id: caused.correlation_id,
                    outgoing: outgoing.clone(),
                }));
            }
        }
        if broken(Breakage::SettledBeforeAnswer) {
            self.open.remove(&offset);
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
        let below = self.open.keys().next().copied().unwrap_or(last + 1);
        let below = below + i64::from(broken(Breakage::SettledTooFar));
        (*first < below).then_some(below)
    }
}
