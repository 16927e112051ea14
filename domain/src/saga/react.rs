//! The checkout's steps: for each event, who has to do what next.
//!
//! Everything sent from here may arrive twice, late, and in any order; every target makes a no-op of what it knows.

use crate::breakage::{Breakage, broken};
use crate::event::{Command, Event};
use crate::ids::{CommandId, OrderId, PaymentId, ShowId, derived};
use crate::inventory::{CloseReason, ReleaseReason, TicketsReserved};
use crate::order::{
    CancelReason, FailReason, OrderCancelled, OrderCreated, OrderFailed, OrderPaymentAdded, OrderTicketsRefunded,
};
use crate::payment::{PaymentRequested, RefundRequested};
use crate::queue::CheckoutEnd;
use crate::root::Meta;
use crate::saga::{Action, CreatePayment, Effect, Outgoing, queue};
use crate::value::{Currency, PaymentChoice, Timestamp};
use crate::{account, inventory, order, payment, show, ticket};

/// What has to happen because of this event. Ids are the same at every call.
pub fn react(event: &Event, meta: &Meta) -> Vec<Outgoing> {
    let actions = match event {
        Event::Show(event) => of_show(event),
        Event::Inventory(event) => of_inventory(event, meta),
        Event::Order(event) => of_order(event),
        Event::Payment(event) => of_payment(event),
        Event::Ticket(event) => of_ticket(event),
        Event::Queue(event) => queue::of_queue(event),
        Event::Account(event) => of_account(event),
    };
    let cause = if broken(Breakage::StepsNamedAfterRequest) { meta.correlation_id } else { meta.event_id };
    let ids = (0..).map(|n| CommandId(derived(cause, "out", n)));
    ids.zip(actions).map(|(id, action)| Outgoing { id, action }).collect()
}

fn of_show(event: &show::Event) -> Vec<Action> {
    use show::Event as E;
    match event {
        E::ShowPublished(event) => {
            let opening = inventory::SalesOpened {
                show: event.show,
                organizer: event.organizer.clone(),
                currency: event.currency,
                pay_within_s: event.pay_within_s,
                classes: event.classes.clone(),
                waiting_room: event.waiting_room.is_some(),
            };
            let sales = to_inventory(event.show, inventory::Command::Open(opening));
            [sales].into_iter().chain(queue::open(event)).collect()
        }
        E::ShowCancelled(event) if event.published => {
            let (show, reason) = (event.show, CloseReason::ShowCancelled);
            let sales = to_inventory(show, inventory::Command::Close { show, reason });
            [sales].into_iter().chain(queue::close(event)).collect()
        }
        E::ShowCancelled(_)
        | E::ShowCreated(_)
        | E::ShowEdited(_)
        | E::TicketClassDefined(_)
        | E::TicketClassEdited(_)
        | E::ShowConfigured(_)
        | E::ShowApproved(_) => vec![],
    }
}

fn of_inventory(event: &inventory::Event, meta: &Meta) -> Vec<Action> {
    use inventory::Event as E;
    match event {
        E::TicketsReserved(event) => birth(event, meta.occurred_at).into_iter().chain(queue::tie(event)).collect(),
        E::ReservationConfirmed(event) => {
            let (order, show, lines) = (event.order, event.show, event.lines.clone());
            vec![to_ticket(order, ticket::Command::Issue { order, show, lines })]
        }
        E::ReservationReleased(event) if event.reason == ReleaseReason::ShowCancelled => {
            vec![to_order(event.order, order::Command::CancelShow { show: event.show })]
        }
        // This order never came to be, so that nothing else ends its checkout.
        E::ReservationReleased(event) if event.reason == ReleaseReason::OrderIdTaken => {
            queue::end(event.show, event.session, event.order, CheckoutEnd::Failed).into_iter().collect()
        }
        // Any other release was asked for by the order; after the backstop it hears from its payments.
        E::ReservationReleased(_)
        | E::ReservationExpired(_)
        | E::SalesOpened(_)
        | E::SalesClosed(_)
        | E::PriceChanged(_)
        | E::CapacityChanged(_)
        | E::SessionBarred(_) => vec![],
    }
}

/// The first attempt of a reservation gives birth to the order; a later one is about an order that exists.
fn birth(event: &TicketsReserved, at: Timestamp) -> Option<Action> {
    let checkout = event.checkout.as_ref()?;
    let created = OrderCreated {
        order: event.order,
        show: event.show,
        organizer: event.organizer.clone(),
        person: checkout.person,
        principal: checkout.principal.clone(),
        code: checkout.code.clone(),
        lines: event.lines.clone(),
        currency: event.currency,
        total: event.total,
        created_at: at,
        pay_by: event.pay_by,
        hold_until: event.hold_until,
        payment: checkout.payment.clone(),
        session: checkout.session,
    };
    Some(to_order(event.order, order::Command::Create(created)))
}

fn of_order(event: &order::Event) -> Vec<Action> {
    use order::Event as E;
    match event {
        E::OrderCreated(event) => first_payment(event).into_iter().collect(),
        E::OrderPaymentAdded(event) => vec![another_payment(event)],
        E::OrderOverdue(event) => event.payments.iter().map(|payment| close(*payment)).collect(),
        E::OrderPaid(event) => {
            vec![to_inventory(event.show, inventory::Command::Confirm { order: event.order })]
        }
        E::OrderCancelled(event) => undo(event),
        E::OrderFailed(event) => undo_failed(event),
        E::OrderCompleted(event) => {
            queue::end(event.show, event.session, event.order, CheckoutEnd::Completed).into_iter().collect()
        }
        E::OrderTicketsRefunded(event) => give_back(event),
        E::OrderPaymentEnded(_) | E::OrderStuck(_) => vec![],
    }
}

fn first_payment(event: &OrderCreated) -> Option<Action> {
    let choice = event.payment.clone().filter(|_| event.total > 0)?;
    let request = Request {
        order: event.order,
        show: event.show,
        amount: event.total,
        currency: event.currency,
        code: event.code.clone(),
        pay_by: event.pay_by,
    };
    Some(request.by(choice))
}

fn another_payment(event: &OrderPaymentAdded) -> Action {
    let request = Request {
        order: event.order,
        show: event.show,
        amount: event.amount,
        currency: event.currency,
        code: event.code.clone(),
        pay_by: event.pay_by,
    };
    request.by(event.payment.clone())
}

struct Request {
    order: OrderId,
    show: ShowId,
    amount: i64,
    currency: Currency,
    code: String,
    pay_by: Timestamp,
}

impl Request {
    fn by(self, choice: PaymentChoice) -> Action {
        let Self { order, show, amount, currency, code, pay_by } = self;
        let PaymentChoice { payment, provider, return_url, cancel_url } = choice;
        let request = payment::Command::Request {
            payment,
            order,
            show,
            provider,
            amount,
            currency,
            code,
            return_url,
            cancel_url,
            pay_by,
        };
        to_payment(payment, request)
    }
}

/// The end of an order: stock back, payments closed, money back, tickets dead.
fn undo(event: &OrderCancelled) -> Vec<Action> {
    let OrderCancelled { order, show, .. } = *event;
    let reason = match event.reason {
        // It had been paid: another Confirm may have sold the stock meanwhile.
        CancelReason::Expired if event.issued => ReleaseReason::Refunded,
        CancelReason::Expired => ReleaseReason::Expired,
        CancelReason::ByBuyer => ReleaseReason::ByBuyer,
        CancelReason::ShowCancelled => ReleaseReason::ShowCancelled,
        CancelReason::Refunded => ReleaseReason::Refunded,
        CancelReason::Unknown => ReleaseReason::Unknown,
    };
    let release = to_inventory(show, inventory::Command::Release { order, reason });
    let closings = event.open_payments.iter().map(|payment| close(*payment));
    let why = event.refund_why.unwrap_or(payment::RefundWhy::Unknown);
    let refund = event.refund.map(|payment| to_payment(payment, payment::Command::Refund { why }));
    let revoke = event.issued.then(|| to_ticket(order, ticket::Command::Revoke { order, show }));
    let slot = queue::end(show, event.session, order, CheckoutEnd::Failed);
    [release].into_iter().chain(closings).chain(refund).chain(revoke).chain(slot).collect()
}

/// Some tickets die, and what they cost goes back. Their stock stays with the show until the whole order is refunded.
fn give_back(event: &OrderTicketsRefunded) -> Vec<Action> {
    let OrderTicketsRefunded { order, show, refund, payment, amount, .. } = *event;
    let why = payment::RefundWhy::ByStaff;
    let money = to_payment(payment, payment::Command::RefundPart { refund, amount, why });
    let tickets = ticket::Command::RevokeSome { order, show, tickets: event.tickets.clone() };
    // Some tickets of a paid order may have been free.
    [money].into_iter().filter(|_| amount > 0).chain([to_ticket(order, tickets)]).collect()
}

fn undo_failed(event: &OrderFailed) -> Vec<Action> {
    let reason = match event.reason {
        FailReason::PaymentFailed => ReleaseReason::PaymentFailed,
        FailReason::Unknown => ReleaseReason::Unknown,
    };
    let release = to_inventory(event.show, inventory::Command::Release { order: event.order, reason });
    let closings = event.open_payments.iter().map(|payment| close(*payment));
    let slot = queue::end(event.show, event.session, event.order, CheckoutEnd::Failed);
    [release].into_iter().chain(closings).chain(slot).collect()
}

fn of_payment(event: &payment::Event) -> Vec<Action> {
    use payment::Event as E;
    match event {
        E::PaymentRequested(event) => vec![Action::Effect(Effect::CreatePayment(open_page(event)))],
        E::PaymentClosureRequested(event) => {
            let (payment, provider, serial) = (event.payment, event.provider, event.serial);
            vec![Action::Effect(Effect::ClosePayment { payment, provider, serial })]
        }
        E::PaymentCompleted(event) => {
            vec![to_order(event.order, order::Command::MarkPaid { payment: event.payment })]
        }
        E::PaymentFailed(event) => vec![ended(event.order, event.payment, true)],
        E::PaymentExpired(event) => vec![ended(event.order, event.payment, false)],
        E::RefundRequested(event) if !event.by_hand && !event.refund.0.is_nil() => {
            let RefundRequested { payment, provider, refund, amount, currency, .. } = *event;
            vec![Action::Effect(Effect::RefundPayment { payment, provider, refund, amount, currency })]
        }
        E::PaymentIntentCreated(_)
        | E::PaymentPartiallyReceived(_)
        | E::PaymentQuarantined(_)
        | E::RefundRequested(_)
        | E::PaymentRefunded(_)
        | E::RefundFailed(_) => vec![],
    }
}

fn open_page(event: &PaymentRequested) -> CreatePayment {
    CreatePayment {
        payment: event.payment,
        provider: event.provider,
        serial: event.serial,
        amount: event.amount,
        currency: event.currency,
        code: event.code.clone(),
        return_url: event.return_url.clone(),
        cancel_url: event.cancel_url.clone(),
        pay_by: event.pay_by,
    }
}

fn of_ticket(event: &ticket::Event) -> Vec<Action> {
    match event {
        ticket::Event::TicketsIssued(event) => {
            let ticket_count = i32::try_from(event.tickets.len()).expect("an order has at most 2,000 tickets");
            vec![to_order(event.order, order::Command::Complete { ticket_count })]
        }
        ticket::Event::TicketsRevoked(_) | ticket::Event::TicketRevoked(_) => vec![],
    }
}

fn ended(order: OrderId, payment: PaymentId, failed: bool) -> Action {
    to_order(order, order::Command::EndPayment { payment, failed })
}

fn close(payment: PaymentId) -> Action {
    to_payment(payment, payment::Command::Close)
}

fn of_account(event: &account::Event) -> Vec<Action> {
    let account::Event::PersonErased(event) = event;
    let keys = event.orders.iter().map(|order| order.key).collect();
    vec![Action::Effect(Effect::ForgetKeys { keys })]
}

fn to_inventory(show: ShowId, command: inventory::Command) -> Action {
    Action::Command(Command::Inventory(show, command))
}

fn to_order(order: OrderId, command: order::Command) -> Action {
    Action::Command(Command::Order(order, command))
}

fn to_payment(payment: PaymentId, command: payment::Command) -> Action {
    Action::Command(Command::Payment(payment, command))
}

fn to_ticket(order: OrderId, command: ticket::Command) -> Action {
    Action::Command(Command::Ticket(order, command))
}
