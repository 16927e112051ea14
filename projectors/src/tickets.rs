//! One row for each admission, from `ticket-events`. The code that admits is made by whoever shows it; it is not stored.
//!
//! View `tickets`:
//!
//! | column | type | |
//! |---|---|---|
//! | `ticket_id` | uuid | |
//! | `order_id`, `show_id`, `ticket_class_id` | uuid | |
//! | `ordinal` | integer | sorts the tickets of an order, from 0 |
//! | `status` | text | `valid`, `revoked` |
//! | `issued_at_us` | bigint | microseconds since 1970, UTC |
//! | `revoked_at_us` | bigint, null | |

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{OrderId, ShowId, TicketClassId, TicketId};
use domain::root::{Context, Meta};
use domain::ticket;
use sqlx::PgConnection;

use crate::model::{Envelope, Layout, ReadModel, Touched, View, column};

/// The read model of tickets.
#[derive(Debug)]
pub struct Tickets;

const TABLES: &str = "
create table if not exists tickets (
    ticket_id uuid primary key,
    order_id uuid not null,
    show_id uuid not null,
    ticket_class_id uuid not null,
    ordinal integer not null,
    issued_at_us bigint not null,
    revoked_at_us bigint
);
create index if not exists tickets_by_order on tickets (order_id, show_id, ordinal);
create index if not exists tickets_by_show on tickets (show_id, ticket_class_id);
";

const TICKETS: View = View {
    name: "tickets",
    query: "
select ticket_id, order_id, show_id, ticket_class_id, ordinal,
    case when revoked_at_us is null then 'valid' else 'revoked' end as status,
    issued_at_us, revoked_at_us
from {tickets}.tickets",
};

#[derive(Debug)]
struct Issued {
    order: OrderId,
    show: ShowId,
    ticket_class: TicketClassId,
    ordinal: i32,
    at_us: i64,
}

/// Row changes of a batch.
#[derive(Debug, Default)]
pub struct Changes {
    issued: BTreeMap<TicketId, Issued>,
    revoked: BTreeMap<TicketId, i64>,
    touched: Touched,
}

impl ReadModel for Tickets {
    type Changes = Changes;

    const LAYOUT: Layout =
        Layout { name: "tickets", version: 1, tables: TABLES, table_names: &["tickets"], views: &[TICKETS] };
    const CONTEXTS: &'static [Context] = &[Context::Ticket];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        if let Event::Ticket(event) = &envelope.event {
            changes.fold(&envelope.meta, event);
        }
    }

    fn touched(changes: &Changes) -> Touched {
        changes.touched.clone()
    }

    async fn write(changes: &mut Changes, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        Ok(changes.write_issued(tx).await? + changes.write_revoked(tx).await?)
    }
}

impl Changes {
    fn fold(&mut self, meta: &Meta, event: &ticket::Event) {
        let at_us = meta.occurred_at.0;
        match event {
            ticket::Event::TicketsIssued(it) => {
                self.touched.orders.insert(it.order);
                for (ordinal, ticket) in (0..).zip(&it.tickets) {
                    let (order, show, ticket_class) = (it.order, it.show, ticket.ticket_class);
                    self.issued.insert(ticket.ticket, Issued { order, show, ticket_class, ordinal, at_us });
                }
            }
            ticket::Event::TicketsRevoked(it) => {
                self.touched.orders.insert(it.order);
                self.revoked.extend(it.tickets.iter().map(|ticket| (*ticket, at_us)));
            }
        }
    }

    async fn write_issued(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&TicketId, &Issued)> = self.issued.iter().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into tickets (ticket_id, order_id, show_id, ticket_class_id, ordinal, issued_at_us)
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::bigint[])
             on conflict (ticket_id) do update set
                order_id = excluded.order_id, show_id = excluded.show_id, ticket_class_id = excluded.ticket_class_id,
                ordinal = excluded.ordinal, issued_at_us = excluded.issued_at_us",
        );
        let query = query
            .bind(column(&rows, |(id, _)| id.0))
            .bind(column(&rows, |(_, it)| it.order.0))
            .bind(column(&rows, |(_, it)| it.show.0))
            .bind(column(&rows, |(_, it)| it.ticket_class.0))
            .bind(column(&rows, |(_, it)| it.ordinal))
            .bind(column(&rows, |(_, it)| it.at_us));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_revoked(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&TicketId, &i64)> = self.revoked.iter().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "update tickets t set revoked_at_us = r.at_us
             from unnest($1::uuid[], $2::bigint[]) as r (ticket_id, at_us)
             where t.ticket_id = r.ticket_id",
        );
        let query = query.bind(column(&rows, |(id, _)| id.0)).bind(column(&rows, |(_, at_us)| **at_us));
        Ok(query.execute(tx).await?.rows_affected())
    }
}
