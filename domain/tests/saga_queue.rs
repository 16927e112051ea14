//! The waiting room's part in the checkout: what opens, ties and frees it, and what its events make others do.

use domain::event::{Command, Event, Refusal};
use domain::ids::{CommandId, SessionId};
use domain::inventory::{self, Checkout, Inventory, ReleaseReason, ReservationStatus};
use domain::order::{self, CancelReason, FailReason};
use domain::queue::{self, CheckoutEnd, CloseReason};
use domain::root::Meta;
use domain::saga::{Action, Effect, Outgoing, on_refusal, react};
use domain::show;
use uuid::Uuid;

use crate::common::{
    FLOOR, ORDER, ORGANIZER, PAYMENT, PRICE, SEED, SHOW, at, checkout, given, line, opening, priced, room, room_terms,
    state, vnd,
};

fn its() -> SessionId {
    queue::session(SHOW, 1)
}

fn reaction(event: impl Into<Event>) -> Vec<Action> {
    let nil = Uuid::nil();
    let (occurred_at, actor) = (at(3), "system".to_owned());
    let meta = Meta { event_id: nil, occurred_at, version: 1, correlation_id: nil, causation_id: nil, actor };
    react(&event.into(), &meta).into_iter().map(|outgoing| outgoing.action).collect()
}

/// What the waiting room is told.
fn told(event: impl Into<Event>) -> Vec<queue::Command> {
    let to_room = |action| match action {
        Action::Command(Command::Queue(SHOW, command)) => Some(command),
        _ => None,
    };
    reaction(event).into_iter().filter_map(to_room).collect()
}

fn published(waiting_room: Option<queue::Terms>) -> show::Event {
    let opening = opening(SHOW);
    let published = show::ShowPublished {
        show: SHOW,
        organizer: opening.organizer,
        currency: opening.currency,
        pay_within_s: opening.pay_within_s,
        classes: opening.classes,
        checkout_url: room(SHOW, room_terms(None)).checkout_url,
        waiting_room,
        draw_hash: waiting_room.and_then(|terms| terms.opens_at).map(|_| SEED.hash()),
    };
    published.into()
}

#[test]
fn publishing_opens_the_room_and_closes_sales_to_those_outside() {
    for terms in [room_terms(None), room_terms(Some(at(100)))] {
        assert_eq!(told(published(Some(terms))), [queue::Command::Open(room(SHOW, terms))]);
    }
    assert_eq!(told(published(None)), []);
    for (terms, waiting_room) in [(None, false), (Some(room_terms(None)), true)] {
        let opening = inventory::SalesOpened { waiting_room, ..opening(SHOW) };
        let open = Action::Command(Command::Inventory(SHOW, inventory::Command::Open(opening)));
        assert_eq!(reaction(published(terms))[0], open);
    }
}

#[test]
fn cancelling_closes_the_room_if_there_is_one() {
    let cancel =
        |published, waiting_room| told(show::Event::from(show::ShowCancelled { show: SHOW, published, waiting_room }));
    let reason = CloseReason::ShowCancelled;
    assert_eq!(cancel(true, true), [queue::Command::Close { show: SHOW, reason }]);
    assert_eq!(cancel(true, false), []);
    assert_eq!(cancel(false, true), [], "it never opened");
}

fn reserved(session: Option<SessionId>, attempt: i32) -> inventory::Event {
    let reserved = inventory::TicketsReserved {
        show: SHOW,
        order: ORDER,
        attempt,
        organizer: ORGANIZER.to_owned(),
        lines: vec![priced(FLOOR, 2, PRICE)],
        currency: vnd(),
        total: 2 * PRICE,
        pay_by: at(900),
        hold_until: at(1200),
        checkout: (attempt == 1).then(|| Checkout { session, ..checkout(Some(PAYMENT)) }),
    };
    reserved.into()
}

#[test]
fn an_order_ties_its_slot_and_knows_its_place() {
    assert_eq!(told(reserved(Some(its()), 1)), [queue::Command::Tie { session: its(), order: ORDER }]);
    assert_eq!(told(reserved(None, 1)), []);
    assert_eq!(told(reserved(None, 2)), []);
    let Action::Command(Command::Order(_, order::Command::Create(created))) = &reaction(reserved(Some(its()), 1))[0]
    else {
        panic!("an order comes of it first")
    };
    assert_eq!(created.session, Some(its()));
}

#[test]
fn every_end_of_an_order_frees_its_slot() {
    let cancelled = |session| {
        let cancelled = order::OrderCancelled {
            order: ORDER,
            show: SHOW,
            reason: CancelReason::Expired,
            open_payments: vec![],
            refund: None,
            refund_why: None,
            issued: false,
            session,
        };
        told(order::Event::from(cancelled))
    };
    let failed = |session| {
        let (order, show, reason, open_payments) = (ORDER, SHOW, FailReason::PaymentFailed, vec![PAYMENT]);
        told(order::Event::from(order::OrderFailed { order, show, reason, open_payments, session }))
    };
    let completed = |session| {
        let (order, show, ticket_count) = (ORDER, SHOW, 2);
        told(order::Event::from(order::OrderCompleted { order, show, ticket_count, session }))
    };
    let freed = |end| [queue::Command::EndCheckout { session: its(), order: ORDER, end }];
    assert_eq!(cancelled(Some(its())), freed(CheckoutEnd::Failed));
    assert_eq!(failed(Some(its())), freed(CheckoutEnd::Failed));
    assert_eq!(completed(Some(its())), freed(CheckoutEnd::Completed));
    assert_eq!((cancelled(None), failed(None), completed(None)), (vec![], vec![], vec![]));
}

/// An order whose id another show has never comes to be, so that no end of it frees the slot.
#[test]
fn an_order_that_never_was_frees_its_slot_too() {
    let released = |reason, session| {
        let (show, order, attempt, lines, confirmed) = (SHOW, ORDER, 1, vec![line(FLOOR, 2)], false);
        let event = inventory::ReservationReleased { show, order, attempt, lines, confirmed, reason, session };
        told(inventory::Event::from(event))
    };
    let end = CheckoutEnd::Failed;
    let freed = [queue::Command::EndCheckout { session: its(), order: ORDER, end }];
    assert_eq!(released(ReleaseReason::OrderIdTaken, Some(its())), freed);
    assert_eq!(released(ReleaseReason::OrderIdTaken, None), []);
    assert_eq!(released(ReleaseReason::Expired, Some(its())), [], "its order says so");
}

/// The backstop or the end of the show may end its hold before anybody learns that the order never came to be.
#[test]
fn an_order_that_never_was_frees_its_slot_after_its_stock_came_back_too() {
    let held = |session| reserved(session, 1);
    let (show, order, attempt, lines) = (SHOW, ORDER, 1, vec![line(FLOOR, 2)]);
    let ran_out: inventory::Event = inventory::ReservationExpired { show, order, attempt, lines }.into();
    let Action::Command(Command::Order(_, order::Command::Create(created))) = &reaction(held(Some(its())))[0] else {
        panic!("an order comes of it first")
    };
    let create = Command::Order(ORDER, order::Command::Create(created.clone()));
    let release = refused(create, Refusal::Order(order::Refusal::OrderIdTaken));
    let reason = ReleaseReason::OrderIdTaken;
    let expected = inventory::Command::Release { order: ORDER, reason };
    assert_eq!(release, Some(Command::Inventory(SHOW, expected.clone())));
    let opened = || inventory::Event::from(inventory::SalesOpened { waiting_room: true, ..opening(SHOW) });
    // It brings no stock, which is back, but says why; and that frees the slot, as any release for this reason does.
    let says = |session| -> inventory::Event {
        let (lines, confirmed) = (vec![], false);
        inventory::ReservationReleased { show, order, attempt, lines, confirmed, reason, session }.into()
    };
    let swept = |session| -> inventory::Event {
        let (lines, confirmed, reason) = (vec![line(FLOOR, 2)], false, ReleaseReason::ShowCancelled);
        inventory::ReservationReleased { show, order, attempt, lines, confirmed, reason, session }.into()
    };
    let cases = [Some(its()), None].map(|session| [(session, ran_out.clone()), (session, swept(session))]);
    for (session, back) in cases.into_iter().flatten() {
        let history = vec![opened(), held(session), back];
        given::<Inventory>(history.clone()).when(expected.clone()).then_expect_events(vec![says(session)]);
        let after: Vec<inventory::Event> = history.into_iter().chain([says(session)]).collect();
        let stock = state::<Inventory>(&after);
        assert_eq!(stock.class(FLOOR).unwrap().committed(), 0, "the stock came back once");
        assert_eq!(stock.reservation(ORDER).unwrap().status, ReservationStatus::Released(reason));
        given::<Inventory>(after).when(expected.clone()).then_expect_events(vec![]);
    }
    let freed = queue::Command::EndCheckout { session: its(), order: ORDER, end: CheckoutEnd::Failed };
    assert_eq!((told(says(Some(its()))), told(says(None))), (vec![freed], vec![]));
    // Any other release is one of an order that has an end.
    let other = inventory::Command::Release { order: ORDER, reason: ReleaseReason::Expired };
    given::<Inventory>(vec![opened(), held(Some(its())), ran_out]).when(other).then_expect_events(vec![]);
}

fn refused(command: Command, refusal: Refusal) -> Option<Command> {
    on_refusal(&Outgoing { id: CommandId::default(), action: Action::Command(command) }, &refusal)
}

#[test]
fn the_seed_is_revealed_once_nobody_can_join_the_draw() {
    let over = queue::Event::from(queue::PreQueueClosed { show: SHOW, count: 3 });
    assert_eq!(reaction(over), [Action::Effect(Effect::RevealSeed { show: SHOW })]);
}

#[test]
fn leaving_makes_a_checkout_token_worthless() {
    let left =
        |entered| reaction(queue::Event::from(queue::QueueLeft { show: SHOW, session: its(), number: 1, entered }));
    let bar = inventory::Command::Bar { show: SHOW, session: its() };
    assert_eq!(left(true), [Action::Command(Command::Inventory(SHOW, bar))]);
    assert_eq!(left(false), []);
    assert_eq!(reaction(queue::Event::from(room(SHOW, room_terms(None)))), []);
    let barred = inventory::SessionBarred { show: SHOW, session: its() };
    assert_eq!(reaction(inventory::Event::from(barred)), []);
}
