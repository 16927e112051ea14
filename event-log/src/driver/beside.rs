//! What lies beside an owner's mailbox, because it needs no place in it, or may not wait for one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Status;

/// Shared by an owner and whoever knows it.
#[derive(Debug, Default)]
pub(super) struct Beside {
    promoted: AtomicBool,
    serving: AtomicBool,
    broken: AtomicBool,
    status: Mutex<Status>,
    settled: Mutex<Vec<(i64, usize)>>,
}

/// Whether commands may be put in the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody would decide them soon.
    NotServing,
    /// They are decided.
    Serving,
    /// They are answered: nobody will ever decide them here.
    Broken,
}

impl Standing {
    /// Of an owner that serves or not, and is broken or not.
    pub(super) fn of(serving: bool, broken: bool) -> Self {
        match (broken, serving) {
            (true, _) => Self::Broken,
            (false, true) => Self::Serving,
            (false, false) => Self::NotServing,
        }
    }
}

impl Beside {
    /// Whether it is promoted from the start.
    pub(super) fn new(promoted: bool) -> Self {
        Self { promoted: AtomicBool::new(promoted), ..Self::default() }
    }

    pub(super) fn promote(&self) {
        self.promoted.store(true, Ordering::Release);
    }

    pub(super) fn is_promoted(&self) -> bool {
        self.promoted.load(Ordering::Acquire)
    }

    /// Notes that something the outbox wanted was answered. Tells whether it is the first since the owner's last look.
    pub(super) fn settle(&self, at: (i64, usize)) -> bool {
        let mut settled = lock(&self.settled);
        settled.push(at);
        settled.len() == 1
    }

    pub(super) fn take_settled(&self) -> Vec<(i64, usize)> {
        std::mem::take(&mut *lock(&self.settled))
    }

    pub(super) fn standing(&self) -> Standing {
        Standing::of(self.serving.load(Ordering::Acquire), self.broken.load(Ordering::Acquire))
    }

    pub(super) fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    pub(super) fn publish(&self, status: Status) {
        self.broken.store(status.broken.is_some(), Ordering::Release);
        self.serving.store(status.serving, Ordering::Release);
        *lock(&self.status) = status;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
