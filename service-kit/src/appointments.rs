//! When those come back who could not be served at once: one after the other, as fast as people are served.
//!
//! A crowd that is sent away with one and the same time returns as a crowd. So a book is kept: every refusal is given the next
//! free moment in it, and moments are as close together as answers were lately. Nothing is reserved; it only spreads.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// Nobody is told to come back earlier.
const SOONEST: Duration = Duration::from_secs(1);
/// Nor later: who waits longer than this is told a moment of the second half of it.
const LATEST: Duration = Duration::from_secs(120);
/// So many a second are served until more is known.
const AT_FIRST_A_SECOND: f64 = 500.0;
/// And at least.
const LEAST_A_SECOND: f64 = 50.0;
/// How long the speed is measured before it is believed.
const WINDOW: Duration = Duration::from_millis(250);

/// The book. Cheap to ask.
#[derive(Debug)]
pub struct Appointments(Mutex<Book>);

#[derive(Debug)]
struct Book {
    /// The next free moment.
    next: Instant,
    /// How many were served since then.
    window: (Instant, u32),
    per_s: f64,
    /// Whether the pace is what was measured last.
    measured: bool,
    /// Whether anybody was refused in the window: only then is what was served all that can be.
    full: bool,
    /// Spreads those for whom the book has no room.
    turn: u32,
}

impl Default for Appointments {
    fn default() -> Self {
        Self::new(clock::monotonic())
    }
}

impl Appointments {
    fn new(now: Instant) -> Self {
        Self(Mutex::new(Book {
            next: now,
            window: (now, 0),
            per_s: AT_FIRST_A_SECOND,
            measured: true,
            full: false,
            turn: 0,
        }))
    }

    /// Where so many a second are served, whatever happens.
    pub fn of_pace(per_s: f64) -> Self {
        let book = Self::default();
        {
            let mut inner = book.0.lock().unwrap_or_else(PoisonError::into_inner);
            (inner.per_s, inner.measured) = (per_s, false);
        }
        book
    }

    /// Whether nobody has a moment that is still to come.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next <= clock::monotonic()
    }

    /// Somebody was served.
    pub fn served(&self) {
        self.served_at(clock::monotonic());
    }

    /// In how many seconds to come back, 1 to 120.
    pub fn give(&self) -> u32 {
        self.give_at(clock::monotonic())
    }

    fn served_at(&self, now: Instant) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.window.1 += 1;
        let took = now.duration_since(book.window.0);
        if took < WINDOW || !book.measured {
            return;
        }
        let measured = (f64::from(book.window.1) / took.as_secs_f64()).max(LEAST_A_SECOND);
        if book.full || measured > book.per_s {
            // Moments that were given for another speed will be free sooner or later than was thought.
            let booked = book.next.saturating_duration_since(now).mul_f64(book.per_s / measured);
            (book.next, book.per_s) = (now + booked, measured);
        }
        (book.window, book.full) = ((now, 0), false);
    }

    fn give_at(&self, now: Instant) -> u32 {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.full = true;
        let apart = Duration::from_secs_f64(1.0 / book.per_s);
        let next = book.next.max(now + SOONEST);
        if next <= now + LATEST {
            book.next = next + apart;
            return seconds(next - now);
        }
        book.turn = (book.turn + 1) % 61;
        60 + book.turn
    }
}

fn seconds(wait: Duration) -> u32 {
    // Rounded up: nobody comes before the moment.
    u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Where so many are served a second.
    fn book(per_s: u32) -> (Appointments, Instant) {
        let start = clock::monotonic();
        let book = Appointments::new(start);
        serve(&book, per_s, start);
        book.0.lock().unwrap().next = start;
        (book, start + Duration::from_secs(3))
    }

    /// So many in each of three seconds, and one is refused now and then.
    fn serve(book: &Appointments, per_s: u32, start: Instant) {
        for n in 1..=per_s * 3 {
            let now = start + Duration::from_secs(1) * n / per_s;
            if n.is_multiple_of(per_s / 20) {
                book.give_at(now);
            }
            book.served_at(now);
        }
    }

    #[test]
    fn a_crowd_comes_back_as_fast_as_it_is_served() {
        let (book, now) = book(1_000);
        let mut by_second: BTreeMap<u32, u32> = BTreeMap::new();
        for _ in 0..10_000 {
            *by_second.entry(book.give_at(now)).or_default() += 1;
        }
        assert_eq!(by_second.keys().next(), Some(&1));
        assert_eq!(by_second.keys().last(), Some(&11));
        assert!(by_second.values().all(|second| *second <= 1_010), "{by_second:?}");
    }

    #[test]
    fn the_book_empties_while_nobody_is_refused() {
        let (book, now) = book(100);
        for _ in 0..1_000 {
            book.give_at(now);
        }
        assert_eq!(book.give_at(now), 11);
        assert_eq!(book.give_at(now + Duration::from_secs(8)), 4);
        assert_eq!(book.give_at(now + Duration::from_secs(60)), 1);
    }

    #[test]
    fn beyond_the_book_people_are_spread_and_never_sent_further() {
        let (book, now) = book(60);
        let all: Vec<u32> = (0..20_000).map(|_| book.give_at(now)).collect();
        assert!(all.iter().all(|seconds| (1..=121).contains(seconds)));
        let late = &all[10_000..];
        let most = (60..=120).map(|second| late.iter().filter(|it| **it == second).count()).max().unwrap();
        assert!(most < late.len() / 50, "{most} of {} at one second", late.len());
    }

    #[test]
    fn before_anything_is_known_a_few_come_back_each_second() {
        let now = clock::monotonic();
        let book = Appointments::new(now);
        let all: Vec<u32> = (0..100).map(|_| book.give_at(now)).collect();
        assert_eq!((all[0], all[99]), (1, 2));
    }

    #[test]
    fn whoever_is_refused_before_the_speed_is_known_does_not_hold_up_those_after() {
        let start = clock::monotonic();
        let book = Appointments::new(start);
        for _ in 0..10_000 {
            book.give_at(start);
        }
        assert_eq!(book.give_at(start), 21);
        serve(&book, 10_000, start);
        let now = start + Duration::from_secs(3);
        assert!(book.give_at(now) <= 2, "{}", book.give_at(now));
    }

    #[test]
    fn a_quiet_hour_says_nothing_about_how_fast_a_crowd_is_served() {
        let (book, now) = book(2_000);
        for second in 0..3_600 {
            book.served_at(now + Duration::from_secs(second));
        }
        let now = now + Duration::from_secs(3_600);
        let all: Vec<u32> = (0..10_000).map(|_| book.give_at(now)).collect();
        assert_eq!((all[0], all[9_999]), (1, 6));
    }
}
