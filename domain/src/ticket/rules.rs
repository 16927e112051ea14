//! When tickets are issued and revoked.

use crate::breakage::{Breakage, broken};
use crate::ids::{OrderId, ShowId, TicketId, derived};
use crate::root::Issued;
use crate::ticket::{Command, Event, IssuedTicket, Refusal, TicketBatch, TicketRevoked, TicketsIssued, TicketsRevoked};
use crate::value::Line;

type Decision = Result<Vec<Event>, Refusal>;

impl TicketBatch {
    pub(super) fn decide(&self, issued: Issued<Command>) -> Decision {
        let Issued { command, by, .. } = issued;
        match command {
            Command::Look if self.exists() => Ok(vec![]),
            Command::Look => Err(Refusal::NotFound),
            _ if !by.is_system() => Err(Refusal::NotFound),
            Command::Issue { order, show, lines } => self.issue(order, show, &lines),
            Command::Revoke { order, show } => Ok(self.revoke(order, show)),
            Command::RevokeSome { order, show, tickets } => Ok(self.revoke_some(order, show, &tickets)),
        }
    }

    fn issue(&self, order: OrderId, show: ShowId, lines: &[Line]) -> Decision {
        match (self.revoked(), self.exists()) {
            (true, _) => Err(Refusal::Revoked),
            (false, true) => Ok(vec![]), // A retry.
            (false, false) => Ok(vec![TicketsIssued { order, show, tickets: tickets(order, lines) }.into()]),
        }
    }

    /// Remembered even where nothing was issued: the order to issue may still be under way.
    fn revoke(&self, order: OrderId, show: ShowId) -> Vec<Event> {
        if self.revoked() || !self.exists() && broken(Breakage::TicketsAfterRevoke) {
            return vec![];
        }
        let tickets =
            self.tickets().iter().map(|ticket| ticket.ticket).filter(|ticket| self.is_valid(*ticket)).collect();
        vec![TicketsRevoked { order, show, tickets }.into()]
    }

    /// Those that are alive; a retry finds them dead.
    fn revoke_some(&self, order: OrderId, show: ShowId, tickets: &[TicketId]) -> Vec<Event> {
        let alive = tickets.iter().filter(|ticket| self.is_valid(**ticket));
        alive.map(|ticket| TicketRevoked { order, show, ticket: *ticket }.into()).collect()
    }
}

/// One ticket for each piece of each line, with ids that a retry names again.
fn tickets(order: OrderId, lines: &[Line]) -> Vec<IssuedTicket> {
    let pieces = lines.iter().flat_map(|line| (0..line.quantity).map(|_| line.ticket_class));
    let ids = (0..).map(|n| TicketId(derived(order.0, "ticket", n)));
    ids.zip(pieces).map(|(ticket, ticket_class)| IssuedTicket { ticket, ticket_class }).collect()
}
