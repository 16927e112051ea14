//! One row for each order of a show, from `inventory-events` (birth and stock), `order-events` (what became of it) and
//! `account-events` (whether its buyer was forgotten).
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
//! | `reason` | text, null | of `cancelled`: `by_buyer`, `expired`, `show_cancelled`, `refunded`; of `failed`: `payment_failed`, `order_id_taken` |
//! | `phase` | text | indexed with the show: `open` for `reserved` and `awaiting_payment`, else equal to `status` |
//! | `code` | text | ten characters |
//! | `organizer` | text | `account:<sub>` |
//! | `principal` | text | whose it is: `account:<sub>` or `guest:<uuid>` |
//! | `person_id` | uuid | |
//! | `session_id` | uuid, null | |
//! | `buyer` | bytea, null | ciphertext of `schemas::sealed::Buyer`; null once the buyer was forgotten |
//! | `email_hash` | text, null | hex HMAC of the mail address; null once the buyer was forgotten |
//! | `erased_at_us` | bigint, null | when the buyer was forgotten |
//! | `key_id` | uuid, null | the data key that `buyer` was sealed with; null if it is no ciphertext |
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
//! | `refund_why` | text, null | `paid_twice`, `paid_too_late`, `paid_in_part`, `show_cancelled`, `by_staff` |

use std::collections::BTreeMap;

use domain::account;
use domain::event::Event;
use domain::ids::{OrderId, PaymentId, ShowId};
use domain::inventory::{self, Checkout, TicketsReserved};
use domain::order;
use domain::root::{Context, Meta};
use serde_json::json;

use crate::model::{Envelope, Layout, ReadModel, Touched, View, word};
use crate::rows::{Cell, Kind, Merge, Rows, keep, key, with};

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
    erased_at_us bigint,
    known_email text generated always as (case when erased_at_us is null then email_hash end) stored,
    phase text generated always as (case
        when released_reason = 'order_id_taken' then 'failed'
        when fact in ('completed', 'cancelled', 'failed', 'stuck') then fact
        else 'open' end) stored,
    primary key (order_id, show_id)
) with (fillfactor = 80);
create index if not exists orders_by_show on orders (show_id, created_at_us, order_id) where code is not null;
create index if not exists orders_by_phase on orders (show_id, phase, created_at_us, order_id) where code is not null;
create index if not exists orders_by_email on orders (known_email, created_at_us, order_id) where code is not null;
create index if not exists orders_by_principal on orders (principal, created_at_us, order_id) where code is not null;
create index if not exists orders_by_person on orders (person_id, created_at_us, order_id) where code is not null;
create index if not exists orders_by_code on orders (code) where code is not null;
";

const ORDERS: View = View {
    name: "orders",
    query: "
select o.order_id, o.show_id,
    case when o.phase <> 'open' then o.phase when p.asked then 'awaiting_payment' else 'reserved' end as status,
    case when o.released_reason = 'order_id_taken' then o.released_reason
        when o.phase in ('cancelled', 'failed') then o.fact_reason end as reason,
    o.phase, o.code, o.organizer, o.principal, o.person_id, o.session_id,
    case when o.erased_at_us is null then o.buyer end as buyer, o.known_email as email_hash, o.erased_at_us,
    case when length(o.buyer) > 16 then encode(substring(o.buyer from 2 for 16), 'hex')::uuid end as key_id, o.lines, o.currency, o.total,
    o.provider, o.pay_by_us, o.hold_until_us, o.created_at_us,
    greatest(o.stock_at_us, o.fact_at_us) as updated_at_us,
    o.attempt, o.stock, o.released_reason, o.paid_by, o.paid_at_us, o.completed_at_us, o.ticket_count,
    case when o.phase = 'stuck' then o.stuck_step end as stuck_step,
    case when o.phase = 'stuck' then o.stuck_reason end as stuck_reason,
    r.refund_status, r.refund_amount, r.refund_why
from {orders}.orders o
left join lateral (
    select bool_or(url is not null) as asked
    from {payments}.payments
    where payments.order_id = o.order_id and payments.show_id = o.show_id
) p on true
left join lateral (
    select case when bool_or(status = 'due') then 'due'
            when bool_or(status = 'pending') then 'pending'
            when bool_or(status = 'done') then 'done' end as refund_status,
        sum(amount)::bigint as refund_amount,
        (array_agg(why order by requested_at_us desc, refund_id))[1] as refund_why
    from {payments}.refunds
    where refunds.order_id = o.order_id and refunds.show_id = o.show_id
) r on true
where o.code is not null",
};

/// All that a batch knows of a row in one statement: orders of one show lie in many partitions of their own topic, so that
/// projectors of several partitions meet in these rows, and would deadlock if one of them locked some of them later.
static CHANGES: Merge = Merge::upsert(
    "orders",
    &[
        key("order_id", Kind::Uuid),
        key("show_id", Kind::Uuid),
        // Once and for ever, with the birth.
        with("code", Kind::Text, "code"),
        with("organizer", Kind::Text, "code"),
        with("person_id", Kind::Uuid, "code"),
        with("principal", Kind::Text, "code"),
        with("session_id", Kind::Uuid, "code"),
        with("buyer", Kind::Bytes, "code"),
        with("email_hash", Kind::Text, "code"),
        with("lines", Kind::Json, "code"),
        with("currency", Kind::Text, "code"),
        with("total", Kind::Big, "code"),
        with("provider", Kind::Text, "code"),
        with("pay_by_us", Kind::Big, "code"),
        with("created_at_us", Kind::Big, "code"),
        // How the stock stands.
        with("attempt", Kind::Int, "stock"),
        with("stock", Kind::Text, "stock"),
        with("released_reason", Kind::Text, "stock"),
        keep("hold_until_us", Kind::Big),
        with("stock_at_us", Kind::Big, "stock"),
        // The last word of the order's own topic.
        with("fact", Kind::Text, "fact"),
        with("fact_reason", Kind::Text, "fact"),
        with("stuck_step", Kind::Text, "fact"),
        with("stuck_reason", Kind::Text, "fact"),
        with("fact_at_us", Kind::Big, "fact"),
        keep("ticket_count", Kind::Int),
        keep("completed_at_us", Kind::Big),
        with("paid_by", Kind::Uuid, "paid_at_us"),
        with("paid_at_us", Kind::Big, "paid_at_us"),
        keep("erased_at_us", Kind::Big),
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
    erased_at_us: Option<i64>,
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
        version: 2,
        tables: TABLES,
        table_names: &["orders"],
        views: &[ORDERS],
        merges: &[&CHANGES],
    };
    const CONTEXTS: &'static [Context] = &[Context::Inventory, Context::Order, Context::Account];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        match &envelope.event {
            Event::Inventory(event) => changes.fold_inventory(&envelope.meta, event),
            Event::Order(event) => changes.fold_order(&envelope.meta, event),
            Event::Account(event) => changes.fold_account(&envelope.meta, event),
            Event::Show(_) | Event::Payment(_) | Event::Ticket(_) | Event::Queue(_) => {}
        }
    }

    fn touched(changes: &Changes) -> Touched {
        Touched { orders: changes.rows.keys().map(|(order, _)| *order).collect(), ..Touched::default() }
    }

    fn rows(changes: &Changes) -> Vec<Rows> {
        vec![CHANGES.rows(changes.rows.iter().map(|(key, row)| row.cells(*key)))]
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
            order::Event::OrderPaymentAdded(_)
            | order::Event::OrderPaymentEnded(_)
            | order::Event::OrderOverdue(_)
            | order::Event::OrderTicketsRefunded(_) => {}
        }
    }

    fn fold_account(&mut self, meta: &Meta, event: &account::Event) {
        let account::Event::PersonErased(event) = event;
        for it in &event.orders {
            self.rows.entry((it.order, it.show)).or_default().erased_at_us = Some(meta.occurred_at.0);
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
}

impl Row {
    /// In the order of [`CHANGES`]; null is all that the batch says nothing of.
    fn cells(&self, (order, show): Key) -> [Cell; 30] {
        let birth = self.birth.as_ref();
        let checkout = birth.map(|it| &it.checkout);
        let reserved = birth.map(|it| &it.reserved);
        let (stock, facts) = (self.stock.as_ref(), self.facts.as_ref());
        let stuck = facts.and_then(|it| it.stuck.as_ref());
        let (paid, completed) = (facts.and_then(|it| it.paid), facts.and_then(|it| it.completed));
        [
            order.0.into(),
            show.0.into(),
            checkout.map(|it| it.code.clone()).into(),
            reserved.map(|it| it.organizer.clone()).into(),
            checkout.map(|it| it.person.0).into(),
            checkout.map(|it| it.principal.clone()).into(),
            checkout.and_then(|it| it.session).map(|session| session.0).into(),
            checkout.map(|it| it.buyer.0.clone()).into(),
            checkout.map(|it| it.email_hash.clone()).into(),
            reserved.map(|it| json!(it.lines)).into(),
            reserved.map(|it| it.currency.to_string()).into(),
            reserved.map(|it| it.total).into(),
            checkout.and_then(|it| it.payment.as_ref()).map(|choice| choice.provider.as_str()).into(),
            reserved.map(|it| it.pay_by.0).into(),
            birth.map(|it| it.created_at_us).into(),
            stock.map(|it| it.attempt).into(),
            stock.map(|it| it.state).into(),
            stock.and_then(|it| it.released_reason.clone()).into(),
            stock.and_then(|it| it.hold_until_us).into(),
            stock.map(|it| it.at_us).into(),
            facts.and_then(|it| it.fact).into(),
            facts.and_then(|it| it.reason.clone()).into(),
            stuck.map(|(step, _)| step.clone()).into(),
            stuck.map(|(_, reason)| reason.clone()).into(),
            facts.map(|it| it.at_us).into(),
            completed.map(|(count, _)| count).into(),
            completed.map(|(_, at_us)| at_us).into(),
            paid.and_then(|(payment, _)| payment).map(|payment| payment.0).into(),
            paid.map(|(_, at_us)| at_us).into(),
            self.erased_at_us.into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use domain::inventory::ReservationConfirmed;
    use uuid::Uuid;

    use super::*;
    use crate::model::tests::meta;

    /// Two projectors meet in these rows: whatever each of them knows, and in whatever order it heard of it, every row is
    /// locked in one statement, and all rows in one order.
    #[test]
    fn a_batch_locks_its_rows_in_one_statement_in_key_order() {
        let show = ShowId::default();
        let (low, high) = (OrderId(Uuid::from_u128(1)), OrderId(Uuid::from_u128(2)));
        let stock = |order| inventory::Event::from(ReservationConfirmed { show, order, attempt: 1, lines: vec![] });
        let fact = |order| order::Event::from(order::OrderCompleted { order, show, ticket_count: 1, session: None });
        let (mut one, mut two) = (Changes::default(), Changes::default());
        one.fold_order(&meta(1), &fact(high));
        one.fold_inventory(&meta(2), &stock(low));
        two.fold_order(&meta(1), &fact(low));
        two.fold_inventory(&meta(2), &stock(high));
        for changes in [one, two] {
            let batch = Orders::rows(&changes);
            assert_eq!(batch.len(), 1, "one statement");
            let keys: Vec<&Cell> = batch[0].rows.iter().map(|row| &row[0]).collect();
            assert_eq!(keys, [&Cell::Uuid(low.0), &Cell::Uuid(high.0)]);
        }
        let both = Orders::LAYOUT.merges.iter().filter(|merge| merge.table == "orders");
        assert_eq!(both.count(), 1, "no other sort of change touches the rows");
    }
}
