//! The request ids of the day: VNPay refuses one that it has seen. Kept in memory only.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ids of one day, and whose turn it is to refund.
#[derive(Default)]
pub struct Requests {
    seen: Mutex<(String, HashSet<String>)>,
    turn: Mutex<()>,
}

impl Requests {
    /// Notes an id; false when it was noted on the same day before.
    pub fn note(&self, day: &str, id: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != day {
            *seen = (day.to_owned(), HashSet::new());
        }
        seen.1.insert(id.to_owned())
    }

    /// Held while a refund is made, so that of two at once only the first is.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
