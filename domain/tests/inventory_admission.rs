//! Stock behind a waiting room: only whose turn it is may order, once.

use domain::ids::{OrderId, SessionId};
use domain::inventory::{
    Admission, Checkout, CloseReason, Command, Event, Inventory, Refusal, ReleaseReason, ReservationReleased,
    SalesClosed, SalesOpened, SessionBarred, TicketsReserved,
};
use domain::queue;
use domain::root::Root;
use domain::value::Actor;

use crate::common::{
    BACKSTOP_S, FLOOR, NOWHERE, ORDER, ORGANIZER, OTHER_ORDER, PAY_WITHIN_S, PAYMENT, PRICE, SHOW, admin, at, buyer,
    checkout, fingerprint, given, guest, line, opening, priced, state, vnd,
};

const TOKEN_ENDS: i64 = 60;

fn its(number: u32) -> SessionId {
    queue::session(SHOW, number)
}

fn opened() -> Event {
    SalesOpened { waiting_room: true, ..opening(SHOW) }.into()
}

fn reserve(order: OrderId, admission: Option<Admission>) -> Command {
    let lines = vec![priced(FLOOR, 2, PRICE)];
    let (checkout, accepts) = (checkout(Some(PAYMENT)), vec![vnd()]);
    Command::Reserve { order, lines, checkout, accepts, hold_backstop_s: BACKSTOP_S, admission }
}

fn token(number: u32) -> Option<Admission> {
    Some(Admission { session: its(number), expires_at: at(TOKEN_ENDS) })
}

fn reserved(order: OrderId, session: Option<SessionId>, when: i64) -> Event {
    let reserved = TicketsReserved {
        show: SHOW,
        order,
        attempt: 1,
        organizer: ORGANIZER.to_owned(),
        lines: vec![priced(FLOOR, 2, PRICE)],
        currency: vnd(),
        total: 2 * PRICE,
        pay_by: at(when + PAY_WITHIN_S),
        hold_until: at(when + PAY_WITHIN_S + BACKSTOP_S),
        checkout: Some(Checkout { session, ..checkout(Some(PAYMENT)) }),
    };
    reserved.into()
}

fn barred(number: u32) -> Event {
    SessionBarred { show: SHOW, session: its(number) }.into()
}

fn released(reason: ReleaseReason, session: Option<SessionId>) -> Event {
    let (show, order, attempt, lines, confirmed) = (SHOW, ORDER, 1, vec![line(FLOOR, 2)], false);
    ReservationReleased { show, order, attempt, lines, confirmed, reason, session }.into()
}

fn closed() -> Event {
    SalesClosed { show: SHOW, reason: CloseReason::ShowCancelled }.into()
}

fn leads_to(before: &[Event], when: i64, command: Command, events: Vec<Event>) {
    given::<Inventory>(before.to_vec()).by(buyer()).at(at(when)).when(command).then_expect_events(events);
}

fn refuses(before: &[Event], when: i64, command: Command, refusal: Refusal) {
    given::<Inventory>(before.to_vec()).by(buyer()).at(at(when)).when(command).then_expect_error(refusal);
}

fn bar(number: u32) -> Command {
    Command::Bar { show: SHOW, session: its(number) }
}

fn by_saga(before: &[Event], command: Command, events: Vec<Event>) {
    given::<Inventory>(before.to_vec()).when(command).then_expect_events(events);
}

#[test]
fn a_token_buys_until_it_ends() {
    for when in [0, TOKEN_ENDS] {
        leads_to(&[opened()], when, reserve(ORDER, token(1)), vec![reserved(ORDER, Some(its(1)), when)]);
    }
    let expired = Refusal::CheckoutTokenExpired { expired_at: at(TOKEN_ENDS) };
    refuses(&[opened()], TOKEN_ENDS + 1, reserve(ORDER, token(1)), expired);
    refuses(&[opened()], 0, reserve(ORDER, None), Refusal::CheckoutTokenMissing);
}

#[test]
fn where_nobody_waits_no_token_counts() {
    let open: Event = opening(SHOW).into();
    leads_to(std::slice::from_ref(&open), 0, reserve(ORDER, None), vec![reserved(ORDER, None, 0)]);
    let late = TOKEN_ENDS + 1;
    leads_to(&[open], late, reserve(ORDER, token(1)), vec![reserved(ORDER, None, late)]);
}

#[test]
fn the_token_decides_whose_place_it_is() {
    let Command::Reserve { order, lines, accepts, hold_backstop_s, admission, checkout } = reserve(ORDER, token(1))
    else {
        unreachable!()
    };
    let checkout = Checkout { session: Some(its(2)), ..checkout };
    let claimed = Command::Reserve { order, lines, accepts, hold_backstop_s, admission, checkout };
    leads_to(&[opened()], 0, claimed, vec![reserved(ORDER, Some(its(1)), 0)]);
}

#[test]
pub fn a_token_buys_once_whatever_becomes_of_the_order() {
    let bought = [opened(), reserved(ORDER, Some(its(1)), 0)];
    refuses(&bought, 1, reserve(OTHER_ORDER, token(1)), Refusal::CheckoutTokenUsed);
    leads_to(&bought, 1, reserve(OTHER_ORDER, token(2)), vec![reserved(OTHER_ORDER, Some(its(2)), 1)]);
    let ended = [&bought[..], &[released(ReleaseReason::ByBuyer, Some(its(1)))]].concat();
    refuses(&ended, 1, reserve(OTHER_ORDER, token(1)), Refusal::CheckoutTokenUsed);
    let stock = state::<Inventory>(&ended);
    assert_eq!((stock.order_of(its(1)), stock.order_of(its(2))), (Some(ORDER), None));
    assert!(stock.used(its(1)) && !stock.used(its(2)));
}

#[test]
fn the_same_order_is_recognised_without_its_token() {
    let bought = [opened(), reserved(ORDER, Some(its(1)), 0)];
    for admission in [token(1), token(2), None] {
        leads_to(&bought, TOKEN_ENDS + 1, reserve(ORDER, admission), vec![]);
        leads_to(&[&bought[..], &[closed()]].concat(), 1, reserve(ORDER, admission), vec![]);
    }
    let Command::Reserve { order, lines, checkout, accepts, hold_backstop_s, admission } = reserve(ORDER, None) else {
        unreachable!()
    };
    let checkout = Checkout { fingerprint: fingerprint(8), ..checkout };
    let other = Command::Reserve { order, lines, checkout, accepts, hold_backstop_s, admission };
    refuses(&bought, 1, other, Refusal::AlreadyExists);
}

#[test]
fn a_refused_order_uses_nothing_up() {
    let Command::Reserve { order, checkout, accepts, hold_backstop_s, admission, .. } = reserve(ORDER, token(1)) else {
        unreachable!()
    };
    let lines = vec![priced(NOWHERE, 1, PRICE)];
    let wrong = Command::Reserve { order, lines, checkout, accepts, hold_backstop_s, admission };
    refuses(&[opened()], 0, wrong, Refusal::ClassNotFound { line: Some(0) });
    assert!(!state::<Inventory>(&[opened()]).used(its(1)));
}

/// Which refusal comes first: closed, missing, used, expired; and only then what is wrong with the lines.
#[test]
fn tokens_are_checked_before_lines_and_after_the_end_of_sales() {
    let closed = Refusal::NotOnSale { line: None, opens_at: None };
    refuses(&[opened(), self::closed()], 0, reserve(ORDER, None), closed);
    let late = TOKEN_ENDS + 1;
    refuses(&[opened(), barred(1)], late, reserve(ORDER, token(1)), Refusal::CheckoutTokenUsed);
    let Command::Reserve { order, checkout, accepts, hold_backstop_s, .. } = reserve(ORDER, None) else {
        unreachable!()
    };
    let wrong = Command::Reserve { order, lines: vec![], checkout, accepts, hold_backstop_s, admission: None };
    refuses(&[opened()], 0, wrong, Refusal::CheckoutTokenMissing);
}

#[test]
fn who_left_buys_nothing_with_the_token() {
    by_saga(&[opened()], bar(1), vec![barred(1)]);
    by_saga(&[opened(), barred(1)], bar(1), vec![]);
    by_saga(&[], bar(1), vec![barred(1)]);
    refuses(&[barred(1), opened()], 0, reserve(ORDER, token(1)), Refusal::CheckoutTokenUsed);
    by_saga(&[opened(), reserved(ORDER, Some(its(1)), 0)], bar(1), vec![]);
    by_saga(&[opened(), closed()], bar(1), vec![]);
    for by in [admin(), guest()] {
        given::<Inventory>(vec![opened()]).by(by).when(bar(1)).then_expect_error(Refusal::Forbidden);
    }
}

#[test]
fn stock_that_comes_back_names_the_place_it_was_ordered_from() {
    let bought = [opened(), reserved(ORDER, Some(its(1)), 0)];
    let reason = ReleaseReason::OrderIdTaken;
    by_saga(&bought, Command::Release { order: ORDER, reason }, vec![released(reason, Some(its(1)))]);
}

/// What travels to another instance knows the classes and the one order.
#[test]
fn an_answer_needs_only_the_order_it_is_about() {
    let stock = state::<Inventory>(&[
        opened(),
        reserved(ORDER, Some(its(1)), 0),
        reserved(OTHER_ORDER, Some(its(2)), 0),
        released(ReleaseReason::ByBuyer, Some(its(1))),
    ]);
    for order in [ORDER, OTHER_ORDER] {
        let about = stock.relevant(&Inventory::about(&reserve(order, None), &Actor::System));
        assert_eq!((about.opened(), about.on_sale()), (stock.opened(), true));
        assert!(about.classes().eq(stock.classes()));
        assert_eq!(about.reservation(order), stock.reservation(order));
        assert_eq!(about.reservations().count(), 1);
    }
    let nothing = stock.relevant(&Inventory::about(&Command::Look, &Actor::System));
    assert_eq!((nothing.reservations().count(), nothing.classes().count()), (0, 3));
}
