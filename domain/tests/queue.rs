//! The waiting room: who gets a place, whose turn it is, who keeps a slot.

use domain::queue::{
    CheckoutEnd, CloseReason, Command, Ending, Event, PreQueueClosed, Refusal, Standing, WaitingRoom, WaitingRoomOpened,
};
use domain::root::Root;
use domain::value::{Actor, Timestamp};

use crate::common::{
    AWAY_S, BUYER, ENTER_S, ORDER, OTHER_ORDER, SEED, SHOW, TOKEN_S, admin, at, buyer, given, guest, holder, room,
    room_terms,
};
use crate::queue_story::{
    after, checkout_expired, closed, completed, crowd, drawn, end, enter, expired, failed, joined, joined_again,
    leads_to, left, one_in_checkout, opened, pre_queue, ready, refuses, started, tie, tied,
};

#[test]
fn a_room_opens_once_and_closes_once() {
    let open = || Command::Open(room(SHOW, room_terms(None)));
    let close = || Command::Close { show: SHOW, reason: CloseReason::ShowCancelled };
    leads_to(&[], 0, open(), vec![opened()]);
    leads_to(&[opened()], 0, open(), vec![]);
    leads_to(&[opened()], 0, close(), vec![closed()]);
    leads_to(&[opened(), closed()], 0, close(), vec![]);
    leads_to(&[], 0, close(), vec![closed()]);
    leads_to(&[closed()], 0, open(), vec![]);
}

#[test]
fn a_room_whose_opening_has_passed_is_open_and_draws_nothing() {
    let open = || Command::Open(room(SHOW, room_terms(Some(at(100)))));
    leads_to(&[], 99, open(), vec![pre_queue()]);
    leads_to(&[], 100, open(), vec![WaitingRoomOpened { draw_hash: None, ..room(SHOW, room_terms(None)) }.into()]);
}

#[test]
fn only_boxoffice_itself_runs_a_room() {
    let commands = [
        Command::Open(room(SHOW, room_terms(None))),
        Command::Close { show: SHOW, reason: CloseReason::ShowCancelled },
        Command::Draw { seed: SEED.to_string() },
        Command::Round,
        Command::Tick,
        tie(1, ORDER),
        end(1, ORDER, CheckoutEnd::Completed),
    ];
    for command in commands {
        given::<WaitingRoom>(crowd(1)).by(admin()).when(command).then_expect_error(Refusal::Forbidden);
    }
}

#[test]
pub fn everybody_has_one_place() {
    let join =
        |events: Vec<Event>, by: Actor| given::<WaitingRoom>(events).by(by).when(Command::Join { proof_bits: 0 });
    join(vec![opened()], buyer()).then_expect_events(vec![joined(1)]);
    join(crowd(1), buyer()).then_expect_events(vec![]);
    join(crowd(1), guest()).then_expect_events(vec![joined_again(2, &guest().principal())]);
    join(vec![pre_queue(), joined(1)], buyer()).then_expect_events(vec![]);
    join([crowd(1), vec![ready(1, 1, 0)]].concat(), buyer()).then_expect_events(vec![]);
    join(one_in_checkout(), buyer()).then_expect_events(vec![]);
    join([one_in_checkout(), vec![tied(1, ORDER)]].concat(), buyer()).then_expect_events(vec![]);
}

#[test]
fn whose_place_has_ended_gets_a_new_one_at_the_end() {
    let admitted = [crowd(2), vec![ready(1, 1, 0)]].concat();
    let ends = [
        [crowd(2), vec![left(1, false)]].concat(),
        [admitted, vec![expired(1)]].concat(),
        [one_in_checkout(), vec![checkout_expired(1)]].concat(),
        [one_in_checkout(), vec![completed(1, ORDER)]].concat(),
        [one_in_checkout(), vec![failed(1, ORDER)]].concat(),
    ];
    for events in ends {
        let again = given::<WaitingRoom>(events.clone()).by(buyer()).when(Command::Join { proof_bits: 0 });
        again.then_expect_events(vec![joined_again(3, BUYER)]);
        let room = after(&events, &[joined_again(3, BUYER)]);
        assert_eq!((room.number_of(BUYER), room.number_of("guest:2")), (Some(3), Some(2)));
        assert!(matches!(room.standing(3), Standing::Queued { place: 3, ahead: 1 }));
    }
}

#[test]
fn nobody_joins_a_room_that_is_not_there_or_in_no_name() {
    given::<WaitingRoom>(vec![]).by(buyer()).when(Command::Join { proof_bits: 0 }).then_expect_error(Refusal::NotFound);
    given::<WaitingRoom>(vec![opened(), closed()])
        .by(buyer())
        .when(Command::Join { proof_bits: 0 })
        .then_expect_error(Refusal::Closed);
    for by in [Actor::System, holder(ORDER, SHOW)] {
        given::<WaitingRoom>(vec![opened()])
            .by(by)
            .when(Command::Join { proof_bits: 0 })
            .then_expect_error(Refusal::Forbidden);
    }
}

#[test]
pub fn a_round_admits_a_batch_in_order_while_slots_are_free() {
    let first = vec![ready(1, 1, 5), ready(2, 2, 5)];
    leads_to(&crowd(5), 5, Command::Round, first.clone());
    let then = [crowd(5), first].concat();
    leads_to(&then, 5, Command::Round, vec![]);
    leads_to(&then, 6, Command::Round, vec![ready(3, 3, 6)]);
    let full = [then, vec![ready(3, 3, 6)]].concat();
    leads_to(&full, 9, Command::Round, vec![]);
    leads_to(&[full, vec![left(2, false)]].concat(), 9, Command::Round, vec![ready(4, 4, 9)]);
    leads_to(&[], 9, Command::Round, vec![]);
}

#[test]
pub fn those_who_left_are_passed_over_and_counted_by_nobody() {
    let events = [crowd(5), vec![left(1, false), left(3, false)]].concat();
    let room = after(&events, &[]);
    assert_eq!(room.standing(5), Standing::Queued { place: 5, ahead: 2 });
    assert_eq!(room.places().waiting(), 3);
    leads_to(&events, 5, Command::Round, vec![ready(2, 2, 5), ready(4, 4, 5)]);
    let room = after(&events, &[ready(2, 2, 5), ready(4, 4, 5)]);
    assert_eq!(room.standing(5), Standing::Queued { place: 5, ahead: 0 });
    assert_eq!((room.places().waiting(), room.places().served_up_to()), (1, 4));
}

#[test]
fn a_room_says_when_its_next_round_is() {
    let due = |before: &[Event], more: &[Event]| after(before, more).next_round();
    assert_eq!((due(&[], &[]), WaitingRoom::round()), (None, Command::Round));
    assert_eq!(due(&[pre_queue()], &[]), Some(at(100)));
    assert_eq!(due(&[pre_queue()], &[PreQueueClosed { show: SHOW, count: 0 }.into()]), None);
    assert_eq!(due(&[opened()], &[]), None, "nobody waits");
    assert_eq!(due(&crowd(1), &[]), Some(Timestamp(0)), "at once");
    assert_eq!(due(&crowd(3), &[ready(1, 1, 5)]), Some(at(6)));
    assert_eq!(due(&crowd(4), &[ready(1, 1, 5), ready(2, 2, 5), ready(3, 3, 5)]), None, "no slot is free");
    assert_eq!(due(&crowd(1), &[left(1, false)]), None, "nobody waits any more");
    assert_eq!(due(&crowd(1), &[closed()]), None);
}

#[test]
fn the_admitted_enter_once_and_get_the_same_again() {
    let admitted = [crowd(2), vec![ready(1, 1, 0)]].concat();
    leads_to(&admitted, 2, enter(1, 0), vec![started(1, 2)]);
    leads_to(&one_in_checkout(), 3, enter(1, 0), vec![]);
    leads_to(&one_in_checkout(), 2 + AWAY_S, enter(1, 0), vec![]);
    assert_eq!(after(&one_in_checkout(), &[]).standing(1), Standing::InCheckout { expires_at: at(2 + TOKEN_S) });
    refuses(&admitted, 2, enter(2, 0), Refusal::NotAdmitted);
    refuses(&[pre_queue(), joined(1)], 2, enter(1, 0), Refusal::NotAdmitted);
    refuses(&[admitted, vec![expired(1)]].concat(), 11, enter(1, 0), Refusal::PlaceLost);
    for unknown in [0, 3] {
        refuses(&crowd(2), 2, enter(unknown, 0), Refusal::NotFound);
        refuses(&crowd(2), 2, Command::Leave { number: unknown }, Refusal::NotFound);
    }
    refuses(&[], 2, enter(1, 0), Refusal::NotFound);
    refuses(&[opened(), joined(1), closed()], 2, enter(1, 0), Refusal::Closed);
}

#[test]
fn who_was_away_for_too_long_does_not_enter() {
    let admitted = [crowd(1), vec![ready(1, 1, AWAY_S)]].concat();
    leads_to(&admitted, AWAY_S, enter(1, 0), vec![started(1, AWAY_S)]);
    refuses(&admitted, AWAY_S + 1, enter(1, 0), Refusal::PlaceLost);
    // Before the opening there was nothing to ask for.
    let drawn = [pre_queue(), joined(1), PreQueueClosed { show: SHOW, count: 1 }.into(), drawn(SEED, 1)];
    let admitted = [&drawn[..], &[ready(1, 1, 100 + AWAY_S)]].concat();
    leads_to(&admitted, 100 + AWAY_S, enter(1, 0), vec![started(1, 100 + AWAY_S)]);
    refuses(&admitted, 101 + AWAY_S, enter(1, 0), Refusal::PlaceLost);
}

#[test]
pub fn who_does_not_enter_or_order_in_time_loses_the_slot() {
    let admitted = [crowd(3), vec![ready(1, 1, 0), ready(2, 2, 0)]].concat();
    assert_eq!((after(&admitted, &[]).next_due(), WaitingRoom::due()), (Some(at(ENTER_S)), Command::Tick));
    leads_to(&admitted, ENTER_S - 1, Command::Tick, vec![]);
    leads_to(&admitted, ENTER_S, Command::Tick, vec![expired(1), expired(2)]);
    let entered = [admitted, vec![started(1, 2), expired(2)]].concat();
    assert_eq!(after(&entered, &[]).next_due(), Some(at(2 + TOKEN_S + 30)));
    leads_to(&entered, 2 + TOKEN_S + 29, Command::Tick, vec![]);
    leads_to(&entered, 2 + TOKEN_S + 30, Command::Tick, vec![checkout_expired(1)]);
    assert_eq!(after(&entered, &[checkout_expired(1)]).standing(1), Standing::Ended(Ending::Expired));
    assert_eq!(after(&entered, &[checkout_expired(1)]).next_due(), None);
}

#[test]
pub fn an_order_ties_the_slot_and_only_its_end_frees_it() {
    let entered = one_in_checkout();
    leads_to(&entered, 3, tie(1, ORDER), vec![tied(1, ORDER)]);
    let with_order = [entered, vec![tied(1, ORDER)]].concat();
    assert_eq!(after(&with_order, &[]).next_due(), None, "a tied slot ends with its order");
    leads_to(&with_order, 99_999, Command::Tick, vec![]);
    leads_to(&with_order, 3, tie(1, ORDER), vec![]);
    leads_to(&with_order, 3, tie(1, OTHER_ORDER), vec![]);
    leads_to(&with_order, 3, end(1, OTHER_ORDER, CheckoutEnd::Failed), vec![]);
    refuses(&with_order, 3, Command::Leave { number: 1 }, Refusal::InOrder);
    leads_to(&with_order, 3, end(1, ORDER, CheckoutEnd::Completed), vec![completed(1, ORDER)]);
    leads_to(&with_order, 3, end(1, ORDER, CheckoutEnd::Failed), vec![failed(1, ORDER)]);
    let over = after(&with_order, &[completed(1, ORDER)]);
    assert_eq!((over.standing(1), over.places().slots().len()), (Standing::Ended(Ending::Completed), 0));
    assert_eq!(after(&with_order, &[failed(1, ORDER)]).standing(1), Standing::Ended(Ending::Expired));
    for again in [tie(1, ORDER), end(1, ORDER, CheckoutEnd::Completed), end(1, ORDER, CheckoutEnd::Failed)] {
        leads_to(&[&with_order[..], &[failed(1, ORDER)]].concat(), 4, again, vec![]);
    }
}
