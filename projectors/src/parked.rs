//! Events that cannot be folded, and those that wait behind them: each key of a topic by itself, so that all others go on.
//!
//! Invariant: an event of a parked key is neither folded nor dropped. It lies in the table `parked` of its read model,
//! put there in the transaction that moved the checkpoint past it, until it is folded in its turn or a person skips it.
//!
//! View `parked`, of all read models of events:
//!
//! | column | type | |
//! |---|---|---|
//! | `projection` | text | the read model |
//! | `context`, `partition`, `offset` | text, integer, bigint | where the event lies |
//! | `key` | text | the aggregate's id |
//! | `event_type` | text | such as `OrderPaid`, or what is known of it |
//! | `reason` | text, null | of a poison event: why it cannot be folded |
//! | `poison` | boolean | false for those that only wait behind one |
//! | `since` | timestamptz | when it was put here |
//! | `order_id` | uuid, null | of a payment's event: its order, where that can be told |

mod alarm;
pub mod desk;
mod memory;
mod postgres;
mod replay;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use domain::value::Timestamp;
use event_log::log::{Partition, Record};
use uuid::Uuid;

pub use alarm::Counts;
pub(crate) use alarm::{Alarm, Poison};
pub use replay::{Replayed, Skipped};

use crate::store::Transaction;

/// In every read model's schema, beside the checkpoints.
pub(crate) const TABLES: &str = "
create table if not exists parked (
    context text,
    partition integer,
    \"offset\" bigint,
    key text not null,
    event_type text not null,
    reason text,
    order_id uuid,
    header bytea not null,
    value bytea not null,
    appended_at_us bigint not null,
    since timestamptz not null default now(),
    primary key (context, partition, \"offset\")
);
create index if not exists parked_by_key on parked (context, key, \"offset\");
create table if not exists parked_wishes (
    wish_id uuid primary key,
    context text not null,
    partition integer not null,
    key text not null,
    skip bigint,
    why text,
    wished_at timestamptz not null default now(),
    outcome text,
    done_at timestamptz
);
create table if not exists skipped (
    context text,
    partition integer,
    \"offset\" bigint,
    key text not null,
    event_type text not null,
    reason text,
    why text not null,
    skipped_at timestamptz not null default now(),
    primary key (context, partition, \"offset\")
);
";

/// A key of one partition.
pub(crate) type Place = (Partition, String);

/// An event that was put aside, as it lies in the log: what it takes to fold it later. That it counts was judged when it was
/// read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Where it lies.
    pub place: Partition,
    /// Its offset there.
    pub offset: i64,
    /// Whose it is.
    pub key: String,
    /// Its type, as far as known.
    pub event_type: String,
    /// Why it cannot be folded; none if it only waits behind another.
    pub reason: Option<String>,
    /// The order that it is about, where the key does not tell.
    pub order: Option<Uuid>,
    /// The `frame` header.
    pub header: Bytes,
    /// The value in Confluent wire format.
    pub value: Bytes,
    /// The broker's clock when it was appended.
    pub appended: Timestamp,
}

impl Aside {
    /// The record that it was.
    pub(crate) fn record(&self) -> Record {
        Record {
            offset: self.offset,
            timestamp: self.appended,
            key: Bytes::copy_from_slice(self.key.as_bytes()),
            header: self.header.clone(),
            value: self.value.clone(),
            trace: None,
        }
    }
}

/// What a person asks of a parked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its name.
    pub id: Uuid,
    /// Where.
    pub place: Partition,
    /// Which key.
    pub key: String,
    /// The event to be left out, and why; none to try again.
    pub skip: Option<(i64, String)>,
}

/// Which keys are parked, and how many events wait in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parked(BTreeMap<Place, u64>);

impl Parked {
    pub(crate) fn of(keys: impl IntoIterator<Item = (Partition, String, u64)>) -> Self {
        Self(keys.into_iter().map(|(place, key, events)| ((place, key), events)).collect())
    }

    pub(crate) fn has(&self, at: &Place) -> bool {
        !self.0.is_empty() && self.0.contains_key(at)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, at: &Place) {
        *self.0.entry(at.clone()).or_default() += 1;
    }

    /// So many fewer wait; a key in which none does is not parked any more.
    pub(crate) fn take(&mut self, at: &Place, events: u64) {
        if let Some(waiting) = self.0.get_mut(at) {
            *waiting = waiting.saturating_sub(events);
            if *waiting == 0 {
                self.0.remove(at);
            }
        }
    }

    pub(crate) fn remove(&mut self, at: &Place) {
        self.0.remove(at);
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Place> {
        self.0.keys()
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { keys: self.0.len() as u64, events: self.0.values().sum() }
    }
}

/// A record's key as text: an aggregate's id; what is none is written as hex digits, so that every store takes it.
pub(crate) fn key_of(record: &Record) -> String {
    match std::str::from_utf8(&record.key) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic()) => text.to_owned(),
        _ => record.key.iter().fold("0x".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string never fails");
            text
        }),
    }
}

/// What a transaction does with events that are put aside. Errors are those of [`Transaction`].
#[allow(clippy::missing_errors_doc, reason = "said above, once for all of them")]
pub trait Parking: Transaction {
    /// The parked keys of these partitions, with how many events wait in each.
    fn parked(
        &mut self,
        places: &[Partition],
    ) -> impl Future<Output = Result<Vec<(Partition, String, u64)>, Self::Error>> + Send;

    /// Whether all of these keys are parked now.
    fn are_parked(&mut self, keys: &[(Partition, String)]) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Puts events aside.
    fn put_aside(&mut self, events: &[Aside]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The first events of a key, at most so many, in order.
    fn queue(
        &mut self,
        at: &(Partition, String),
        most: usize,
    ) -> impl Future<Output = Result<Vec<Aside>, Self::Error>> + Send;

    /// The events of a key up to this offset wait no more.
    fn release(
        &mut self,
        at: &(Partition, String),
        through: i64,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// This event, and no other of its key, is the one that cannot be folded.
    fn blame(
        &mut self,
        at: &(Partition, String),
        offset: i64,
        reason: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Leaves out an event that cannot be folded, and notes why. False if there is none at this offset.
    fn skip(
        &mut self,
        at: &(Partition, String),
        offset: i64,
        why: &str,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// What is asked of parked keys in these partitions, the oldest first.
    fn wishes(&mut self, places: &[Partition]) -> impl Future<Output = Result<Vec<Wish>, Self::Error>> + Send;

    /// Tells what became of a wish.
    fn answer(&mut self, wish: Uuid, outcome: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

#[cfg(test)]
mod tests {
    use domain::root::Context;

    use super::*;

    #[test]
    fn a_key_is_parked_until_its_last_event_is_taken() {
        let at = (Partition { context: Context::Order, number: 1 }, "k".to_owned());
        let mut parked = Parked::default();
        assert!(!parked.has(&at));
        parked.add(&at);
        parked.add(&at);
        assert_eq!(parked.counts(), Counts { keys: 1, events: 2 });
        parked.take(&at, 1);
        assert!(parked.has(&at));
        parked.take(&at, 1);
        assert!(parked.is_empty());
    }

    #[test]
    fn every_store_takes_every_key() {
        let record = |key: &'static [u8]| Record {
            offset: 0,
            timestamp: Timestamp(0),
            key: Bytes::from_static(key),
            header: Bytes::new(),
            value: Bytes::new(),
            trace: None,
        };
        assert_eq!(key_of(&record(b"0a-1")), "0a-1");
        assert_eq!(key_of(&record(b"a\0")), "0x6100");
        assert_eq!(key_of(&record(&[0xff])), "0xff");
    }
}
