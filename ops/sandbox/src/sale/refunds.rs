//! Refunds: asked for by the shop, paid out as the script wants it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::actions::{progress, sale_of, tell};
use super::{Happening, Progress, Refund, timers};
use crate::app::App;
use crate::books::Books;
use crate::ledger::{Kind, Movement};
use crate::script::Outcome;

/// A refund that is asked for.
#[derive(Debug, Clone, Default)]
pub struct NewRefund {
    /// The shop's reference, if the protocol has one.
    pub reference: Option<String>,
    /// The capture that it is taken from; without one the first.
    pub capture: Option<String>,
    /// How much; without it all that is left.
    pub amount: Option<i64>,
    /// What only this provider knows.
    pub extra: Map<String, Value>,
}

/// Why nothing is given back.
#[derive(Debug, PartialEq, Eq)]
pub enum NoRefund {
    /// No money was taken.
    NothingTaken,
    /// All of it was given back already.
    AllGivenBack,
    /// There is only so much left.
    TooMuch {
        /// Minor units.
        left: i64,
    },
}

/// Gives money back for the sale with this number, which exists. Sums are checked here.
pub fn refund(app: &Arc<App>, number: u64, wanted: NewRefund) -> Result<Refund, NoRefund> {
    let now = app.clock.now();
    let mut books = app.books();
    let sale = sale_of(&books, number);
    let mut taken = sale.captures.iter().filter(|capture| capture.status == Progress::Done);
    let capture = taken.find(|capture| wanted.capture.as_ref().is_none_or(|it| *it == capture.reference));
    let capture = capture.ok_or(NoRefund::NothingTaken)?;
    let given_back: i64 = sale
        .refunds
        .iter()
        .filter(|refund| refund.capture == capture.reference && refund.status != Progress::Failed)
        .map(|refund| refund.amount)
        .sum();
    let left = capture.amount - given_back;
    let amount = match wanted.amount {
        _ if left <= 0 => return Err(NoRefund::AllGivenBack),
        Some(amount) if amount > left => return Err(NoRefund::TooMuch { left }),
        Some(amount) => amount,
        None => left,
    };
    let protocol = sale.provider.protocol();
    let outcome = match sale.script.refund {
        Outcome::Done if protocol.refunds_later() => Outcome::Pending,
        Outcome::Fail if protocol.refunds_later() => Outcome::PendingFail,
        other => other,
    };
    let (status, due) = progress(outcome, sale.script.refund_delay_ms, now);
    let refund = Refund {
        id: protocol.refund_id(&sale),
        reference: wanted.reference,
        capture: capture.reference.clone(),
        amount,
        currency: capture.currency.clone(),
        status,
        time: now,
        due,
        extra: wanted.extra,
    };
    books.change_sale(number, |sale| sale.refunds.push(refund.clone()));
    book(&mut books, number, &refund);
    tell(app, books, number, vec![Happening::Refunded(refund.clone())]);
    if let Some(due) = due {
        timers::settle_refund_at(app, number, refund.id.clone(), due.at);
    }
    Ok(refund)
}

/// Ends the waiting of a pending refund; `None` leaves what the script said.
pub fn settle_refund(app: &Arc<App>, number: u64, id: &str, becomes: Option<Progress>) {
    let mut books = app.books();
    let sale = sale_of(&books, number);
    let Some(waiting) = sale.refunds.iter().find(|refund| refund.id == id) else { return };
    let (Progress::Pending, Some(due)) = (waiting.status, waiting.due) else { return };
    let settled = Refund { status: becomes.unwrap_or(due.becomes), due: None, ..waiting.clone() };
    books.change_sale(number, |sale| {
        sale.refunds.iter_mut().filter(|refund| refund.id == id).for_each(|refund| *refund = settled.clone());
    });
    book(&mut books, number, &settled);
    tell(app, books, number, vec![Happening::RefundSettled(settled)]);
}

fn book(books: &mut Books, number: u64, refund: &Refund) {
    if refund.status != Progress::Done {
        return;
    }
    let sale = sale_of(books, number);
    books.add_movement(Movement {
        provider: sale.provider,
        kind: Kind::Refund,
        reference: sale.provider.protocol().on_statement(refund).to_owned(),
        payment: sale.reference.clone(),
        amount: -refund.amount,
        currency: refund.currency.clone(),
        fee: 0,
        time: refund.time,
        matched: true,
    });
}
