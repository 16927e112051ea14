//! What a board says about time, and what it forgets.

use domain::queue::{Board, Ending, Event, QueueDrawn, Standing, Terms, WaitingRoom};

use crate::common::{SEED, SHOW, at, room, room_terms, state};
use crate::queue_story::{closed, completed, crowd, expired, joined, left, opened, ready, started};

fn board(events: &[Event]) -> Board {
    let mut board = Board::default();
    events.iter().for_each(|event| board.apply(event, at(0)));
    board
}

#[test]
fn a_board_tells_what_was_settled() {
    let nothing = Board::default();
    assert_eq!((nothing.opened(), nothing.terms(), nothing.poll_after_ms(5)), (None, None, 1_000));
    let settled = room(SHOW, room_terms(Some(at(100))));
    let mut board = board(&[settled.clone().into()]);
    assert_eq!((board.opened(), board.opens_at()), (Some(&settled), Some(at(100))));
    assert_eq!((board.checkout_url(), board.draw_hash()), (settled.checkout_url.as_deref(), Some(&*SEED.hash())));
    assert_eq!(board.draw(), None);
    board.apply(&QueueDrawn { show: SHOW, seed: SEED.to_string(), count: 7 }.into(), at(100));
    let draw = board.draw().unwrap();
    assert_eq!((draw.seed(), draw.count()), (SEED, 7));
}

#[test]
fn the_outflow_is_that_of_the_last_minute() {
    let mut board = board(&[opened()]);
    assert_eq!((board.outflow_per_min(at(0)), board.estimated_wait_s(0, at(0))), (0, None));
    // Two a second for two minutes.
    for second in 0..120_u32 {
        for number in [2 * second + 1, 2 * second + 2] {
            board.apply(&joined(number), at(second.into()));
            board.apply(&ready(number, number, second.into()), at(second.into()));
        }
    }
    assert_eq!(board.outflow_per_min(at(119)), 120);
    assert_eq!(board.estimated_wait_s(0, at(119)), Some(1));
    assert_eq!(board.estimated_wait_s(119, at(119)), Some(60));
    assert_eq!(board.outflow_per_min(at(149)), 60, "half a minute without anybody");
    assert_eq!((board.outflow_per_min(at(180)), board.estimated_wait_s(5, at(180))), (0, None));
    board.apply(&closed(), at(119));
    assert_eq!(board.estimated_wait_s(0, at(119)), None);
}

#[test]
fn a_young_queue_is_measured_over_its_own_time() {
    let mut board = board(&crowd(8));
    (1..=2).for_each(|number| board.apply(&ready(number, number, 0), at(0)));
    assert_eq!(board.outflow_per_min(at(0)), 120, "at least a second");
    (3..=4).for_each(|number| board.apply(&ready(number, number, 10), at(10)));
    assert_eq!(board.outflow_per_min(at(10)), 24);
    assert_eq!(board.estimated_wait_s(3, at(10)), Some(10));
}

#[test]
fn people_far_behind_ask_less_often() {
    let terms = Terms { admission_batch: 10, tick_ms: 1_000, ..room_terms(None) };
    let asked: Vec<i64> = [0, 10, 100, 109, 1_000, 1_500, 1_000_000].map(|ahead| terms.poll_after_ms(ahead)).into();
    assert_eq!(asked, [1_000, 1_000, 1_000, 1_000, 10_000, 15_000, 15_000]);
    let terms = Terms { opens_at: Some(at(100)), ..terms };
    let before: Vec<i64> = [-900, 0, 50, 95, 200].map(|second| terms.poll_before_opening_ms(at(second))).into();
    assert_eq!(before, [15_000, 10_000, 5_000, 1_000, 1_000]);
    assert_eq!(board(&[room(SHOW, terms).into()]).poll_after_ms(1_000), 10_000);
}

/// The room and the board forget in the same way, and say of both the forgotten and the absent that they expired.
#[test]
fn how_a_place_ended_is_told_for_twenty_thousand_places() {
    let terms = Terms { slots: 100_000, ..room_terms(None) };
    let mut events: Vec<Event> = vec![room(SHOW, terms).into()];
    const COUNT: u32 = 21_000;
    events.extend((1..=COUNT).map(joined));
    events.push(left(2, false));
    events.extend([ready(1, 1, 0), started(1, 0), completed(1, crate::common::ORDER)]);
    let told = |events: &[Event], number| {
        let (room, board) = (state::<WaitingRoom>(events), board(events));
        assert_eq!(room.standing(number), board.standing(number));
        board.standing(number)
    };
    assert_eq!(told(&events, 1), Standing::Ended(Ending::Completed));
    assert_eq!(told(&events, 2), Standing::Ended(Ending::Left));
    let rest = (3..COUNT).flat_map(|number| {
        let end = if number % 2 == 0 { left(number, false) } else { expired(number) };
        [ready(number, number, 0), end]
    });
    events.extend(rest);
    assert_eq!(told(&events, 1), Standing::Ended(Ending::Expired), "forgotten");
    assert_eq!(told(&events, 1_024), Standing::Ended(Ending::Left));
    assert_eq!(told(&events, COUNT - 2), Standing::Ended(Ending::Left));
    assert_eq!(told(&events, COUNT), Standing::Queued { place: COUNT, ahead: 0 });
    let size = serde_json::to_string(&board(&events)).unwrap().len();
    assert!((1_000..20_000).contains(&size), "{size} bytes");
}

#[test]
fn how_long_the_next_one_has_waited_and_who_never_came_is_known() {
    let mut board = board(&[opened()]);
    assert_eq!((board.oldest_waiting_s(at(5)), board.no_shows()), (None, 0));
    (1..=3).for_each(|number| board.apply(&joined(number), at(10 * i64::from(number))));
    assert_eq!(board.oldest_waiting_s(at(45)), Some(35));
    board.apply(&ready(1, 1, 45), at(45));
    assert_eq!(board.oldest_waiting_s(at(45)), Some(25));
    board.apply(&expired(1), at(120));
    board.apply(&left(2, false), at(120));
    assert_eq!((board.oldest_waiting_s(at(130)), board.no_shows()), (Some(100), 1));
    board.apply(&closed(), at(130));
    assert_eq!(board.oldest_waiting_s(at(130)), None);
}
