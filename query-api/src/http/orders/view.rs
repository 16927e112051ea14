//! An order in the shape that clients get.

use domain::ids::{ShowId, TicketId};
use domain::value::{PricedLine, Timestamp};
use service_kit::problem::{Kind, Problem};
use service_kit::views::{self, Line, Refund};

use super::row::{Payment, Row, Whole};
use crate::http::App;
use crate::http::shows::{at, money};
use crate::ticket_code::Admission;

/// So many codes are signed before others get their turn.
const CODES_A_TURN: usize = 50;

impl App {
    /// The whole order.
    ///
    /// # Errors
    /// 503 `stale` if there are tickets of a show that is not known (yet), 503 `not-ready`.
    pub async fn order_view(&self, whole: &Whole) -> Result<views::Order, Problem> {
        let tickets = self.tickets_view(whole).await?;
        let row = &whole.row;
        let buyers = self.buyers.open(&[(row.id(), row.buyer.as_deref())]).await?;
        Ok(views::Order {
            lines: lines(row),
            total: money(row.total, &row.currency),
            buyer: buyers.into_iter().next().flatten(),
            pay_by: at(row.pay_by_us),
            payments: payments(row),
            tickets,
            created_at: at(row.created_at_us),
            refund: refund(row),
            access_token: None,
            id: row.order_id,
            show: row.show_id,
            status: row.status.clone(),
            reason: row.reason.clone(),
            code: row.code.clone(),
        })
    }

    /// Its tickets with their codes.
    ///
    /// # Errors
    /// 503 `stale` if the show is not known (yet).
    pub async fn tickets_view(&self, whole: &Whole) -> Result<Vec<views::Ticket>, Problem> {
        let mut tickets = Vec::with_capacity(whole.tickets.0.len());
        for ticket in &whole.tickets.0 {
            let (order, id) = (whole.row.order_id, ticket.id);
            tickets.push(views::Ticket {
                id,
                ticket_class: ticket.ticket_class,
                // A dead ticket's code would still admit at a gate that checks offline.
                code: (ticket.status != "revoked").then(|| self.ticket_code(whole, TicketId(id))).transpose()?,
                status: ticket.status.clone(),
                qr_svg_url: format!("/v1/orders/{order}/tickets/{id}/qr.svg"),
            });
            if tickets.len() % CODES_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(tickets)
    }

    /// The code of one of its tickets.
    ///
    /// # Errors
    /// 503 `stale` if the show is not known (yet): nobody could say until when the code is good.
    pub fn ticket_code(&self, whole: &Whole, ticket: TicketId) -> Result<String, Problem> {
        let starts_at = whole.starts_at_us.map(Timestamp).ok_or_else(|| Problem::new(Kind::Stale))?;
        let ends_at = whole.ends_at_us.map(Timestamp);
        let admission = Admission::first(ShowId(whole.row.show_id), ticket, starts_at, ends_at);
        Ok(self.signer.code(&admission))
    }
}

pub fn lines(row: &Row) -> Vec<Line> {
    let line = |line: &PricedLine| Line {
        ticket_class: line.ticket_class.0,
        quantity: line.quantity,
        unit_price: money(line.unit_price, &row.currency),
    };
    row.lines.0.iter().map(line).collect()
}

pub fn payments(row: &Row) -> Vec<views::Payment> {
    row.payments.0.iter().map(payment).collect()
}

fn payment(row: &Payment) -> views::Payment {
    let status = match row.status.as_str() {
        "open" if row.received > 0 => "partially_received",
        status => status,
    };
    let payable = matches!(status, "open" | "partially_received");
    views::Payment {
        id: row.id,
        provider: row.provider.clone(),
        status: status.to_owned(),
        url: row.url.clone().filter(|_| payable),
        amount: money(row.amount, &row.currency),
    }
}

pub fn refund(row: &Row) -> Option<Refund> {
    let status = row.refund_status.clone()?;
    let amount = money(row.refund_amount.unwrap_or_default(), &row.currency);
    Some(Refund { status, amount, why: row.refund_why.clone().unwrap_or_default() })
}
