use domain::ids::ShowId;
use domain::inventory::{self, PriceChanged};
use event_log::log::Partition;

use super::{CLAIMS, FRAMES, ONCE, TIMES, VERSIONS, WATERMARKS};
use crate::book::{Book, at};
use crate::tests::{CLASS, SHOW, confirmed_again, good, opened, order, purchase, released, reserved_again, walk_away};
use crate::{Facts, from_facts};

fn book() -> Book {
    Book::of(good())
}

/// Late money: stock is taken again and sold in one command.
fn in_one_frame() -> Book {
    let mut book = Book::of([vec![opened(4)], walk_away(2)].concat());
    book.write(vec![reserved_again(2, 1, 2), confirmed_again(2, 1, 2)], at(100));
    book
}

#[test]
fn a_good_book_holds_every_law() {
    assert_eq!(book().broken(), [""; 0], "{}", from_facts(&book().facts()).text());
    assert_eq!(in_one_frame().always_broken(), [""; 0], "{}", from_facts(&in_one_frame().facts()).text());
}

#[test]
fn an_event_behind_its_place_is_seen() {
    assert_eq!(book().with(|book| book.line("OrderCompleted").offset = 1).broken(), [CLAIMS]);
    let term_back = book().with(|book| {
        book.line("OrderPaid").frame.term = 2;
        book.line("OrderPaid").frame.claim = ShowId::default().0;
    });
    assert_eq!(term_back.broken(), [CLAIMS]);
    let same_seq = book().with(|book| book.line("OrderPaid").frame.seq = 1);
    assert_eq!(same_seq.broken(), [CLAIMS]);
}

#[test]
fn a_torn_command_is_seen() {
    assert_eq!(in_one_frame().with(|book| drop(book.lines.pop())).always_broken(), [FRAMES], "its end is missing");
    let first = in_one_frame().with(|book| {
        let at = book.lines.len() - 2;
        book.lines.remove(at);
    });
    assert!(first.always_broken().contains(&FRAMES), "its beginning is missing");
    let hash = in_one_frame().with(|book| book.lines.last_mut().unwrap().frame.cmd_hash = [1; 16]);
    assert_eq!(hash.always_broken(), [FRAMES], "two bodies");
    let count = in_one_frame().with(|book| book.lines.last_mut().unwrap().frame.evt_cnt = 3);
    assert_eq!(count.always_broken(), [FRAMES], "two counts");
    let meta = book().with(|book| book.line("OrderPaid").meta.version = 9);
    assert_eq!(meta.broken(), [FRAMES], "the header says otherwise");
    let large = in_one_frame().with(|book| book.lines.last_mut().unwrap().frame.evt_cnt = 501);
    assert!(large.always_broken().contains(&FRAMES));
}

#[test]
fn a_gap_in_the_versions_is_seen() {
    let gap = book().with(|book| {
        let line = book.line("OrderCompleted");
        line.frame.agg_ver += 1;
        line.meta.version += 1;
    });
    assert_eq!(gap.broken(), [VERSIONS]);
    assert!(book().without("PaymentIntentCreated").broken().contains(&VERSIONS), "a lost event");
}

#[test]
fn what_takes_effect_twice_is_seen() {
    let again = book().with(|book| {
        let id = book.line("OrderCreated").frame.cmd_id;
        book.line("OrderPaid").frame.cmd_id = id;
    });
    assert_eq!(again.broken(), [ONCE], "a repeat that was not recognised");
    let same = book().with(|book| {
        let id = book.line("OrderCreated").meta.event_id;
        book.line("OrderPaid").meta.event_id = id;
    });
    assert_eq!(same.broken(), [ONCE]);
}

#[test]
fn a_key_is_good_for_a_day_and_what_boxoffice_asks_itself_for_ever() {
    let again = |seconds, actor: &str| {
        let price = |price| PriceChanged { show: SHOW, ticket_class: CLASS, price };
        let mut book = Book::of([opened(4)]);
        for (n, after) in [0, seconds].into_iter().enumerate() {
            book.write(vec![inventory::Event::from(price(n as i64)).into()], at(100 + after));
            let line = book.lines.last_mut().unwrap();
            line.frame.cmd_id = SHOW.0;
            line.meta.actor = actor.to_owned();
        }
        book.always_broken()
    };
    let day = 24 * 3600;
    assert_eq!(again(day - 1, "guest:1"), [ONCE]);
    assert_eq!(again(day, "guest:1"), [""; 0], "another command");
    assert_eq!(again(day, "system"), [ONCE]);
}

#[test]
fn a_decision_dated_back_is_seen() {
    // The last order's end, before everything else: but later than its deadline, which is second 0.
    let back = book().with(|book| book.line("OrderCompleted").meta.occurred_at = at(0));
    assert_eq!(back.broken(), [TIMES]);
}

#[test]
fn watermarks_that_fall_or_run_ahead_are_seen() {
    let place = Partition { context: domain::root::Context::Order, number: 0 };
    let broken = |marks: &[(i64, i64)]| {
        let mut facts = Facts::default();
        marks.iter().for_each(|(offset, below)| facts.log.settle(place, *offset, *below));
        crate::book::names(&from_facts(&facts))
    };
    assert_eq!(broken(&[(5, 3), (9, 9), (12, 9)]), [""; 0]);
    assert_eq!(broken(&[(5, 3), (9, 2)]), [WATERMARKS], "falls");
    assert_eq!(broken(&[(5, 6)]), [WATERMARKS], "lies above itself");
}

#[test]
fn other_laws_are_seen_through_a_book_too() {
    let mut twice = book();
    twice.write(vec![released(2, 1, false)], at(50));
    assert!(twice.always_broken().contains(&"every reservation ends exactly once"));
    assert!(
        Book::of([vec![opened(3)], purchase(1), purchase(3)].concat())
            .always_broken()
            .contains(&"held + sold never exceeds capacity")
    );
    assert_ne!(order(1), order(2));
}
