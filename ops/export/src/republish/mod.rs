//! Valid events, copied to a topic of their own with CloudEvents headers, for tools that know nothing of claims.
//!
//! Invariant: nothing is left out, and the copies of one partition lie in its order. A copy lies twice only if the last
//! requests of a killed copier reach the broker after its successor looked, or if two run at once; both then have the same
//! `ce_id`.

mod headers;
mod position;
mod target;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::root::Context;
use event_log::kafka::KafkaSettings;
use event_log::log::{Log, Partition};
use schemas::{Codec, PERSON_KEY_TOPIC, SCHEMA_COPY_TOPIC};
use serde::Serialize;
use tokio::time::Instant;

use crate::export::Progress;
use crate::lane::Lane;
use crate::manifest::is_same_log;
use crate::range::Wanted;
use crate::reading::{Order, Reading, Taker, places};
use crate::row::Row;
use headers::Headers;
use position::Positions;
use target::Target;

/// A position is kept after so many copies …
const KEEP_ROWS: u64 = 20_000;
/// … or so long.
const KEEP_EVERY: Duration = Duration::from_secs(2);
/// Topics that are not for copies.
const OURS: [&str; 4] = [PERSON_KEY_TOPIC, SCHEMA_COPY_TOPIC, "partition-owners", "operator-actions"];

/// How the value of a copy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// As it lies in the log: Confluent wire format.
    Avro,
    /// As a JSON object.
    Json,
}

/// What is to be copied, and where to.
#[derive(Debug, Clone)]
pub struct Copying {
    /// These topics.
    pub topics: Vec<Context>,
    /// To this one, without the namespace.
    pub to: String,
    /// As what.
    pub value: Value,
    /// Go on with whatever comes.
    pub follow: bool,
    /// Partitions of every topic, and of the copy.
    pub partitions: u32,
    /// How many brokers keep a topic that is made.
    pub replication: i32,
    /// Where a schema can be had: the registry's address without credentials, up to the id.
    pub schemas: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Copied {
    /// The topic's full name.
    pub to: String,
    /// Whether it was made now.
    pub created: bool,
    /// Events that were copied now.
    pub copied: u64,
    /// Events that had been copied after the last position was kept, and were found in the topic.
    pub found: u64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// How long it took, seconds.
    pub seconds: f64,
}

/// That a topic is not one of those that a box office lives on.
///
/// # Errors
/// It is, or its name is none.
pub fn check_name(to: &str) -> anyhow::Result<()> {
    let ours = Context::ALL.map(Context::topic).into_iter().chain(OURS).any(|topic| topic == to);
    ensure!(!ours, "{to} is a topic of the box office itself: name another one for the copies");
    let is_name = |it: char| it.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&it);
    ensure!(!to.is_empty() && to.len() <= 200 && to.chars().all(is_name), "{to:?} is no name of a Kafka topic");
    Ok(())
}

/// Copies; `stop` ends it early, and safely. Blocks.
///
/// # Errors
/// The log is broken, Kafka does not answer, or the topic is not as it must be.
pub fn run(
    log: Arc<dyn Log>,
    codec: &Codec,
    settings: &KafkaSettings,
    copying: &Copying,
    stop: &dyn Fn(Arc<AtomicBool>),
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Copied> {
    check_name(&copying.to)?;
    let began = Instant::now();
    let target = Target::open(settings, &copying.to, copying.partitions, copying.replication)?;
    let wanted = Wanted::of(copying.topics.iter().copied());
    let mut positions = Positions::open(settings, &target)?;
    let places = places(&wanted, copying.partitions);
    let stored = positions.find(&places)?;
    let mut lanes = Vec::new();
    for (at, mark) in places.iter().zip(stored) {
        lanes.push(lane(&*log, &wanted, *at, mark)?);
    }
    let mut reading = Reading::of(Arc::clone(&log), codec.clone(), &wanted, lanes);
    stop(reading.stop());
    let total = reading.lanes.iter().map(|lane| u64::try_from(lane.end - lane.next()).unwrap_or(0)).sum();
    let found = positions.found;
    let created = target.created;
    let headers = Headers::new(codec.clone(), copying.value, settings.namespace.clone(), copying.schemas.clone());
    let mut copier =
        Copier { target, positions, headers, copied: 0, unkept: 0, kept: began, began, total: Some(total), progress };
    reading.run(Order::Merged, &mut copier)?;
    if copying.follow && !reading.is_stopped() {
        copier.total = None;
        reading.follow(&mut copier)?;
    }
    copier.keep(&reading.lanes)?;
    Ok(Copied {
        to: copier.target.name.clone(),
        created,
        copied: copier.copied,
        found,
        interrupted: reading.is_stopped() && !copying.follow,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn lane(log: &dyn Log, wanted: &Wanted, at: Partition, mark: crate::lane::Mark) -> anyhow::Result<Lane> {
    let bounds = log.bounds(at).with_context(|| format!("ask where {at} ends"))?;
    ensure!(mark.position.next <= bounds.end, "{at} ends at offset {}: what was copied is gone", bounds.end);
    ensure!(
        is_same_log(log, at, mark.position.identity)?,
        "{at} is another log than the one that was copied: name another topic for the copies"
    );
    Ok(Lane::new(at, wanted.slice(at, bounds), mark, bounds.end))
}

/// Copies rows, and keeps how far.
struct Copier<'a> {
    target: Target,
    positions: Positions,
    headers: Headers,
    copied: u64,
    unkept: u64,
    kept: Instant,
    began: Instant,
    total: Option<u64>,
    progress: &'a mut dyn FnMut(Progress),
}

impl Copier<'_> {
    /// Waits until everything is acknowledged, and only then says so.
    fn keep(&mut self, lanes: &[Lane]) -> anyhow::Result<()> {
        self.target.flush()?;
        self.positions.keep(lanes)?;
        self.unkept = 0;
        self.kept = Instant::now();
        Ok(())
    }
}

impl Taker for Copier<'_> {
    fn take(&mut self, row: Row) -> anyhow::Result<()> {
        let copy = self.headers.of(&row)?;
        self.target.send(row.at.number, &row, copy)?;
        self.copied += 1;
        self.unkept += 1;
        Ok(())
    }

    fn tick(&mut self, lanes: &[Lane]) -> anyhow::Result<()> {
        let read = lanes.iter().map(|lane| lane.read).sum();
        (self.progress)(Progress { read, of: self.total, rows: self.copied, since: self.began.elapsed() });
        let old = self.unkept > 0 && self.kept.elapsed() >= KEEP_EVERY;
        if self.unkept >= KEEP_ROWS || old { self.keep(lanes) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_never_go_to_our_own_topics() {
        for ours in ["order-events", "person-keys", "event-schemas", "partition-owners", "operator-actions"] {
            assert!(check_name(ours).is_err(), "{ours}");
        }
        for wrong in ["", "a b", "a/b", "ä"] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
        assert!(check_name("facts").is_ok());
    }
}
