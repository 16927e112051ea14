//! The tickets of an order as they are known.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event_name::aggregate;
use crate::ids::ShowId;
use crate::root::{Context, Root};
use crate::ticket::{Command, Event, IssuedTicket, Refusal};
use crate::value::Timestamp;

/// The tickets of one order; the default has none yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TicketBatch(Option<Arc<Batch>>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Batch {
    show: ShowId,
    tickets: Box<[IssuedTicket]>,
    revoked: bool,
}

impl TicketBatch {
    /// Whether anything was ever issued or revoked.
    pub fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// The show they admit to.
    pub fn show(&self) -> Option<ShowId> {
        self.0.as_ref().map(|batch| batch.show)
    }

    /// All that were issued, in line order; valid only while not `revoked`.
    pub fn tickets(&self) -> &[IssuedTicket] {
        self.0.as_ref().map_or(&[], |batch| &batch.tickets)
    }

    /// Whether they died, or can never be issued.
    pub fn revoked(&self) -> bool {
        self.0.as_ref().is_some_and(|batch| batch.revoked)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        self.0.as_ref().map_or(0, |batch| counts + size_of::<Batch>() + size_of_val(&*batch.tickets))
    }

    pub(super) fn fold(&mut self, event: Event) {
        match event {
            Event::TicketsIssued(event) => {
                let tickets = event.tickets.into_boxed_slice();
                assert!(self.0.is_none(), "an order gets its tickets once");
                self.0 = Some(Arc::new(Batch { show: event.show, tickets, revoked: false }));
            }
            Event::TicketsRevoked(event) => {
                let none = || Arc::new(Batch { show: event.show, tickets: Box::default(), revoked: true });
                Arc::make_mut(self.0.get_or_insert_with(none)).revoked = true;
            }
        }
    }
}

aggregate!(TicketBatch, "ticket-batch");

impl Root for TicketBatch {
    type Ask = Command;
    type About = ();
    const CONTEXT: Context = Context::Ticket;

    fn next_due(&self) -> Option<Timestamp> {
        None
    }

    fn due() -> Command {
        Command::Look
    }

    fn id(event: &Event) -> uuid::Uuid {
        event.aggregate()
    }
}
