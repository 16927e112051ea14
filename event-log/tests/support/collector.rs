//! Gathers what a log hands over, and waits for it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use event_log::log::{Delivered, Followed, Follower, Record, Reports};

/// Long enough for a busy machine; nothing waits for it that goes well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A list that other threads append to.
pub struct Collector<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for Collector<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Collector<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Collector<T> {
    pub fn extend(&self, items: impl IntoIterator<Item = T>) {
        self.0.0.lock().unwrap().extend(items);
        self.0.1.notify_all();
    }

    pub fn all(&self) -> Vec<T> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until it holds what is wanted, and gives all of it.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&[T]) -> bool) -> Vec<T> {
        let items = self.0.0.lock().unwrap();
        let (items, waited) = self.0.1.wait_timeout_while(items, PATIENCE, |items| !wanted(items)).unwrap();
        assert!(!waited.timed_out(), "{what}: only {} items came", items.len());
        items.clone()
    }
}

impl Collector<Delivered> {
    pub fn reports(&self) -> Reports {
        let to = self.clone();
        Arc::new(move |reports| to.extend(reports))
    }

    #[track_caller]
    pub fn count(&self, count: usize) -> Vec<Delivered> {
        self.until(&format!("{count} reports"), |all| all.len() >= count)
    }
}

impl Collector<Followed> {
    pub fn follower(&self) -> Follower {
        let to = self.clone();
        Arc::new(move |followed| to.extend([followed]))
    }

    pub fn records(&self) -> Vec<Record> {
        records(&self.all())
    }

    /// Waits for the end at this offset, and gives all records.
    #[track_caller]
    pub fn end(&self, end: i64) -> Vec<Record> {
        let reached = |all: &[Followed]| all.iter().any(|it| matches!(it, Followed::End(at) if *at == end));
        records(&self.until(&format!("the end at {end}"), reached))
    }

    #[track_caller]
    pub fn lost(&self) -> (i64, i64) {
        let lost = |all: &[Followed]| all.iter().any(|it| matches!(it, Followed::Lost { .. }));
        let all = self.until("the position is lost", lost);
        all.iter()
            .find_map(|it| if let Followed::Lost { start, end } = it { Some((*start, *end)) } else { None })
            .unwrap()
    }
}

fn records(all: &[Followed]) -> Vec<Record> {
    let records = all.iter().filter_map(|it| if let Followed::Records(records) = it { Some(records) } else { None });
    records.flatten().cloned().collect()
}
