//! One row for each attempt to collect money, from `payment-events`, and one for each movement that fits nothing.
//!
//! View `payments`:
//!
//! | column | type | |
//! |---|---|---|
//! | `payment_id` | uuid | |
//! | `order_id`, `show_id` | uuid | |
//! | `provider` | text | `payos`, `stripe`, `vnpay`, `zalopay`, `paypal` |
//! | `serial` | bigint | the provider's integer reference |
//! | `status` | text | `requested`, `open` (has a page), `closing`, `completed`, `failed`, `expired` |
//! | `reason` | text, null | the provider's code, of `failed` |
//! | `amount` | bigint | asked for, minor units |
//! | `currency` | text | ISO 4217 |
//! | `received` | bigint | so much has come |
//! | `reference` | text, null | the provider's own name for it |
//! | `url` | text, null | the provider's page |
//! | `pay_by_us`, `created_at_us`, `updated_at_us` | bigint | microseconds since 1970, UTC |
//! | `refund_status` | text, null | of its refunds, the worst: `due` (a person has to do it), `pending`, `done` |
//! | `refund_amount` | bigint, null | minor units of `currency`, all that goes back |
//! | `refund_why` | text, null | of the last one: see the view `refunds` |
//! | `refund_at_us` | bigint, null | when the last one was asked for |
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

mod refunds;

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId};
use domain::payment::{self, PaymentQuarantined, PaymentRequested};
use domain::root::{Context, Meta};

use crate::model::{Envelope, Layout, ReadModel, Touched, View, word};
use crate::rows::{Kind, Merge, Rows, keep, key, set};
use refunds::Refunds;

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
    updated_at_us bigint
) with (fillfactor = 80);
create index if not exists payments_by_order on payments (order_id, show_id);
create table if not exists refunds (
    refund_id uuid primary key,
    payment_id uuid,
    order_id uuid,
    show_id uuid,
    provider text,
    amount bigint,
    currency text,
    why text,
    status text,
    reference text,
    reason text,
    requested_at_us bigint,
    settled_at_us bigint
) with (fillfactor = 80);
create index if not exists refunds_by_order on refunds (order_id, show_id);
create index if not exists refunds_by_payment on refunds (payment_id);
create index if not exists refunds_by_show on refunds (show_id, status);
create index if not exists refunds_open on refunds (status, requested_at_us, refund_id) where status <> 'done';
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
select p.payment_id, p.order_id, p.show_id, p.provider, p.serial, p.status, p.reason, p.amount, p.currency, p.received,
    p.reference, p.url, p.pay_by_us, p.created_at_us, p.updated_at_us,
    r.refund_status, r.refund_amount, r.refund_why, r.refund_at_us
from {payments}.payments p
left join lateral (
    select case when bool_or(status = 'due') then 'due'
            when bool_or(status = 'pending') then 'pending'
            when bool_or(status = 'done') then 'done' end as refund_status,
        sum(amount)::bigint as refund_amount,
        (array_agg(why order by requested_at_us desc, refund_id))[1] as refund_why,
        max(requested_at_us) as refund_at_us
    from {payments}.refunds
    where refunds.payment_id = p.payment_id
) r on true
where p.created_at_us is not null",
};

const QUARANTINED_MONEY: View = View {
    name: "quarantined_money",
    query: "
select payment_id, reference, order_id, show_id, provider, serial, amount, currency, reason, at_us
from {payments}.quarantined_money",
};

/// Nothing of a payment comes before it, so that nothing has been received.
static BIRTHS: Merge = Merge::upsert(
    "payments",
    &[
        key("payment_id", Kind::Uuid),
        set("order_id", Kind::Uuid),
        set("show_id", Kind::Uuid),
        set("provider", Kind::Text),
        set("serial", Kind::Big),
        set("amount", Kind::Big),
        set("currency", Kind::Text),
        set("received", Kind::Big),
        set("pay_by_us", Kind::Big),
        set("created_at_us", Kind::Big),
    ],
);

static COURSES: Merge = Merge::update(
    "payments",
    &[
        key("payment_id", Kind::Uuid),
        keep("status", Kind::Text),
        keep("reason", Kind::Text),
        keep("received", Kind::Big),
        keep("reference", Kind::Text),
        keep("url", Kind::Text),
        set("updated_at_us", Kind::Big),
    ],
);

static QUARANTINED: Merge = Merge::upsert(
    "quarantined_money",
    &[
        key("payment_id", Kind::Uuid),
        key("reference", Kind::Text),
        set("order_id", Kind::Uuid),
        set("show_id", Kind::Uuid),
        set("provider", Kind::Text),
        set("serial", Kind::Big),
        set("amount", Kind::Big),
        set("currency", Kind::Text),
        set("reason", Kind::Text),
        set("at_us", Kind::Big),
    ],
);

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
    at_us: i64,
}

/// Row changes of a batch.
#[derive(Debug, Default)]
pub struct Changes {
    births: BTreeMap<PaymentId, Birth>,
    courses: BTreeMap<PaymentId, Course>,
    quarantined: BTreeMap<(PaymentId, String), (PaymentQuarantined, i64)>,
    refunds: Refunds,
    touched: Touched,
}

impl ReadModel for Payments {
    type Changes = Changes;
    type Stored = ();

    const LAYOUT: Layout = Layout {
        name: "payments",
        version: 3,
        tables: TABLES,
        table_names: &["payments", "refunds", "quarantined_money"],
        views: &[PAYMENTS, refunds::VIEW, QUARANTINED_MONEY],
        merges: &[&BIRTHS, &COURSES, &refunds::ASKED, &refunds::ENDED, &QUARANTINED],
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

    fn rows(changes: &Changes) -> Vec<Rows> {
        let (births, courses) = (changes.birth_rows(), changes.course_rows());
        let (asked, ended) = (changes.refunds.asked_rows(), changes.refunds.ended_rows());
        vec![births, courses, asked, ended, changes.quarantined_rows()]
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
            payment::Event::PaymentClosureRequested(it) => {
                self.course(it.payment, it.order, at_us).status = Some("closing")
            }
            payment::Event::PaymentExpired(it) => self.course(it.payment, it.order, at_us).status = Some("expired"),
            payment::Event::PaymentQuarantined(it) => {
                self.touched.orders.extend(it.order);
                self.quarantined.insert((it.payment, it.reference.clone()), (it.clone(), at_us));
            }
            payment::Event::RefundRequested(it) => {
                self.course(it.payment, it.order, at_us);
                self.refunds.asked(it, at_us);
            }
            payment::Event::PaymentRefunded(it) => {
                self.course(it.payment, it.order, at_us);
                self.refunds.done(it, at_us);
            }
            payment::Event::RefundFailed(it) => {
                self.course(it.payment, it.order, at_us);
                self.refunds.failed(it, at_us);
            }
        }
    }

    fn course(&mut self, payment: PaymentId, order: OrderId, at_us: i64) -> &mut Course {
        self.touched.orders.insert(order);
        let course = self.courses.entry(payment).or_default();
        course.at_us = at_us;
        course
    }

    fn birth_rows(&self) -> Rows {
        let row = |Birth { requested: it, created_at_us }: &Birth| {
            [
                it.payment.0.into(),
                it.order.0.into(),
                it.show.0.into(),
                it.provider.as_str().into(),
                it.serial.into(),
                it.amount.into(),
                it.currency.to_string().into(),
                0_i64.into(),
                it.pay_by.0.into(),
                (*created_at_us).into(),
            ]
        };
        BIRTHS.rows(self.births.values().map(row))
    }

    fn course_rows(&self) -> Rows {
        let row = |(id, it): (&PaymentId, &Course)| {
            [
                id.0.into(),
                it.status.into(),
                it.reason.clone().into(),
                it.received.into(),
                it.reference.clone().into(),
                it.url.clone().into(),
                it.at_us.into(),
            ]
        };
        COURSES.rows(self.courses.iter().map(row))
    }

    fn quarantined_rows(&self) -> Rows {
        let row = |(it, at_us): &(PaymentQuarantined, i64)| {
            [
                it.payment.0.into(),
                it.reference.clone().into(),
                it.order.map(|order| order.0).into(),
                it.show.map(|show| show.0).into(),
                it.provider.as_str().into(),
                it.serial.into(),
                it.amount.into(),
                it.currency.to_string().into(),
                word(it.reason).into(),
                (*at_us).into(),
            ]
        };
        QUARANTINED.rows(self.quarantined.values().map(row))
    }
}
