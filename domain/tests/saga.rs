//! The checkout: what each event makes others do, and what a refusal asks for.

use domain::event::{Command, Event, Refusal};
use domain::ids::{CommandId, PaymentId, derived};
use domain::inventory::{self, CloseReason, ReleaseReason};
use domain::order::{self, CancelReason, FailReason, OrderCancelled, OrderCreated};
use domain::payment::{self, RefundWhy};
use domain::root::Meta;
use domain::saga::{Action, CreatePayment, Effect, Outgoing, is_early, on_refusal, react};
use domain::value::Provider;
use domain::{show, ticket};
use uuid::Uuid;

use crate::common::{
    BUYER, FLOOR, ORDER, ORGANIZER, OTHER_PAYMENT, PAYMENT, PRICE, SHOW, at, checkout, choice, line, opening, priced,
    vnd,
};

fn meta() -> Meta {
    Meta {
        event_id: Uuid::from_u128(0xe1),
        occurred_at: at(3),
        version: 1,
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: "system".to_owned(),
    }
}

pub fn reaction(event: impl Into<Event>) -> Vec<Action> {
    react(&event.into(), &meta()).into_iter().map(|outgoing| outgoing.action).collect()
}

fn to_inventory(command: inventory::Command) -> Action {
    Action::Command(Command::Inventory(SHOW, command))
}

fn to_order(command: order::Command) -> Action {
    Action::Command(Command::Order(ORDER, command))
}

fn to_payment(payment: PaymentId, command: payment::Command) -> Action {
    Action::Command(Command::Payment(payment, command))
}

fn to_ticket(command: ticket::Command) -> Action {
    Action::Command(Command::Ticket(ORDER, command))
}

fn release(reason: ReleaseReason) -> Action {
    to_inventory(inventory::Command::Release { order: ORDER, reason })
}

fn reserved(attempt: i32) -> inventory::Event {
    inventory::TicketsReserved {
        show: SHOW,
        order: ORDER,
        attempt,
        organizer: ORGANIZER.to_owned(),
        lines: vec![priced(FLOOR, 2, PRICE)],
        currency: vnd(),
        total: 2 * PRICE,
        pay_by: at(900),
        hold_until: at(1200),
        checkout: (attempt == 1).then(|| checkout(Some(PAYMENT))),
    }
    .into()
}

fn creation() -> OrderCreated {
    OrderCreated {
        order: ORDER,
        show: SHOW,
        organizer: ORGANIZER.to_owned(),
        person: Uuid::from_u128(0xbe).into(),
        principal: BUYER.to_owned(),
        code: "0123456789".to_owned(),
        lines: vec![priced(FLOOR, 2, PRICE)],
        currency: vnd(),
        total: 2 * PRICE,
        created_at: at(3),
        pay_by: at(900),
        hold_until: at(1200),
        payment: Some(choice(PAYMENT)),
        session: None,
    }
}

fn request(payment: PaymentId) -> Action {
    let request = payment::Command::Request {
        payment,
        order: ORDER,
        show: SHOW,
        provider: Provider::Payos,
        amount: 2 * PRICE,
        currency: vnd(),
        code: "0123456789".to_owned(),
        return_url: "https://shop.test/back".to_owned(),
        cancel_url: None,
        pay_by: at(900),
    };
    to_payment(payment, request)
}

fn cancelled(reason: CancelReason) -> OrderCancelled {
    OrderCancelled {
        order: ORDER,
        show: SHOW,
        reason,
        open_payments: vec![],
        refund: None,
        refund_why: None,
        issued: false,
        session: None,
    }
}

#[test]
pub fn ids_are_the_same_at_every_call_and_differ_by_place() {
    let overdue = order::OrderOverdue { order: ORDER, show: SHOW, payments: vec![PAYMENT, OTHER_PAYMENT] };
    let event = Event::Order(overdue.into());
    let sent = react(&event, &meta());
    assert_eq!(sent, react(&event, &meta()));
    let ids: Vec<CommandId> = sent.iter().map(|outgoing| outgoing.id).collect();
    let expected = [0, 1].map(|n| CommandId(derived(meta().event_id, "out", n)));
    assert_eq!(ids, expected);
}

#[test]
fn publishing_opens_sales_and_cancelling_closes_them() {
    let opening = opening(SHOW);
    let published = show::ShowPublished {
        show: SHOW,
        organizer: opening.organizer.clone(),
        currency: opening.currency,
        pay_within_s: opening.pay_within_s,
        classes: opening.classes.clone(),
        checkout_url: None,
        waiting_room: None,
        draw_hash: None,
    };
    assert_eq!(reaction(show::Event::from(published)), [to_inventory(inventory::Command::Open(opening))]);
    let cancel =
        |published| reaction(show::Event::from(show::ShowCancelled { show: SHOW, published, waiting_room: false }));
    let reason = CloseReason::ShowCancelled;
    assert_eq!(cancel(true), [to_inventory(inventory::Command::Close { show: SHOW, reason })]);
    assert_eq!(cancel(false), []);
    assert_eq!(reaction(show::Event::from(show::ShowApproved { show: SHOW })), []);
}

#[test]
fn held_stock_gives_birth_to_the_order_once() {
    assert_eq!(reaction(reserved(1)), [to_order(order::Command::Create(creation()))]);
    assert_eq!(reaction(reserved(2)), []);
}

#[test]
fn an_order_asks_for_its_payments() {
    assert_eq!(reaction(order::Event::from(creation())), [request(PAYMENT)]);
    let free = OrderCreated { payment: None, total: 0, ..creation() };
    assert_eq!(reaction(order::Event::from(free)), []);
    let added = order::OrderPaymentAdded {
        order: ORDER,
        show: SHOW,
        payment: choice(OTHER_PAYMENT),
        code: "0123456789".to_owned(),
        amount: 2 * PRICE,
        currency: vnd(),
        pay_by: at(900),
    };
    assert_eq!(reaction(order::Event::from(added)), [request(OTHER_PAYMENT)]);
}

#[test]
fn providers_are_asked_to_open_and_close() {
    let requested = payment::PaymentRequested {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider: Provider::Payos,
        serial: 42,
        amount: 200,
        currency: vnd(),
        code: "0123456789".to_owned(),
        return_url: "https://shop.test/back".to_owned(),
        cancel_url: Some("https://shop.test/no".to_owned()),
        pay_by: at(900),
    };
    let create = CreatePayment {
        payment: PAYMENT,
        provider: Provider::Payos,
        serial: 42,
        amount: 200,
        currency: vnd(),
        code: "0123456789".to_owned(),
        return_url: "https://shop.test/back".to_owned(),
        cancel_url: Some("https://shop.test/no".to_owned()),
        pay_by: at(900),
    };
    assert_eq!(reaction(payment::Event::from(requested)), [Action::Effect(Effect::CreatePayment(create))]);
    let (payment, provider, serial) = (PAYMENT, Provider::Payos, 42);
    let closing = payment::PaymentClosureRequested { payment, order: ORDER, show: SHOW, provider, serial };
    let close = Effect::ClosePayment { payment, provider, serial };
    assert_eq!(reaction(payment::Event::from(closing)), [Action::Effect(close)]);
}

#[test]
fn an_order_hears_how_its_payments_end() {
    let (payment, order, show) = (PAYMENT, ORDER, SHOW);
    let completed = payment::PaymentCompleted {
        payment,
        order,
        show,
        reference: "a".to_owned(),
        amount: 200,
        currency: vnd(),
        received: 200,
        fee: 0,
        provider: Provider::Payos,
    };
    assert_eq!(reaction(payment::Event::from(completed)), [to_order(order::Command::MarkPaid { payment })]);
    let failed = payment::PaymentFailed { payment, order, show, reason: String::new() };
    let end = |failed| [to_order(order::Command::EndPayment { payment, failed })];
    assert_eq!(reaction(payment::Event::from(failed)), end(true));
    assert_eq!(reaction(payment::Event::from(payment::PaymentExpired { payment, order, show })), end(false));
}

#[test]
fn a_paid_order_gets_its_stock_its_tickets_and_its_end() {
    let (order, show, lines) = (ORDER, SHOW, vec![line(FLOOR, 2)]);
    let paid = order::OrderPaid { order, show, payment: None, lines: vec![], currency: vnd(), total: 0 };
    assert_eq!(reaction(order::Event::from(paid)), [to_inventory(inventory::Command::Confirm { order })]);
    let confirmed = inventory::ReservationConfirmed { show, order, attempt: 1, lines: lines.clone() };
    let issue = ticket::Command::Issue { order, show, lines };
    assert_eq!(reaction(inventory::Event::from(confirmed)), [to_ticket(issue)]);
    let ticket = ticket::IssuedTicket { ticket: Uuid::nil().into(), ticket_class: FLOOR };
    let issued = ticket::TicketsIssued { order, show, tickets: vec![ticket; 2] };
    let complete = order::Command::Complete { ticket_count: 2 };
    assert_eq!(reaction(ticket::Event::from(issued)), [to_order(complete)]);
}

#[test]
fn a_cancelled_show_ends_the_orders_whose_stock_it_takes() {
    let released = |reason| {
        let lines = vec![line(FLOOR, 2)];
        let (show, order, attempt, confirmed, session) = (SHOW, ORDER, 1, true, None);
        let event = inventory::ReservationReleased { show, order, attempt, lines, confirmed, reason, session };
        reaction(inventory::Event::from(event))
    };
    assert_eq!(released(ReleaseReason::ShowCancelled), [to_order(order::Command::CancelShow { show: SHOW })]);
    for reason in [ReleaseReason::ByBuyer, ReleaseReason::Expired, ReleaseReason::Refunded] {
        assert_eq!(released(reason), []);
    }
    let expired = inventory::ReservationExpired { show: SHOW, order: ORDER, attempt: 1, lines: vec![] };
    assert_eq!(reaction(inventory::Event::from(expired)), []);
}

#[test]
fn an_overdue_order_closes_its_payments() {
    let overdue = order::OrderOverdue { order: ORDER, show: SHOW, payments: vec![PAYMENT, OTHER_PAYMENT] };
    let close = |payment| to_payment(payment, payment::Command::Close);
    assert_eq!(reaction(order::Event::from(overdue)), [close(PAYMENT), close(OTHER_PAYMENT)]);
}

#[test]
fn the_end_of_an_order_undoes_everything() {
    let simple = |reason| reaction(order::Event::from(cancelled(reason)));
    assert_eq!(simple(CancelReason::Expired), [release(ReleaseReason::Expired)]);
    assert_eq!(simple(CancelReason::ByBuyer), [release(ReleaseReason::ByBuyer)]);
    assert_eq!(simple(CancelReason::ShowCancelled), [release(ReleaseReason::ShowCancelled)]);
    let all = OrderCancelled {
        open_payments: vec![OTHER_PAYMENT],
        refund: Some(PAYMENT),
        refund_why: Some(RefundWhy::PaidTooLate),
        issued: true,
        ..cancelled(CancelReason::Expired)
    };
    let expected = [
        release(ReleaseReason::Refunded),
        to_payment(OTHER_PAYMENT, payment::Command::Close),
        to_payment(PAYMENT, payment::Command::Refund { why: RefundWhy::PaidTooLate }),
        to_ticket(ticket::Command::Revoke { order: ORDER, show: SHOW }),
    ];
    assert_eq!(reaction(order::Event::from(all)), expected);
    let (order, show, reason, open_payments) = (ORDER, SHOW, FailReason::PaymentFailed, vec![OTHER_PAYMENT]);
    let failed = order::OrderFailed { order, show, reason, open_payments, session: None };
    let expected = [release(ReleaseReason::PaymentFailed), to_payment(OTHER_PAYMENT, payment::Command::Close)];
    assert_eq!(reaction(order::Event::from(failed)), expected);
}

fn refused(action: Action, refusal: Refusal) -> Option<Command> {
    on_refusal(&Outgoing { id: CommandId::default(), action }, &refusal)
}

#[test]
fn what_is_closed_before_it_was_requested_is_closed_again() {
    let early = |command, refusal| {
        let action = to_payment(PAYMENT, command);
        is_early(&Outgoing { id: CommandId::default(), action }, &Refusal::Payment(refusal))
    };
    assert!(early(payment::Command::Close, payment::Refusal::NotFound));
    // Money for an attempt that nobody knows is quarantined; nothing else waits for it.
    assert!(!early(payment::Command::Refund { why: RefundWhy::PaidTooLate }, payment::Refusal::NotFound));
    assert!(!early(payment::Command::Look, payment::Refusal::NotFound));
}

#[test]
fn an_order_id_of_another_show_gives_the_stock_back() {
    let create = to_order(order::Command::Create(creation()));
    let Action::Command(expected) = release(ReleaseReason::OrderIdTaken) else { unreachable!() };
    assert_eq!(refused(create, Refusal::Order(order::Refusal::OrderIdTaken)), Some(expected));
}

#[test]
pub fn money_that_an_order_does_not_take_goes_back() {
    let mark = || to_order(order::Command::MarkPaid { payment: PAYMENT });
    let cases = [
        (order::Refusal::PaidByAnother, RefundWhy::PaidTwice),
        (order::Refusal::EndedBefore { why: RefundWhy::PaidTooLate }, RefundWhy::PaidTooLate),
        (order::Refusal::EndedBefore { why: RefundWhy::ShowCancelled }, RefundWhy::ShowCancelled),
        (order::Refusal::NotFound, RefundWhy::PaidTooLate),
    ];
    for (refusal, why) in cases {
        let refund = Command::Payment(PAYMENT, payment::Command::Refund { why });
        assert_eq!(refused(mark(), Refusal::Order(refusal)), Some(refund));
    }
}

#[test]
pub fn stock_that_is_gone_ends_the_order() {
    let confirm = || to_inventory(inventory::Command::Confirm { order: ORDER });
    let refuse = Some(Command::Order(ORDER, order::Command::RefuseStock));
    assert_eq!(refused(confirm(), Refusal::Inventory(inventory::Refusal::StockGone)), refuse);
    assert_eq!(refused(confirm(), Refusal::Inventory(inventory::Refusal::NoReservation)), refuse);
    let off = Refusal::Inventory(inventory::Refusal::NotOnSale { line: None, opens_at: None });
    let cancel = Command::Order(ORDER, order::Command::CancelShow { show: SHOW });
    assert_eq!(refused(confirm(), off), Some(cancel));
}

#[test]
fn tickets_that_come_too_late_give_their_stock_back() {
    let issue = to_ticket(ticket::Command::Issue { order: ORDER, show: SHOW, lines: vec![] });
    let Action::Command(expected) = release(ReleaseReason::Refunded) else { unreachable!() };
    assert_eq!(refused(issue, Refusal::Ticket(ticket::Refusal::Revoked)), Some(expected));
}

#[test]
fn every_other_refusal_is_an_answer() {
    let nothing = [
        (to_order(order::Command::RefuseStock), Refusal::Order(order::Refusal::WrongState)),
        (to_order(order::Command::CancelShow { show: SHOW }), Refusal::Order(order::Refusal::NotFound)),
        (to_order(order::Command::Complete { ticket_count: 1 }), Refusal::Order(order::Refusal::WrongState)),
        (release(ReleaseReason::Expired), Refusal::Inventory(inventory::Refusal::NoReservation)),
        (to_payment(PAYMENT, payment::Command::Close), Refusal::Payment(payment::Refusal::NotFound)),
        (to_ticket(ticket::Command::Revoke { order: ORDER, show: SHOW }), Refusal::Ticket(ticket::Refusal::NotFound)),
    ];
    for (action, refusal) in nothing {
        assert_eq!(refused(action, refusal), None);
    }
}
