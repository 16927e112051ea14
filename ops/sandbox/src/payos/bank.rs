//! The payer's bank: money that arrives, for a link or for nothing we know.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::CURRENCY;
use super::payment::{Payment, Status};
use super::webhook::{self, Notice};
use crate::app::App;
use crate::books::Books;
use crate::ledger::Transfer;
use crate::script::Script;
use crate::{delivery, ids};

/// Money on its way to a link.
#[derive(Debug, Clone, Default)]
pub struct Money {
    /// How much, in how many transfers.
    pub sum: Sum,
    /// Whether it arrives although the link is no longer open.
    pub force: bool,
    /// Whether a closed link keeps its status although the money covers it.
    pub keep_status: bool,
}

/// The amounts of the transfers.
#[derive(Debug, Clone, Default)]
pub enum Sum {
    /// What is missing; the full amount when nothing is.
    #[default]
    Rest,
    /// Half of the amount, rounded down, at least 1.
    Half,
    /// These transfers, in this order.
    Parts(Vec<i64>),
}

/// Why no money was taken: the link has this status.
#[derive(Debug)]
pub struct NotOpen(pub Status);

/// What a payment set off.
pub struct Arrived {
    /// The bank's references.
    pub references: Vec<String>,
    /// Each fires when a webhook was tried for the first time.
    pub first_tries: Vec<oneshot::Receiver<()>>,
}

/// Lets money arrive for the payment with this number, which exists.
pub fn pay(app: &Arc<App>, number: u64, money: &Money) -> Result<Arrived, NotOpen> {
    let now = app.clock.now();
    let mut books = app.books();
    let payment = books.payments().get(number).expect("payments are never removed").clone();
    let status = payment.status(now);
    if !status.is_open() && !money.force {
        return Err(NotOpen(status));
    }
    let transfers: Vec<Transfer> =
        amounts(&payment, &money.sum).into_iter().map(|amount| matched(app, &payment, amount)).collect();
    books.change_payment(number, |payment| {
        payment.processing = false;
        payment.status_stays |= money.keep_status;
        // PayOS knows no other currency: such money reaches the account, not the link.
        payment.transfers.extend(transfers.iter().filter(|transfer| transfer.currency == CURRENCY).cloned());
    });
    let first_tries = book(app, books, &transfers, &payment.script, payment.expired_at);
    Ok(Arrived { references: transfers.into_iter().map(|transfer| transfer.reference).collect(), first_tries })
}

/// Lets a transfer arrive that no link of ours asked for.
pub fn stray(app: &Arc<App>, transfer: Transfer, script: &Script) {
    book(app, app.books(), &[transfer], script, None);
}

fn amounts(payment: &Payment, sum: &Sum) -> Vec<i64> {
    let asked = match sum {
        Sum::Rest if payment.rest() == 0 => vec![payment.amount],
        Sum::Rest => vec![payment.rest()],
        Sum::Half => vec![(payment.amount / 2).max(1)],
        Sum::Parts(parts) => parts.clone(),
    };
    asked.into_iter().map(|amount| payment.script.wrong_amount.unwrap_or(amount)).collect()
}

fn matched(app: &App, payment: &Payment, amount: i64) -> Transfer {
    Transfer {
        reference: ids::bank_reference(),
        order_code: payment.order_code,
        payment_link_id: payment.link_id.clone(),
        amount,
        currency: payment.script.currency.clone().unwrap_or_else(|| CURRENCY.to_owned()),
        description: payment.description.clone(),
        time: app.clock.now(),
        matched: true,
    }
}

/// Books transfers and starts their webhooks, once the books are unlocked.
fn book(
    app: &Arc<App>,
    mut books: impl std::ops::DerefMut<Target = Books>,
    transfers: &[Transfer],
    script: &Script,
    expired_at: Option<i64>,
) -> Vec<oneshot::Receiver<()>> {
    let mut started = Vec::new();
    for (transfer, parts_after) in transfers.iter().zip((0..transfers.len() as u64).rev()) {
        books.add_transfer(transfer.clone());
        let notice = Notice { transfer, parts_after, expired_at };
        for delivery in webhook::deliveries(&app.settings.checksum_key, script, &notice, app.clock.now()) {
            let waiting = delivery.state == delivery::State::Waiting;
            let id = books.add_delivery(delivery);
            started.extend(waiting.then_some(id));
        }
    }
    drop(books);
    started.into_iter().map(|id| delivery::start(app, id)).collect()
}
