//! The tickets of an order as they are known.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event_name::aggregate;
use crate::ids::{ShowId, TicketId};
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
    /// None while all are valid; few batches ever have one.
    dead: Option<Box<Dead>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Dead {
    All,
    Some(Vec<TicketId>),
}

impl Batch {
    fn revoked(&self) -> bool {
        matches!(self.dead.as_deref(), Some(Dead::All))
    }

    fn lives(&self, ticket: TicketId) -> bool {
        match self.dead.as_deref() {
            None => true,
            Some(Dead::Some(dead)) => !dead.contains(&ticket),
            Some(Dead::All) => false,
        }
    }

    fn heap_bytes(&self) -> usize {
        let names = match self.dead.as_deref() {
            Some(Dead::Some(dead)) => dead.capacity() * size_of::<TicketId>(),
            Some(Dead::All) | None => 0,
        };
        size_of::<Self>() + size_of_val(&*self.tickets) + self.dead.as_deref().map_or(0, size_of_val) + names
    }
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

    /// All that were issued, in line order; valid only while not `revoked`, each by itself.
    pub fn tickets(&self) -> &[IssuedTicket] {
        self.0.as_ref().map_or(&[], |batch| &batch.tickets)
    }

    /// Whether they died, or can never be issued.
    pub fn revoked(&self) -> bool {
        self.0.as_ref().is_some_and(|batch| batch.revoked())
    }

    /// Whether this ticket was issued and lives.
    pub fn is_valid(&self, ticket: TicketId) -> bool {
        self.0.as_deref().is_some_and(|batch| batch.lives(ticket))
            && self.tickets().iter().any(|issued| issued.ticket == ticket)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        self.0.as_ref().map_or(0, |batch| counts + batch.heap_bytes())
    }

    pub(super) fn fold(&mut self, event: Event) {
        match event {
            Event::TicketsIssued(event) => {
                let tickets = event.tickets.into_boxed_slice();
                assert!(self.0.is_none(), "an order gets its tickets once");
                self.0 = Some(Arc::new(Batch { show: event.show, tickets, dead: None }));
            }
            Event::TicketsRevoked(event) => {
                let none = || Arc::new(Batch { show: event.show, tickets: Box::default(), dead: None });
                Arc::make_mut(self.0.get_or_insert_with(none)).dead = Some(Box::new(Dead::All));
            }
            Event::TicketRevoked(event) => {
                let batch = Arc::make_mut(self.0.as_mut().expect("TicketsIssued comes first"));
                match batch.dead.get_or_insert_with(|| Box::new(Dead::Some(Vec::new()))).as_mut() {
                    Dead::Some(dead) => dead.push(event.ticket),
                    Dead::All => {}
                }
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
