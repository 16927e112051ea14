//! The tickets of an order.

use domain::ids::{TicketId, derived};
use domain::ticket::{Command, Event, IssuedTicket, Refusal, TicketBatch, TicketsIssued, TicketsRevoked};

use crate::common::{BALCONY, FLOOR, ORDER, SHOW, buyer, given, line, state};

fn issue() -> Command {
    Command::Issue { order: ORDER, show: SHOW, lines: vec![line(FLOOR, 2), line(BALCONY, 1)] }
}

fn revoke() -> Command {
    Command::Revoke { order: ORDER, show: SHOW }
}

fn id(n: u64) -> TicketId {
    TicketId(derived(ORDER.0, "ticket", n))
}

fn issued() -> Event {
    let ticket = |n, ticket_class| IssuedTicket { ticket: id(n), ticket_class };
    let tickets = vec![ticket(0, FLOOR), ticket(1, FLOOR), ticket(2, BALCONY)];
    TicketsIssued { order: ORDER, show: SHOW, tickets }.into()
}

fn revoked(tickets: Vec<TicketId>) -> Event {
    TicketsRevoked { order: ORDER, show: SHOW, tickets }.into()
}

#[test]
fn each_piece_gets_a_ticket_once() {
    given::<TicketBatch>(vec![]).when(issue()).then_expect_events(vec![issued()]);
    given::<TicketBatch>(vec![issued()]).when(issue()).then_expect_events(vec![]);
    assert_eq!(state::<TicketBatch>(&[issued()]).tickets().len(), 3);
}

#[test]
fn tickets_die_once() {
    let dead = revoked(vec![id(0), id(1), id(2)]);
    given::<TicketBatch>(vec![issued()]).when(revoke()).then_expect_events(vec![dead.clone()]);
    given::<TicketBatch>(vec![issued(), dead.clone()]).when(revoke()).then_expect_events(vec![]);
    given::<TicketBatch>(vec![issued(), dead.clone()]).when(issue()).then_expect_error(Refusal::Revoked);
    let batch = state::<TicketBatch>(&[issued(), dead]);
    assert!(batch.revoked() && batch.tickets().len() == 3);
}

#[test]
pub fn what_is_revoked_before_it_is_issued_is_never_issued() {
    given::<TicketBatch>(vec![]).when(revoke()).then_expect_events(vec![revoked(vec![])]);
    given::<TicketBatch>(vec![revoked(vec![])]).when(issue()).then_expect_error(Refusal::Revoked);
    given::<TicketBatch>(vec![revoked(vec![])]).when(revoke()).then_expect_events(vec![]);
}

#[test]
fn only_the_saga_issues_and_revokes() {
    given::<TicketBatch>(vec![]).by(buyer()).when(issue()).then_expect_error(Refusal::NotFound);
    given::<TicketBatch>(vec![issued()]).by(buyer()).when(revoke()).then_expect_error(Refusal::NotFound);
    given::<TicketBatch>(vec![]).when(Command::Look).then_expect_error(Refusal::NotFound);
    given::<TicketBatch>(vec![issued()]).when(Command::Look).then_expect_events(vec![]);
}
