//! An order in a list: everything but its tickets, whose codes admit and are shown one order at a time.

use domain::ids::OrderId;
use serde::Serialize;
use service_kit::problem::Problem;
use service_kit::views::{Buyer, Line, Money, Payment, Refund};
use utoipa::ToSchema;
use uuid::Uuid;

use super::lists::VIEWS;
use super::row::Row;
use super::view::{lines, payments, refund};
use crate::http::App;
use crate::http::shows::{at, money};

/// One buyer's purchase, without its tickets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderEntry)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// Of which show.
    pub show: Uuid,
    /// `reserved`, `awaiting_payment`, `completed`, `cancelled`, `failed` or `stuck`.
    pub status: String,
    /// Why it was cancelled or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is bought.
    pub lines: Vec<Line>,
    /// What it costs.
    pub total: Money,
    /// Who buys; null once that person was forgotten.
    pub buyer: Option<Buyer>,
    /// Until when it can be paid.
    pub pay_by: jiff::Timestamp,
    /// Attempts to pay, in order.
    pub payments: Vec<Payment>,
    /// How many tickets there are; 0 until completed.
    pub ticket_count: i32,
    /// Short, human, unguessable.
    pub code: String,
    /// When stock was first held for it.
    pub created_at: jiff::Timestamp,
    /// Money on its way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// True if this is known to be behind; operators have been told. The order itself answers 503 `stale`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

impl App {
    /// These orders with their buyers.
    ///
    /// # Errors
    /// 503 `not-ready`.
    pub(super) async fn entries(&self, rows: Vec<Row>) -> Result<Vec<Entry>, Problem> {
        let sealed: Vec<(OrderId, Option<&[u8]>)> = rows.iter().map(|row| (row.id(), row.buyer.as_deref())).collect();
        let buyers = self.buyers.open(&sealed).await?;
        let entry = |(row, buyer): (Row, Option<Buyer>)| {
            let stale = self.is_stale(&row, &VIEWS);
            entry(row, buyer, stale)
        };
        Ok(rows.into_iter().zip(buyers).map(entry).collect())
    }
}

fn entry(row: Row, buyer: Option<Buyer>, stale: bool) -> Entry {
    Entry {
        lines: lines(&row),
        total: money(row.total, &row.currency),
        buyer,
        pay_by: at(row.pay_by_us),
        payments: payments(&row),
        ticket_count: row.ticket_count.unwrap_or(0),
        created_at: at(row.created_at_us),
        refund: refund(&row),
        id: row.order_id,
        show: row.show_id,
        status: row.status,
        reason: row.reason,
        code: row.code,
        stale,
    }
}
