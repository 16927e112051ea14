use domain::event::Event;
use domain::ids::PaymentId;
use domain::inventory::{self, CloseReason, SalesClosed, SessionBarred};
use domain::queue::{self, WaitingRoomClosed, session};
use domain::show::{self, ShowCancelled, ShowPublished};
use domain::value::{PaymentChoice, Provider};
use uuid::Uuid;

use super::STEPS;
use crate::book::{Book, at};
use crate::rooms;
use crate::tests::{SHOW, created, expired_payment, good, opened, order, overdue, paying, requested, reserved, vnd};

fn book() -> Book {
    Book::of(good())
}

fn published(waiting_room: bool) -> Event {
    let terms = rooms::terms();
    let published = ShowPublished {
        show: SHOW,
        organizer: "account:o".to_owned(),
        currency: vnd(),
        pay_within_s: 20,
        classes: vec![],
        checkout_url: None,
        waiting_room: waiting_room.then_some(terms),
        draw_hash: None,
    };
    show::Event::from(published).into()
}

fn off(waiting_room: bool) -> Event {
    show::Event::from(ShowCancelled { show: SHOW, published: true, waiting_room }).into()
}

fn closed() -> Event {
    inventory::Event::from(SalesClosed { show: SHOW, reason: CloseReason::ShowCancelled }).into()
}

#[test]
fn a_published_show_that_never_opens_is_seen() {
    assert_eq!(Book::of([published(false), opened(4)]).broken(), [""; 0]);
    assert_eq!(Book::of([published(false)]).broken(), [STEPS]);
    assert_eq!(Book::of([published(true), opened(4)]).broken(), [STEPS], "its waiting room never opened");
}

#[test]
fn a_cancelled_show_that_goes_on_is_seen() {
    assert_eq!(Book::of([published(false), opened(4), off(false), closed()]).broken(), [""; 0]);
    assert_eq!(Book::of([published(false), opened(4), off(false)]).broken(), [STEPS]);
    let room_closed = queue::Event::from(WaitingRoomClosed { show: SHOW, reason: queue::CloseReason::ShowCancelled });
    let with_room = vec![published(true), opened(4), off(true), closed()];
    assert_eq!(Book::of(with_room.clone()).broken(), [STEPS], "its waiting room never closed");
    assert_eq!(Book::of([with_room, vec![room_closed.into()]].concat()).broken(), [""; 0]);
    let still_sold = [vec![published(false)], good(), vec![off(false), closed()]].concat();
    assert_eq!(Book::of(still_sold).broken(), [STEPS], "what was sold did not come back");
}

#[test]
fn a_payment_that_is_never_asked_for_or_never_closed_is_seen() {
    let choice = |n| PaymentChoice {
        payment: paying(n),
        provider: Provider::Payos,
        return_url: String::new(),
        cancel_url: None,
    };
    let with_choice = |event: Event| match event {
        Event::Order(domain::order::Event::OrderCreated(mut it)) => {
            it.payment = Some(choice(9));
            domain::order::Event::from(it).into()
        }
        other => other,
    };
    let open = vec![opened(4), reserved(9, 1), with_choice(created(9, 1))];
    assert_eq!(Book::of(open.clone()).broken(), [STEPS]);
    let asked = [open, vec![requested(9, 9, 100)]].concat();
    assert_eq!(Book::of(asked.clone()).broken(), [""; 0]);
    let mut late = Book::of(asked);
    late.write(vec![with_payments(overdue(9), vec![paying(9)])], at(100_001));
    assert_eq!(late.broken(), [STEPS], "nobody closed it");
    late.write(vec![expired_payment(9, 9)], at(100_002));
    assert_eq!(late.broken(), [""; 0]);
}

fn with_payments(event: Event, payments: Vec<PaymentId>) -> Event {
    match event {
        Event::Order(domain::order::Event::OrderOverdue(it)) => {
            domain::order::Event::from(domain::order::OrderOverdue { payments, ..it }).into()
        }
        other => other,
    }
}

#[test]
fn an_order_that_was_never_created_is_seen() {
    // Its stock came back by the backstop, so no other law misses it.
    let lost = |event: &Event| {
        let orders = [domain::root::Context::Order, domain::root::Context::Payment];
        orders.contains(&event.context()) && *event != created(1, 2)
    };
    let walk_away: Vec<Event> = crate::tests::walk_away(2).into_iter().filter(|event| !lost(event)).collect();
    assert_eq!(Book::of([vec![opened(4)], walk_away].concat()).broken(), [STEPS]);
    assert_eq!(book().broken(), [""; 0]);
}

#[test]
fn a_token_that_stays_good_and_a_slot_that_is_not_tied_are_seen() {
    let room = |tied: bool, barred: bool| {
        let mut events: Vec<_> = rooms::good().into_iter().map(|(event, at)| (Event::from(event), at)).collect();
        // The first has an order that is open, the second and the others have none.
        events.retain(|(event, _)| !matches!(event.name(), "CheckoutCompleted" | "CheckoutFailed"));
        events.retain(|(event, _)| tied || event.name() != "CheckoutTied");
        let leaver = session(rooms::SHOW, rooms::number(5));
        if barred {
            let barred = SessionBarred { show: rooms::SHOW, session: leaver };
            events.push((inventory::Event::from(barred).into(), at(300)));
        }
        let buyer = Some(session(rooms::SHOW, rooms::number(1)));
        events.push((crate::tests::reserved_by(rooms::order(1), rooms::SHOW, buyer), at(301)));
        Book::timed(events).facts()
    };
    let broken = |tied, barred| {
        let facts = room(tied, barred);
        facts.steps.law(&facts).faults.count
    };
    assert_eq!(broken(true, true), 0);
    assert_eq!(broken(true, false), 1, "the token of who left");
    assert_eq!(broken(false, true), 1, "the slot of who ordered");
    assert_ne!(order(1).0, Uuid::nil());
}
