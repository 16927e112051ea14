//! One row for each attempt to collect money, from `payment-events`, and one for each movement that fits nothing.
//!
//! View `payments`:
//!
//! | column | type | |
//! |---|---|---|
//! | `payment_id` | uuid | |
//! | `order_id`, `show_id` | uuid | |
//! | `provider` | text | `payos` |
//! | `serial` | bigint | the provider's integer reference |
//! | `status` | text | `requested`, `open` (has a page), `closing`, `completed`, `failed`, `expired` |
//! | `reason` | text, null | the provider's code, of `failed` |
//! | `amount` | bigint | asked for, minor units |
//! | `currency` | text | ISO 4217 |
//! | `received` | bigint | so much has come |
//! | `reference` | text, null | the provider's own name for it |
//! | `url` | text, null | the provider's page |
//! | `pay_by_us`, `created_at_us`, `updated_at_us` | bigint | microseconds since 1970, UTC |
//! | `refund_status` | text, null | `due` (a person has to do it), `pending`, `done` |
//! | `refund_amount` | bigint, null | minor units of `currency`, all that goes back |
//! | `refund_why` | text, null | `paid_twice`, `paid_too_late`, `paid_in_part`, `show_cancelled` |
//! | `refund_at_us` | bigint, null | when it was asked for |
//!
//! The payments of an order in the order in which they were asked for: by `created_at_us`, `payment_id`.
//!
//! View `quarantined_money`, for operators: money that was not applied.
//!
//! | column | type | |
//! |---|---|---|
//! | `payment_id` | uuid | the payment, or a derived id if the reference is unknown |
//! | `reference` | text | the provider's name of the movement |
//! | `order_id`, `show_id` | uuid, null | |
//! | `provider`, `serial` | text, bigint | |
//! | `amount`, `currency` | bigint, text | |
//! | `reason` | text | `wrong_currency`, `too_much`, `unknown_reference` |
//! | `at_us` | bigint | |

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, ShowId};
use domain::payment::{self, PaymentQuarantined, PaymentRequested, RefundRequested};
use domain::root::{Context, Meta};
use sqlx::PgConnection;

use crate::model::{Envelope, Layout, ReadModel, Touched, View, column, word};

/// The read model of payments.
#[derive(Debug)]
pub struct Payments;

const TABLES: &str = "
create table if not exists payments (
    payment_id uuid primary key,
    order_id uuid,
    show_id uuid,
    provider text,
    serial bigint,
    status text,
    reason text,
    amount bigint,
    currency text,
    received bigint not null default 0,
    reference text,
    url text,
    pay_by_us bigint,
    created_at_us bigint,
    updated_at_us bigint,
    refund_status text,
    refund_amount bigint,
    refund_why text,
    refund_at_us bigint
) with (fillfactor = 80);
create index if not exists payments_by_order on payments (order_id, show_id);
create index if not exists payments_to_refund on payments (refund_at_us, payment_id) where refund_status = 'due';
create table if not exists quarantined_money (
    payment_id uuid,
    reference text,
    order_id uuid,
    show_id uuid,
    provider text not null,
    serial bigint not null,
    amount bigint not null,
    currency text not null,
    reason text not null,
    at_us bigint not null,
    primary key (payment_id, reference)
);
";

const PAYMENTS: View = View {
    name: "payments",
    query: "
select payment_id, order_id, show_id, provider, serial, status, reason, amount, currency, received, reference, url,
    pay_by_us, created_at_us, updated_at_us, refund_status, refund_amount, refund_why, refund_at_us
from {payments}.payments
where created_at_us is not null",
};

const QUARANTINED_MONEY: View = View {
    name: "quarantined_money",
    query: "
select payment_id, reference, order_id, show_id, provider, serial, amount, currency, reason, at_us
from {payments}.quarantined_money",
};

#[derive(Debug)]
struct Birth {
    requested: PaymentRequested,
    created_at_us: i64,
}

/// What changes after the birth; `None` leaves a column as it is.
#[derive(Debug, Default)]
struct Course {
    status: Option<&'static str>,
    reason: Option<String>,
    received: Option<i64>,
    reference: Option<String>,
    url: Option<String>,
    refund: Option<RefundRequested>,
    at_us: i64,
}

/// Row changes of a batch.
#[derive(Debug, Default)]
pub struct Changes {
    births: BTreeMap<PaymentId, Birth>,
    courses: BTreeMap<PaymentId, Course>,
    quarantined: BTreeMap<(PaymentId, String), (PaymentQuarantined, i64)>,
    touched: Touched,
}

impl ReadModel for Payments {
    type Changes = Changes;

    const LAYOUT: Layout = Layout {
        name: "payments",
        version: 2,
        tables: TABLES,
        table_names: &["payments", "quarantined_money"],
        views: &[PAYMENTS, QUARANTINED_MONEY],
    };
    const CONTEXTS: &'static [Context] = &[Context::Payment];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        if let Event::Payment(event) = &envelope.event {
            changes.fold(&envelope.meta, event);
        }
    }

    fn touched(changes: &Changes) -> Touched {
        changes.touched.clone()
    }

    async fn write(changes: &mut Changes, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let births = changes.write_births(tx).await?;
        let courses = changes.write_courses(tx).await?;
        let quarantined = changes.write_quarantined(tx).await?;
        Ok(births + courses + quarantined)
    }
}

impl Changes {
    fn fold(&mut self, meta: &Meta, event: &payment::Event) {
        let at_us = meta.occurred_at.0;
        match event {
            payment::Event::PaymentRequested(it) => {
                self.births.insert(it.payment, Birth { requested: it.clone(), created_at_us: at_us });
                self.course(it.payment, it.order, at_us).status = Some("requested");
            }
            payment::Event::PaymentIntentCreated(it) => {
                let course = self.course(it.payment, it.order, at_us);
                course.status = Some("open");
                course.reference = Some(it.reference.clone());
                course.url = Some(it.url.clone());
            }
            payment::Event::PaymentPartiallyReceived(it) => {
                self.course(it.payment, it.order, at_us).received = Some(it.received);
            }
            payment::Event::PaymentCompleted(it) => {
                let course = self.course(it.payment, it.order, at_us);
                course.status = Some("completed");
                course.received = Some(it.received);
            }
            payment::Event::PaymentFailed(it) => {
                let course = self.course(it.payment, it.order, at_us);
                course.status = Some("failed");
                course.reason = Some(it.reason.clone());
            }
            payment::Event::PaymentClosing(it) => self.course(it.payment, it.order, at_us).status = Some("closing"),
            payment::Event::PaymentExpired(it) => self.course(it.payment, it.order, at_us).status = Some("expired"),
            payment::Event::PaymentQuarantined(it) => {
                self.touched.orders.extend(it.order);
                self.quarantined.insert((it.payment, it.reference.clone()), (it.clone(), at_us));
            }
            payment::Event::RefundRequested(it) => {
                // Every part that comes too late goes back by itself: the sums add up.
                let course = self.course(it.payment, it.order, at_us);
                let before = course.refund.as_ref().map_or(0, |refund| refund.amount);
                course.refund = Some(RefundRequested { amount: before + it.amount, ..it.clone() });
            }
        }
    }

    fn course(&mut self, payment: PaymentId, order: OrderId, at_us: i64) -> &mut Course {
        self.touched.orders.insert(order);
        let course = self.courses.entry(payment).or_default();
        course.at_us = at_us;
        course
    }

    async fn write_births(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<&Birth> = self.births.values().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into payments (payment_id, order_id, show_id, provider, serial, amount, currency, pay_by_us,
                created_at_us)
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[],
                $7::text[], $8::bigint[], $9::bigint[])
             on conflict (payment_id) do update set
                order_id = excluded.order_id, show_id = excluded.show_id, provider = excluded.provider,
                serial = excluded.serial, amount = excluded.amount, currency = excluded.currency,
                pay_by_us = excluded.pay_by_us, created_at_us = excluded.created_at_us",
        );
        let query = query
            .bind(column(&rows, |it| it.requested.payment.0))
            .bind(column(&rows, |it| it.requested.order.0))
            .bind(column(&rows, |it| it.requested.show.0))
            .bind(column(&rows, |it| it.requested.provider.as_str()))
            .bind(column(&rows, |it| it.requested.serial))
            .bind(column(&rows, |it| it.requested.amount))
            .bind(column(&rows, |it| it.requested.currency.to_string()))
            .bind(column(&rows, |it| it.requested.pay_by.0))
            .bind(column(&rows, |it| it.created_at_us));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_courses(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&PaymentId, &Course)> = self.courses.iter().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "update payments p set
                status = coalesce(c.status, p.status),
                reason = coalesce(c.reason, p.reason),
                received = coalesce(c.received, p.received),
                reference = coalesce(c.reference, p.reference),
                url = coalesce(c.url, p.url),
                refund_status = coalesce(c.refund_status, p.refund_status),
                refund_amount = case when c.refund_amount is null then p.refund_amount
                    else coalesce(p.refund_amount, 0) + c.refund_amount end,
                refund_why = coalesce(c.refund_why, p.refund_why),
                refund_at_us = coalesce(case when c.refund_status is not null then c.at_us end, p.refund_at_us),
                updated_at_us = c.at_us
             from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                $8::bigint[], $9::text[], $10::bigint[])
                as c (payment_id, status, reason, received, reference, url, refund_status, refund_amount, refund_why,
                    at_us)
             where p.payment_id = c.payment_id",
        );
        let query = query
            .bind(column(&rows, |(id, _)| id.0))
            .bind(column(&rows, |(_, it)| it.status))
            .bind(column(&rows, |(_, it)| it.reason.clone()))
            .bind(column(&rows, |(_, it)| it.received))
            .bind(column(&rows, |(_, it)| it.reference.clone()))
            .bind(column(&rows, |(_, it)| it.url.clone()))
            .bind(column(&rows, |(_, it)| it.refund.as_ref().map(refund_status)))
            .bind(column(&rows, |(_, it)| it.refund.as_ref().map(|refund| refund.amount)))
            .bind(column(&rows, |(_, it)| it.refund.as_ref().map(|refund| word(refund.why))))
            .bind(column(&rows, |(_, it)| it.at_us));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_quarantined(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<&(PaymentQuarantined, i64)> = self.quarantined.values().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into quarantined_money (payment_id, reference, order_id, show_id, provider, serial, amount,
                currency, reason, at_us)
             select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[],
                $7::bigint[], $8::text[], $9::text[], $10::bigint[])
             on conflict (payment_id, reference) do update set
                order_id = excluded.order_id, show_id = excluded.show_id, provider = excluded.provider,
                serial = excluded.serial, amount = excluded.amount, currency = excluded.currency,
                reason = excluded.reason, at_us = excluded.at_us",
        );
        let query = query
            .bind(column(&rows, |(it, _)| it.payment.0))
            .bind(column(&rows, |(it, _)| it.reference.clone()))
            .bind(column(&rows, |(it, _)| it.order.map(|order: OrderId| order.0)))
            .bind(column(&rows, |(it, _)| it.show.map(|show: ShowId| show.0)))
            .bind(column(&rows, |(it, _)| it.provider.as_str()))
            .bind(column(&rows, |(it, _)| it.serial))
            .bind(column(&rows, |(it, _)| it.amount))
            .bind(column(&rows, |(it, _)| it.currency.to_string()))
            .bind(column(&rows, |(it, _)| word(it.reason)))
            .bind(column(&rows, |(_, at_us)| *at_us));
        Ok(query.execute(tx).await?.rows_affected())
    }
}

fn refund_status(refund: &RefundRequested) -> &'static str {
    if refund.by_hand { "due" } else { "pending" }
}
