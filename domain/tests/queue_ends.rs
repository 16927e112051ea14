//! The waiting room: who leaves it, what is drawn, how it ends, and what an answer about one place needs.

use domain::queue::{
    CheckoutEnd, Command, Ending, Event, PreQueueClosed, Refusal, Seed, Standing, WaitingRoom, session,
};
use domain::root::Root;

use crate::common::{BUYER, ORDER, OTHER_ORDER, SEED, SHOW, at, buyer, guest, state};
use crate::queue_story::{
    after, checkout_expired, closed, completed, crowd, drawn, end, enter, expired, failed, joined, leads_to, left,
    one_in_checkout, opened, pre_queue, ready, refuses, started, tie, tied,
};

const LEAVE: Command = Command::Leave { number: 1 };

/// Three who came before the opening, which is over.
fn awaiting_the_draw() -> Vec<Event> {
    let count = PreQueueClosed { show: SHOW, count: 3 };
    vec![pre_queue(), joined(1), joined(2), joined(3), count.into()]
}

fn draw(seed: &str) -> Command {
    Command::Draw { seed: seed.to_owned() }
}

#[test]
fn an_end_that_comes_before_its_tie_frees_the_slot() {
    let entered = one_in_checkout();
    leads_to(&entered, 3, end(1, ORDER, CheckoutEnd::Completed), vec![completed(1, ORDER)]);
    leads_to(&entered, 3, end(1, ORDER, CheckoutEnd::Failed), vec![failed(1, ORDER)]);
    leads_to(&[&entered[..], &[completed(1, ORDER)]].concat(), 3, tie(1, ORDER), vec![]);
}

#[test]
fn a_token_that_outlived_its_slot_is_not_punished() {
    let over = [one_in_checkout(), vec![checkout_expired(1)]].concat();
    leads_to(&over, 3, tie(1, ORDER), vec![]);
    leads_to(&over, 3, end(1, ORDER, CheckoutEnd::Completed), vec![]);
    let admitted = [crowd(2), vec![ready(1, 1, 0)]].concat();
    leads_to(&admitted, 3, tie(1, ORDER), vec![]);
    leads_to(&admitted, 3, end(1, ORDER, CheckoutEnd::Failed), vec![]);
    leads_to(&[], 3, tie(1, ORDER), vec![]);
}

#[test]
fn leaving_ends_a_place_once_and_frees_its_slot() {
    leads_to(&crowd(2), 3, LEAVE, vec![left(1, false)]);
    leads_to(&[pre_queue(), joined(1)], 3, LEAVE, vec![left(1, false)]);
    let admitted = [crowd(2), vec![ready(1, 1, 0)]].concat();
    leads_to(&admitted, 3, LEAVE, vec![left(1, false)]);
    leads_to(&one_in_checkout(), 3, LEAVE, vec![left(1, true)]);
    let ends = [left(1, false), expired(1)];
    for ended in ends {
        let events = [&admitted[..], &[ended]].concat();
        leads_to(&events, 3, LEAVE, vec![]);
        assert_eq!((after(&events, &[]).places().slots().len(), after(&events, &[]).next_due()), (0, None));
    }
    assert_eq!(after(&crowd(2), &[left(1, false)]).standing(1), Standing::Ended(Ending::Left));
    refuses(&[], 3, LEAVE, Refusal::NotFound);
}

#[test]
fn the_opening_closes_the_pre_queue() {
    let early = vec![pre_queue(), joined(1), joined(2)];
    leads_to(&early, 99, Command::Round, vec![]);
    leads_to(&early, 100, Command::Round, vec![PreQueueClosed { show: SHOW, count: 2 }.into()]);
    leads_to(&awaiting_the_draw(), 200, Command::Round, vec![]);
    let room = after(&early, &[]);
    assert_eq!((room.standing(1), room.place(1)), (Standing::WaitingToOpen, None));
    assert_eq!((room.opens_at(), room.draw_hash()), (Some(at(100)), Some(&*SEED.hash())));
    assert_eq!(after(&awaiting_the_draw(), &[]).standing(1), Standing::WaitingToOpen);
}

#[test]
pub fn only_the_promised_seed_draws_and_only_once() {
    let seed = SEED.to_string();
    leads_to(&awaiting_the_draw(), 101, draw(&seed), vec![drawn(SEED, 3)]);
    leads_to(&[awaiting_the_draw(), vec![drawn(SEED, 3)]].concat(), 101, draw(&seed), vec![]);
    for bad in [&Seed([8; 32]).to_string(), &seed.to_uppercase().replace('0', "A"), &seed[1..], "", "seed"] {
        refuses(&awaiting_the_draw(), 101, draw(bad), Refusal::BadSeed);
        refuses(&[awaiting_the_draw(), vec![drawn(SEED, 3)]].concat(), 101, draw(bad), Refusal::BadSeed);
    }
    refuses(&[pre_queue(), joined(1)], 50, draw(&seed), Refusal::BadSeed);
    refuses(&[opened()], 50, draw(&seed), Refusal::BadSeed);
    refuses(&[], 50, draw(&seed), Refusal::NotFound);
    refuses(&[pre_queue(), closed()], 50, draw(&seed), Refusal::Closed);
}

/// Who joins between the opening and the draw comes after all those who are drawn.
#[test]
fn the_drawn_are_served_in_their_order_and_later_ones_as_they_come() {
    let events = [awaiting_the_draw(), vec![joined(4), drawn(SEED, 3), joined(5)]].concat();
    let room = after(&events, &[]);
    let mut places: Vec<u32> = (1..=5).map(|number| room.place(number).unwrap()).collect();
    assert_eq!(places[3..], [4, 5]);
    assert_ne!(places[..3], [1, 2, 3], "this seed changes the order");
    let first = places.iter().position(|place| *place == 1).unwrap() as u32 + 1;
    let second = places.iter().position(|place| *place == 2).unwrap() as u32 + 1;
    leads_to(&events, 101, Command::Round, vec![ready(first, 1, 101), ready(second, 2, 101)]);
    assert_eq!(room.standing(second), Standing::Queued { place: 2, ahead: 1 });
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3, 4, 5]);
}

#[test]
fn who_left_before_the_draw_is_drawn_too_and_passed_over() {
    let plain = after(&[awaiting_the_draw(), vec![drawn(SEED, 3)]].concat(), &[]);
    let number_at = |place| (1..=3).find(|number| plain.place(*number) == Some(place)).unwrap();
    let (first, second, third) = (number_at(1), number_at(2), number_at(3));
    let before = [&awaiting_the_draw()[..4], &[left(first, false)], &awaiting_the_draw()[4..]].concat();
    let between = [awaiting_the_draw(), vec![left(first, false)]].concat();
    for events in [before, between] {
        let events = [events, vec![drawn(SEED, 3)]].concat();
        let room = after(&events, &[]);
        assert_eq!(room.standing(first), Standing::Ended(Ending::Left));
        assert_eq!(room.standing(third), Standing::Queued { place: 3, ahead: 1 });
        assert_eq!(room.places().waiting(), 2);
        leads_to(&events, 101, Command::Round, vec![ready(second, 2, 101), ready(third, 3, 101)]);
    }
}

#[test]
fn a_closed_room_has_nobody_in_it() {
    let events = [one_in_checkout(), vec![ready(2, 2, 1), joined(3), left(3, false), closed()]].concat();
    let room = after(&events, &[]);
    assert_eq!([1, 2].map(|number| room.standing(number)), [Standing::Ended(Ending::Expired); 2]);
    assert_eq!(room.standing(3), Standing::Ended(Ending::Left));
    assert_eq!((room.next_due(), room.next_round(), room.places().waiting()), (None, None, 0));
    assert!(room.closed() && room.number_of(BUYER).is_none());
    let nothing = [Command::Round, Command::Tick, LEAVE, tie(1, ORDER), end(1, ORDER, CheckoutEnd::Failed)];
    for command in nothing {
        leads_to(&events, 9_999, command, vec![]);
    }
    leads_to(&events, 3, Command::Look, vec![]);
}

/// What travels to another instance answers about the one place as the whole room does.
#[test]
fn an_answer_needs_only_the_place_it_is_about() {
    let mut events = [crowd(6), vec![ready(1, 1, 0), started(1, 2), left(3, false), left(4, false)]].concat();
    let check = |events: &[Event]| {
        let room = state::<WaitingRoom>(events);
        for number in 1..=6 {
            let about = room.relevant(&WaitingRoom::about(&enter(number, 0), &guest()));
            assert_eq!(about.standing(number), room.standing(number));
            assert_eq!((about.known(), about.place(number)), (room.known(), room.place(number)));
            assert!(postcard::to_stdvec(&about).unwrap().len() < 400, "however many wait");
        }
        let joined = room.relevant(&WaitingRoom::about(&Command::Join { proof_bits: 0 }, &buyer()));
        assert_eq!((joined.number_of(BUYER), joined.number_of("guest:2")), (room.number_of(BUYER), None));
        assert!(room.closed() || joined.standing(1) == room.standing(1));
    };
    check(&events);
    events.extend([tied(1, OTHER_ORDER), completed(1, OTHER_ORDER)]);
    check(&events);
    events.push(closed());
    check(&events);
    check(&[pre_queue(), joined(1), left(1, false)]);
}

#[test]
fn sessions_follow_from_show_and_number() {
    let text = |number| session(SHOW, number).to_string();
    assert_eq!(text(1), "c1296602-4b79-5b7e-a1f7-0a104565e4de");
    assert_ne!(text(1), text(2));
}
