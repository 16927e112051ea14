//! The tickets of one order.
//!
//! Invariant: an order gets its tickets once.

mod rules;
mod state;

use serde::{Deserialize, Serialize};

use crate::event_name::recorded;
use crate::ids::{OrderId, ShowId, TicketClassId, TicketId};
use crate::value::Line;
pub use state::TicketBatch;

/// One admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedTicket {
    pub ticket: TicketId,
    pub ticket_class: TicketClassId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketsIssued {
    pub order: OrderId,
    pub show: ShowId,
    pub tickets: Vec<IssuedTicket>,
}

/// All tickets of the order die.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketsRevoked {
    pub order: OrderId,
    pub show: ShowId,
    pub tickets: Vec<TicketId>,
}

/// One ticket of the order dies; the others stay valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRevoked {
    pub order: OrderId,
    pub show: ShowId,
    pub ticket: TicketId,
}

/// What happened to an order's tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    TicketsIssued(TicketsIssued),
    TicketsRevoked(TicketsRevoked),
    TicketRevoked(TicketRevoked),
}

recorded!(Event, order; TicketsIssued, TicketsRevoked, TicketRevoked);

/// What can be asked of an order's tickets; only the saga does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Ticket ids are derived from the order's.
    Issue { order: OrderId, show: ShowId, lines: Vec<Line> },
    /// All of them die; a batch that is revoked before it is issued never gets any.
    Revoke { order: OrderId, show: ShowId },
    /// These die; the others stay valid.
    RevokeSome { order: OrderId, show: ShowId, tickets: Vec<TicketId> },
    /// Decides nothing; answers with the state.
    Look,
}

/// Why a batch says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No tickets were issued to this order.
    #[error("no tickets were issued")]
    NotFound,
    /// They were revoked before.
    #[error("the tickets were revoked")]
    Revoked,
}
