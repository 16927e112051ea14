//! How many may join queues: at once, from one address, and by one visitor.
//!
//! Whoever is over a limit is told a moment of their own to come back, so that those who were refused together do not come
//! back together. Nobody loses a place by that: a join with the same key is the same join.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ids::ShowId;
use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use service_kit::appointments::Appointments;
use service_kit::client_address::ClientAddress;
use service_kit::problem::{Kind, Problem};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::JoinSettings;

/// So many joins later, those who have not come lately are forgotten.
const TIDY_EVERY: usize = 10_000;
/// So many addresses' places are counted; then counting begins anew.
const COUNTED: usize = 500_000;

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// The limits, and what was used of them.
pub struct Joins {
    at_once: Semaphore,
    crowd: Appointments,
    per_address: Option<Share<IpAddr>>,
    per_visitor: Option<Share<String>>,
    places: Mutex<HashMap<(ShowId, IpAddr), u32>>,
}

/// A join that is under way.
pub struct UnderWay<'a> {
    joins: &'a Joins,
    _slot: SemaphorePermit<'a>,
}

impl Joins {
    /// Nobody has joined yet.
    pub fn new(settings: JoinSettings) -> Self {
        Self {
            at_once: Semaphore::new(settings.at_once),
            crowd: Appointments::default(),
            per_address: Share::of(settings.per_address_per_min),
            per_visitor: Share::of(settings.per_visitor_per_min),
            places: Mutex::default(),
        }
    }

    /// Lets a join begin, if everybody's share and the machine allow it.
    ///
    /// # Errors
    /// 429 `too-many-requests` with the moment to come back.
    pub fn begin(&self, from: ClientAddress, visitor: &str) -> Result<UnderWay<'_>, Problem> {
        if let Some(share) = &self.per_address {
            share.take(&from.household()).map_err(|wait_s| {
                refused("address", "Too many join from this address; come back at the moment given.", wait_s)
            })?;
        }
        if let Some(share) = &self.per_visitor {
            let take = share.take(&visitor.to_owned());
            take.map_err(|wait_s| refused("visitor", "You have asked for a place too often.", wait_s))?;
        }
        let slot = self.at_once.try_acquire().map_err(|_| {
            refused("crowd", "Very many join just now; come back at the moment given.", self.crowd.give())
        })?;
        Ok(UnderWay { joins: self, _slot: slot })
    }

    /// Somebody got a new place.
    pub fn placed(&self, show: ShowId, from: ClientAddress) {
        let mut places = lock(&self.places);
        if places.len() >= COUNTED {
            places.clear();
        }
        let count = places.entry((show, from.household())).or_default();
        *count += 1;
        metrics::histogram!("boxoffice_queue_places_per_address").record(f64::from(*count));
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.joins.crowd.served();
    }
}

fn refused(why: &'static str, detail: &'static str, wait_s: u32) -> Problem {
    metrics::counter!("boxoffice_queue_joins_refused_total", "why" => why).increment(1);
    Problem::new(Kind::TooManyRequests).detail(detail).retry_after_s(wait_s)
}

/// So many a minute for each, the first of them at once if they like.
struct Share<K: Hash + Eq + Clone> {
    per_min: NonZeroU32,
    limiter: Limiter<K>,
    /// Of those who were refused and have not had their turn.
    books: Mutex<HashMap<K, Appointments>>,
    taken: Mutex<usize>,
}

impl<K: Hash + Eq + Clone> Share<K> {
    /// None for no limit.
    fn of(per_min: u32) -> Option<Self> {
        let per_min = NonZeroU32::new(per_min)?;
        let (store, quota) = (HashMapStateStore::default(), Quota::per_minute(per_min));
        let limiter = RateLimiter::new(quota, store, MonotonicClock);
        Some(Self { per_min, limiter, books: Mutex::default(), taken: Mutex::default() })
    }

    /// Takes one, or says in how many seconds to come back.
    fn take(&self, who: &K) -> Result<(), u32> {
        self.tidy();
        if self.limiter.check_key(who).is_ok() {
            return Ok(());
        }
        let mut books = lock(&self.books);
        let book =
            books.entry(who.clone()).or_insert_with(|| Appointments::of_pace(f64::from(self.per_min.get()) / 60.0));
        Err(book.give())
    }

    /// Nobody is kept in mind longer than it matters.
    fn tidy(&self) {
        let mut taken = lock(&self.taken);
        *taken += 1;
        if taken.is_multiple_of(TIDY_EVERY) {
            self.limiter.retain_recent();
            lock(&self.books).retain(|_, book| !book.is_empty());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use service_kit::problem::CONTENT;

    use super::*;

    fn joins(at_once: usize) -> Joins {
        Joins::new(JoinSettings { per_address_per_min: 0, per_visitor_per_min: 0, at_once })
    }

    fn anywhere() -> ClientAddress {
        ClientAddress::from(IpAddr::from([127, 0, 0, 1]))
    }

    fn retry_after(problem: Problem) -> u32 {
        use axum::response::IntoResponse as _;
        let response = problem.into_response();
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (429, &CONTENT.parse().unwrap()));
        response.headers()["retry-after"].to_str().unwrap().parse().unwrap()
    }

    #[test]
    fn a_crowd_is_told_one_by_one_when_to_come_back() {
        let joins = joins(2);
        let (first, _second) = (joins.begin(anywhere(), "a").unwrap(), joins.begin(anywhere(), "b").unwrap());
        let waits: Vec<u32> = (0..500).map(|_| retry_after(joins.begin(anywhere(), "c").err().unwrap())).collect();
        assert_eq!((waits[0], waits[499]), (1, 2), "five hundred a second until more is known");
        drop(first);
        assert!(joins.begin(anywhere(), "c").is_ok());
    }

    #[test]
    fn who_has_not_come_lately_is_forgotten() {
        let share = Share::of(60_000).unwrap();
        (0..TIDY_EVERY - 1).for_each(|who| share.take(&who).unwrap());
        assert!(share.limiter.len() > 1000);
        std::thread::sleep(std::time::Duration::from_millis(50));
        share.take(&0).unwrap();
        assert!(share.limiter.len() <= 2, "{}", share.limiter.len());
    }

    #[test]
    fn places_are_counted_by_show_and_address() {
        let joins = joins(1);
        let show = ShowId(uuid::Uuid::from_u128(1));
        (0..3).for_each(|_| joins.placed(show, anywhere()));
        assert_eq!(lock(&joins.places).get(&(show, anywhere().household())), Some(&3));
    }
}
