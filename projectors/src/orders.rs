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

use crate::model::{Envelope, Layout, ReadModel, Touched, View, word};
use crate::rows::{Kind, Merge, Rows, keep, key, set};

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

static BIRTHS: Merge = Merge::upsert(
    "orders",
    &[
        key("order_id", Kind::Uuid),
        key("show_id", Kind::Uuid),
        set("code", Kind::Text),
        set("organizer", Kind::Text),
        set("person_id", Kind::Uuid),
        set("principal", Kind::Text),
        set("session_id", Kind::Uuid),
        set("buyer", Kind::Bytes),
        set("email_hash", Kind::Text),
        set("lines", Kind::Json),
        set("currency", Kind::Text),
        set("total", Kind::Big),
        set("provider", Kind::Text),
        set("pay_by_us", Kind::Big),
        set("created_at_us", Kind::Big),
    ],
);

static STOCK: Merge = Merge::upsert(
    "orders",
    &[
        key("order_id", Kind::Uuid),
        key("show_id", Kind::Uuid),
        set("attempt", Kind::Int),
        set("stock", Kind::Text),
        set("released_reason", Kind::Text),
        keep("hold_until_us", Kind::Big),
        set("stock_at_us", Kind::Big),
    ],
);

static FACTS: Merge = Merge::upsert(
    "orders",
    &[
        key("order_id", Kind::Uuid),
        key("show_id", Kind::Uuid),
        set("fact", Kind::Text),
        set("fact_reason", Kind::Text),
        set("stuck_step", Kind::Text),
        set("stuck_reason", Kind::Text),
        set("fact_at_us", Kind::Big),
        keep("ticket_count", Kind::Int),
        keep("completed_at_us", Kind::Big),
    ],
);

/// The facts make the row.
static PAID: Merge = Merge::update(
    "orders",
    &[
        key("order_id", Kind::Uuid),
        key("show_id", Kind::Uuid),
        set("paid_by", Kind::Uuid),
        set("paid_at_us", Kind::Big),
    ],
);

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
    type Stored = ();

    const LAYOUT: Layout = Layout {
        name: "orders",
        version: 1,
        tables: TABLES,
        table_names: &["orders"],
        views: &[ORDERS],
        merges: &[&BIRTHS, &STOCK, &FACTS, &PAID],
    };
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

    fn rows(changes: &Changes) -> Vec<Rows> {
        vec![changes.birth_rows(), changes.stock_rows(), changes.fact_rows(), changes.paid_rows()]
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

    fn birth_rows(&self) -> Rows {
        let births = self.rows.values().filter_map(|row| row.birth.as_ref());
        let row = |Birth { checkout, reserved, created_at_us }: &Birth| {
            [
                reserved.order.0.into(),
                reserved.show.0.into(),
                checkout.code.clone().into(),
                reserved.organizer.clone().into(),
                checkout.person.0.into(),
                checkout.principal.clone().into(),
                checkout.session.map(|session| session.0).into(),
                checkout.buyer.0.clone().into(),
                checkout.email_hash.clone().into(),
                json!(reserved.lines).into(),
                reserved.currency.to_string().into(),
                reserved.total.into(),
                checkout.payment.as_ref().map(|choice| choice.provider.as_str()).into(),
                reserved.pay_by.0.into(),
                (*created_at_us).into(),
            ]
        };
        BIRTHS.rows(births.map(row))
    }

    fn stock_rows(&self) -> Rows {
        let stock = self.rows.iter().filter_map(|(key, row)| Some((key, row.stock.as_ref()?)));
        let row = |((order, show), it): (&Key, &Stock)| {
            [
                order.0.into(),
                show.0.into(),
                it.attempt.into(),
                it.state.into(),
                it.released_reason.clone().into(),
                it.hold_until_us.into(),
                it.at_us.into(),
            ]
        };
        STOCK.rows(stock.map(row))
    }

    fn fact_rows(&self) -> Rows {
        let facts = self.rows.iter().filter_map(|(key, row)| Some((key, row.facts.as_ref()?)));
        let row = |((order, show), it): (&Key, &Facts)| {
            [
                order.0.into(),
                show.0.into(),
                it.fact.into(),
                it.reason.clone().into(),
                it.stuck.as_ref().map(|(step, _)| step.clone()).into(),
                it.stuck.as_ref().map(|(_, reason)| reason.clone()).into(),
                it.at_us.into(),
                it.completed.map(|(count, _)| count).into(),
                it.completed.map(|(_, at)| at).into(),
            ]
        };
        FACTS.rows(facts.map(row))
    }

    fn paid_rows(&self) -> Rows {
        let paid = self.rows.iter().filter_map(|(key, row)| Some((key, row.facts.as_ref()?.paid?)));
        let row = |((order, show), (payment, at_us)): (&Key, (Option<PaymentId>, i64))| {
            [order.0.into(), show.0.into(), payment.map(|payment| payment.0).into(), at_us.into()]
        };
        PAID.rows(paid.map(row))
    }
}
