//! Staff gives money back: of single tickets, which die, or of the whole order, which ends.

use crate::ids::{RefundId, TicketId, derived};
use crate::order::state::Known;
use crate::order::{CancelReason, Event, OrderTicketsRefunded, Refusal, Status};
use crate::payment::RefundWhy;

impl Known {
    pub(super) fn refund(&self, refund: RefundId, tickets: &[TicketId]) -> Result<Vec<Event>, Refusal> {
        match self.status {
            Status::Completed => {}
            Status::Open | Status::Overdue | Status::Paid => return Err(Refusal::NotCompleted),
            Status::Cancelled(_) | Status::Failed(_) => return Err(Refusal::Over),
        }
        let payment = self.paid_by().ok_or(Refusal::NothingToRefund)?;
        let prices = self.ticket_prices();
        let mut named = Vec::with_capacity(tickets.len());
        for (n, ticket) in tickets.iter().enumerate() {
            let at = prices.iter().position(|(known, _)| known == ticket).ok_or(Refusal::NoSuchTicket { n })?;
            if self.is_refunded(at) || named.contains(&at) {
                return Err(Refusal::RefundedBefore { n });
            }
            named.push(at);
        }
        let stays = |at: &usize| !self.is_refunded(*at) && !named.contains(at);
        let all = tickets.is_empty() || !(0..prices.len()).any(|at| stays(&at));
        if all {
            return Ok(vec![self.cancelled(CancelReason::Refunded, Some(RefundWhy::ByStaff))]);
        }
        let (order, show, currency, tickets) = (self.order, self.show, self.currency, tickets.to_vec());
        let amount = named.iter().map(|at| prices[*at].1).sum();
        Ok(vec![OrderTicketsRefunded { order, show, refund, payment, tickets, amount, currency }.into()])
    }

    /// Every ticket with its price, in the order in which they are issued.
    fn ticket_prices(&self) -> Vec<(TicketId, i64)> {
        let prices = self.lines().flat_map(|line| (0..line.quantity).map(move |_| line.unit_price));
        let ids = (0..).map(|n| TicketId(derived(self.order.0, "ticket", n)));
        ids.zip(prices).collect()
    }

    /// Which of the tickets these are, counted in the order in which they are issued.
    pub(super) fn positions(&self, tickets: &[TicketId]) -> Vec<u16> {
        let ids = self.ticket_prices();
        let position = |ticket: &TicketId| ids.iter().position(|(id, _)| id == ticket);
        let positions = tickets.iter().filter_map(position);
        positions.map(|at| u16::try_from(at).expect("an order has at most 2,000 tickets")).collect()
    }
}
