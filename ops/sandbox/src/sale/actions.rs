//! What happens to a sale: it is paid, declined, cancelled, it expires; and each is told as its provider tells it.

use std::sync::{Arc, MutexGuard};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{Capture, Due, Happening, Progress, Sale, Status, timers};
use crate::app::App;
use crate::books::Books;
use crate::clock::later_ms;
use crate::ledger::{Kind, Movement};
use crate::provider::Unhappy;
use crate::script::Outcome;
use crate::{delivery, notice};

const SETTLE_MS: u64 = 1_000;

/// Money on its way to a sale.
#[derive(Debug, Clone, Default)]
pub struct Money {
    /// Another amount than the one asked for.
    pub amount: Option<i64>,
    /// Whether it arrives although the sale is no longer open, or was never approved.
    pub force: bool,
    /// Whether a closed sale keeps its status.
    pub keep_status: bool,
}

/// Why nothing happened: the sale has this status.
#[derive(Debug)]
pub struct NotOpen(pub Status);

/// Each fires when a notification was tried for the first time.
pub type Tries = Vec<oneshot::Receiver<()>>;

/// Pays as the payer does: takes the money, or only approves where the provider works so.
pub fn pay(app: &Arc<App>, number: u64, money: &Money) -> Result<Tries, NotOpen> {
    let now = app.clock.now();
    let mut books = app.books();
    let sale = sale_of(&books, number);
    if !sale.provider.protocol().approves_first() || money.force {
        drop(books);
        let refused = sale.script.capture == Outcome::Fail;
        return if refused { decline(app, number) } else { capture(app, number, money) };
    }
    match sale.status(now) {
        Status::Pending | Status::Processing => {
            books.change_sale(number, |sale| sale.state = Status::Approved);
            Ok(tell(app, books, number, vec![Happening::Approved]))
        }
        other => Err(NotOpen(other)),
    }
}

/// Takes the money, as the script wants it: at once, pending, or not at all.
pub fn capture(app: &Arc<App>, number: u64, money: &Money) -> Result<Tries, NotOpen> {
    let now = app.clock.now();
    let mut books = app.books();
    let sale = sale_of(&books, number);
    if !sale.takes_money(now) && !money.force {
        return Err(NotOpen(sale.status(now)));
    }
    let taken = new_capture(&sale, money, now);
    let pending = taken.due;
    let state = match taken.status {
        _ if money.keep_status => sale.state,
        Progress::Done => Status::Paid,
        Progress::Pending => Status::Processing,
        Progress::Failed => sale.state,
    };
    let reference = taken.reference.clone();
    books.change_sale(number, |sale| {
        sale.state = state;
        sale.captures.push(taken.clone());
    });
    book_capture(&mut books, &sale, &taken);
    let mut happenings = vec![Happening::Captured(taken.clone())];
    if sale.script.failure_after_success && taken.status == Progress::Done {
        happenings.push(Happening::FailureAfterSuccess);
    }
    let tries = tell(app, books, number, happenings);
    if let Some(due) = pending {
        timers::settle_capture_at(app, number, reference, due.at);
    }
    Ok(tries)
}

/// Ends the waiting of a pending capture; `None` leaves what the script said.
pub fn settle_capture(app: &Arc<App>, number: u64, reference: &str, becomes: Option<Progress>) {
    let mut books = app.books();
    let sale = sale_of(&books, number);
    let Some(waiting) = sale.captures.iter().find(|capture| capture.reference == reference) else { return };
    let (Progress::Pending, Some(due)) = (waiting.status, waiting.due) else { return };
    let settled = Capture { status: becomes.unwrap_or(due.becomes), due: None, ..waiting.clone() };
    books.change_sale(number, |sale| {
        sale.state = if settled.status == Progress::Done { Status::Paid } else { Status::Failed };
        sale.captures.iter_mut().filter(|it| it.reference == reference).for_each(|it| *it = settled.clone());
    });
    book_capture(&mut books, &sale, &settled);
    tell(app, books, number, vec![Happening::CaptureSettled(settled)]);
}

/// The bank refuses.
pub fn decline(app: &Arc<App>, number: u64) -> Result<Tries, NotOpen> {
    unhappy(app, number, Unhappy::Declined, Status::Failed, Happening::Declined)
}

/// The payer presses cancel.
pub fn cancel(app: &Arc<App>, number: u64) -> Result<Tries, NotOpen> {
    unhappy(app, number, Unhappy::Left, Status::Cancelled, Happening::Cancelled)
}

/// The sale expires now.
pub fn expire(app: &Arc<App>, number: u64) -> Result<Tries, NotOpen> {
    let before = sale_of(&app.books(), number).state;
    end(app, number, Status::Expired, Happening::Expired(before))
}

/// Ends an open sale with this status.
pub fn end(app: &Arc<App>, number: u64, status: Status, happening: Happening) -> Result<Tries, NotOpen> {
    let now = app.clock.now();
    let mut books = app.books();
    let sale = sale_of(&books, number);
    if !sale.takes_money(now) {
        return Err(NotOpen(sale.status(now)));
    }
    books.change_sale(number, |sale| sale.state = status);
    Ok(tell(app, books, number, vec![happening]))
}

/// Makes a sale expired whose time is over, unless it ended otherwise or waits for money.
pub fn lapse(app: &Arc<App>, number: u64) {
    let now = app.clock.now();
    let mut books = app.books();
    let sale = sale_of(&books, number);
    if sale.state.is_open() && sale.status(now) == Status::Expired {
        books.change_sale(number, |sale| sale.state = Status::Expired);
        tell(app, books, number, vec![Happening::Expired(sale.state)]);
    }
}

/// Says that the bank is working on it.
pub fn processing(app: &Arc<App>, number: u64) -> Result<(), NotOpen> {
    let now = app.clock.now();
    let mut books = app.books();
    let sale = sale_of(&books, number);
    if !sale.takes_money(now) {
        return Err(NotOpen(sale.status(now)));
    }
    books.change_sale(number, |sale| sale.state = Status::Processing);
    Ok(())
}

fn unhappy(app: &Arc<App>, number: u64, event: Unhappy, status: Status, told: Happening) -> Result<Tries, NotOpen> {
    let now = app.clock.now();
    let mut books = app.books();
    let sale = sale_of(&books, number);
    if !sale.takes_money(now) {
        return Err(NotOpen(sale.status(now)));
    }
    books.change_sale(number, |sale| sale.declines += u32::from(event == Unhappy::Declined));
    if sale.provider.protocol().stays_open_after(event) {
        return Ok(tell(app, books, number, vec![told]));
    }
    drop(books);
    end(app, number, status, told)
}

fn new_capture(sale: &Sale, money: &Money, now: Timestamp) -> Capture {
    let protocol = sale.provider.protocol();
    let script = &sale.script;
    let amount = script.wrong_amount.or(money.amount).unwrap_or(sale.amount);
    let currency = script.currency.clone().unwrap_or_else(|| sale.currency.clone());
    let (status, due) = progress(script.capture, script.capture_delay_ms, now);
    Capture {
        reference: protocol.capture_reference(sale),
        amount,
        fee: protocol.fee(amount, &currency),
        currency,
        time: now,
        status,
        due,
    }
}

/// What a scripted outcome means for money that starts to move now.
pub fn progress(outcome: Outcome, delay_ms: Option<u64>, now: Timestamp) -> (Progress, Option<Due>) {
    let at = later_ms(now, delay_ms.unwrap_or(SETTLE_MS));
    match outcome {
        Outcome::Done => (Progress::Done, None),
        Outcome::Fail => (Progress::Failed, None),
        Outcome::Pending => (Progress::Pending, Some(Due { at, becomes: Progress::Done })),
        Outcome::PendingFail => (Progress::Pending, Some(Due { at, becomes: Progress::Failed })),
    }
}

fn book_capture(books: &mut Books, sale: &Sale, capture: &Capture) {
    if capture.status != Progress::Done {
        return;
    }
    books.add_movement(Movement {
        provider: sale.provider,
        kind: Kind::Capture,
        reference: capture.reference.clone(),
        payment: sale.reference.clone(),
        amount: capture.amount,
        currency: capture.currency.clone(),
        fee: capture.fee,
        time: capture.time,
        matched: true,
    });
}

/// The sale with this number, which exists.
pub fn sale_of(books: &Books, number: u64) -> Sale {
    books.sales().get(number).expect("sales are never removed").clone()
}

/// Adds the deliveries of what happened, unlocks the books and starts them.
pub fn tell(app: &Arc<App>, mut books: MutexGuard<'_, Books>, number: u64, happenings: Vec<Happening>) -> Tries {
    let sale = sale_of(&books, number);
    let protocol = sale.provider.protocol();
    let first = !books.deliveries().of(sale.provider, &sale.reference).any(|delivery| delivery.number == number);
    let notices = happenings.iter().flat_map(|happening| protocol.notices(app, &sale, happening)).collect();
    let mut started = Vec::new();
    for delivery in notice::deliveries(&sale, notices, first, app.clock.now()) {
        let waiting = delivery.state == delivery::State::Waiting;
        let id = books.add_delivery(delivery);
        started.extend(waiting.then_some(id));
    }
    drop(books);
    started.into_iter().map(|id| delivery::start(app, id)).collect()
}
