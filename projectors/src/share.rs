//! Which partitions this process reads: all of them, or those that its group gives it.
//!
//! Invariant: what is given up is not worked on any more when [`Share::revoked`] returns, or its time is over; the
//! checkpoints' compare-and-set keeps the rows right either way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How long giving up partitions may take: a transaction in the middle is dropped, so that it is quick.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(2);

/// The numbers of the partitions that are ours, of every topic. Cheap to clone: all clones are the same share.
#[derive(Debug, Clone)]
pub struct Share(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` until the first word.
    ours: watch::Sender<Option<BTreeSet<u32>>>,
    /// How many read models work on each of them.
    held: Mutex<BTreeMap<u32, usize>>,
    released: Condvar,
}

/// A read model works on these partitions until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    share: Share,
    pub(crate) numbers: BTreeSet<u32>,
}

impl Share {
    /// Every partition, for ever.
    pub fn all(partitions: u32) -> Self {
        Self::of(Some((0..partitions).collect()))
    }

    /// These partitions, for ever.
    pub(crate) fn only(numbers: BTreeSet<u32>) -> Self {
        Self::of(Some(numbers))
    }

    /// Nothing until somebody says.
    pub fn none_yet() -> Self {
        Self::of(None)
    }

    fn of(numbers: Option<BTreeSet<u32>>) -> Self {
        let (ours, _) = watch::channel(numbers);
        Self(Arc::new(Inner { ours, held: Mutex::default(), released: Condvar::new() }))
    }

    /// These are ours, too; none are a word as well.
    pub fn assigned(&self, numbers: &[u32]) {
        self.0.ours.send_modify(|ours| ours.get_or_insert_default().extend(numbers));
    }

    /// These are not ours any more. Blocks until nobody works on them, for two seconds at most.
    pub fn revoked(&self, numbers: &[u32]) {
        self.0.ours.send_modify(|ours| ours.get_or_insert_default().retain(|number| !numbers.contains(number)));
        let worked_on = |held: &mut BTreeMap<u32, usize>| numbers.iter().any(|number| held.contains_key(number));
        let waited = self.0.released.wait_timeout_while(self.held(), GIVEN_UP_WITHIN, worked_on);
        let (held, late) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(held);
        if late.timed_out() {
            tracing::warn!(partition.numbers = ?numbers, "partitions were not given up in time; whoever has them now goes on");
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<BTreeSet<u32>>> {
        self.0.ours.subscribe()
    }

    /// Begins to work on what is ours now; `None` before the first word. Read inside the lock, so that whoever gives a
    /// partition up either waits for us, or has told us.
    pub(crate) fn hold(&self, told: &mut watch::Receiver<Option<BTreeSet<u32>>>) -> Option<Held> {
        let mut held = self.held();
        let numbers = told.borrow_and_update().clone()?;
        for number in &numbers {
            *held.entry(*number).or_default() += 1;
        }
        Some(Held { share: self.clone(), numbers })
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.share.held();
        for number in &self.numbers {
            if let Some(count) = held.get_mut(number) {
                *count -= 1;
                if *count == 0 {
                    held.remove(number);
                }
            }
        }
        drop(held);
        self.share.0.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn giving_up_waits_for_who_works_on_it_and_for_nobody_else() {
        let share = Share::none_yet();
        assert!(share.hold(&mut share.watch()).is_none());
        share.assigned(&[0, 1, 2]);
        let one = share.hold(&mut share.watch()).unwrap();
        drop(share.hold(&mut share.watch()));
        share.revoked(&[7]);
        let giving_up = thread::spawn({
            let share = share.clone();
            move || share.revoked(&[1])
        });
        // Told at once, but not done.
        let mut ours = share.watch();
        while ours.borrow_and_update().as_ref() != Some(&BTreeSet::from([0, 2])) {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(50));
        assert!(!giving_up.is_finished());
        drop(one);
        giving_up.join().unwrap();
        assert!(share.held().is_empty());
    }

    #[test]
    fn nobody_is_waited_for_longer_than_that() {
        let share = Share::all(2);
        let _held = share.hold(&mut share.watch());
        share.revoked(&[1]);
        assert_eq!(*share.watch().borrow(), Some(BTreeSet::from([0])));
    }
}
