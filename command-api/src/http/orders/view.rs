//! An order as its owners know it, in the shape that readers get.

use domain::ids::OrderId;
use domain::inventory::{Inventory, ReleaseReason, ReservationStatus};
use domain::order::{CancelReason, FailReason, Known, Status};
use domain::payment::{self, Payment};
use domain::value::{Currency, PricedLine};
use event_log::owner::Answer;
use service_kit::problem::{Kind, Problem};
use service_kit::views::{self, Line, Money, moment};

use super::{App, NewOrder};

/// The order right after its reservation, from the stock alone.
pub fn reserved(answer: &Answer<Inventory>, order: OrderId, new: &NewOrder) -> Result<views::Order, Problem> {
    let internal = || Problem::new(Kind::Internal);
    let opened = answer.state.opened().ok_or_else(internal)?;
    let reservation = answer.state.reservation(order).ok_or_else(internal)?;
    let (status, reason) = match reservation.status {
        ReservationStatus::Active | ReservationStatus::Confirmed => ("reserved", None),
        ReservationStatus::Released(ReleaseReason::OrderIdTaken) => ("failed", Some("order_id_taken")),
        ReservationStatus::Released(ReleaseReason::ShowCancelled) => ("cancelled", Some("show_cancelled")),
        ReservationStatus::Released(_) | ReservationStatus::Expired => ("cancelled", Some("expired")),
    };
    Ok(views::Order {
        id: order.0,
        show: new.show.0,
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        lines: reservation.lines.iter().map(|line| view(line, opened.currency)).collect(),
        total: Money::of(reservation.total, opened.currency),
        buyer: Some(new.buyer.clone()),
        pay_by: moment(reservation.pay_by),
        payments: Vec::new(),
        tickets: Vec::new(),
        code: reservation.code.to_string(),
        created_at: moment(answer.state.created_at(reservation)),
        refund: None,
        access_token: None,
    })
}

/// The order as it is, with its payments. Whom it belongs to and its tickets are the read side's to tell.
pub async fn present(app: &App, known: &Known) -> Result<views::Order, Problem> {
    let mut payments = Vec::new();
    let mut asked = false;
    for attempt in known.attempts() {
        let payment = app.look::<Payment>(attempt.payment.0, payment::Command::Look).await?;
        // As the read side has it: there was a page once.
        asked |= payment.known().is_some_and(|known| known.reference.is_some());
        payments.extend(payment.known().map(attempt_view));
    }
    let (status, reason) = status(known, asked);
    Ok(views::Order {
        id: known.order.0,
        show: known.show.0,
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        lines: known.lines().map(|line| view(&line, known.currency)).collect(),
        total: Money::of(known.total(), known.currency),
        buyer: None,
        pay_by: moment(known.pay_by),
        payments,
        tickets: Vec::new(),
        code: known.code.to_string(),
        created_at: moment(known.created_at),
        refund: None,
        access_token: None,
    })
}

fn view(line: &PricedLine, currency: Currency) -> Line {
    Line {
        ticket_class: line.ticket_class.0,
        quantity: line.quantity,
        unit_price: Money::of(line.unit_price, currency),
    }
}

fn attempt_view(known: &payment::Known) -> views::Payment {
    let status = match known.status {
        payment::Status::Requested => "requested",
        payment::Status::Ready if known.received > 0 => "partially_received",
        payment::Status::Ready => "open",
        payment::Status::Closing => "closing",
        payment::Status::Completed => "completed",
        payment::Status::Failed => "failed",
        payment::Status::Expired => "expired",
    };
    views::Payment {
        id: known.payment.0,
        provider: known.provider.as_str().to_owned(),
        status: status.to_owned(),
        url: known.url.as_deref().map(str::to_owned),
        amount: Money::of(known.amount, known.currency),
    }
}

/// The status alone, for a browser that comes back.
pub fn status_word(known: &Known) -> &'static str {
    status(known, true).0
}

fn status(known: &Known, asked: bool) -> (&'static str, Option<&'static str>) {
    if known.stuck().is_some() {
        return ("stuck", None);
    }
    match known.status {
        Status::Open | Status::Overdue | Status::Paid if asked => ("awaiting_payment", None),
        Status::Open | Status::Overdue | Status::Paid => ("reserved", None),
        Status::Completed => ("completed", None),
        Status::Cancelled(CancelReason::ByBuyer) => ("cancelled", Some("by_buyer")),
        Status::Cancelled(CancelReason::Expired) => ("cancelled", Some("expired")),
        Status::Cancelled(CancelReason::ShowCancelled) => ("cancelled", Some("show_cancelled")),
        Status::Cancelled(CancelReason::Refunded) => ("cancelled", Some("refunded")),
        Status::Cancelled(CancelReason::Unknown) => ("cancelled", None),
        Status::Failed(FailReason::PaymentFailed) => ("failed", Some("payment_failed")),
        Status::Failed(FailReason::Unknown) => ("failed", None),
    }
}
