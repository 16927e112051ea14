//! The request ids of the day: VNPay refuses one that it has seen. Kept in memory only.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The ids of one day.
#[derive(Default)]
pub struct Requests(Mutex<(String, HashSet<String>)>);

impl Requests {
    /// Notes an id; false when it was noted on the same day before.
    pub fn note(&self, day: &str, id: &str) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != day {
            *seen = (day.to_owned(), HashSet::new());
        }
        seen.1.insert(id.to_owned())
    }
}
