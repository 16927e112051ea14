//! Every way in which a waiting room could break its word breaks the law that is meant to see it.

use domain::event::Event as Any;
use domain::ids::SessionId;
use domain::inventory::{self, SalesOpened, SessionBarred};
use domain::queue::{Event, Mode, Seed, session};
use domain::value::Timestamp;
use uuid::Uuid;

use crate::rooms::{self, EARLY, SHOW, TTL_S, at, good, number};
use crate::tests::{cancelled_order, completed_order, created_order, reserved_by};
use crate::{Facts, Law, from_facts};

const DRAW: &str = "the draw is the one that was promised";
const SERVICE: &str = "nobody is admitted before who waits in front";
const SLOTS: &str = "never more slots than the setting";
const FLOW: &str = "people are let through as the organizer set it";
const PLACES: &str = "one live place for each visitor";
const WAYS: &str = "a slot is freed once, and not before its time";
const ORDERS: &str = "orders come from admitted visitors, one each";
const TIES: &str = "a slot ends with its order";

/// The sale of the show, with the orders of the first and the second.
fn sale(waiting_room: bool) -> Vec<(Any, Timestamp)> {
    let opened = SalesOpened {
        show: SHOW,
        organizer: "account:o".to_owned(),
        currency: "VND".parse().unwrap(),
        pay_within_s: 20,
        classes: vec![],
        waiting_room,
    };
    let [first, second] = [1, 2].map(|place| (rooms::order(place), session(SHOW, number(place))));
    let mut events = vec![(inventory::Event::from(opened).into(), at(0))];
    for ((order, session), seconds) in [(first, 13), (second, 15)] {
        events.push((reserved_by(order, SHOW, Some(session)), at(seconds)));
        events.push((created_order(order, SHOW), at(seconds)));
    }
    events.push((completed_order(first.0, SHOW), at(16)));
    events.push((cancelled_order(second.0, SHOW), at(40)));
    events
}

fn barred(place: u32) -> Any {
    inventory::Event::from(SessionBarred { show: SHOW, session: session(SHOW, number(place)) }).into()
}

fn facts(room: Vec<(Event, Timestamp)>, others: Vec<(Any, Timestamp)>) -> Facts {
    let mut facts = Facts::default();
    room.into_iter().for_each(|(event, at)| facts.fold(&event.into(), at));
    others.iter().for_each(|(event, at)| facts.fold(event, *at));
    facts
}

fn laws(facts: &Facts) -> Vec<Law> {
    [super::always(facts), super::at_rest(facts)].concat()
}

/// Which of the laws of waiting rooms do not hold.
fn broken_of(facts: &Facts) -> Vec<&'static str> {
    laws(facts).iter().filter(|law| !law.holds()).map(|law| law.name).collect()
}

fn broken(room: Vec<(Event, Timestamp)>) -> Vec<&'static str> {
    broken_of(&facts(room, sale(true)))
}

fn broken_sale(sale: Vec<(Any, Timestamp)>) -> Vec<&'static str> {
    broken_of(&facts(good(), sale))
}

/// Without the first event of which this is true.
fn without(mut events: Vec<(Event, Timestamp)>, which: impl Fn(&Event) -> bool) -> Vec<(Event, Timestamp)> {
    let at = events.iter().position(|(event, _)| which(event)).unwrap();
    events.remove(at);
    events
}

fn before(name: &str, event: Event, at: Timestamp) -> Vec<(Event, Timestamp)> {
    let mut events = good();
    let position = events.iter().position(|(event, _)| event.name() == name).unwrap();
    events.insert(position, (event, at));
    events
}

fn and(more: Event, seconds: i64) -> Vec<(Event, Timestamp)> {
    [good(), vec![(more, at(seconds))]].concat()
}

#[test]
fn a_room_that_kept_its_word_holds_every_law() {
    let facts = facts(good(), sale(true));
    assert_eq!(broken_of(&facts), [""; 0], "{}", from_facts(&facts).text());
    let room = &facts.queues.rooms[&SHOW];
    assert_eq!((room.visitors.len(), room.admissions.len(), room.peak, room.inversions), (7, 6, 3, 0));
    assert_eq!((room.entered, room.left), (4, (2, 1)));
    let places: Vec<u32> = (1..=EARLY).map(number).collect();
    assert_ne!(places, (1..=EARLY).collect::<Vec<_>>(), "the draw changes something");
    assert!(laws(&Facts::default()).is_empty(), "without a room there is nothing to say");
}

#[test]
fn who_is_passed_over_is_seen() {
    let skipped: Vec<_> = without(good(), |event| *event == rooms::ready(3, 12));
    assert!(broken(skipped).contains(&SERVICE), "place 5 came while 3 waited");
    // The same two in another order: everybody had a turn, and one had it too early.
    let mut swapped = good();
    let [one, two] = [rooms::ready(1, 11), rooms::ready(2, 11)]
        .map(|wanted| swapped.iter().position(|(event, _)| *event == wanted).unwrap());
    swapped.swap(one, two);
    assert_eq!(broken(swapped.clone()), [SERVICE]);
    let facts = facts(swapped, sale(true));
    assert_eq!(facts.queues.rooms[&SHOW].inversions, 1);
    // Who has left is nobody who waits.
    assert_eq!(broken(good()), [""; 0]);
    let stayed = without(good(), |event| *event == rooms::left(4, false));
    assert_eq!(broken(stayed), [SERVICE]);
}

#[test]
fn a_place_that_is_not_the_drawn_one_is_seen() {
    let forged = good().into_iter().map(|(event, at)| match event {
        Event::QueueReady(mut it) if it.place == 1 => {
            it.place = 9;
            (it.into(), at)
        }
        other => (other, at),
    });
    assert!(broken(forged.collect()).contains(&SERVICE));
}

#[test]
fn a_draw_that_was_not_promised_is_seen() {
    let other_seed = good().into_iter().map(|(event, at)| match event {
        Event::QueueDrawn(mut it) => {
            it.seed = Seed([8; 32]).to_string();
            (it.into(), at)
        }
        other => (other, at),
    });
    assert!(broken(other_seed.collect()).contains(&DRAW));
    let no_promise = good().into_iter().map(|(event, at)| match event {
        Event::WaitingRoomOpened(mut it) => {
            it.draw_hash = None;
            (it.into(), at)
        }
        other => (other, at),
    });
    assert!(broken(no_promise.collect()).contains(&DRAW));
    assert!(broken(without(good(), |event| event.name() == "QueueDrawn")).contains(&DRAW), "admitted before the draw");
    assert!(broken(without(good(), |event| event.name() == "PreQueueClosed")).contains(&DRAW));
    let mut late_promise = good();
    late_promise.swap(0, 1);
    assert!(broken(late_promise).contains(&DRAW), "the hash came after the first join");
    assert!(broken(and(rooms::drawn()[1].clone(), 80)).contains(&DRAW), "drawn twice");
    let late = without(good(), |event| *event == rooms::joined(5, "guest:5"));
    assert!(broken(late).contains(&DRAW), "another count than came");
}

#[test]
fn one_slot_too_many_for_a_moment_is_seen() {
    let early = before("CheckoutCompleted", rooms::ready(5, 15), at(15));
    let early = early.into_iter().filter(|(event, _)| *event != rooms::ready(5, 16)).collect();
    assert_eq!(broken(early), [SLOTS]);
}

#[test]
fn a_round_larger_than_its_batch_is_seen() {
    let mut events = good();
    for (event, moment) in &mut events {
        if *event == rooms::ready(3, 12) {
            (*event, *moment) = (rooms::ready(3, 11), at(11));
        }
    }
    let position = events.iter().position(|(event, _)| *event == rooms::ready(3, 11)).unwrap();
    let third = events.remove(position);
    let second = events.iter().position(|(event, _)| *event == rooms::ready(2, 11)).unwrap();
    events.insert(second + 1, third);
    assert_eq!(broken(events), [SLOTS]);
}

#[test]
fn a_second_place_of_one_visitor_is_seen() {
    assert_eq!(broken(and(rooms::joined(8, "guest:7"), 71)), [PLACES]);
    assert_eq!(broken(and(rooms::joined(8, "guest:3"), 71)), [""; 0], "the first one was lost");
    assert_eq!(broken(and(rooms::joined(9, "guest:9"), 71)), [PLACES], "a number was left out");
    let strange = good().into_iter().map(|(event, at)| match event {
        Event::QueueJoined(mut it) if it.number == 7 => {
            it.session = SessionId(Uuid::from_u128(1));
            (it.into(), at)
        }
        other => (other, at),
    });
    assert!(broken(strange.collect()).contains(&PLACES));
}

#[test]
fn a_slot_that_is_freed_twice_is_seen() {
    for again in [
        rooms::order_ended(1, true),
        rooms::order_ended(2, false),
        rooms::lapsed(3),
        rooms::left(4, false),
        rooms::left(5, true),
        rooms::expired(6),
    ] {
        assert!(broken(and(again.clone(), 200)).contains(&WAYS), "{again:?}");
    }
    assert!(broken(and(rooms::entered(3, 90), 90)).contains(&WAYS), "who lapsed cannot enter");
    assert!(broken(and(rooms::tied(7), 90)).contains(&WAYS), "who did not enter cannot order");
    assert!(broken(before("QueueReady", rooms::entered(1, 11), at(11))).contains(&WAYS), "entered before the turn");
}

#[test]
fn a_slot_that_is_taken_too_early_is_seen() {
    let sooner = |of: Event, seconds| {
        good()
            .into_iter()
            .map(|(event, moment)| if event == of { (event, at(seconds)) } else { (event, moment) })
            .collect()
    };
    assert_eq!(broken(sooner(rooms::lapsed(3), 16)), [WAYS]);
    assert_eq!(broken(sooner(rooms::expired(6), 19 + TTL_S + 29)), [WAYS]);
    let order_of_another = good().into_iter().map(|(event, moment)| match event {
        Event::CheckoutFailed(mut it) => {
            it.order = rooms::order(1);
            (it.into(), moment)
        }
        other => (other, moment),
    });
    assert!(broken(order_of_another.collect()).contains(&WAYS));
    let forgotten = good().into_iter().map(|(event, moment)| match event {
        Event::QueueLeft(mut it) if it.entered => {
            it.entered = false;
            (it.into(), moment)
        }
        other => (other, moment),
    });
    assert_eq!(broken(forgotten.collect()), [WAYS], "its token would stay good");
}

#[test]
fn who_is_let_through_against_the_organizers_word_is_seen() {
    // The first two are admitted at second 11, the third at 12.
    let set = |mode, inflow| before("QueueReady", rooms::flow(mode, inflow), at(11));
    assert_eq!(broken(set(Mode::Queue, None)), [""; 0]);
    assert_eq!(broken(set(Mode::Pause, None)), [FLOW]);
    assert_eq!(broken(set(Mode::Queue, Some(1))), [FLOW]);
    assert_eq!(broken(set(Mode::Queue, Some(600))), [""; 0]);
    assert_eq!(broken(set(Mode::PassThrough, Some(1))), [""; 0]);
    assert_eq!(broken(before("QueueJoined", rooms::flow(Mode::Reject, None), at(0))), [FLOW]);
    // More than a batch in one round, and more than there are slots, are let through only in passing.
    let crowd = |mode| {
        let mut events = before("QueueReady", rooms::flow(mode, None), at(11));
        let last = events.iter().position(|(event, _)| *event == rooms::ready(2, 11)).unwrap();
        events.retain(|(event, _)| *event != rooms::ready(3, 12));
        events.insert(last + 1, (rooms::ready(3, 11), at(11)));
        events
    };
    assert_eq!(broken(crowd(Mode::Queue)), [SLOTS]);
    assert_eq!(broken(crowd(Mode::PassThrough)), [""; 0]);
}

#[test]
fn an_order_past_the_room_is_seen() {
    let order = rooms::order(50);
    let more = |session, seconds| [sale(true), vec![(reserved_by(order, SHOW, session), at(seconds))]].concat();
    let of = |place| Some(session(SHOW, number(place)));
    assert_eq!(broken_sale(more(None, 20)), [ORDERS]);
    assert_eq!(broken_sale(more(of(3), 20)), [ORDERS], "who never entered");
    assert_eq!(broken_sale(more(Some(SessionId(Uuid::from_u128(1))), 20)), [ORDERS], "a stranger");
    assert_eq!(broken_sale(more(of(6), 19 + TTL_S)), [""; 0], "in the last moment");
    assert_eq!(broken_sale(more(of(6), 19 + TTL_S + 1)), [ORDERS], "too late");
    assert_eq!(broken_sale(more(of(1), 20)), [ORDERS], "a second one");
    let mut after_leaving = sale(true);
    after_leaving.extend([(barred(5), at(19)), (reserved_by(order, SHOW, of(5)), at(20))]);
    assert_eq!(broken_sale(after_leaving), [ORDERS]);
    assert_eq!(broken_sale(sale(false)), [ORDERS], "sessions, and no waiting room");
}

#[test]
fn a_slot_that_outlives_its_order_is_seen() {
    assert_eq!(broken(without(good(), |event| *event == rooms::order_ended(2, false))), [TIES]);
    let open: Vec<_> = sale(true).into_iter().filter(|(event, _)| event.name() != "OrderCompleted").collect();
    assert_eq!(broken_sale(open), [TIES]);
    let unknown: Vec<_> = sale(true).into_iter().filter(|(event, _)| event.name() != "TicketsReserved").collect();
    assert_eq!(broken_sale(unknown), [TIES]);
}
