//! What happens in a waiting room, in a few words each.

use domain::ids::{OrderId, SessionId};
use domain::queue::{
    CheckoutCompleted, CheckoutEnd, CheckoutExpired, CheckoutFailed, CheckoutStarted, CheckoutTied, CloseReason,
    Command, Event, QueueDrawn, QueueExpired, QueueJoined, QueueLeft, QueueReady, Refusal, Seed, WaitingRoom,
    WaitingRoomClosed, session,
};

use crate::common::{BUYER, ENTER_S, SHOW, TOKEN_S, at, given, room, room_terms, state};

pub fn opened() -> Event {
    room(SHOW, room_terms(None)).into()
}

/// A room that opens a hundred seconds after the beginning of time.
pub fn pre_queue() -> Event {
    room(SHOW, room_terms(Some(at(100)))).into()
}

pub fn closed() -> Event {
    WaitingRoomClosed { show: SHOW, reason: CloseReason::ShowCancelled }.into()
}

pub fn its(number: u32) -> SessionId {
    session(SHOW, number)
}

pub fn visitor(number: u32) -> String {
    if number == 1 { BUYER.to_owned() } else { format!("guest:{number}") }
}

pub fn joined(number: u32) -> Event {
    joined_again(number, &visitor(number))
}

pub fn joined_again(number: u32, principal: &str) -> Event {
    let (session, principal) = (its(number), principal.to_owned());
    QueueJoined { show: SHOW, session, number: number.into(), principal }.into()
}

pub fn ready(number: u32, place: u32, when: i64) -> Event {
    let (session, enter_by) = (its(number), at(when + ENTER_S));
    QueueReady { show: SHOW, session, number: number.into(), place: place.into(), enter_by }.into()
}

pub fn started(number: u32, when: i64) -> Event {
    let (session, expires_at) = (its(number), at(when + TOKEN_S));
    CheckoutStarted { show: SHOW, session, number: number.into(), expires_at }.into()
}

pub fn tied(number: u32, order: OrderId) -> Event {
    CheckoutTied { show: SHOW, session: its(number), number: number.into(), order }.into()
}

pub fn left(number: u32, entered: bool) -> Event {
    QueueLeft { show: SHOW, session: its(number), number: number.into(), entered }.into()
}

pub fn expired(number: u32) -> Event {
    QueueExpired { show: SHOW, session: its(number), number: number.into() }.into()
}

pub fn checkout_expired(number: u32) -> Event {
    CheckoutExpired { show: SHOW, session: its(number), number: number.into() }.into()
}

pub fn completed(number: u32, order: OrderId) -> Event {
    CheckoutCompleted { show: SHOW, session: its(number), number: number.into(), order }.into()
}

pub fn failed(number: u32, order: OrderId) -> Event {
    CheckoutFailed { show: SHOW, session: its(number), number: number.into(), order }.into()
}

pub fn drawn(seed: Seed, count: i64) -> Event {
    QueueDrawn { show: SHOW, seed: seed.to_string(), count }.into()
}

pub fn tie(number: u32, order: OrderId) -> Command {
    Command::Tie { session: its(number), order }
}

pub fn end(number: u32, order: OrderId, end: CheckoutEnd) -> Command {
    Command::EndCheckout { session: its(number), order, end }
}

pub fn enter(number: u32, seen: i64) -> Command {
    Command::Enter { number, seen: at(seen) }
}

/// An open room in which so many have joined.
pub fn crowd(count: u32) -> Vec<Event> {
    [opened()].into_iter().chain((1..=count).map(joined)).collect()
}

/// The crowd with the first in checkout, entered at second 2.
pub fn one_in_checkout() -> Vec<Event> {
    [crowd(2), vec![ready(1, 1, 0), started(1, 2)]].concat()
}

pub fn leads_to(before: &[Event], when: i64, command: Command, events: Vec<Event>) {
    given::<WaitingRoom>(before.to_vec()).at(at(when)).when(command).then_expect_events(events);
}

pub fn refuses(before: &[Event], when: i64, command: Command, refusal: Refusal) {
    given::<WaitingRoom>(before.to_vec()).at(at(when)).when(command).then_expect_error(refusal);
}

pub fn after(before: &[Event], more: &[Event]) -> WaitingRoom {
    state(&[before, more].concat())
}
