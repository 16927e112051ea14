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

use crate::model::{Envelope, Layout, ReadModel, Touched, View};
use crate::rows::{Kind, Merge, Rows, key, set};

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

static ISSUED: Merge = Merge::upsert(
    "tickets",
    &[
        key("ticket_id", Kind::Uuid),
        set("order_id", Kind::Uuid),
        set("show_id", Kind::Uuid),
        set("ticket_class_id", Kind::Uuid),
        set("ordinal", Kind::Int),
        set("issued_at_us", Kind::Big),
    ],
);

static REVOKED: Merge = Merge::update("tickets", &[key("ticket_id", Kind::Uuid), set("revoked_at_us", Kind::Big)]);

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
    type Stored = ();

    const LAYOUT: Layout = Layout {
        name: "tickets",
        version: 1,
        tables: TABLES,
        table_names: &["tickets"],
        views: &[TICKETS],
        merges: &[&ISSUED, &REVOKED],
    };
    const CONTEXTS: &'static [Context] = &[Context::Ticket];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        if let Event::Ticket(event) = &envelope.event {
            changes.fold(&envelope.meta, event);
        }
    }

    fn touched(changes: &Changes) -> Touched {
        changes.touched.clone()
    }

    fn rows(changes: &Changes) -> Vec<Rows> {
        vec![changes.issued_rows(), changes.revoked_rows()]
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
            ticket::Event::TicketRevoked(it) => {
                self.touched.orders.insert(it.order);
                self.revoked.insert(it.ticket, at_us);
            }
        }
    }

    fn issued_rows(&self) -> Rows {
        let row = |(id, it): (&TicketId, &Issued)| {
            [
                id.0.into(),
                it.order.0.into(),
                it.show.0.into(),
                it.ticket_class.0.into(),
                it.ordinal.into(),
                it.at_us.into(),
            ]
        };
        ISSUED.rows(self.issued.iter().map(row))
    }

    fn revoked_rows(&self) -> Rows {
        REVOKED.rows(self.revoked.iter().map(|(id, at_us)| [id.0.into(), (*at_us).into()]))
    }
}
