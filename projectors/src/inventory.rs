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

use crate::model::{Envelope, Layout, ReadModel, Touched, View, word};
use crate::rows::{Kind, Merge, Rows, add, keep, key, set};

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

static SALES: Merge = Merge::upsert(
    "sales",
    &[
        key("show_id", Kind::Uuid),
        keep("organizer", Kind::Text),
        keep("currency", Kind::Text),
        keep("pay_within_s", Kind::Big),
        keep("closed_reason", Kind::Text),
        set("as_of_us", Kind::Big),
    ],
);

static TERMS: Merge = Merge::upsert(
    "classes",
    &[
        key("show_id", Kind::Uuid),
        key("ticket_class_id", Kind::Uuid),
        set("ordinal", Kind::Int),
        set("name", Kind::Text),
        set("price", Kind::Big),
        set("capacity", Kind::Big),
        set("sale_starts_at_us", Kind::Big),
        set("sale_ends_at_us", Kind::Big),
        set("max_per_order", Kind::Int),
        add("reserved"),
        add("sold"),
    ],
);

static MOVES: Merge = Merge::upsert(
    "classes",
    &[
        key("show_id", Kind::Uuid),
        key("ticket_class_id", Kind::Uuid),
        keep("price", Kind::Big),
        keep("capacity", Kind::Big),
        add("reserved"),
        add("sold"),
    ],
);

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
    type Stored = ();

    const LAYOUT: Layout = Layout {
        name: "inventory",
        version: 1,
        tables: TABLES,
        table_names: &["sales", "classes"],
        views: &[AVAILABILITY],
        merges: &[&SALES, &TERMS, &MOVES],
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

    fn rows(changes: &Changes) -> Vec<Rows> {
        // Moves after the terms, because a price may have changed since in the same batch.
        vec![changes.sales_rows(), changes.terms_rows(), changes.moves_rows()]
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

    fn sales_rows(&self) -> Rows {
        let row = |(show, it): (&ShowId, &Sales)| {
            let opened = it.opened.as_ref();
            [
                show.0.into(),
                opened.map(|opened| opened.organizer.clone()).into(),
                opened.map(|opened| opened.currency.to_string()).into(),
                opened.map(|opened| opened.pay_within_s).into(),
                it.closed_reason.clone().into(),
                it.as_of_us.into(),
            ]
        };
        SALES.rows(self.sales.iter().map(row))
    }

    fn terms_rows(&self) -> Rows {
        let row = |((show, class), (ordinal, it)): (&(ShowId, TicketClassId), &(i32, ClassTerms))| {
            [
                show.0.into(),
                class.0.into(),
                (*ordinal).into(),
                it.name.clone().into(),
                it.price.into(),
                it.capacity.into(),
                it.sale_starts_at.map(|at| at.0).into(),
                it.sale_ends_at.map(|at| at.0).into(),
                it.max_per_order.into(),
                0_i64.into(),
                0_i64.into(),
            ]
        };
        TERMS.rows(self.terms.iter().map(row))
    }

    fn moves_rows(&self) -> Rows {
        let row = |((show, class), it): (&(ShowId, TicketClassId), &Moves)| {
            [show.0.into(), class.0.into(), it.price.into(), it.capacity.into(), it.reserved.into(), it.sold.into()]
        };
        MOVES.rows(self.moves.iter().map(row))
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::OrderId;
    use domain::inventory::{CapacityChanged, PriceChanged, ReleaseReason, ReservationConfirmed, ReservationReleased};
    use domain::value::Line;

    use super::*;
    use crate::model::tests::meta;

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
}
