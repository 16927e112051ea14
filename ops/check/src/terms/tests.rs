use domain::event::Event;
use domain::inventory::{self, PriceChanged, ReservationExpired, SalesClosed};
use domain::value::Timestamp;

use super::{DEADLINES, FORGOTTEN, TERMS};
use crate::book::{Book, at};
use crate::tests::{CLASS, SHOW, bare, created, good, lapsed, opened, order, overdue, reserved};

fn book() -> Book {
    Book::of(good())
}

fn inventory(event: &mut Event) -> &mut inventory::Event {
    match event {
        Event::Inventory(event) => event,
        other => panic!("{other:?}"),
    }
}

/// With the first reservation changed.
fn forged(change: impl FnOnce(&mut inventory::TicketsReserved)) -> Book {
    book().with(|book| match inventory(&mut book.line("TicketsReserved").event) {
        inventory::Event::TicketsReserved(it) => change(it),
        _ => unreachable!(),
    })
}

/// With the terms of the sale changed.
fn on_terms(change: impl FnOnce(&mut domain::show::ClassTerms)) -> Book {
    book().with(|book| match inventory(&mut book.line("SalesOpened").event) {
        inventory::Event::SalesOpened(it) => change(&mut it.classes[0]),
        _ => unreachable!(),
    })
}

#[test]
fn stock_given_out_against_the_terms_is_seen() {
    assert_eq!(on_terms(|terms| terms.price += 1).broken(), [TERMS], "at another price");
    assert_eq!(on_terms(|terms| terms.max_per_order = 1).broken(), [TERMS], "more than one order may have");
    assert_eq!(on_terms(|terms| terms.sale_starts_at = Some(at(10_000))).broken(), [TERMS], "too early");
    assert_eq!(on_terms(|terms| terms.sale_ends_at = Some(at(2))).broken(), [TERMS], "too late");
    assert_eq!(on_terms(|terms| terms.sale_starts_at = Some(at(2))).broken(), [""; 0], "in the first moment");
    assert_eq!(forged(|it| it.currency = "USD".parse().unwrap()).broken(), [TERMS]);
    assert_eq!(forged(|it| it.hold_until = Timestamp(it.pay_by.0 - 1)).broken(), [TERMS]);
}

#[test]
fn a_price_holds_from_its_moment_on() {
    let changed = inventory::Event::from(PriceChanged { show: SHOW, ticket_class: CLASS, price: 7 });
    let mut late = book();
    late.write(vec![changed.clone().into()], at(1_000));
    assert_eq!(late.broken(), [""; 0], "old reservations keep their price");
    let early = [vec![opened(4), changed.into()], good().into_iter().skip(1).collect()].concat();
    assert_eq!(Book::of(early).broken(), [TERMS]);
}

#[test]
fn a_reservation_after_the_close_is_seen() {
    let reason = domain::inventory::CloseReason::Unknown;
    let mut closed = book();
    closed.write(vec![inventory::Event::from(SalesClosed { show: SHOW, reason }).into()], at(1_000));
    closed.write(vec![reserved(9, 1)], at(1_001));
    assert!(closed.always_broken().contains(&TERMS));
}

/// An order whose hold ends by itself at this moment.
fn lapses(seconds: i64) -> Book {
    let expired = ReservationExpired { show: SHOW, order: order(9), attempt: 1, lines: bare(1) };
    let mut book = Book::of([opened(4)]);
    book.write(vec![reserved(9, 1)], at(2));
    book.write(vec![inventory::Event::from(expired).into()], at(seconds));
    book
}

#[test]
fn what_ends_before_its_deadline_is_seen() {
    // Holds of these tests last until second 100,300, orders can be paid until second 100,000.
    assert_eq!(lapses(100_300).always_broken(), [""; 0]);
    assert_eq!(lapses(100_299).always_broken(), [DEADLINES]);
    for (seconds, seen) in [(99_999, vec![DEADLINES]), (100_000, vec![])] {
        for end in [lapsed(9), overdue(9)] {
            let mut book = Book::of([opened(4), reserved(9, 1), created(9, 1)]);
            book.write(vec![end], at(seconds));
            assert_eq!(book.always_broken(), seen, "{seconds}");
        }
    }
}

#[test]
fn a_forgotten_deadline_is_seen() {
    let mut held = Book::of([opened(4), reserved(9, 1), created(9, 1)]);
    let later = |price| inventory::Event::from(PriceChanged { show: SHOW, ticket_class: CLASS, price }).into();
    held.write(vec![later(1)], at(100_300 + 900));
    assert_eq!(held.broken(), [""; 0], "it may take a while");
    held.write(vec![later(2)], at(100_300 + 901));
    assert_eq!(held.broken(), [FORGOTTEN]);
    let mut open = lapses(100_300);
    open.write(vec![created(9, 1)], at(100_301));
    assert_eq!(open.broken(), [FORGOTTEN], "the backstop let its stock go, and nobody ended the order");
}
