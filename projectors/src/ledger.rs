//! Every movement of money as a balanced journal, from `payment-events`: who wants to know where the money is adds up
//! accounts.
//!
//! Invariant: the lines of an event add up to 0 in its currency.
//!
//! | event | debit (+) | credit (-) |
//! |---|---|---|
//! | money came and was applied | `provider` | `sales` |
//! | … of which the provider kept a fee | `fees` | `provider_fees` |
//! | money came and fits nothing | `provider` | `quarantine` |
//! | money is to go back | `sales` | `refunds_due` |
//! | the provider gave it back | `refunds_due` | `provider` |
//! | a person gave it back | `refunds_due` | `bank` |
//!
//! View `ledger`:
//!
//! | column | type | |
//! |---|---|---|
//! | `event_id`, `account` | uuid, text | the key: which event, and which account of those above |
//! | `at_us` | bigint | microseconds since 1970, UTC |
//! | `payment_id` | uuid | the payment, or a derived id if the reference is unknown |
//! | `order_id`, `show_id` | uuid, null | |
//! | `provider` | text | |
//! | `kind` | text | `captured`, `quarantined`, `refund_requested`, `refunded` |
//! | `reference` | text | the provider's (or the bank's) name of the movement; of a request the refund's id |
//! | `amount`, `currency` | bigint, text | minor units; debit above 0, credit below |
//!
//! What a provider owes is `provider` + `provider_fees`. A fee is known only where the provider tells it with the money.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, ShowId};
use domain::payment;
use domain::root::{Context, Meta};
use domain::value::{Currency, Provider};
use uuid::Uuid;

use crate::model::{Envelope, Layout, ReadModel, Touched, View};
use crate::rows::{Cell, Kind, Merge, Rows, key, set};

/// The journal of all money.
#[derive(Debug)]
pub struct Ledger;

const TABLES: &str = "
create table if not exists ledger (
    event_id uuid,
    account text,
    at_us bigint not null,
    payment_id uuid not null,
    order_id uuid,
    show_id uuid,
    provider text,
    kind text not null,
    reference text not null,
    amount bigint not null,
    currency text not null,
    primary key (event_id, account)
);
create index if not exists ledger_by_provider on ledger (provider, account, at_us);
create index if not exists ledger_by_payment on ledger (payment_id);
create table if not exists ledger_payments (
    payment_id uuid primary key,
    provider text not null
);
";

const LEDGER: View = View {
    name: "ledger",
    query: "
select l.event_id, l.account, l.at_us, l.payment_id, l.order_id, l.show_id, coalesce(l.provider, p.provider) as provider,
    l.kind, l.reference, l.amount, l.currency
from {ledger}.ledger l left join {ledger}.ledger_payments p using (payment_id)",
};

static LINES: Merge = Merge::upsert(
    "ledger",
    &[
        key("event_id", Kind::Uuid),
        key("account", Kind::Text),
        set("at_us", Kind::Big),
        set("payment_id", Kind::Uuid),
        set("order_id", Kind::Uuid),
        set("show_id", Kind::Uuid),
        set("provider", Kind::Text),
        set("kind", Kind::Text),
        set("reference", Kind::Text),
        set("amount", Kind::Big),
        set("currency", Kind::Text),
    ],
);

/// Money that comes does not say by whom: its payment does.
static PAYMENTS: Merge =
    Merge::upsert("ledger_payments", &[key("payment_id", Kind::Uuid), set("provider", Kind::Text)]);

/// Where money is.
#[derive(Debug, Clone, Copy)]
enum Account {
    Provider,
    Sales,
    Quarantine,
    RefundsDue,
    Bank,
    Fees,
    ProviderFees,
}

impl Account {
    fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Sales => "sales",
            Self::Quarantine => "quarantine",
            Self::RefundsDue => "refunds_due",
            Self::Bank => "bank",
            Self::Fees => "fees",
            Self::ProviderFees => "provider_fees",
        }
    }
}

/// Whose money it is.
#[derive(Debug)]
struct Of {
    at_us: i64,
    payment: PaymentId,
    order: Option<OrderId>,
    show: Option<ShowId>,
    provider: Option<Provider>,
}

/// Money that goes from one account to another.
#[derive(Debug)]
struct Entry {
    of: Of,
    kind: &'static str,
    reference: String,
    amount: i64,
    currency: Currency,
    fee: i64,
    debit: Account,
    credit: Account,
}

/// Row changes of a batch.
#[derive(Debug, Default)]
pub struct Changes {
    entries: BTreeMap<Uuid, Entry>,
    payments: BTreeMap<PaymentId, Provider>,
}

impl ReadModel for Ledger {
    type Changes = Changes;
    type Stored = ();

    const LAYOUT: Layout = Layout {
        name: "ledger",
        version: 1,
        tables: TABLES,
        table_names: &["ledger", "ledger_payments"],
        views: &[LEDGER],
        merges: &[&LINES, &PAYMENTS],
    };
    const CONTEXTS: &'static [Context] = &[Context::Payment];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        if let Event::Payment(event) = &envelope.event {
            changes.fold(&envelope.meta, event);
        }
    }

    fn touched(_changes: &Changes) -> Touched {
        Touched::default()
    }

    fn rows(changes: &Changes) -> Vec<Rows> {
        let lines = changes.entries.iter().flat_map(|(event, entry)| entry.lines(*event));
        let payments = changes.payments.iter().map(|(id, provider)| [id.0.into(), provider.as_str().into()]);
        vec![LINES.rows(lines), PAYMENTS.rows(payments)]
    }
}

impl Changes {
    fn fold(&mut self, meta: &Meta, event: &payment::Event) {
        use Account as A;
        use payment::Event as E;
        let at_us = meta.occurred_at.0;
        let entry = match event {
            E::PaymentRequested(it) => {
                self.payments.insert(it.payment, it.provider);
                return;
            }
            E::PaymentPartiallyReceived(it) => {
                let of = Of { at_us, payment: it.payment, order: Some(it.order), show: Some(it.show), provider: None };
                let entry = of.moved("captured", &it.reference, (it.amount, it.currency), (A::Provider, A::Sales));
                Entry { fee: it.fee, ..entry }
            }
            E::PaymentCompleted(it) => {
                let of = Of { at_us, payment: it.payment, order: Some(it.order), show: Some(it.show), provider: None };
                let entry = of.moved("captured", &it.reference, (it.amount, it.currency), (A::Provider, A::Sales));
                Entry { fee: it.fee, ..entry }
            }
            E::PaymentQuarantined(it) => {
                let of = Of { at_us, payment: it.payment, order: it.order, show: it.show, provider: Some(it.provider) };
                of.moved("quarantined", &it.reference, (it.amount, it.currency), (A::Provider, A::Quarantine))
            }
            E::RefundRequested(it) => {
                let (order, show, provider) = (Some(it.order), Some(it.show), Some(it.provider));
                let of = Of { at_us, payment: it.payment, order, show, provider };
                let refund = it.refund.to_string();
                of.moved("refund_requested", &refund, (it.amount, it.currency), (A::Sales, A::RefundsDue))
            }
            E::PaymentRefunded(it) => {
                let (order, show, provider) = (Some(it.order), Some(it.show), Some(it.provider));
                let of = Of { at_us, payment: it.payment, order, show, provider };
                let from = if it.by_hand { A::Bank } else { A::Provider };
                of.moved("refunded", &it.reference, (it.amount, it.currency), (A::RefundsDue, from))
            }
            // No money moves.
            E::PaymentIntentCreated(_)
            | E::PaymentFailed(_)
            | E::PaymentClosureRequested(_)
            | E::PaymentExpired(_)
            | E::RefundFailed(_) => return,
        };
        self.entries.insert(meta.event_id, entry);
    }
}

impl Of {
    fn moved(
        self,
        kind: &'static str,
        reference: &str,
        (amount, currency): (i64, Currency),
        (debit, credit): (Account, Account),
    ) -> Entry {
        Entry { of: self, kind, reference: reference.to_owned(), amount, currency, fee: 0, debit, credit }
    }
}

impl Entry {
    /// In the order of the accounts' names.
    fn lines(&self, event: Uuid) -> Vec<[Cell; 11]> {
        let fee = [(Account::Fees, self.fee), (Account::ProviderFees, -self.fee)];
        let fee = fee.into_iter().filter(|(_, amount)| *amount != 0);
        let mut lines: Vec<_> =
            [(self.debit, self.amount), (self.credit, -self.amount)].into_iter().chain(fee).collect();
        lines.sort_by_key(|(account, _)| account.name());
        let line = |(account, amount): (Account, i64)| {
            [
                event.into(),
                account.name().into(),
                self.of.at_us.into(),
                self.of.payment.0.into(),
                self.of.order.map(|order| order.0).into(),
                self.of.show.map(|show| show.0).into(),
                self.of.provider.map(Provider::as_str).into(),
                self.kind.into(),
                self.reference.clone().into(),
                amount.into(),
                self.currency.to_string().into(),
            ]
        };
        lines.into_iter().map(line).collect()
    }
}
