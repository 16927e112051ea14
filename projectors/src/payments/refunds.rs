//! One row for each time that money of a payment goes back.
//!
//! View `refunds`:
//!
//! | column | type | |
//! |---|---|---|
//! | `refund_id` | uuid | |
//! | `payment_id`, `order_id`, `show_id` | uuid | |
//! | `provider` | text | |
//! | `amount`, `currency` | bigint, text | minor units |
//! | `why` | text | `paid_twice`, `paid_too_late`, `paid_in_part`, `show_cancelled`, `by_staff` |
//! | `status` | text | `pending` (the provider is asked), `due` (a person has to do it), `done` |
//! | `reference` | text, null | the provider's (or the bank's) own name of it, once done |
//! | `reason` | text, null | the provider's code, where it failed there |
//! | `requested_at_us`, `settled_at_us` | bigint, null | microseconds since 1970, UTC |

use std::collections::BTreeMap;

use domain::ids::{RefundId, derived};
use domain::payment::{PaymentRefunded, RefundFailed, RefundRequested};

use crate::model::{View, word};
use crate::rows::{Kind, Merge, Rows, add, keep, key, set};

pub(super) const VIEW: View = View {
    name: "refunds",
    query: "
select refund_id, payment_id, order_id, show_id, provider, amount, currency, why, status, reference, reason,
    requested_at_us, settled_at_us
from {payments}.refunds",
};

/// Those of early versions had no names: all of one payment are one row, and their amounts add up.
pub(super) static ASKED: Merge = Merge::upsert(
    "refunds",
    &[
        key("refund_id", Kind::Uuid),
        set("payment_id", Kind::Uuid),
        set("order_id", Kind::Uuid),
        set("show_id", Kind::Uuid),
        set("provider", Kind::Text),
        add("amount"),
        set("currency", Kind::Text),
        set("why", Kind::Text),
        set("status", Kind::Text),
        set("requested_at_us", Kind::Big),
    ],
);

pub(super) static ENDED: Merge = Merge::update(
    "refunds",
    &[
        key("refund_id", Kind::Uuid),
        set("status", Kind::Text),
        keep("reference", Kind::Text),
        keep("reason", Kind::Text),
        keep("settled_at_us", Kind::Big),
    ],
);

/// Changes of a batch.
#[derive(Debug, Default)]
pub(super) struct Refunds {
    asked: BTreeMap<RefundId, (RefundRequested, i64)>,
    ended: BTreeMap<RefundId, End>,
}

#[derive(Debug, Default)]
struct End {
    status: &'static str,
    reference: Option<String>,
    reason: Option<String>,
    settled_at_us: Option<i64>,
}

impl Refunds {
    pub(super) fn asked(&mut self, event: &RefundRequested, at_us: i64) {
        let nameless = || RefundId(derived(event.payment.0, "refund", 0));
        let refund = if event.refund.0.is_nil() { nameless() } else { event.refund };
        let before = self.asked.get(&refund).map_or(0, |(before, _)| before.amount);
        self.asked.insert(refund, (RefundRequested { amount: before + event.amount, ..event.clone() }, at_us));
    }

    pub(super) fn done(&mut self, event: &PaymentRefunded, at_us: i64) {
        let end = self.ended.entry(event.refund).or_default();
        end.status = "done";
        end.reference = Some(event.reference.clone());
        end.settled_at_us = Some(at_us);
    }

    pub(super) fn failed(&mut self, event: &RefundFailed, at_us: i64) {
        let end = self.ended.entry(event.refund).or_default();
        end.status = "due";
        end.reason = Some(event.reason.clone());
        end.settled_at_us = Some(at_us);
    }

    pub(super) fn asked_rows(&self) -> Rows {
        let row = |(id, (it, at_us)): (&RefundId, &(RefundRequested, i64))| {
            [
                id.0.into(),
                it.payment.0.into(),
                it.order.0.into(),
                it.show.0.into(),
                it.provider.as_str().into(),
                it.amount.into(),
                it.currency.to_string().into(),
                word(it.why).into(),
                if it.by_hand { "due" } else { "pending" }.into(),
                (*at_us).into(),
            ]
        };
        ASKED.rows(self.asked.iter().map(row))
    }

    pub(super) fn ended_rows(&self) -> Rows {
        let row = |(id, it): (&RefundId, &End)| {
            [
                id.0.into(),
                it.status.into(),
                it.reference.clone().into(),
                it.reason.clone().into(),
                it.settled_at_us.into(),
            ]
        };
        ENDED.rows(self.ended.iter().map(row))
    }
}
