//! The steps of recorded traces that a read model takes: from reading a command's events until they are committed.

use event_log::log::Partition;
use event_log::validity::Valid;
use service_kit::clock;
use service_kit::spans::{Kind, Span};

/// Steps that are not committed yet, at most: a database that is away must not fill the memory.
const OPEN: usize = 1000;

/// What was appended longer ago is read to fill a read model anew, and is no step of its trace.
const FRESH_US: i64 = 600_000_000;

/// What was read of recorded traces and is not committed yet.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<Span>);

impl Steps {
    /// Takes in a command's events; nothing unless they are traced, and just appended.
    pub(crate) fn begin(&mut self, projection: &'static str, place: Partition, events: &[Valid]) {
        let Some(Valid { record, .. }) = events.first() else { return };
        let Some(trace) = record.trace.as_deref().filter(|_| self.0.len() < OPEN) else { return };
        if clock::now().0 - record.timestamp.0 > FRESH_US {
            return;
        }
        let Some(mut span) = Span::below(Some(*trace), Kind::Consumer, format!("project {projection}")) else { return };
        span.set("projection", projection);
        span.set("partition", place.to_string());
        span.set("offset", record.offset);
        span.set("events", i64::try_from(events.len()).unwrap_or(i64::MAX));
        self.0.push(span);
    }

    /// They are committed.
    pub(crate) fn written(&mut self) {
        self.0.clear();
    }

    /// Nothing of it counts: somebody else does it.
    pub(crate) fn overtaken(&mut self) {
        self.0.drain(..).for_each(|mut span| span.fail("overtaken"));
    }
}
