//! The reports of one appended batch, gathered until they can be handed over together.
//!
//! Invariant: every record is handed over once, and never before the one in front of it.

use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::log::{Delivered, Reports};

/// One batch on its way into the log.
pub(crate) struct Batch {
    claim: Uuid,
    first_seq: u64,
    reports: Reports,
    gathered: Mutex<Gathered>,
}

struct Gathered {
    results: Vec<Option<Result<i64, String>>>,
    known: usize,
    handed: usize,
    failed: bool,
}

impl Batch {
    /// A batch of so many records, none of them reported yet.
    pub(crate) fn new(claim: Uuid, first_seq: u64, records: usize, reports: Reports) -> Self {
        let gathered = Gathered { results: vec![None; records], known: 0, handed: 0, failed: false };
        Self { claim, first_seq, reports, gathered: Mutex::new(gathered) }
    }

    /// Takes the result of one record. Calls the owner of the batch once all are known, or as soon as one failed;
    /// so it must not be called from the thread that the owner works on.
    pub(crate) fn report(&self, index: usize, result: Result<i64, String>) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.results[index].is_some() {
            return;
        }
        gathered.known += 1;
        gathered.failed |= result.is_err();
        gathered.results[index] = Some(result);
        if !gathered.failed && gathered.known < gathered.results.len() {
            return;
        }
        let from = gathered.handed;
        let ready = gathered.results[from..].iter().map_while(Clone::clone).zip(self.first_seq + from as u64..);
        let ready: Vec<Delivered> = ready.map(|(result, seq)| Delivered { claim: self.claim, seq, result }).collect();
        gathered.handed += ready.len();
        if !ready.is_empty() {
            // Still under the lock, because another thread may come with the rest.
            (self.reports)(ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What was handed over at once: numbers, and whether they were acknowledged.
    type Handed = Arc<Mutex<Vec<Vec<(u64, bool)>>>>;

    fn batch(records: usize) -> (Batch, Handed) {
        let handed = Handed::default();
        let into = Arc::clone(&handed);
        let reports: Reports = Arc::new(move |reports: Vec<Delivered>| {
            let seen = reports.into_iter().map(|report| (report.seq, report.result.is_ok()));
            into.lock().unwrap().push(seen.collect());
        });
        (Batch::new(Uuid::nil(), 7, records, reports), handed)
    }

    #[test]
    fn a_whole_batch_is_handed_over_at_once() {
        let (batch, handed) = batch(3);
        batch.report(0, Ok(1));
        batch.report(2, Ok(3));
        assert!(handed.lock().unwrap().is_empty());
        batch.report(1, Ok(2));
        assert_eq!(*handed.lock().unwrap(), [[(7, true), (8, true), (9, true)]]);
    }

    #[test]
    fn an_error_is_handed_over_at_once_and_nothing_twice() {
        let (batch, handed) = batch(4);
        batch.report(0, Ok(1));
        batch.report(1, Err("lost".to_owned()));
        batch.report(1, Err("lost".to_owned()));
        batch.report(3, Ok(3));
        batch.report(2, Ok(2));
        let expected = [vec![(7, true), (8, false)], vec![(9, true), (10, true)]];
        assert_eq!(*handed.lock().unwrap(), expected);
    }
}
