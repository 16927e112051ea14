//! What an event says, in a few words. Amounts, counts and reasons; never who, and no code that opens anything.

use domain::event::Event;
use domain::value::{Currency, PricedLine, Timestamp};
use domain::{account, inventory, order, payment, queue, ticket};
use serde::Serialize;

/// In a few words; empty where the type says it all.
pub(super) fn of(event: &Event) -> String {
    match event {
        Event::Show(_) => String::new(),
        Event::Inventory(event) => of_inventory(event),
        Event::Order(event) => of_order(event),
        Event::Payment(event) => of_payment(event),
        Event::Ticket(event) => of_ticket(event),
        Event::Queue(event) => of_queue(event),
        Event::Account(account::Event::PersonErased(it)) => format!("{} orders", it.orders.len()),
    }
}

fn of_inventory(event: &inventory::Event) -> String {
    use inventory::Event as E;
    match event {
        E::TicketsReserved(it) => {
            let again = if it.attempt > 1 { format!(", attempt {}", it.attempt) } else { String::new() };
            let (tickets, total) = (tickets(&it.lines), money(it.total, it.currency));
            format!("{tickets}, {total}, pay by {}{again}", clock(it.pay_by))
        }
        E::ReservationConfirmed(it) => format!("attempt {}", it.attempt),
        E::ReservationReleased(it) => word(it.reason),
        E::ReservationExpired(it) => format!("attempt {}", it.attempt),
        E::SalesOpened(_) | E::SalesClosed(_) | E::PriceChanged(_) | E::CapacityChanged(_) | E::SessionBarred(_) => {
            String::new()
        }
    }
}

fn of_order(event: &order::Event) -> String {
    use order::Event as E;
    match event {
        E::OrderCreated(it) => {
            let by = it.payment.as_ref().map_or("nothing to pay", |choice| choice.provider.as_str());
            format!("{}, by {by}", money(it.total, it.currency))
        }
        E::OrderPaymentAdded(it) => format!("{} by {}", money(it.amount, it.currency), it.payment.provider.as_str()),
        E::OrderPaymentEnded(it) => if it.failed { "declined" } else { "lapsed" }.to_owned(),
        E::OrderOverdue(it) => format!("{} open payments", it.payments.len()),
        E::OrderPaid(it) => money(it.total, it.currency),
        E::OrderCompleted(it) => format!("{} tickets", it.ticket_count),
        E::OrderCancelled(it) => {
            let why = it.refund_why.map(|why| format!(", money goes back: {}", word(why))).unwrap_or_default();
            format!("{}{why}", word(it.reason))
        }
        E::OrderFailed(it) => word(it.reason),
        E::OrderStuck(it) => format!("{}: {}", word(it.step), it.reason),
        E::OrderTicketsRefunded(it) => format!("{} tickets, {}", it.tickets.len(), money(it.amount, it.currency)),
    }
}

fn of_payment(event: &payment::Event) -> String {
    use payment::Event as E;
    match event {
        E::PaymentRequested(it) => format!("{} by {}", money(it.amount, it.currency), it.provider.as_str()),
        E::PaymentPartiallyReceived(it) => format!("{} came", money(it.amount, it.currency)),
        E::PaymentCompleted(it) => format!("{} received", money(it.received, it.currency)),
        E::PaymentFailed(it) => it.reason.clone(),
        E::PaymentQuarantined(it) => format!("{}: {}", money(it.amount, it.currency), word(it.reason)),
        E::RefundRequested(it) => {
            let hand = if it.by_hand { ", by hand" } else { "" };
            format!("{}, {}{hand}", money(it.amount, it.currency), word(it.why))
        }
        E::PaymentRefunded(it) => money(it.amount, it.currency),
        E::RefundFailed(it) => format!("{}: {}", money(it.amount, it.currency), it.reason),
        E::PaymentIntentCreated(_) | E::PaymentClosureRequested(_) | E::PaymentExpired(_) => String::new(),
    }
}

fn of_ticket(event: &ticket::Event) -> String {
    use ticket::Event as E;
    match event {
        E::TicketsIssued(it) => format!("{} tickets", it.tickets.len()),
        E::TicketsRevoked(it) => format!("{} tickets", it.tickets.len()),
        E::TicketRevoked(_) => String::new(),
    }
}

fn of_queue(event: &queue::Event) -> String {
    use queue::Event as E;
    match event {
        E::QueueJoined(it) => format!("number {}", it.number),
        E::QueueReady(it) => format!("number {}, enter by {}", it.number, clock(it.enter_by)),
        E::CheckoutStarted(it) => format!("number {}, until {}", it.number, clock(it.expires_at)),
        E::CheckoutTied(it) => format!("number {}", it.number),
        E::CheckoutCompleted(it) => format!("number {}", it.number),
        E::CheckoutFailed(it) => format!("number {}", it.number),
        _ => String::new(),
    }
}

fn tickets(lines: &[PricedLine]) -> String {
    let count: i64 = lines.iter().map(|line| i64::from(line.quantity)).sum();
    format!("{count} ticket{}", if count == 1 { "" } else { "s" })
}

fn money(amount: i64, currency: Currency) -> String {
    format!("{amount} {currency}")
}

fn clock(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.strftime("%H:%M:%S").to_string())
}

fn word(value: impl Serialize) -> String {
    let word = serde_json::to_value(value);
    word.ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_else(|| "unknown".to_owned())
}
