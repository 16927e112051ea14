//! One row for each order of a show, from `inventory-events` (birth and stock) and `order-events` (what became of it).
//!
//! The row is born by `TicketsReserved`, so that a buyer sees it at once; what the order's own topic says first stays
//! hidden until then. Two shows may be tried with one order id, so the key is both.
//!
//! View `orders`; it also looks at the payments of the order (read model `payments`):
//!
//! | column | type | |
//! |---|---|---|
//! | `order_id`, `show_id` | uuid | the key |
//! | `status` | text | `reserved`, `awaiting_payment`, `completed`, `cancelled`, `failed`, `stuck` |
//! | `reason` | text, null | of `cancelled`: `by_buyer`, `expired`, `show_cancelled`; of `failed`: `payment_failed`, `order_id_taken` |
//! | `phase` | text | indexed with the show: `open` for `reserved` and `awaiting_payment`, else equal to `status` |
//! | `code` | text | ten characters |
//! | `organizer` | text | `account:<sub>` |
//! | `principal` | text | whose it is: `account:<sub>` or `guest:<uuid>` |
//! | `person_id` | uuid | |
//! | `session_id` | uuid, null | |
//! | `buyer` | bytea | ciphertext of `schemas::sealed::Buyer` |
//! | `email_hash` | text | hex HMAC of the mail address |
//! | `lines` | jsonb | `[{"ticket_class", "quantity", "unit_price"}]` |
//! | `currency` | text | ISO 4217 |
//! | `total` | bigint | minor units |
//! | `provider` | text, null | of the first attempt; null if free |
//! | `pay_by_us`, `hold_until_us`, `created_at_us` | bigint | microseconds since 1970, UTC |
//! | `updated_at_us` | bigint | last event of stock or order |
//! | `attempt` | integer | of the reservation |
//! | `stock` | text | `held`, `confirmed`, `released` |
//! | `released_reason` | text, null | |
//! | `paid_by` | uuid, null | the payment |
//! | `paid_at_us`, `completed_at_us` | bigint, null | |
//! | `ticket_count` | integer, null | once completed |
//! | `stuck_step`, `stuck_reason` | text, null | while `stuck`; for operators |
//! | `refund_status` | text, null | `due`, `pending`, `done`; null if no money goes back |
//! | `refund_amount` | bigint, null | minor units of `currency`, over all payments |
//! | `refund_why` | text, null | `paid_twice`, `paid_too_late`, `paid_in_part`, `show_cancelled` |

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, ShowId};
use domain::inventory::{self, Checkout, TicketsReserved};
use domain::order;
use domain::root::{Context, Meta};
use serde_json::json;
use sqlx::PgConnection;

use crate::model::{Envelope, Layout, ReadModel, Touched, View, column, word};

/// The read model of orders.
#[derive(Debug)]
pub struct Orders;

const TABLES: &str = "
create table if not exists orders (
    order_id uuid,
    show_id uuid,
    code text,
    organizer text,
    person_id uuid,
    principal text,
    session_id uuid,
    buyer bytea,
    email_hash text,
    lines jsonb,
    currency text,
    total bigint,
    provider text,
    pay_by_us bigint,
    created_at_us bigint,
    attempt integer,
    stock text,
    released_reason text,
    hold_until_us bigint,
    stock_at_us bigint,
    fact text,
    fact_reason text,
    stuck_step text,
    stuck_reason text,
    fact_at_us bigint,
    paid_by uuid,
    paid_at_us bigint,
    completed_at_us bigint,
    ticket_count integer,
    phase text generated always as (case
        when released_reason = 'order_id_taken' then 'failed'
        when fact in ('completed', 'cancelled', 'failed', 'stuck') then fact
        else 'open' end) stored,
    primary key (order_id, show_id)
) with (fillfactor = 80);
create index if not exists orders_by_show on orders (show_id, created_at_us, order_id) where code is not null;
create index if not exists orders_by_phase on orders (show_id, phase, created_at_us, order_id) where code is not null;
create index if not exists orders_by_email on orders (email_hash, created_at_us, order_id) where code is not null;
create index if not exists orders_by_principal on orders (principal, created_at_us, order_id) where code is not null;
create index if not exists orders_by_code on orders (code) where code is not null;
";

const ORDERS: View = View {
    name: "orders",
    query: "
select o.order_id, o.show_id,
    case when o.phase <> 'open' then o.phase when p.asked then 'awaiting_payment' else 'reserved' end as status,
    case when o.released_reason = 'order_id_taken' then o.released_reason
        when o.phase in ('cancelled', 'failed') then o.fact_reason end as reason,
    o.phase, o.code, o.organizer, o.principal, o.person_id, o.session_id, o.buyer, o.email_hash, o.lines, o.currency,
    o.total, o.provider, o.pay_by_us, o.hold_until_us, o.created_at_us,
    greatest(o.stock_at_us, o.fact_at_us) as updated_at_us,
    o.attempt, o.stock, o.released_reason, o.paid_by, o.paid_at_us, o.completed_at_us, o.ticket_count,
    case when o.phase = 'stuck' then o.stuck_step end as stuck_step,
    case when o.phase = 'stuck' then o.stuck_reason end as stuck_reason,
    p.refund_status, p.refund_amount, p.refund_why
from {orders}.orders o
left join lateral (
    select bool_or(url is not null) as asked,
        case when bool_or(refund_status = 'due') then 'due'
            when bool_or(refund_status = 'pending') then 'pending'
            when bool_or(refund_status = 'done') then 'done' end as refund_status,
        sum(refund_amount)::bigint as refund_amount,
        (array_agg(refund_why order by refund_at_us desc, payment_id)
            filter (where refund_why is not null))[1] as refund_why
    from {payments}.payments
    where payments.order_id = o.order_id and payments.show_id = o.show_id
) p on true
where o.code is not null",
};

/// What the birth event says for ever.
#[derive(Debug)]
struct Birth {
    checkout: Checkout,
    reserved: TicketsReserved,
    created_at_us: i64,
}

/// How the stock stands; always written whole.
#[derive(Debug)]
struct Stock {
    attempt: i32,
    state: &'static str,
    released_reason: Option<String>,
    /// `None` leaves it as it is.
    hold_until_us: Option<i64>,
    at_us: i64,
}

/// What the order's own topic says. The last word decides the status: late money may reopen an order that had ended.
#[derive(Debug, Default)]
struct Facts {
    fact: Option<&'static str>,
    reason: Option<String>,
    stuck: Option<(String, String)>,
    at_us: i64,
    paid: Option<(Option<PaymentId>, i64)>,
    completed: Option<(i32, i64)>,
}

#[derive(Debug, Default)]
struct Row {
    birth: Option<Birth>,
    stock: Option<Stock>,
    facts: Option<Facts>,
}

type Key = (OrderId, ShowId);

/// Row changes of a batch.
#[derive(Debug, Default)]
pub struct Changes {
    rows: BTreeMap<Key, Row>,
}

impl ReadModel for Orders {
    type Changes = Changes;

    const LAYOUT: Layout =
        Layout { name: "orders", version: 1, tables: TABLES, table_names: &["orders"], views: &[ORDERS] };
    const CONTEXTS: &'static [Context] = &[Context::Inventory, Context::Order];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        match &envelope.event {
            Event::Inventory(event) => changes.fold_inventory(&envelope.meta, event),
            Event::Order(event) => changes.fold_order(&envelope.meta, event),
            Event::Show(_) | Event::Payment(_) | Event::Ticket(_) | Event::Queue(_) => {}
        }
    }

    fn touched(changes: &Changes) -> Touched {
        Touched { orders: changes.rows.keys().map(|(order, _)| *order).collect(), ..Touched::default() }
    }

    async fn write(changes: &mut Changes, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let births = changes.write_births(tx).await?;
        let stock = changes.write_stock(tx).await?;
        let facts = changes.write_facts(tx).await?;
        Ok(births + stock + facts)
    }
}

impl Changes {
    fn fold_inventory(&mut self, meta: &Meta, event: &inventory::Event) {
        let at_us = meta.occurred_at.0;
        match event {
            inventory::Event::TicketsReserved(it) => {
                let row = self.rows.entry((it.order, it.show)).or_default();
                if let Some(checkout) = it.checkout.clone() {
                    row.birth = Some(Birth { checkout, reserved: it.clone(), created_at_us: at_us });
                }
                let hold_until_us = Some(it.hold_until.0);
                let (attempt, state) = (it.attempt, "held");
                row.stock = Some(Stock { attempt, state, released_reason: None, hold_until_us, at_us });
            }
            inventory::Event::ReservationConfirmed(it) => {
                self.stock((it.order, it.show), it.attempt, "confirmed", None, at_us);
            }
            inventory::Event::ReservationReleased(it) => {
                self.stock((it.order, it.show), it.attempt, "released", Some(word(it.reason)), at_us);
            }
            inventory::Event::ReservationExpired(it) => {
                self.stock((it.order, it.show), it.attempt, "released", Some("expired".to_owned()), at_us);
            }
            inventory::Event::SalesOpened(_)
            | inventory::Event::SalesClosed(_)
            | inventory::Event::PriceChanged(_)
            | inventory::Event::CapacityChanged(_)
            | inventory::Event::SessionBarred(_) => {}
        }
    }

    fn stock(&mut self, key: Key, attempt: i32, state: &'static str, reason: Option<String>, at_us: i64) {
        let row = self.rows.entry(key).or_default();
        let hold_until_us = row.stock.as_ref().and_then(|before| before.hold_until_us);
        row.stock = Some(Stock { attempt, state, released_reason: reason, hold_until_us, at_us });
    }

    fn fold_order(&mut self, meta: &Meta, event: &order::Event) {
        let at_us = meta.occurred_at.0;
        match event {
            order::Event::OrderCreated(it) => {
                self.fact((it.order, it.show), "created", at_us);
            }
            order::Event::OrderPaid(it) => {
                self.fact((it.order, it.show), "paid", at_us).paid = Some((it.payment, at_us));
            }
            order::Event::OrderCompleted(it) => {
                self.fact((it.order, it.show), "completed", at_us).completed = Some((it.ticket_count, at_us));
            }
            order::Event::OrderCancelled(it) => {
                self.fact((it.order, it.show), "cancelled", at_us).reason = Some(word(it.reason));
            }
            order::Event::OrderFailed(it) => {
                self.fact((it.order, it.show), "failed", at_us).reason = Some(word(it.reason));
            }
            order::Event::OrderStuck(it) => {
                self.fact((it.order, it.show), "stuck", at_us).stuck = Some((word(it.step), it.reason.clone()));
            }
            // None of them changes what the order is.
            order::Event::OrderPaymentAdded(_) | order::Event::OrderPaymentEnded(_) | order::Event::OrderOverdue(_) => {
            }
        }
    }

    /// The last word of the order's topic, with what belongs to the words before it taken away.
    fn fact(&mut self, key: Key, fact: &'static str, at_us: i64) -> &mut Facts {
        let facts = self.rows.entry(key).or_default().facts.get_or_insert_default();
        facts.fact = Some(fact);
        facts.at_us = at_us;
        facts.reason = None;
        facts.stuck = None;
        facts
    }

    async fn write_births(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<&Birth> = self.rows.values().filter_map(|row| row.birth.as_ref()).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into orders (order_id, show_id, code, organizer, person_id, principal, session_id, buyer,
                email_hash, lines, currency, total, provider, pay_by_us, created_at_us)
             select order_id, show_id, code, organizer, person_id, principal, session_id, buyer, email_hash,
                lines::jsonb, currency, total, provider, pay_by_us, created_at_us
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[],
                $8::bytea[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::bigint[],
                $15::bigint[])
                as b (order_id, show_id, code, organizer, person_id, principal, session_id, buyer, email_hash, lines,
                    currency, total, provider, pay_by_us, created_at_us)
             on conflict (order_id, show_id) do update set
                code = excluded.code, organizer = excluded.organizer, person_id = excluded.person_id,
                principal = excluded.principal, session_id = excluded.session_id, buyer = excluded.buyer,
                email_hash = excluded.email_hash, lines = excluded.lines, currency = excluded.currency,
                total = excluded.total, provider = excluded.provider, pay_by_us = excluded.pay_by_us,
                created_at_us = excluded.created_at_us",
        );
        let query = query
            .bind(column(&rows, |it| it.reserved.order.0))
            .bind(column(&rows, |it| it.reserved.show.0))
            .bind(column(&rows, |it| it.checkout.code.clone()))
            .bind(column(&rows, |it| it.reserved.organizer.clone()))
            .bind(column(&rows, |it| it.checkout.person.0))
            .bind(column(&rows, |it| it.checkout.principal.clone()))
            .bind(column(&rows, |it| it.checkout.session.map(|session| session.0)))
            .bind(column(&rows, |it| it.checkout.buyer.0.clone()))
            .bind(column(&rows, |it| it.checkout.email_hash.clone()))
            .bind(column(&rows, |it| json!(it.reserved.lines).to_string()))
            .bind(column(&rows, |it| it.reserved.currency.to_string()))
            .bind(column(&rows, |it| it.reserved.total))
            .bind(column(&rows, |it| it.checkout.payment.as_ref().map(|choice| choice.provider.as_str())))
            .bind(column(&rows, |it| it.reserved.pay_by.0))
            .bind(column(&rows, |it| it.created_at_us));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_stock(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let stock = self.rows.iter().filter_map(|(key, row)| Some((key, row.stock.as_ref()?)));
        let rows: Vec<(&Key, &Stock)> = stock.collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into orders as o (order_id, show_id, attempt, stock, released_reason, hold_until_us, stock_at_us)
             select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
             on conflict (order_id, show_id) do update set
                attempt = excluded.attempt, stock = excluded.stock, released_reason = excluded.released_reason,
                hold_until_us = coalesce(excluded.hold_until_us, o.hold_until_us),
                stock_at_us = excluded.stock_at_us",
        );
        let query = query
            .bind(column(&rows, |((order, _), _)| order.0))
            .bind(column(&rows, |((_, show), _)| show.0))
            .bind(column(&rows, |(_, it)| it.attempt))
            .bind(column(&rows, |(_, it)| it.state))
            .bind(column(&rows, |(_, it)| it.released_reason.clone()))
            .bind(column(&rows, |(_, it)| it.hold_until_us))
            .bind(column(&rows, |(_, it)| it.at_us));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_facts(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let facts = self.rows.iter().filter_map(|(key, row)| Some((key, row.facts.as_ref()?)));
        let rows: Vec<(&Key, &Facts)> = facts.collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into orders as o (order_id, show_id, fact, fact_reason, stuck_step, stuck_reason, fact_at_us,
                paid_by, paid_at_us, ticket_count, completed_at_us)
             select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                $8::uuid[], $9::bigint[], $10::int[], $11::bigint[])
             on conflict (order_id, show_id) do update set
                fact = excluded.fact, fact_reason = excluded.fact_reason, stuck_step = excluded.stuck_step,
                stuck_reason = excluded.stuck_reason, fact_at_us = excluded.fact_at_us,
                paid_by = case when excluded.paid_at_us is null then o.paid_by else excluded.paid_by end,
                paid_at_us = coalesce(excluded.paid_at_us, o.paid_at_us),
                ticket_count = coalesce(excluded.ticket_count, o.ticket_count),
                completed_at_us = coalesce(excluded.completed_at_us, o.completed_at_us)",
        );
        let query = query
            .bind(column(&rows, |((order, _), _)| order.0))
            .bind(column(&rows, |((_, show), _)| show.0))
            .bind(column(&rows, |(_, it)| it.fact))
            .bind(column(&rows, |(_, it)| it.reason.clone()))
            .bind(column(&rows, |(_, it)| it.stuck.as_ref().map(|(step, _)| step.clone())))
            .bind(column(&rows, |(_, it)| it.stuck.as_ref().map(|(_, reason)| reason.clone())))
            .bind(column(&rows, |(_, it)| it.at_us))
            .bind(column(&rows, |(_, it)| it.paid.and_then(|(payment, _)| payment).map(|payment| payment.0)))
            .bind(column(&rows, |(_, it)| it.paid.map(|(_, at)| at)))
            .bind(column(&rows, |(_, it)| it.completed.map(|(count, _)| count)))
            .bind(column(&rows, |(_, it)| it.completed.map(|(_, at)| at)));
        Ok(query.execute(tx).await?.rows_affected())
    }
}
