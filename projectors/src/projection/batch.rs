//! What a batch takes in: events are folded, or put aside where their key is parked; and how the culprit is found where one
//! event spoils all.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::event::Event;
use domain::payment;
use domain::value::Timestamp;
use event_log::log::Partition;
use event_log::validity::{Broken, Valid};
use uuid::Uuid;

use super::Projection;
use crate::decoding::{Unreadable, decoded, type_of};
use crate::model::{Envelope, ReadModel};
use crate::parked::{Aside, Place, Poison, key_of};

/// A batch of so many records is as good as any.
const AMPLE: usize = 100_000;

/// What was read and not written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Events that were folded.
    pub(super) events: u64,
    /// Records that were taken in.
    pub(super) records: usize,
    /// Commands of which something was folded, and the first event of the first one.
    commands: usize,
    first: Option<(Partition, i64)>,
    /// Events that were put aside, in the order of the log.
    pub(super) aside: Vec<Aside>,
    /// Their keys that were parked before, and those that are parked by it.
    pub(super) behind: BTreeSet<Place>,
    newly: BTreeSet<Place>,
    /// Nothing of it may be written.
    pub(super) spoiled: bool,
    /// When its events were appended, by the broker's clock.
    pub(super) stamps: Vec<Timestamp>,
}

/// What is known of events that cannot be folded; kept from one batch to the next.
#[derive(Debug)]
pub(super) struct Care {
    /// Records in the next batch.
    pub(super) at_most: usize,
    /// Found, and to be put aside when they come again.
    suspects: BTreeMap<(Partition, i64), Suspect>,
    /// Left out because somebody skipped them.
    left_out: BTreeSet<(Partition, i64)>,
    /// Parked by what was written last.
    news: Vec<Poison>,
    /// Of what was written, until somebody takes them.
    pub(super) stamps: Vec<Timestamp>,
}

#[derive(Debug, Clone)]
struct Suspect {
    reason: String,
    /// Whether it may as well be a later event of its command.
    vague: bool,
}

impl Default for Care {
    fn default() -> Self {
        let (suspects, left_out) = (BTreeMap::new(), BTreeSet::new());
        Self { at_most: usize::MAX, suspects, left_out, news: Vec::new(), stamps: Vec::new() }
    }
}

impl Care {
    /// A batch was written: the next one may be larger.
    pub(super) fn went_well(&mut self, batch: &Batch) {
        self.at_most = if self.at_most >= AMPLE { usize::MAX } else { self.at_most * 2 };
        for aside in &batch.aside {
            let known = self.suspects.remove(&(aside.place, aside.offset));
            if let Some(reason) = aside.reason.clone() {
                let (at, event_type) = ((aside.place, aside.key.clone()), aside.event_type.clone());
                let vague = known.is_some_and(|suspect| suspect.vague);
                self.news.push(Poison { at, offset: aside.offset, event_type, reason, vague });
            }
        }
    }
}

impl<M: ReadModel> Projection<M> {
    /// What was parked by batches that were written since this was asked last.
    pub(crate) fn take_news(&mut self) -> Vec<Poison> {
        std::mem::take(&mut self.care.news)
    }

    /// When the events were appended that were written since this was asked last.
    pub(crate) fn take_stamps(&mut self) -> Vec<Timestamp> {
        std::mem::take(&mut self.care.stamps)
    }

    /// Somebody else found that these events cannot be folded, and skipped those.
    pub(crate) fn told(
        &mut self,
        poison: impl IntoIterator<Item = (Partition, i64)>,
        skipped: impl IntoIterator<Item = (Partition, i64)>,
    ) {
        let suspect = Suspect { reason: "told".to_owned(), vague: false };
        self.care.suspects.extend(poison.into_iter().map(|at| (at, suspect.clone())));
        self.care.left_out.extend(skipped);
    }

    /// Folds the events of one command, or puts them aside.
    pub(super) async fn take_in(&mut self, place: Partition, valid: Vec<Valid>) -> Result<(), Broken> {
        // All of them are decoded before the first is folded: where one needs a newer program, none counts.
        let mut all = Vec::with_capacity(valid.len());
        for Valid { record, .. } in valid {
            let event = match decoded(&self.codec, place, &record).await {
                Ok(envelope) => Ok(envelope),
                Err(Unreadable::Poison(why)) => Err(why),
                Err(Unreadable::Broken(broken)) => return Err(broken),
            };
            all.push((record, event));
        }
        let before = self.batch.events;
        for (record, event) in all {
            let offset = record.offset;
            if self.care.left_out.contains(&(place, offset)) {
                continue;
            }
            let order = event.as_ref().ok().and_then(about);
            let reason = match (self.waits(place, &record), event) {
                (true, _) => None,
                (false, Err(why)) => Some(why),
                (false, Ok(envelope)) => match self.suspected(place, offset) {
                    Some(reason) => Some(reason),
                    None if self.folds(place, &envelope) => {
                        self.batch.stamps.push(record.timestamp);
                        continue;
                    }
                    None => return Ok(()),
                },
            };
            let (key, event_type) = (key_of(&record), type_of(&self.codec, &record));
            self.put_aside(Aside {
                place,
                offset,
                key,
                event_type,
                reason,
                order,
                header: record.header,
                value: record.value,
                appended: record.timestamp,
            });
        }
        if self.batch.events > before {
            self.batch.commands += 1;
        }
        Ok(())
    }

    fn suspected(&self, place: Partition, offset: i64) -> Option<String> {
        self.care.suspects.get(&(place, offset)).map(|suspect| suspect.reason.clone())
    }

    fn waits(&self, place: Partition, record: &event_log::log::Record) -> bool {
        !self.parked.is_empty() && self.parked.has(&(place, key_of(record)))
    }

    /// False if the fold gave up: the batch is spoiled, because its changes may be half done.
    fn folds(&mut self, place: Partition, envelope: &Envelope) -> bool {
        self.batch.first.get_or_insert((place, envelope.offset));
        let changes = &mut self.changes;
        if catch_unwind(AssertUnwindSafe(|| M::fold(changes, envelope))).is_ok() {
            self.batch.events += 1;
            return true;
        }
        let reason = "its fold panics; this process's log says where".to_owned();
        self.care.suspects.insert((place, envelope.offset), Suspect { reason, vague: false });
        self.batch.spoiled = true;
        false
    }

    fn put_aside(&mut self, aside: Aside) {
        let at = (aside.place, aside.key.clone());
        if aside.reason.is_some() {
            self.batch.newly.insert(at.clone());
        } else if !self.batch.newly.contains(&at) {
            self.batch.behind.insert(at.clone());
        }
        self.parked.add(&at);
        self.batch.aside.push(aside);
    }

    /// Whether anything was folded.
    pub(super) fn has_folded(&self) -> bool {
        self.batch.first.is_some()
    }

    /// The store refuses what the batch holds: with less in it next time, until one command is alone.
    pub(super) fn divide(&mut self, reason: String) {
        match self.batch.first {
            Some(first) if self.batch.commands <= 1 => {
                let vague = self.batch.events > 1;
                self.care.suspects.insert(first, Suspect { reason, vague });
            }
            Some(_) | None => self.care.at_most = (self.batch.records / 2).max(1),
        }
        self.batch.spoiled = true;
    }
}

/// The order that a payment is for; of other topics the key tells.
fn about(envelope: &Envelope) -> Option<Uuid> {
    let Event::Payment(event) = &envelope.event else { return None };
    match event {
        payment::Event::PaymentRequested(it) => Some(it.order.0),
        payment::Event::PaymentIntentCreated(it) => Some(it.order.0),
        payment::Event::PaymentPartiallyReceived(it) => Some(it.order.0),
        payment::Event::PaymentCompleted(it) => Some(it.order.0),
        payment::Event::PaymentFailed(it) => Some(it.order.0),
        payment::Event::PaymentExpired(it) => Some(it.order.0),
        payment::Event::RefundRequested(it) => Some(it.order.0),
        payment::Event::PaymentRefunded(it) => Some(it.order.0),
        payment::Event::RefundFailed(it) => Some(it.order.0),
        payment::Event::PaymentClosureRequested(_) | payment::Event::PaymentQuarantined(_) => None,
    }
}
