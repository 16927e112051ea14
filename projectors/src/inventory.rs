//! How many tickets of each class are held, sold and left, from `inventory-events`.
//!
//! Invariant: a class's counters are the sums of its events, each counted once (the checkpoint moves in the same
//! transaction), so that a batch only adds.
//!
//! View `availability`, one row for each class of a show whose sales were opened:
//!
//! | column | type | |
//! |---|---|---|
//! | `show_id`, `ticket_class_id` | uuid | |
//! | `ordinal` | integer | sorts the classes of a show |
//! | `name` | text | |
//! | `price` | bigint | minor units |
//! | `currency` | text | ISO 4217 |
//! | `capacity`, `reserved`, `sold` | bigint | |
//! | `available` | bigint | capacity - reserved - sold, at least 0 |
//! | `sale_starts_at_us`, `sale_ends_at_us` | bigint, null | microseconds since 1970, UTC |
//! | `max_per_order` | integer | |
//! | `closed_reason` | text, null | `show_cancelled`; null while sales are open |
//! | `organizer` | text | `account:<sub>` |
//! | `as_of_us` | bigint | time of the show's last event here |

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{ShowId, TicketClassId};
use domain::inventory::{self, SalesOpened};
use domain::root::{Context, Meta};
use domain::show::ClassTerms;
use sqlx::PgConnection;

use crate::model::{Envelope, Layout, ReadModel, Touched, View, column, word};

/// The read model of stock.
#[derive(Debug)]
pub struct Inventory;

const TABLES: &str = "
create table if not exists sales (
    show_id uuid primary key,
    organizer text,
    currency text,
    pay_within_s bigint,
    closed_reason text,
    as_of_us bigint not null
);
create table if not exists classes (
    show_id uuid,
    ticket_class_id uuid,
    ordinal integer,
    name text,
    price bigint,
    capacity bigint,
    reserved bigint not null default 0,
    sold bigint not null default 0,
    sale_starts_at_us bigint,
    sale_ends_at_us bigint,
    max_per_order integer,
    primary key (show_id, ticket_class_id)
) with (fillfactor = 70);
";

const AVAILABILITY: View = View {
    name: "availability",
    query: "
select c.show_id, c.ticket_class_id, c.ordinal, c.name, c.price, s.currency, c.capacity, c.reserved, c.sold,
    greatest(c.capacity - c.reserved - c.sold, 0) as available,
    c.sale_starts_at_us, c.sale_ends_at_us, c.max_per_order, s.closed_reason, s.organizer, s.as_of_us
from {inventory}.classes c
join {inventory}.sales s using (show_id)
where c.name is not null",
};

#[derive(Debug, Default)]
struct Sales {
    opened: Option<SalesOpened>,
    closed_reason: Option<String>,
    as_of_us: i64,
}

/// What is added to, or set in, a class that exists.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moves {
    price: Option<i64>,
    capacity: Option<i64>,
    reserved: i64,
    sold: i64,
}

/// Row changes of a batch.
#[derive(Debug, Default)]
pub struct Changes {
    sales: BTreeMap<ShowId, Sales>,
    terms: BTreeMap<(ShowId, TicketClassId), (i32, ClassTerms)>,
    moves: BTreeMap<(ShowId, TicketClassId), Moves>,
}

impl ReadModel for Inventory {
    type Changes = Changes;

    const LAYOUT: Layout = Layout {
        name: "inventory",
        version: 1,
        tables: TABLES,
        table_names: &["sales", "classes"],
        views: &[AVAILABILITY],
    };
    const CONTEXTS: &'static [Context] = &[Context::Inventory];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        if let Event::Inventory(event) = &envelope.event {
            changes.fold(&envelope.meta, event);
        }
    }

    fn touched(changes: &Changes) -> Touched {
        Touched { shows: changes.sales.keys().copied().collect(), ..Touched::default() }
    }

    async fn write(changes: &mut Changes, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let sales = changes.write_sales(tx).await?;
        let terms = changes.write_terms(tx).await?;
        // After the terms, because a price may have changed since in the same batch.
        let moves = changes.write_moves(tx).await?;
        Ok(sales + terms + moves)
    }
}

impl Changes {
    fn fold(&mut self, meta: &Meta, event: &inventory::Event) {
        match event {
            inventory::Event::SalesOpened(it) => {
                self.sales(it.show, meta).opened = Some(it.clone());
                for (ordinal, terms) in (0..).zip(&it.classes) {
                    self.terms.insert((it.show, terms.ticket_class), (ordinal, terms.clone()));
                }
            }
            inventory::Event::SalesClosed(it) => self.sales(it.show, meta).closed_reason = Some(word(it.reason)),
            inventory::Event::PriceChanged(it) => {
                self.moves(it.show, meta, it.ticket_class).price = Some(it.price);
            }
            inventory::Event::CapacityChanged(it) => {
                self.moves(it.show, meta, it.ticket_class).capacity = Some(it.capacity);
            }
            inventory::Event::TicketsReserved(it) => {
                for line in &it.lines {
                    self.moves(it.show, meta, line.ticket_class).reserved += i64::from(line.quantity);
                }
            }
            inventory::Event::ReservationConfirmed(it) => {
                for line in &it.lines {
                    let moves = self.moves(it.show, meta, line.ticket_class);
                    moves.reserved -= i64::from(line.quantity);
                    moves.sold += i64::from(line.quantity);
                }
            }
            inventory::Event::ReservationReleased(it) => {
                for line in &it.lines {
                    let moves = self.moves(it.show, meta, line.ticket_class);
                    let count = if it.confirmed { &mut moves.sold } else { &mut moves.reserved };
                    *count -= i64::from(line.quantity);
                }
            }
            inventory::Event::ReservationExpired(it) => {
                for line in &it.lines {
                    self.moves(it.show, meta, line.ticket_class).reserved -= i64::from(line.quantity);
                }
            }
            inventory::Event::SessionBarred(_) => {}
        }
    }

    fn sales(&mut self, show: ShowId, meta: &Meta) -> &mut Sales {
        let sales = self.sales.entry(show).or_default();
        sales.as_of_us = meta.occurred_at.0;
        sales
    }

    fn moves(&mut self, show: ShowId, meta: &Meta, class: TicketClassId) -> &mut Moves {
        self.sales(show, meta);
        self.moves.entry((show, class)).or_default()
    }

    async fn write_sales(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&ShowId, &Sales)> = self.sales.iter().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into sales as s (show_id, organizer, currency, pay_within_s, closed_reason, as_of_us)
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
             on conflict (show_id) do update set
                organizer = coalesce(excluded.organizer, s.organizer),
                currency = coalesce(excluded.currency, s.currency),
                pay_within_s = coalesce(excluded.pay_within_s, s.pay_within_s),
                closed_reason = coalesce(excluded.closed_reason, s.closed_reason),
                as_of_us = excluded.as_of_us",
        );
        let query = query
            .bind(column(&rows, |(id, _)| id.0))
            .bind(column(&rows, |(_, it)| it.opened.as_ref().map(|opened| opened.organizer.clone())))
            .bind(column(&rows, |(_, it)| it.opened.as_ref().map(|opened| opened.currency.to_string())))
            .bind(column(&rows, |(_, it)| it.opened.as_ref().map(|opened| opened.pay_within_s)))
            .bind(column(&rows, |(_, it)| it.closed_reason.clone()))
            .bind(column(&rows, |(_, it)| it.as_of_us));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_terms(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&ShowId, &(i32, ClassTerms))> = self.terms.iter().map(|((show, _), it)| (show, it)).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into classes (show_id, ticket_class_id, ordinal, name, price, capacity, sale_starts_at_us,
                sale_ends_at_us, max_per_order)
             select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::bigint[], $6::bigint[],
                $7::bigint[], $8::bigint[], $9::int[])
             on conflict (show_id, ticket_class_id) do update set
                ordinal = excluded.ordinal, name = excluded.name, price = excluded.price,
                capacity = excluded.capacity, sale_starts_at_us = excluded.sale_starts_at_us,
                sale_ends_at_us = excluded.sale_ends_at_us, max_per_order = excluded.max_per_order",
        );
        let query = query
            .bind(column(&rows, |(show, _)| show.0))
            .bind(column(&rows, |(_, (_, it))| it.ticket_class.0))
            .bind(column(&rows, |(_, (ordinal, _))| *ordinal))
            .bind(column(&rows, |(_, (_, it))| it.name.clone()))
            .bind(column(&rows, |(_, (_, it))| it.price))
            .bind(column(&rows, |(_, (_, it))| it.capacity))
            .bind(column(&rows, |(_, (_, it))| it.sale_starts_at.map(|at| at.0)))
            .bind(column(&rows, |(_, (_, it))| it.sale_ends_at.map(|at| at.0)))
            .bind(column(&rows, |(_, (_, it))| it.max_per_order));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_moves(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&(ShowId, TicketClassId), &Moves)> = self.moves.iter().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into classes as c (show_id, ticket_class_id, price, capacity, reserved, sold)
             select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
             on conflict (show_id, ticket_class_id) do update set
                price = coalesce(excluded.price, c.price),
                capacity = coalesce(excluded.capacity, c.capacity),
                reserved = c.reserved + excluded.reserved,
                sold = c.sold + excluded.sold",
        );
        let query = query
            .bind(column(&rows, |((show, _), _)| show.0))
            .bind(column(&rows, |((_, class), _)| class.0))
            .bind(column(&rows, |(_, it)| it.price))
            .bind(column(&rows, |(_, it)| it.capacity))
            .bind(column(&rows, |(_, it)| it.reserved))
            .bind(column(&rows, |(_, it)| it.sold));
        Ok(query.execute(tx).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::OrderId;
    use domain::inventory::{CapacityChanged, PriceChanged, ReleaseReason, ReservationConfirmed, ReservationReleased};
    use domain::value::{Line, Timestamp};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_batch_collapses_to_one_row_a_class() {
        let (show, ticket_class, order) = (ShowId::default(), TicketClassId::default(), OrderId::default());
        let lines = vec![Line { ticket_class, quantity: 3 }];
        let confirmed = ReservationConfirmed { show, order, attempt: 1, lines: lines.clone() };
        let released = |confirmed| {
            let (lines, reason) = (lines.clone(), ReleaseReason::ByBuyer);
            inventory::Event::ReservationReleased(ReservationReleased {
                show,
                order,
                attempt: 1,
                lines,
                confirmed,
                reason,
                session: None,
            })
        };
        let events = [
            inventory::Event::ReservationConfirmed(confirmed.clone()),
            inventory::Event::ReservationConfirmed(confirmed),
            released(true),
            released(false),
            inventory::Event::PriceChanged(PriceChanged { show, ticket_class, price: 5 }),
            inventory::Event::PriceChanged(PriceChanged { show, ticket_class, price: 7 }),
            inventory::Event::CapacityChanged(CapacityChanged { show, ticket_class, capacity: 9 }),
        ];
        let mut changes = Changes::default();
        for (at, event) in (1..).zip(&events) {
            changes.fold(&meta(at), event);
        }
        let moves = Moves { price: Some(7), capacity: Some(9), reserved: -9, sold: 3 };
        assert_eq!(changes.moves, BTreeMap::from([((show, ticket_class), moves)]));
        assert_eq!(changes.sales[&show].as_of_us, 7);
    }

    fn meta(at: i64) -> Meta {
        Meta {
            event_id: Uuid::nil(),
            occurred_at: Timestamp(at),
            version: at,
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: "system".to_owned(),
        }
    }
}
