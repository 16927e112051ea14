//! The recorded traces that a partition has to go on with: those of causes in the outbox, and those of purchases, which a
//! provider or a timer takes up again without knowing of them.
//!
//! Invariant: a state that has met no recorded trace has none of this.

use std::sync::Arc;

use domain::root::{Context, Root};
use domain::trace::TraceContext;
use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use crate::log::Traced;

/// Purchases whose traces are remembered, at most.
const REMEMBER: usize = 1000;

/// Which trace goes on where.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Traces {
    /// By the offset of an event that has something in the outbox.
    causes: OrdMap<i64, TraceContext>,
    /// By aggregate, the last step of its trace.
    of: OrdMap<Uuid, TraceContext>,
    by_age: Vector<Uuid>,
}

/// Whether aggregates of this context belong to one purchase. A show's stock belongs to everybody's.
const fn is_of_one_purchase(context: Context) -> bool {
    match context {
        Context::Order | Context::Payment | Context::Ticket => true,
        Context::Catalog | Context::Queue | Context::Inventory | Context::Account => false,
    }
}

impl Traces {
    fn remember(&mut self, id: Uuid, trace: TraceContext) {
        if self.of.insert(id, trace).is_none() {
            self.by_age.push_back(id);
        }
        while self.by_age.len() > REMEMBER {
            if let Some(oldest) = self.by_age.pop_front() {
                self.of.remove(&oldest);
            }
        }
    }
}

impl<A: Root> State<A> {
    /// The trace that whatever happens to an aggregate by itself goes on with.
    pub fn trace_of(&self, id: Uuid) -> Traced {
        self.traces.as_ref()?.of.get(&id).copied().map(Arc::new)
    }

    /// The trace of an event that has something in the outbox.
    pub fn trace_of_cause(&self, offset: i64) -> Traced {
        self.traces.as_ref()?.causes.get(&offset).copied().map(Arc::new)
    }

    /// Takes in the trace of a command's events.
    pub(super) fn traced(&mut self, trace: &Traced, id: Uuid, offsets: std::ops::Range<i64>) {
        let Some(trace) = trace.as_deref() else { return };
        let traces = Arc::make_mut(self.traces.get_or_insert_default());
        for offset in offsets.filter(|offset| self.outbox.contains_key(offset)) {
            traces.causes.insert(offset, *trace);
        }
        if is_of_one_purchase(A::CONTEXT) {
            traces.remember(id, *trace);
        }
    }

    /// Forgets the traces of causes below an offset.
    pub(super) fn forget_causes(&mut self, below: i64) {
        let Some(traces) = &mut self.traces else { return };
        while let Some(offset) = traces.causes.get_min().map(|(offset, _)| *offset).filter(|offset| *offset < below) {
            Arc::make_mut(traces).causes.remove(&offset);
        }
    }
}
